"""An Ollama with room for one model: requests for its models are grouped, so that it swaps seldom."""
import http.server
import json
import threading
import time

from client_cases import PATH
from harness import case, expect, fetch, wait_until

SWAP, ANSWER = 0.15, 0.02  # seconds; with real models it is ten and more


class OneModel(http.server.ThreadingHTTPServer):
    """An Ollama with `OLLAMA_MAX_LOADED_MODELS=1`: one request at a time, in the order they came (its scheduler's queue)."""

    daemon_threads, request_queue_size = True, 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Asked)
        self.loaded, self.swaps, self.served = None, 0, []
        self.turns, self.next_turn, self.changed = 0, 0, threading.Condition()
        self.url = "http://127.0.0.1:%d" % self.server_port
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def begin(self, model):
        with self.changed:
            turn, self.turns = self.turns, self.turns + 1
            self.changed.wait_for(lambda: self.next_turn == turn)
        if self.loaded != model:
            self.loaded, self.swaps = None, self.swaps + 1
            time.sleep(SWAP)
            self.loaded = model
        self.served.append(model)

    def end(self):
        with self.changed:
            self.next_turn += 1
            self.changed.notify_all()


class Asked(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, *documents):
        """The documents as lines, with a pause in between."""
        lines = [(json.dumps(document) + "\n").encode() for document in documents]
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson" if len(lines) > 1 else "application/json")
        self.send_header("Content-Length", str(sum(map(len, lines))))
        self.end_headers()
        for number, line in enumerate(lines):
            if number:
                time.sleep(ANSWER)
            self.wfile.write(line)

    def do_GET(self):
        models = [{"name": name, "model": name} for name in ("ant:latest", "bee:latest")]
        loaded = [model for model in models if model["name"] == self.server.loaded]
        self.answer({"/api/version": {"version": "0.33.0"}, "/api/tags": {"models": models},
                     "/api/ps": {"models": loaded}}.get(self.path, {}))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/api/show":
            return self.answer({"capabilities": ["completion"]})
        self.server.begin(body["model"])
        try:
            answer = {"model": body["model"], "message": {"role": "assistant", "content": body["model"][:3]}}
            self.answer({**answer, "done": False}, {**answer, "message": {"role": "assistant", "content": ""}, "done": True,
                                                    "done_reason": "stop", "eval_count": 1, "prompt_eval_count": 1})
        finally:
            self.server.end()

    def log_message(self, *_):
        pass


def ask(url, model, texts):
    answer = fetch(url, "POST", PATH, {"model": model, "messages": [{"role": "user", "content": "hi"}]}, timeout=60)
    texts.append((model, answer.status, answer.json()["choices"][0]["message"]["content"] if answer.status == 200 else ""))


def crowd(url, count):
    """So many requests, for one model and the other in turn, a little after each other; how long all took."""
    texts, begin, threads = [], time.monotonic(), []
    for number in range(count):
        threads.append(threading.Thread(target=ask, args=(url, ("ant", "bee")[number % 2], texts), daemon=True))
        threads[-1].start()
        time.sleep(0.002)
    for thread in threads:
        thread.join(60)
    expect(len(texts) == count and all(text == (text[0], 200, text[0]) for text in texts), f"{texts[:5]}")
    return time.monotonic() - begin


@case("requests for two models in turn, before an Ollama with room for one, make it swap a few times and not each time",
      seconds=90)
def grouped(stage):
    ollama = OneModel()
    _, url = stage.sluice("--backend", "ollama=" + ollama.url, name="sluice-swap")
    wait_until(lambda: fetch(url, "GET", "/ready").status == 200, 5)
    notes = []
    for turn in range(3):
        before = ollama.swaps
        took = crowd(url, 60)
        swaps = ollama.swaps - before
        # 30 of each: two groups of 16 at most for each model, and one that was begun. The first time it has to be found
        # out that models are swapped.
        expect(swaps <= (20 if turn == 0 else 5), f"{swaps} swaps: {ollama.served[-60:]}")
        notes.append(f"{swaps} swaps in {took:.1f} s")
    return "60 requests, three times: " + ", ".join(notes)

"""An Ollama with room for one model: requests for its models are grouped, so that it swaps seldom."""
import http.server
import json
import threading
import time

from client_cases import PATH
from harness import case, expect, fetch, wait_until

SWAP = 0.15  # seconds; with real models it is ten


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

    def answer(self, document):
        data = (json.dumps(document) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

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
            time.sleep(0.005)
            self.answer({"model": body["model"], "message": {"role": "assistant", "content": body["model"][:3]},
                         "done": True, "done_reason": "stop", "eval_count": 1, "prompt_eval_count": 1})
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
    # It is seen to swap: by what it has loaded, before and after.
    for model in ("ant", "bee"):
        ask(url, model, [])
        wait_until(lambda: loaded(url) == [model + ":latest"], 10, 0.1)
    before = ollama.swaps
    took = crowd(url, 60)
    swaps = ollama.swaps - before
    # 30 of each: two groups of 16 at most for each model, and perhaps one that was begun.
    expect(swaps <= 5, f"{swaps} swaps: {ollama.served}")
    return f"{swaps} swaps for 60 requests, {took:.1f} s"


def loaded(url):
    return [model["id"] for model in fetch(url, "GET", "/v1/backends").json()["data"][0]["models"] if model.get("loaded")]

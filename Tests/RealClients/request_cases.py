"""Requests as real clients write them, at a real llama-server: messages as frameworks replay them, inputs in its own
forms; and what the official client does with the answers that say whether and when to ask again."""
import http.server
import json
import threading
import time

import openai
from openai import OpenAI

from completion_cases import embedder
from harness import case, expect, expect_error, fetch

USER = {"role": "user", "content": "Hello"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "18"}


def turn(**members):
    return [USER, {"role": "assistant", **members}, USER]


def call(**members):
    return [USER, {"role": "assistant", "content": None, "tool_calls": [{**CALL, **members}]}, RESULT]


# Each is right by OpenAI's reference, or is what a client in use sends; llama-server alone refuses those marked.
REPLAYED = [
    ("nulls of pydantic models", turn(content="x", refusal=None, audio=None, function_call=None, tool_calls=None)),
    ("a null name (refused)", [{**USER, "name": None}]),
    ("null thoughts (refused)", turn(content="x", reasoning_content=None, reasoning=None)),
    ("a null tool_call_id (refused)", turn(content="x", tool_call_id=None)),
    ("no content", turn(content=None, tool_calls=[])),
    ("content left out (refused)", turn()),
    ("a refusal as a part (refused)", turn(content=[{"type": "refusal", "refusal": "No."}])),
    ("a refusal as a field (refused)", turn(refusal="No.")),
    ("a call without content", [USER, {"role": "assistant", "tool_calls": [CALL]}, RESULT]),
    ("a call with empty content", [USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}, RESULT]),
    ("a call with a null id (refused)", call(id=None)),
    ("a call with a null type (refused)", call(type=None)),
    ("empty arguments (refused)", call(function={"name": "f", "arguments": ""})),
    ("blank arguments (refused)", call(function={"name": "f", "arguments": " \n"})),
    ("no arguments (refused)", call(function={"name": "f"})),
    ("arguments as an object", call(function={"name": "f", "arguments": {"a": 1}})),
    ("a call of the time before tools",
     [USER, {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
      {"role": "function", "name": "f", "content": "18"}]),
    ("parts with cache_control", [{"role": "user", "content": [
        {"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}]}]),
    ("a result in parts", [*call()[:2], {**RESULT, "content": [{"type": "text", "text": "18"}]}]),
    ("a developer", [{"role": "developer", "content": "Be brief."}, USER]),
]


@case("messages as clients replay them are read by every kind of backend", each_kind=True)
def replayed(stage, backend):
    url, problems, refused = stage.main()[1], [], 0
    for what, messages in REPLAYED:
        ask = {"model": backend.model, "messages": messages, "max_tokens": 4}
        answer = fetch(url, "POST", "/v1/chat/completions", ask)
        if answer.status != 200:
            problems.append(f"{what}: {answer.status} {answer.body[:200]!r}")
        if backend.kind == "llama-server":
            alone = fetch(stage.llama(), "POST", "/v1/chat/completions", ask).status
            refused += alone >= 400
            if what.endswith("(refused)") and alone == 200:
                problems.append(f"{what}: llama-server reads it itself now")
    expect(not problems, "; ".join(problems))
    return f"{len(REPLAYED)} conversations" + (f", {refused} of which llama-server alone refuses" if refused else "")


# llama-server's own (its tests/unit/test_embedding.py), and how many vectors they ask for.
OWN_FORMS = [([12, 34, "string", 56], 1), (["string1", [12, 34]], 2), ([[12, 34], [12, "string", 34]], 2),
             ({"prompt_string": "string"}, 1), ({"content": [{"type": "text", "text": "string"}]}, 1),
             (["a", {"prompt_string": "b"}, {"content": [{"type": "text", "text": "c"}]}], 3)]


@case("inputs and prompts in llama-server's own forms reach it, and only it")
def own_forms(stage):
    url, llama = embedder(stage)
    for form, count in OWN_FORMS:
        ask = {"model": "tiny-vectors", "input": form}
        own, through = (fetch(to, "POST", "/v1/embeddings", ask) for to in (llama, url))
        expect(own.status == 200 and len(own.json()["data"]) == count, f"{form} alone: {own.body[:200]!r}")
        expect(through.status == 200 and through.json() == own.json(), f"{form}: {through.body[:200]!r}")
        message = expect_error(fetch(url, "POST", "/v1/embeddings", {**ask, "model": "tiny-embed"}), 400,
                               "unsupported_parameter", "input")
        expect("llama-server" in message, message)
    for form, count in [form for form in OWN_FORMS if "content" not in str(form[0])]:
        ask = {"model": "tiny-llama", "prompt": form, "max_tokens": 3, "temperature": 0}
        answer = fetch(stage.main()[1], "POST", "/v1/completions", ask)
        own = fetch(stage.llama(), "POST", "/v1/completions", ask)
        texts = [[choice["text"] for choice in a.json().get("choices", [])] for a in (answer, own)]
        expect(answer.status == 200 and len(texts[0]) == count and texts[0] == texts[1], f"{form}: {texts}")
        answer = fetch(stage.main()[1], "POST", "/v1/completions", {**ask, "model": "tiny-go:latest"})
        expect_error(answer, 400, "unsupported_parameter", "prompt")


class Moody(http.server.BaseHTTPRequestHandler):
    """An upstream that answers as the model's name says, and counts."""
    counts = {}

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model, count = body["model"], self.counts.get(body["model"], 0) + 1
        self.counts[model] = count
        if model == "silent":
            self.connection.settimeout(5)
            try:
                self.connection.recv(1)  # until Sluice gives up
            except OSError:
                pass
        elif model == "busy" and count == 1:
            self.answer(429, b'{"error":{"message":"slow down","type":"rate_limit"}}', "Retry-After: 1")
        elif model == "wrong":
            self.answer(400, b'{"error":{"message":"no","type":"invalid_request_error"}}')
        elif model == "full":
            self.answer(503, b'{"error":{"message":"busy","type":"server_error"}}', "Retry-After: 1")
        else:
            answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": [
                {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}]}
            self.answer(200, json.dumps(answer).encode())

    def answer(self, status, body, *fields):
        lines = [f"HTTP/1.1 {status} x", "Content-Type: application/json", f"Content-Length: {len(body)}", *fields]
        self.wfile.write("\r\n".join(lines).encode() + b"\r\nConnection: close\r\n\r\n" + body)
        self.close_connection = True

    def log_message(self, *_):
        pass


@case("openai: what may be asked again is, after Retry-After, and what may not is not; x-request-id is its request_id")
def retry_headers(stage):
    Moody.counts.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Moody)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        _, url = stage.sluice_with(f"""listen: 127.0.0.1:0
backends: [{{name: moody, kind: openai, url: "http://127.0.0.1:{server.server_address[1]}", models: [busy, silent, wrong, full]}}]
timeouts: {{first_token: 200ms}}
""")
        api = OpenAI(base_url=url + "/v1", api_key="none", max_retries=2, timeout=20)

        def ask(model):
            begin = time.monotonic()
            try:
                api.chat.completions.create(model=model, messages=[USER])
                error = None
            except openai.APIStatusError as told:
                error = told
                expect(told.request_id and told.request_id == told.response.headers["x-request-id"], "no request id")
            return error, Moody.counts.get(model), time.monotonic() - begin
        error, times, seconds = ask("busy")
        expect(error is None and times == 2 and 1 <= seconds < 3, f"429: {error}, {times} times in {seconds:.1f} s")
        error, times, _ = ask("silent")
        expect(isinstance(error, openai.InternalServerError) and error.status_code == 504, f"504: {error}")
        expect(times == 1 and error.response.headers["x-should-retry"] == "false", f"504: asked {times} times")
        error, times, _ = ask("wrong")
        expect(isinstance(error, openai.BadRequestError) and times == 1, f"400: {error}, {times} times")
        error, times, _ = ask("full")
        expect(isinstance(error, openai.InternalServerError) and error.status_code == 503, f"503: {error}")
        expect(times >= 3, f"503: asked {times} times")
    finally:
        server.shutdown()
        server.server_close()

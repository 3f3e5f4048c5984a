"""The official client of Ollama, in front of a real llama-server and of a recorded Ollama: one program for both."""
import asyncio
import datetime
import json
import re
import time

from ollama import AsyncClient, Client, ResponseError

from completion_cases import embedder
from fidelity_cases import is_complete, load_recordings, replayed
from harness import case, expect, fetch, wait_until

FIXED = {"temperature": 0, "seed": 7, "num_predict": 24}
# 1 x 1, red.
PIXEL = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==")


def get_weather(city: str) -> str:
    """Current weather

    Args:
      city: The city
    """
    return f"Sunny in {city}"


def client(stage, kind=Client):
    return kind(host=stage.main()[1], timeout=20)


def ask(backend, text, **more):
    return {"model": backend.model, "messages": [{"role": "user", "content": text}], "options": FIXED,
            "think": False, **more}


def expect_end(last, reasons=("stop", "length")):
    """The last record of an answer, with every figure that Ollama gives."""
    expect(last.done is True and last.done_reason in reasons, f"done {last.done} {last.done_reason}")
    expect(last.prompt_eval_count > 0 and 0 < last.eval_count <= 24, f"counts {last}")
    for name in ("total_duration", "prompt_eval_duration", "eval_duration"):
        expect(isinstance(last[name], int) and last[name] > 0, f"{name} {last[name]}")
    expect(last.total_duration < 20e9, f"total_duration {last.total_duration} is not in nanoseconds")
    datetime.datetime.fromisoformat(last.created_at[:26] + "+00:00")


@case("ollama: chat, streamed and not, says the same", each_kind=True)
def chat_both_ways(stage, backend):
    api = client(stage)
    parts = list(api.chat(**ask(backend, "Hello"), stream=True))
    whole = api.chat(**ask(backend, "Hello"))
    text = "".join(p.message.content or "" for p in parts)
    expect(text and text == whole.message.content, f"{text!r} against {whole}")
    expect(not any(p.done for p in parts[:-1]), "done too early")
    expect(all(p.model == backend.model and p.message.role == "assistant" for p in [*parts, whole]), "model or role")
    for last in (parts[-1], whole):
        expect_end(last)
    return f"{len(parts)} records"


@case("ollama async: several streams at once", each_kind=True)
def several(stage, backend):
    async def one(api):
        return "".join([p.message.content or "" async for p in await api.chat(**ask(backend, "Hello"), stream=True)])

    async def all_of_them():
        api = client(stage, AsyncClient)
        return await asyncio.gather(*(one(api) for _ in range(6)))
    texts = asyncio.run(all_of_them())
    expect(len(set(texts)) == 1 and texts[0], f"differing answers {set(texts)}")


@case("ollama: generate with and without template, streamed and not", each_kind=True)
def generate(stage, backend):
    api = client(stage)
    raw = {"model": backend.model, "prompt": "<|assistant|>", "raw": True, "options": FIXED}
    for request in ({"model": backend.model, "prompt": "Hello", "options": FIXED, "think": False}, raw):
        if request is raw and backend.kind == "ollama":
            continue  # of the raw ones no stream was recorded
        parts = list(api.generate(**request, stream=True))
        whole = api.generate(**request)
        text = "".join(p.response for p in parts)
        expect(text and text == whole.response, f"{text!r} against {whole}")
        for last in (parts[-1], whole):
            expect_end(last)


@case("ollama: a stream over HTTP is lines of JSON, and streaming is the default", each_kind=True)
def lines(stage, backend):
    answer = fetch(stage.main()[1], "POST", "/api/chat", ask(backend, "Hello"))
    expect(answer.headers["content-type"] == "application/x-ndjson", answer.headers["content-type"])
    records = [json.loads(line) for line in answer.body.decode().splitlines()]
    expect(len(records) > 3 and [r["done"] for r in records] == [False] * (len(records) - 1) + [True], "done")
    expect(answer.body.endswith(b"\n"), "no line end")


@case("ollama: format json and a schema")
def formats(stage):
    api = client(stage)
    request = {"model": "tiny-llama", "messages": [{"role": "user", "content": "Hello"}],
               "options": {"temperature": 0, "num_predict": 300}}
    schema = {"type": "object", "properties": {"kind": {"type": "string", "enum": ["a", "b"]}}, "required": ["kind"]}
    text = api.chat(**request, format=schema).message.content
    expect(json.loads(text)["kind"] in "ab", f"not as the schema: {text!r}")
    generated = api.generate("tiny-llama", "Hello", format=schema, options=request["options"]).response
    expect(json.loads(generated)["kind"] in "ab", f"not as the schema: {generated!r}")
    begun = api.chat(**request, format="json").message.content
    expect(begun.lstrip().startswith("{"), f"no JSON: {begun!r}")
    try:
        api.chat(**ask_plain("tiny-llama"), format="xml")
        expect(False, "a format that is none was taken")
    except ResponseError as error:
        expect(error.status_code == 400, f"{error}")
    except ValueError:
        pass  # the client itself refuses it


def ask_plain(model):
    return {"model": model, "messages": [{"role": "user", "content": "Hello"}]}


@case("ollama: tools, streamed and not, and the way back")
def tools(stage):
    # Ollama's API has no word that makes a model call, so the route says it.
    _, url = stage.sluice_with(
        "listen: 127.0.0.1:0\n"
        f"backends: [{{name: gpu, kind: llama-server, url: '{stage.llama()}'}}]\n"
        "models: {caller: {model: tiny-llama, set: {tool_choice: required, max_tokens: 400}}}\n")
    api = Client(host=url, timeout=20)
    request = {"model": "caller", "messages": [{"role": "user", "content": "Weather?"}], "tools": [get_weather],
               "options": {"temperature": 0, "seed": 7}}
    for stream in (False, True):
        answer = api.chat(**request, stream=stream)
        parts = list(answer) if stream else [answer]
        calls = [call for p in parts for call in p.message.tool_calls or []]
        expect(calls and all(c.function.name == "get_weather" for c in calls), f"{stream}: calls {parts}")
        expect(all(isinstance(c.function.arguments["city"], str) for c in calls), f"arguments {calls}")
        expect(parts[-1].done and parts[-1].done_reason == "stop", f"end {parts[-1]}")
        message = {"role": "assistant", "content": "", "tool_calls": calls}
        results = [{"role": "tool", "tool_name": "get_weather", "content": "Sunny"} for _ in calls]
        final = api.chat("tiny-llama", [request["messages"][0], message, *results], options=FIXED)
        expect(final.message.content and final.done, f"no final text: {final}")


@case("ollama: recorded calls arrive as they were recorded")
def recorded_tools(stage):
    request = {"model": "tiny-go:latest", "messages": [{"role": "user", "content": "@two"}], "think": False,
               "options": {"temperature": 0, "seed": 7, "num_predict": 150}, "tools": [get_weather]}
    api = client(stage)
    for stream in (False, True):
        answer = api.chat(**request, stream=stream)
        parts = list(answer) if stream else [answer]
        names = [call.function.name for p in parts for call in p.message.tool_calls or []]
        expect(names == ["get_weather", "get_time"], f"{stream}: calls {names}")


@case("ollama: thoughts are apart from the text")
def thoughts(stage):
    api = client(stage)
    request = {"messages": [{"role": "user", "content": "@think"}], "think": True,
               "options": {"temperature": 0, "seed": 7, "num_predict": 200}}
    parts = list(api.chat("tiny-go:latest", stream=True, **request))
    whole = api.chat("tiny-go:latest", **request)
    expect("".join(p.message.thinking or "" for p in parts) == whole.message.thinking != "", f"{whole}")
    # A model without thoughts is asked all the same: llama-server takes it for a hint.
    for think in (True, False, "low"):
        answer = api.chat("tiny-llama", request["messages"], think=think, options=FIXED)
        expect(answer.message.content or answer.message.thinking, f"{think}: {answer}")


@case("ollama: logprobs")
def logprobs(stage):
    answer = client(stage).chat(**ask_plain("tiny-llama"), logprobs=True, top_logprobs=2, options=FIXED)
    expect(len(answer.logprobs) == answer.eval_count, f"{len(answer.logprobs)} of {answer.eval_count}")
    expect(all(len(l.top_logprobs) == 2 and l.logprob <= 0 for l in answer.logprobs), f"{answer.logprobs[0]}")
    expect("".join(l.token for l in answer.logprobs) == answer.message.content, "other tokens than the text")


@case("ollama: an image reaches the backend, which has no eyes", each_kind=True)
def images(stage, backend):
    message = {"role": "user", "content": "What is it?", "images": [PIXEL]}
    try:
        answer = client(stage).chat(backend.model, [message], options=FIXED, think=False)
        expect(backend.kind == "ollama", f"answered {answer}")  # the recording knows no images
    except ResponseError as error:
        expect(error.status_code in (400, 500) and "image" in str(error), f"{error.status_code} {error}")


@case("ollama: list, show, ps, version", each_kind=True)
def lists(stage, backend):
    api = client(stage)
    models = {m.model: m for m in api.list().models}
    expect({"tiny-llama", "tiny-go:latest"} <= set(models), f"models {sorted(models)}")
    expect(models[backend.model].size > 0 and models[backend.model].details.format == "gguf", f"{models}")
    expect(isinstance(models[backend.model].modified_at, datetime.datetime), "modified_at")
    shown = api.show(backend.model)
    expect("completion" in shown.capabilities and "tools" in shown.capabilities, f"{shown.capabilities}")
    architecture = shown.modelinfo["general.architecture"]
    expect(shown.modelinfo[architecture + ".context_length"] >= 4096, f"{shown.modelinfo}")
    running = {m.model: m for m in api.ps().models}
    if backend.kind == "llama-server":
        expect(running[backend.model].expires_at.year > 2100, f"{running}")
    expect(fetch(stage.main()[1], "GET", "/api/version").json()["version"], "no version")
    expect(fetch(stage.main()[1], "HEAD", "/api/tags").status == 200, "HEAD")


@case("ollama: embed, one and several, and the old embeddings")
def embed(stage):
    url, llama = embedder(stage)
    api = Client(host=url, timeout=20)
    one = api.embed("tiny-vectors", "hello world")
    two = api.embed("tiny-vectors", ["hello world", "b"])
    expect(len(one.embeddings) == 1 and len(two.embeddings) == 2 and two.prompt_eval_count > 0, f"{two.prompt_eval_count}")
    for answer, text in ((one, "hello world"), (two, ["hello world", "b"])):
        own = fetch(llama, "POST", "/v1/embeddings", {"model": "tiny-vectors", "input": text}).json()["data"]
        expect([list(e) for e in answer.embeddings] == [e["embedding"] for e in own], "not what llama-server says itself")
    expect(one.model == "tiny-vectors", one.model)
    old = api.embeddings("tiny-vectors", "hello world")
    expect(list(old.embedding) == list(one.embeddings[0]), "the old endpoint has another vector")
    recorded = api.embed("tiny-embed", ["a", "b"], dimensions=4)
    expect([list(e) for e in recorded.embeddings] == [[0, 0, 0, 0]] * 2 and recorded.model == "tiny-embed", f"{recorded}")
    expect(len(api.embeddings("tiny-embed", "hello world").embedding) > 100, "the old endpoint")
    expect(api.embed("tiny-vectors", "").embeddings == [], "an empty text has no vector")


@case("ollama: errors have its shape and status", each_kind=True)
def errors(stage, backend):
    api = client(stage)
    for call in (lambda: api.chat("nope", [{"role": "user", "content": "x"}]),
                 lambda: list(api.chat("nope", [{"role": "user", "content": "x"}], stream=True)),
                 lambda: api.generate("nope", "x"), lambda: api.show("nope"), lambda: api.embed("nope", "x")):
        try:
            call()
            expect(False, "an unknown model was taken")
        except ResponseError as error:
            expect(error.status_code == 404 and "not found" in error.error, f"{error.status_code} {error.error}")
    url = stage.main()[1]
    for path, body, status in (("/api/chat", b"{", 400), ("/api/chat", {"model": backend.model, "messages": 1}, 400),
                               ("/api/nope", {}, 404), ("/api/show", {}, 400)):
        answer = fetch(url, "POST", path, body)
        expect(answer.status == status and isinstance(answer.json()["error"], str), f"{path}: {answer.status} {answer.body}")
    answer = fetch(url, "GET", "/api/chat")
    expect(answer.status == 405 and isinstance(answer.json()["error"], str), f"{answer.status} {answer.body}")


@case("ollama: a model is loaded and unloaded", each_kind=True)
def loading(stage, backend):
    api = client(stage)
    answer = api.chat(backend.model, [])
    expect(answer.done and answer.done_reason == "load" and answer.model == backend.model, f"{answer}")
    answer = api.generate(backend.model, keep_alive=0) if backend.kind == "llama-server" else api.generate(backend.model)
    expect(answer.done and answer.done_reason in ("load", "unload"), f"{answer}")


@case("ollama: :latest behind a name that has no tag is passed over")
def latest(stage):
    answer = client(stage).chat(**ask_plain("tiny-llama:latest"), options=FIXED)
    expect(answer.model == "tiny-llama:latest" and answer.message.content, f"{answer}")


@case("ollama: a client that leaves its stream frees the slot", seconds=120)
def leaving(stage):
    from leaving_cases import Slots
    api = Client(host=stage.slow()[1], timeout=20)
    slots = Slots(stage.llama(200))
    wait_until(lambda: not slots.busy(), 20)
    stream = api.chat("slow-llama", [{"role": "user", "content": "Hello"}], stream=True, options={"num_predict": 3000})
    for _ in range(3):
        next(stream)
    expect(slots.busy(), "the request was over before its client left")
    begin = time.monotonic()
    stream.close()
    api._client.close()
    wait_until(lambda: not slots.busy(), 5, 0.005)
    return f"freed after {(time.monotonic() - begin) * 1000:.0f} ms"


def body_of(answer):
    """The body of a recorded answer, its chunks undone."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"chunked" not in head.lower():
        return body
    whole = b""
    while body and (size := int(body.split(b"\r\n", 1)[0], 16)):
        start = body.index(b"\r\n") + 2
        whole, body = whole + body[start:start + size], body[start + size + 2:]
    return whole


@case("ollama: recorded streams pass unchanged, however they are cut", seconds=240)
def unchanged(stage):
    """Only the model's name differs, which is the recording's here."""
    counts = {}
    for cut in ("whole", "random", "bytes"):
        url = replayed(stage, cut)
        for name, recording in load_recordings().items():
            answer = recording.answer
            is_stream = recording.status == 200 and b"x-ndjson" in answer and answer.count(b"HTTP/1.") == 1
            if not name.startswith("ollama/") or not is_stream:
                continue
            recorded = re.sub(rb'^{"model":"[^"]*"', b'{"model":"%s"' % name.encode(), body_of(recording.answer), flags=re.M)
            answer = fetch(url, "POST", "/api/chat", {**recording.request, "model": name})
            expect(answer.status == 200, f"{name}: {answer.status} {answer.body[:200]}")
            records = [line for line in recorded.splitlines(True) if not line.startswith(b'{"error"')]
            if b'"done":true' in recorded:
                expect(answer.body == recorded, f"{name}: {answer.body[-300:]} instead of {recorded[-300:]}")
            else:  # broken off: all that came, and one line that says so
                last = answer.body.removeprefix(b"".join(records))
                expect(last != answer.body and list(json.loads(last)) == ["error"], f"{name}: {answer.body[-300:]}")
            counts[cut] = counts.get(cut, 0) + 1
    expect(min(counts.values()) > 50, f"only {counts}")
    return f"{counts['whole']} streams"


@case("ollama: the client reads every recorded chat of llama-server, or raises its own error", seconds=120)
def read_every_one(stage):
    api, told = Client(host=replayed(stage, "random"), timeout=20), {"whole": 0, "raised": 0}
    for name, recording in load_recordings().items():
        if not name.startswith("llama/"):
            continue
        for stream in (True, False):
            try:
                answer = api.chat(name, [{"role": "user", "content": "x"}], stream=stream)
                parts = list(answer) if stream else [answer]
                expect(parts[-1].done is True and is_complete(recording), f"{name}: {parts[-1]}")
                told["whole"] += 1
            except ResponseError as error:
                expect(error.error and not is_complete(recording), f"{name}: {error}")
                told["raised"] += 1
    expect(told["whole"] > 50, f"{told}")
    return f"{told['whole']} whole, {told['raised']} raised"

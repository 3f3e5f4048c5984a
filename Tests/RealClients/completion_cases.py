"""Text completions and embeddings, with the official OpenAI Python client."""
import base64
import contextlib
import os
import struct

import openai
from openai import OpenAI
from openai.types import Completion, CreateEmbeddingResponse

from harness import PROJECT, Backend, case, events, expect, expect_error, fetch

RIVER = {"prompt": "The river", "temperature": 0, "seed": 7, "max_tokens": 12}


def client(url):
    return OpenAI(base_url=url + "/v1", api_key="none", max_retries=0, timeout=20)


def prompt_of(backend):
    """What was recorded, or anything."""
    return {**RIVER, "prompt": "Hello"} if backend.kind == "ollama" else RIVER


# ---- completions ----

@case("completions: a stream says the same as the answer in one piece", each_kind=True, direct=True)
def stream_equals_answer(stage, backend):
    api = client(stage.main()[1])
    chunks = list(api.completions.create(model=backend.model, **prompt_of(backend), stream=True))
    whole = api.completions.create(model=backend.model, **prompt_of(backend))
    text = "".join(c.choices[0].text for c in chunks)
    expect(text and text == whole.choices[0].text, f"{text!r} against {whole}")
    finishes = [c.choices[0].finish_reason for c in chunks]
    expect(finishes[-1] == whole.choices[0].finish_reason and not any(finishes[:-1]), f"finishes {finishes}")
    expect(len({c.id for c in chunks}) == 1 and len({c.created for c in chunks}) == 1, "id or created changes")
    expect(whole.object == "text_completion" and whole.model == backend.model or stage.options.direct, f"{whole}")
    usage = whole.usage
    expect(usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0, f"usage {usage}")
    return f"{len(chunks)} chunks"


@case("completions: usage comes last, and only when asked for", each_kind=True)
def usage_chunk(stage, backend):
    api = client(stage.main()[1])
    ask = {"model": backend.model, **prompt_of(backend), "stream": True}
    chunks = list(api.completions.create(**ask, stream_options={"include_usage": True}))
    expect(chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0, f"last chunk {chunks[-1]}")
    expect(not any(c.usage for c in chunks[:-1]), "usage before the end")
    expect(not any(c.usage for c in api.completions.create(**ask)), "usage without being asked")


@case("completions: every chunk passes the client's models in strict mode", each_kind=True)
def strict_models(stage, backend):
    url = stage.main()[1]
    for path in ("/v1/completions", "/completions"):
        answer = fetch(url, "POST", path, {"model": backend.model, **prompt_of(backend), "stream": True})
        payloads = events(answer.body)
        expect(payloads[-1] == "[DONE]" and payloads.count("[DONE]") == 1, f"ends with {payloads[-1][:80]}")
        expect("null" not in payloads, "a null event")
        for payload in payloads[:-1]:
            # The client's own class has no word for a choice that goes on, which OpenAI's API has.
            Completion.model_validate_json(payload.replace('"finish_reason":null', '"finish_reason":"stop"'), strict=True)
    whole = fetch(url, "POST", "/v1/completions", {"model": backend.model, **prompt_of(backend)})
    Completion.model_validate_json(whole.body, strict=True)


@case("completions: several prompts and choices, streamed and not")
def several(stage):
    api = client(stage.main()[1])
    ask = {**RIVER, "model": "tiny-llama", "prompt": ["The river", "A cup"], "n": 2, "max_tokens": 4}
    whole = api.completions.create(**ask)
    expect([c.index for c in whole.choices] == [0, 1, 2, 3], f"choices {whole.choices}")
    expect(whole.usage.completion_tokens >= 4, f"usage {whole.usage}")
    texts = {}
    for chunk in api.completions.create(**ask, stream=True):
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + choice.text
    expect(texts == {c.index: c.text for c in whole.choices}, f"{texts} against {whole.choices}")
    tokens = api.completions.create(**{**ask, "prompt": [[1, 2, 3], [4]], "n": 1})
    expect(len(tokens.choices) == 2, f"{tokens}")


@case("completions: logprobs as the client's class has them")
def logprobs(stage):
    answer = client(stage.main()[1]).completions.create(**RIVER, model="tiny-llama", logprobs=2)
    found = answer.choices[0].logprobs
    expect("".join(found.tokens) == answer.choices[0].text, f"tokens {found.tokens}, text {answer.choices[0].text!r}")
    expect(all(p <= 0 for p in found.token_logprobs) and len(found.top_logprobs) == len(found.tokens), f"{found}")
    expect(found.text_offset[:2] == [0, len(found.tokens[0])], f"offsets {found.text_offset}")


@case("completions: what cannot be done is a 400 with its field", each_kind=True)
def refusals(stage, backend):
    url = stage.main()[1]
    for more, param in (({"prompt": None}, "prompt"), ({"prompt": [1, None]}, "prompt[1]"), ({"echo": True}, "echo"),
                        ({"max_tokens": 0}, "max_tokens"), ({"suffix": " end"}, "suffix"), ({"logprobs": True}, "logprobs")):
        answer = fetch(url, "POST", "/v1/completions", {"model": backend.model, **prompt_of(backend), **more})
        expect_error(answer, 400, ("invalid_value", "missing_field", "unsupported_parameter"), param)
    if backend.kind == "ollama":
        for more, param in (({"n": 2}, "n"), ({"prompt": ["a", "b"]}, "prompt"), ({"prompt": [1]}, "prompt")):
            answer = fetch(url, "POST", "/v1/completions", {"model": backend.model, **prompt_of(backend), **more})
            expect_error(answer, 400, "unsupported_parameter", param)


# ---- embeddings ----

def embedder(stage):
    """A real llama-server that embeds, the replay of Ollama, and a Sluice in front of both; its address."""
    def make():
        command = [os.path.join(PROJECT, "scripts", "run-llama-server"), "--port", "0", "--alias", "tiny-vectors", "--embedding"]
        llama = stage.start("embedding-llama", command).url(120)
        return stage.sluice("--backend", "llama-server=" + llama, "--backend", "ollama=" + stage.ollama(), name="sluice-vectors"), llama
    (_, url), llama = stage.once("embedder", make)
    return url, llama


EMBEDDERS = [Backend("llama-server", "tiny-vectors"), Backend("ollama", "tiny-embed")]


@case("embeddings: as numbers and as base64 they are the same")
def embeddings(stage):
    url, llama = embedder(stage)
    for backend in EMBEDDERS:
        ask = {"model": backend.model, "input": "hello world"}
        unasked = client(url).embeddings.create(**ask)  # the client asks for base64 and decodes it
        floats = client(url).embeddings.create(**ask, encoding_format="float")
        raw = fetch(url, "POST", "/embeddings", {**ask, "encoding_format": "base64"})
        expect(raw.status == 200, f"{raw.status} {raw.body[:200]!r}")
        bytes_ = base64.b64decode(raw.json()["data"][0]["embedding"])
        decoded = list(struct.unpack(f"<{len(bytes_) // 4}f", bytes_))
        expect(decoded == unasked.data[0].embedding and any(decoded), "base64 differs")
        expect([struct.unpack("<f", struct.pack("<f", x))[0] for x in floats.data[0].embedding] == decoded, "floats differ")
        expect(floats.model == backend.model and floats.usage.prompt_tokens > 0, f"{floats.model} {floats.usage}")
        CreateEmbeddingResponse.model_validate_json(
            fetch(url, "POST", "/v1/embeddings", {**ask, "encoding_format": "float"}).body, strict=True)
    own = fetch(llama, "POST", "/v1/embeddings", {"model": "tiny-vectors", "input": "hello world"}).json()
    through = fetch(url, "POST", "/v1/embeddings", {"model": "tiny-vectors", "input": "hello world"}).json()
    expect(own == through, "not what llama-server says itself")


@case("embeddings: several texts, and tokens")
def several_embeddings(stage):
    url, _ = embedder(stage)
    answer = client(url).embeddings.create(model="tiny-vectors", input=["a", "b", "The river"])
    expect([e.index for e in answer.data] == [0, 1, 2], f"{[e.index for e in answer.data]}")
    answer = client(url).embeddings.create(model="tiny-vectors", input=[[1, 2], [3]])
    expect(len(answer.data) == 2, "tokens")
    answer = client(url).embeddings.create(model="tiny-embed", input=["a", "b"], dimensions=4)
    expect([len(e.embedding) for e in answer.data] == [4, 4], f"{answer.data}")


@case("embeddings: errors are the client's where they are the client's")
def embedding_errors(stage):
    url, _ = embedder(stage)
    vectors, embed = (backend.model for backend in EMBEDDERS)
    for model, more, param in ((embed, {"input": ""}, "input"), (embed, {"input": ["a", ""]}, "input[1]"),
                               (vectors, {"input": []}, "input"), (vectors, {"dimensions": 4}, "dimensions"),
                               (vectors, {"encoding_format": "hex"}, "encoding_format")):
        answer = fetch(url, "POST", "/v1/embeddings", {"model": model, "input": "a", **more})
        expect_error(answer, 400, ("invalid_value", "unsupported_parameter"), param)
    for text in ("x1 " * 600, ""):  # too long; and nothing at all, which is for the model to say
        answer = fetch(url, "POST", "/v1/embeddings", {"model": vectors, "input": text})
        expect_error(answer, 400, "upstream_failed")
    with contextlib.suppress(openai.NotFoundError):
        client(url).embeddings.create(model="nobody", input="a")
        expect(False, "an unknown model was no error")
    answer = fetch(stage.main()[1], "POST", "/v1/embeddings", {"model": "tiny-llama", "input": "a"})
    expect_error(answer, 400, "upstream_failed")

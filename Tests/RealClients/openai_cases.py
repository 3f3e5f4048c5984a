"""The official OpenAI Python client. The same program for every kind of backend: only the model's name differs."""
import asyncio
import json

import openai
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.model import Model

from harness import case, events, expect, fetch, chat, wait_until

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Current weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
FIXED = {"temperature": 0, "seed": 7, "max_tokens": 24}


def client(stage, kind=OpenAI):
    return kind(base_url=stage.main()[1] + "/v1", api_key="none", max_retries=0, timeout=20)


def ask(backend, text, **more):
    return {"model": backend.model, "messages": [{"role": "user", "content": text}], **FIXED, **more}


def text_of(chunks):
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


@case("openai: an answer in one piece", each_kind=True, direct=True)
def in_one_piece(stage, backend):
    answer = client(stage).chat.completions.create(**ask(backend, "Hello"))
    expect(answer.choices[0].message.content, "no text")
    expect(answer.choices[0].message.role == "assistant", "role")
    expect(answer.choices[0].finish_reason in ("stop", "length"), f"finish {answer.choices[0].finish_reason}")
    usage = answer.usage
    expect(usage.prompt_tokens > 0 and 0 < usage.completion_tokens <= 24, f"usage {usage}")
    expect(usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, f"usage {usage}")
    expect(answer.model == backend.model, f"model {answer.model}")


@case("openai: a stream says the same as the answer in one piece", each_kind=True, direct=True)
def stream_equals_answer(stage, backend):
    api = client(stage)
    chunks = list(api.chat.completions.create(**ask(backend, "Hello"), stream=True))
    whole = api.chat.completions.create(**ask(backend, "Hello"))
    expect(text_of(chunks) == whole.choices[0].message.content, f"{text_of(chunks)!r} against {whole}")
    finishes = [c.choices[0].finish_reason for c in chunks if c.choices]
    expect(finishes[-1] == whole.choices[0].finish_reason and not any(finishes[:-1]), f"finishes {finishes}")
    expect(len({c.id for c in chunks}) == 1 and len({c.created for c in chunks}) == 1, "id or created changes")
    expect(all(c.usage is None for c in chunks), "usage without being asked")
    return f"{len(chunks)} chunks"


@case("openai async: stream, and several at once", each_kind=True, direct=True)
def asynchronous(stage, backend):
    async def one(api, number):
        text = ""
        async for chunk in await api.chat.completions.create(**ask(backend, "Hello"), stream=True):
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
        whole = await api.chat.completions.create(**ask(backend, "Hello"))
        return text, whole.choices[0].message.content

    async def several():
        async with client(stage, AsyncOpenAI) as api:
            return await asyncio.gather(*(one(api, n) for n in range(6)))
    results = asyncio.run(several())
    expect(all(a == b and a for a, b in results) and len(set(results)) == 1, f"differing answers {set(results)}")


@case("openai: usage comes last, and only when asked for", each_kind=True, direct=True)
def usage_chunk(stage, backend):
    chunks = list(client(stage).chat.completions.create(
        **ask(backend, "Hello"), stream=True, stream_options={"include_usage": True}))
    expect(chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0, f"last chunk {chunks[-1]}")
    expect(not any(c.usage for c in chunks[:-1]), "usage before the end")


@case("openai: every chunk passes the client's models in strict mode", each_kind=True, direct=True)
def strict_models(stage, backend):
    url = stage.main()[1]
    for more in ({}, {"stream_options": {"include_usage": True}},
                 {"tools": [WEATHER], "tool_choice": "required", "max_tokens": 150}):
        body = chat(backend.model, "@tool" if more.get("tools") else "Hello", **{**FIXED, **more, "stream": True})
        answer = fetch(url, "POST", "/v1/chat/completions", body)
        payloads = events(answer.body)
        expect(payloads[-1] == "[DONE]" and payloads.count("[DONE]") == 1, f"ends with {payloads[-1][:80]}")
        for payload in payloads[:-1]:
            ChatCompletionChunk.model_validate_json(payload, strict=True)
        if not stage.options.direct:
            check_contract([json.loads(p) for p in payloads[:-1]], backend, "stream_options" in more)
    whole = fetch(url, "POST", "/v1/chat/completions", chat(backend.model, "Hello", **FIXED))
    ChatCompletion.model_validate_json(whole.body, strict=True)
    models = fetch(url, "GET", "/v1/models").json()
    for entry in models["data"]:
        Model.model_validate(entry, strict=True)


def check_contract(chunks, backend, usage_asked):
    """What is promised of a stream beyond what the client's models say."""
    expect(chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}, f"first {chunks[0]}")
    closing = chunks.pop() if usage_asked else None
    expect(all(("usage" in c and c["usage"] is None) == usage_asked for c in chunks), "usage: null or nothing")
    expect(closing is None or (closing["choices"] == [] and closing["usage"]), f"usage chunk {closing}")
    for number, chunk in enumerate(chunks):
        choice = chunk["choices"][0]
        expect(chunk["model"] == backend.model and chunk["object"] == "chat.completion.chunk", f"{chunk}")
        expect(chunk["id"].startswith("chatcmpl-"), f"id {chunk['id']}")
        expect(number == 0 or "role" not in choice["delta"], "a second role")
        last = number == len(chunks) - 1
        expect((choice["finish_reason"] is not None) == last, f"finish_reason in chunk {number}: {chunk}")
    expect(chunks[-1]["choices"][0]["delta"] == {}, f"finish chunk {chunks[-1]}")


@case("openai: a tool call in one piece", each_kind=True, direct=True)
def tool_call(stage, backend):
    answer = client(stage).chat.completions.create(
        **ask(backend, "@tool", max_tokens=150), tools=[WEATHER], tool_choice="required")
    expect(answer.choices[0].finish_reason == "tool_calls", f"{answer.choices[0]}")
    call = answer.choices[0].message.tool_calls[0]
    expect(call.type == "function" and call.function.name == "get_weather" and call.id, f"{call}")
    expect(isinstance(json.loads(call.function.arguments), dict), f"arguments {call.function.arguments!r}")


@case("openai: a streamed tool call, put together by the client's own helper", each_kind=True, direct=True)
def streamed_tool_call(stage, backend):
    api = client(stage)
    with api.chat.completions.stream(
            **ask(backend, "@tool", max_tokens=150), tools=[WEATHER], tool_choice="required") as stream:
        for _ in stream:
            pass
        answer = stream.get_final_completion()
    calls = answer.choices[0].message.tool_calls
    expect(answer.choices[0].finish_reason == "tool_calls" and calls, f"{answer.choices[0]}")
    expect(calls[0].function.name == "get_weather", f"{calls}")
    expect(isinstance(json.loads(calls[0].function.arguments), dict), f"arguments {calls}")
    expect(len({c.id for c in calls}) == len(calls), "equal ids")


@case("openai: the conversation goes on after a tool result", each_kind=True, direct=True)
def tool_round_trip(stage, backend):
    call = {"id": "call_abc", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_abc", "content": "22 degrees"}]
    answer = client(stage).chat.completions.create(model=backend.model, messages=messages, **FIXED)
    expect(answer.choices[0].message.content, f"{answer}")


@case("openai: thoughts come as reasoning_content", each_kind=True, direct=True)
def reasoning(stage, backend):
    chunks = list(client(stage).chat.completions.create(
        **ask(backend, "@think", max_tokens=200), stream=True, reasoning_effort="high",
        extra_body={"chat_template_kwargs": {"enable_thinking": True}}))
    thoughts = "".join(getattr(c.choices[0].delta, "reasoning_content", None) or "" for c in chunks if c.choices)
    expect(thoughts, "no thoughts")
    expect("<think>" not in thoughts + text_of(chunks), "markup leaked")


@case("openai: a JSON schema is kept to", each_kind=True, direct=True)
def json_schema(stage, backend):
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}
    answer = client(stage).chat.completions.create(
        **ask(backend, "Hello", max_tokens=60),
        response_format={"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}})
    text = answer.choices[0].message.content
    expect(text.lstrip().startswith("{"), f"not JSON: {text!r}")


@case("openai: logprobs", each_kind=True, direct=True)
def logprobs(stage, backend):
    answer = client(stage).chat.completions.create(
        **ask(backend, "@json", max_tokens=200), logprobs=True, top_logprobs=2)
    tokens = answer.choices[0].logprobs.content
    expect(tokens and all(t.logprob <= 0 for t in tokens), f"{answer.choices[0].logprobs}")


@case("openai: characters of several bytes arrive whole", each_kind=True, direct=True)
def characters(stage, backend):
    seen = ""
    for seed in range(20):
        chunks = client(stage).chat.completions.create(
            **{**ask(backend, "@utf", max_tokens=200), "seed": seed, "temperature": 0.9}, stream=True)
        text = text_of(list(chunks))
        expect("\ufffd" not in text, f"broken character in {text!r}")
        seen += "".join(c for c in text if ord(c) > 0x7f)
    expect(seen, "no such character came; the case shows nothing")
    return f"{len(set(seen))} different ones: {''.join(sorted(set(seen)))}"


@case("openai: an unknown model is a NotFoundError", direct=False)
def unknown_model(stage):
    for stream in (False, True):
        try:
            client(stage).chat.completions.create(
                model="no-such-model", messages=[{"role": "user", "content": "Hello"}], stream=stream)
            raise AssertionError("no error")
        except openai.NotFoundError as error:
            expect(error.code == "model_not_found", f"code {error.code}")
            expect("no-such-model" in error.message, f"message {error.message}")


@case("openai: a wrong request is a BadRequestError that names the field", each_kind=True, direct=False)
def wrong_request(stage, backend):
    for field, more in (("messages", {"messages": []}), ("temperature", {"temperature": "hot"}),
                        ("max_tokens", {"max_tokens": 0})):
        try:
            client(stage).chat.completions.create(**{**ask(backend, "Hello"), **more})
            raise AssertionError(f"no error for {more}")
        except openai.BadRequestError as error:
            expect(error.param == field, f"param {error.param} for {more}")


@case("openai: models can be listed and retrieved", each_kind=True, direct=True)
def models(stage, backend):
    api = client(stage)
    expect(backend.model in [m.id for m in api.models.list()], f"{api.models.list()}")
    if not stage.options.direct:  # llama-server has no /v1/models/{id}
        expect(api.models.retrieve(backend.model).id == backend.model, "retrieve")
        try:
            api.models.retrieve("no-such-model")
            raise AssertionError("no error")
        except openai.NotFoundError as error:
            expect(error.code == "model_not_found", f"code {error.code}")


@case("openai: the request id is shown", each_kind=True, direct=False)
def request_id(stage, backend):
    raw = client(stage).chat.completions.with_raw_response.create(**ask(backend, "Hello"))
    expect(raw.headers.get("x-request-id"), "no x-request-id")
    expect(raw.headers.get("x-sluice-backend"), "no x-sluice-backend")


@case("openai: leaving a stream ends the upstream's work, and the next request is served", each_kind=True, direct=True)
def leaving(stage, backend):
    api = client(stage)
    before = stage.times_ollama_was_left() if backend.kind == "ollama" else 0
    with api.chat.completions.create(**ask(backend, "Hello", max_tokens=2000), stream=True,
                                     extra_body={"ignore_eos": True}) as stream:
        next(iter(stream))
    if backend.kind == "ollama":
        wait_until(lambda: stage.times_ollama_was_left() > before, 2)
    else:
        slots = lambda: fetch(stage.llama(), "GET", "/slots").json()
        wait_until(lambda: not any(s["is_processing"] for s in slots()), 2)
    expect(api.chat.completions.create(**ask(backend, "Hello")).choices[0].message.content, "no text")

"""The doors beside chat: OpenAI's Responses, Anthropic's Messages, rerank and tokens, with the official clients."""
import asyncio
import json
import os
import time

import anthropic
import openai
from anthropic.types import Message, RawMessageStreamEvent
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from harness import PROJECT, case, events, expect, expect_error, fetch, wait_until
from leaving_cases import LONG, Slots, judge

MODEL = "tiny-llama"
NOW = {"type": "function", "name": "now", "description": "Tells the time", "parameters": {"type": "object", "properties": {}}}
CITY = {"type": "function", "name": "weather", "description": "Current weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
FIXED = {"extra_body": {"seed": 7}}
RIVER = {"model": MODEL, "input": "Tell me about the river.", "max_output_tokens": 40, **FIXED}
THOUGHTS = {"chat_template_kwargs": {"enable_thinking": True}}


def client(url, kind=OpenAI):
    return kind(base_url=url + "/v1", api_key="none", max_retries=0, timeout=30)


def messages_client(url, kind=anthropic.Anthropic, key="none"):
    return kind(base_url=url, api_key=key, max_retries=0, timeout=30)


def typed_events(raw):
    """The events of a stream as (name, object); fails on anything but comments, names and data."""
    found = []
    for block in raw.decode().split("\n\n"):
        if not block or block.startswith(":"):
            continue
        lines = block.split("\n")
        expect(len(lines) == 2 and lines[0].startswith("event: ") and lines[1].startswith("data: "), f"event {block[:80]!r}")
        data = json.loads(lines[1][len("data: "):])
        expect(data["type"] == lines[0][len("event: "):], f"{lines[0]} with {data['type']}")
        found.append(data)
    return found


def raises(kind, run):
    """Runs it, which must raise `kind`; returns the error."""
    try:
        run()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


# ---- Responses ----

@case("responses: a stream says the same as the answer in one piece")
def responses_stream(stage):
    api = client(stage.main()[1])
    whole = api.responses.create(**RIVER)
    expect(whole.status == "completed" and whole.output_text and whole.model == MODEL, f"{whole}")
    usage = whole.usage
    expect(usage.total_tokens == usage.input_tokens + usage.output_tokens > 0, f"usage {usage}")
    seen = list(api.responses.create(**RIVER, stream=True))
    text = "".join(e.delta for e in seen if e.type == "response.output_text.delta")
    expect(text == whole.output_text, f"{text!r} against {whole.output_text!r}")
    expect([e.sequence_number for e in seen] == list(range(len(seen))), "the numbers do not count up")
    expect(seen[0].type == "response.created" and seen[-1].type == "response.completed", f"{seen[0].type} … {seen[-1].type}")
    expect(seen[-1].response.output_text == text and seen[-1].response.id == seen[0].response.id, "the last event differs")
    return f"{len(seen)} events"


@case("responses: stream() follows the answer and knows its end")
def responses_helper(stage):
    api = client(stage.main()[1])
    with api.responses.stream(**RIVER) as stream:
        texts = [e.snapshot for e in stream if e.type == "response.output_text.delta"]
        final = stream.get_final_response()
    expect(texts[-1] == final.output_text == api.responses.create(**RIVER).output_text, f"{texts[-1]!r}, {final.output_text!r}")


@case("responses: every event and every answer passes the client's models in strict mode")
def responses_strict(stage):
    url, event = stage.main()[1], TypeAdapter(ResponseStreamEvent)
    for path in ("/v1/responses", "/responses"):
        for more in ({}, THOUGHTS, {"tools": [NOW, CITY], "tool_choice": "required"}, {"max_output_tokens": 3}):
            body = {"model": MODEL, "input": "Tell me about the river.", "seed": 7, "max_output_tokens": 80, **more}
            answer = fetch(url, "POST", path, {**body, "stream": True})
            told = typed_events(answer.body)
            for data in told:
                event.validate_json(json.dumps(data), strict=True)
            whole = fetch(url, "POST", path, body)
            Response.model_validate_json(whole.body, strict=True)
            expect(told[-1]["type"] in ("response.completed", "response.incomplete"), f"ends with {told[-1]['type']}")


@case("responses: thoughts, text and calls have their own places")
def responses_places(stage):
    api = client(stage.main()[1])
    for seed in range(30):
        ask = {**RIVER, "max_output_tokens": 200, "extra_body": {"seed": seed, **THOUGHTS}, "tools": [NOW], "temperature": 1}
        seen = list(api.responses.create(**ask, stream=True))
        added = {e.output_index: e.item for e in seen if e.type == "response.output_item.added"}
        expect(sorted(added) == list(range(len(added))), f"places {sorted(added)}")
        for e in seen:
            if getattr(e, "item_id", None):
                expect(added[e.output_index].id == e.item_id, f"{e.type} at {e.output_index} is of {e.item_id}")
        done = {e.output_index: e.item for e in seen if e.type == "response.output_item.done"}
        expect(sorted(done) == sorted(added), f"{sorted(done)} of {sorted(added)} are done")
        if {i.type for i in added.values()} >= {"reasoning", "message"}:
            return f"seed {seed}: {[i.type for i in added.values()]}"
    raise AssertionError("no answer with thoughts and a text")


@case("responses: a tool is called, its result is read, by every way of asking")
def responses_tools(stage):
    api = client(stage.main()[1])
    ask = {**RIVER, "tools": [NOW, CITY], "max_output_tokens": 200}
    choice = {"type": "function", "name": "weather"}
    for run in (lambda: api.responses.create(**ask, tool_choice=choice), lambda: streamed(api, ask, choice)):
        answer = run()
        calls = [i for i in answer.output if i.type == "function_call"]
        expect(calls and all(c.name == "weather" and c.call_id for c in calls), f"{answer.output}")
        arguments = json.loads(calls[0].arguments)
        expect(isinstance(arguments["city"], str), f"arguments {arguments}")
        turn = [{"role": "user", "content": ask["input"]}, *[i.model_dump() for i in answer.output],
                *[{"type": "function_call_output", "call_id": c.call_id, "output": "rain"} for c in calls]]
        after = api.responses.create(**{**ask, "input": turn, "tool_choice": "none"})
        expect(after.status in ("completed", "incomplete") and after.output, f"{after}")


def streamed(api, ask, choice):
    """By the helper; the arguments in pieces are those of the end."""
    pieces = {}
    with api.responses.stream(**ask, tool_choice=choice) as stream:
        for e in stream:
            if e.type == "response.function_call_arguments.delta":
                pieces[e.item_id] = pieces.get(e.item_id, "") + e.delta
            if e.type == "response.function_call_arguments.done":
                expect(pieces[e.item_id] == e.arguments and e.name == "weather", f"{pieces} against {e}")
        final = stream.get_final_response()
    expect(pieces == {i.id: i.arguments for i in final.output if i.type == "function_call"}, f"{pieces}")
    return final


@case("responses: tools that only OpenAI runs are dropped, and that is told")
def responses_hosted_tools(stage):
    api = client(stage.main()[1])
    hosted = [{"type": "web_search"}, {"type": "file_search", "vector_store_ids": ["vs"]},
              {"type": "code_interpreter", "container": {"type": "auto"}}, {"type": "mcp", "server_label": "x", "server_url": "http://x"}]
    raw = api.responses.with_raw_response.create(**RIVER, tools=[*hosted, NOW], tool_choice="none")
    told = raw.headers["x-sluice-ignored"].split(",")
    expect(told == ["tools.web_search", "tools.file_search", "tools.code_interpreter", "tools.mcp"], f"{told}")
    expect(raw.parse().status == "completed", "not answered")
    raw = api.responses.with_raw_response.create(**RIVER, tools=hosted[:1], tool_choice={"type": "web_search"})
    expect(raw.headers["x-sluice-ignored"] == "tools.web_search,tool_choice" and raw.parse().output_text, f"{raw.headers}")


@case("responses: parse reads the answer into a pydantic model")
def responses_parse(stage):
    class Trip(BaseModel):
        city: str
        days: int

    api = client(stage.main()[1])
    for seed in range(8):  # the tiny model may not reach the end of its text
        ask = {**RIVER, "extra_body": {"seed": seed}, "temperature": 1, "max_output_tokens": 400}
        answer = api.responses.create(**ask, text={"format": {
            "type": "json_schema", "name": "trip", "strict": True, "schema": openai.pydantic_function_tool(Trip)["function"]["parameters"]}})
        if answer.status == "completed":
            expect(set(json.loads(answer.output_text)) == {"city", "days"}, answer.output_text)
            parsed = api.responses.parse(**ask, text_format=Trip).output_parsed
            expect(isinstance(parsed, Trip), f"{parsed}")
            return f"seed {seed}: {parsed}"
    raise AssertionError("no answer came to its end")


@case("responses: an answer that was cut says so, streamed and not")
def responses_cut(stage):
    api = client(stage.main()[1])
    ask = {**RIVER, "max_output_tokens": 3}
    whole = api.responses.create(**ask)
    last = list(api.responses.create(**ask, stream=True))[-1]
    expect(last.type == "response.incomplete", f"ends with {last.type}")
    for answer in (whole, last.response):
        expect(answer.status == "incomplete" and answer.incomplete_details.reason == "max_output_tokens", f"{answer}")
        expect(answer.output_text, "no text")


@case("responses: histories of other servers and short forms are understood")
def responses_histories(stage):
    api = client(stage.main()[1])
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
             {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
             {"type": "web_search_call", "id": "ws_1", "status": "completed"},
             {"role": "developer", "content": [{"type": "input_text", "text": "Be short."}]}, {"role": "user", "content": "c"}]
    raw = api.responses.with_raw_response.create(**{**RIVER, "input": turns}, instructions=None, tools=None, store=False)
    expect(raw.headers["x-sluice-ignored"] == "input.reasoning,input.web_search_call", f"{raw.headers}")
    expect(raw.parse().output_text, "no text")


@case("responses: errors have their class, status and code")
def responses_errors(stage):
    api = client(stage.main()[1])
    error = raises(openai.NotFoundError, lambda: api.responses.create(model="nobody", input="a"))
    expect(error.code == "model_not_found" and error.request_id, f"{error}")
    for more, code, param in (({"previous_response_id": "resp_1"}, "unsupported_parameter", "previous_response_id"),
                              ({"input": 5}, "invalid_value", "input"), ({"max_output_tokens": 0}, "invalid_value", "max_output_tokens"),
                              ({"background": True}, "unsupported_parameter", "background"),
                              ({"input": "x1 " * 9000}, "context_length_exceeded", "messages")):
        for stream in (False, True):
            error = raises(openai.BadRequestError, lambda: api.responses.create(**{**RIVER, **more}, stream=stream))
            expect(error.code == code and error.param == param, f"{more.keys()}: {error.code} {error.param}")
    error = raises(openai.BadRequestError, lambda: api.responses.create(model="tiny-go:latest", input="a", background=True))
    expect(error.code == "unsupported_parameter", f"{error}")


@case("responses async: several at once, and one that is left")
def responses_async(stage):
    async def one(api):
        text = ""
        async with api.responses.stream(**RIVER) as stream:
            async for e in stream:
                text += e.delta if e.type == "response.output_text.delta" else ""
            return text, (await stream.get_final_response()).output_text

    async def several():
        async with client(stage.main()[1], AsyncOpenAI) as api:
            return await asyncio.gather(*(one(api) for _ in range(4)))
    for text, final in asyncio.run(several()):
        expect(text and text == final, f"{text!r} against {final!r}")


# ---- Messages ----

def question(text="Tell me about the river.", **more):
    return {"model": MODEL, "max_tokens": 40, "messages": [{"role": "user", "content": text}], **more,
            "extra_body": {"temperature": 0, **more.get("extra_body", {})}}


def raw_question(**more):
    """The same as a body."""
    ask = question(**more)
    return {**ask.pop("extra_body"), **ask}


def blocks(message):
    """The content without what is new in every answer."""
    names = ("type", "text", "thinking", "signature", "name", "input")
    return [{name: getattr(block, name) for name in names if hasattr(block, name)} for block in message.content]


TOOL = {"name": "weather", "description": "Current weather", "input_schema": CITY["parameters"]}
CLOCK = {"name": "now", "description": "Tells the time", "input_schema": NOW["parameters"]}


@case("messages: a stream says the same as the answer in one piece")
def messages_stream(stage):
    api = messages_client(stage.main()[1])
    whole = api.messages.create(**question())
    expect(whole.content[0].text and whole.model == MODEL and whole.role == "assistant", f"{whole}")
    expect(whole.stop_reason in ("end_turn", "max_tokens") and whole.usage.output_tokens > 0, f"{whole}")
    seen = list(api.messages.create(**question(), stream=True))
    text = "".join(e.delta.text for e in seen if e.type == "content_block_delta")
    expect(text == whole.content[0].text, f"{text!r} against {whole.content[0].text!r}")
    expect(seen[0].type == "message_start" and seen[-1].type == "message_stop", f"{seen[0].type} … {seen[-1].type}")
    with api.messages.stream(**question()) as stream:
        expect("".join(stream.text_stream) == text, "the helper's text differs")
        final = stream.get_final_message()
    expect(blocks(final) == blocks(whole) and final.stop_reason == whole.stop_reason, f"{final} against {whole}")
    expect(final.usage.output_tokens == whole.usage.output_tokens, f"{final.usage} against {whole.usage}")
    return f"{len(seen)} events"


@case("messages: every event and every answer passes the client's models in strict mode")
def messages_strict(stage):
    url, event = stage.main()[1], TypeAdapter(RawMessageStreamEvent)
    for path in ("/v1/messages", "/messages"):
        for more in ({}, THOUGHTS, {"tools": [TOOL, CLOCK], "tool_choice": {"type": "any"}, "max_tokens": 200},
                     {"max_tokens": 3}, {"stop_sequences": ["e"]}):
            answer = fetch(url, "POST", path, raw_question(stream=True, **more))
            told = typed_events(answer.body)
            open_block = None
            for data in told:
                event.validate_json(json.dumps(data), strict=True)
                if data["type"] == "content_block_start":
                    expect(open_block is None, "a block begins inside another")
                    open_block = data["index"]
                if data["type"] == "content_block_stop":
                    expect(open_block == data["index"], "a block ends that is not open")
                    open_block = None
            whole = fetch(url, "POST", path, raw_question(**more))
            Message.model_validate_json(whole.body, strict=True)
            expect(told[-1]["type"] == "message_stop" and open_block is None, f"ends with {told[-1]['type']}")


@case("messages: what is streamed adds up to what llama-server says itself in one piece")
def messages_direct(stage):
    through, direct = messages_client(stage.main()[1]), messages_client(stage.llama())
    for more in ({}, {"max_tokens": 3}, {"stop_sequences": ["e"]}, {"tools": [TOOL], "tool_choice": {"type": "any"}, "max_tokens": 200},
                 {"extra_body": THOUGHTS}, {"system": "Be short."}):
        mine, own = through.messages.create(**question(**more)), direct.messages.create(**question(**more))
        expect(blocks(mine) == blocks(own), f"{blocks(mine)} against {blocks(own)}")
        expect(mine.stop_sequence == own.stop_sequence and mine.usage.output_tokens == own.usage.output_tokens, f"{mine} {own}")
        wanted = "stop_sequence" if own.stop_sequence else own.stop_reason
        expect(mine.stop_reason == wanted, f"{mine.stop_reason}, wanted {wanted}")


@case("messages: a tool is called, its result is read; a choice of one or none is honoured")
def messages_tools(stage):
    api = messages_client(stage.main()[1])
    ask = question(tools=[CLOCK, TOOL], max_tokens=200)
    answer = api.messages.create(**ask, tool_choice={"type": "tool", "name": "weather"})
    calls = [b for b in answer.content if b.type == "tool_use"]
    expect(calls and all(c.name == "weather" and isinstance(c.input, dict) and c.id for c in calls), f"{answer.content}")
    with api.messages.stream(**ask, tool_choice={"type": "tool", "name": "weather"}) as stream:
        final = stream.get_final_message()
    expect([b.input for b in final.content if b.type == "tool_use"] == [c.input for c in calls], f"{final.content} against {calls}")
    turn = [*ask["messages"], {"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in answer.content]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": c.id, "content": "rain"} for c in calls]}]
    after = api.messages.create(**{**ask, "messages": turn}, tool_choice={"type": "none"})
    expect(after.content and not [b for b in after.content if b.type == "tool_use"], f"{after.content}")
    raw = api.messages.with_raw_response.create(**{**ask, "tools": [{"type": "web_search_20250305", "name": "web_search"}, CLOCK]})
    expect(raw.headers["x-sluice-ignored"] == "tools.web_search_20250305", f"{raw.headers}")


@case("messages: thoughts come first, in a block of their own, signed with nothing")
def messages_thoughts(stage):
    api = messages_client(stage.main()[1])
    ask = question(max_tokens=200, thinking={"type": "enabled", "budget_tokens": 1024}, extra_body=THOUGHTS)
    whole = api.messages.create(**ask)
    expect(whole.content[0].type == "thinking" and whole.content[0].thinking and whole.content[0].signature == "", f"{whole.content}")
    with api.messages.stream(**ask) as stream:
        final = stream.get_final_message()
    expect(blocks(final) == blocks(whole), f"{final.content} against {whole.content}")
    turn = [*ask["messages"], {"role": "assistant", "content": [b.model_dump() for b in whole.content]}, {"role": "user", "content": "Go on."}]
    expect(api.messages.create(**{**ask, "messages": turn}).content, "the thoughts cannot be sent back")


@case("messages: tokens are counted as llama-server counts them")
def messages_count(stage):
    ask = {k: v for k, v in question(system="Be short.").items() if k in ("model", "messages", "system")}
    counts = [messages_client(url).messages.count_tokens(**ask).input_tokens for url in (stage.main()[1], stage.llama())]
    expect(counts[0] == counts[1] > 0, f"{counts}")


@case("messages: errors have Anthropic's shape, class and status")
def messages_errors(stage):
    api = messages_client(stage.main()[1])
    error = raises(anthropic.NotFoundError, lambda: api.messages.create(**question(extra_body={"model": "nobody"})))
    expect(error.body["error"]["type"] == "not_found_error" and error.request_id, f"{error.body} {error.request_id}")
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    for more in ({"messages": []}, {"max_tokens": 0}, {"messages": [{"role": "user", "content": [document]}]},
                 {"messages": [{"role": "user", "content": [image]}]}, {"messages": [{"role": "user", "content": "x1 " * 9000}]}):
        for stream in (False, True):
            error = raises(anthropic.BadRequestError, lambda: api.messages.create(**{**question(), **more}, stream=stream))
            expect(error.body["error"]["type"] == "invalid_request_error" and error.body["request_id"], f"{error.body}")
            if "x1 x1" in str(more):  # as Anthropic says it, which clients look for
                expect("prompt is too long: " in error.body["error"]["message"], f"{error.body}")
    error = raises(anthropic.NotFoundError, lambda: api.messages.batches.list())
    expect(error.body["error"]["type"] == "not_found_error", f"{error.body}")
    error = raises(anthropic.BadRequestError, lambda: api.messages.count_tokens(model="tiny-go:latest", messages=question()["messages"]))
    expect("Ollama" in error.body["error"]["message"], f"{error.body}")


@case("messages: a key counts as x-api-key and as a bearer")
def messages_keys(stage):
    text = f"listen: 127.0.0.1:0\nbackends: [{{name: gpu, kind: llama-server, url: {stage.llama()}}}]\nkeys: [{{name: a, key: sk-one}}]\n"
    process, url = stage.sluice_with(text)
    try:
        for api in (messages_client(url, key="sk-one"), anthropic.Anthropic(base_url=url, auth_token="sk-one", max_retries=0)):
            expect(api.messages.create(**question()).content, "no answer")
        error = raises(anthropic.AuthenticationError, lambda: messages_client(url, key="sk-two").messages.create(**question()))
        expect(error.body["error"]["type"] == "authentication_error", f"{error.body}")
    finally:
        process.stop()


# ---- tokens and ranks ----

@case("tokens and ranks: as llama-server says itself")
def tokens_and_ranks(stage):
    command = [os.path.join(PROJECT, "scripts", "run-llama-server"), "--port", "0", "--alias", "ranks", "--rerank"]
    ranker = stage.once("ranks", lambda: stage.start("ranks", command).url(60))
    process, url = stage.sluice("--backend", "llama-server=" + stage.llama(), "--backend", "llama-server=" + ranker)
    try:
        for path, body in (("/tokenize", {"content": "The café 🦙", "with_pieces": True}), ("/detokenize", {"tokens": [278, 5]})):
            own = fetch(stage.llama(), "POST", path, body).json()
            expect(fetch(url, "POST", path, {"model": MODEL, **body}).json() == own, f"{path} differs")
        rank = {"model": "ranks", "query": "river", "documents": ["the river", "a cup of coffee", "rivers"], "top_n": 2}
        own = fetch(ranker, "POST", "/v1/rerank", rank).json()
        for path in ("/v1/rerank", "/rerank", "/v1/reranking"):
            expect(fetch(url, "POST", path, rank).json() == own and len(own["results"]) == 2, f"{path} differs")
        expect_error(fetch(url, "POST", "/tokenize", {"content": "a"}), 400, "missing_field", "model")
        expect_error(fetch(stage.main()[1], "POST", "/tokenize", {"model": "tiny-go:latest", "content": "a"}), 400,
                     "unsupported_parameter", "model")
        expect_error(fetch(stage.main()[1], "POST", "/v1/rerank", {**rank, "model": MODEL}), 400, "upstream_failed")
    finally:
        process.stop()


# ---- endings ----

@case("doors: an upstream that dies raises in every client, and never looks like an end", seconds=120)
def dying_upstream(stage):
    command = [os.path.join(PROJECT, "scripts", "run-llama-server"), "--port", "0", "--alias", MODEL, "--pad-mb", "200"]
    for number, run in enumerate((dies_in_create, dies_in_helper, dies_in_messages, dies_in_message_helper)):
        llama = stage.start(f"dying-{number}", command)
        process, url = stage.sluice("--backend", "llama-server=" + llama.url(120))
        try:
            run(url, lambda: llama.child.kill())
        finally:
            process.stop()
            llama.stop()


def dies_in_create(url, kill):
    seen = []

    def read():
        for e in client(url).responses.create(model=MODEL, input="Hello", stream=True, max_output_tokens=3000, extra_body={"ignore_eos": True}):
            seen.append(e)
            if len(seen) == 8:
                kill()
    error = raises(openai.APIError, read)
    expect(error.code == "upstream_closed", f"{error.code}")
    failed = seen[-1]
    expect(failed.type == "response.failed" and failed.response.status == "failed", f"ends with {failed.type}")
    expect(failed.response.error.code == "server_error" and failed.sequence_number == len(seen) - 1, f"{failed}")


def dies_in_helper(url, kill):
    def read():
        with client(url).responses.stream(model=MODEL, input="Hello", max_output_tokens=3000, extra_body={"ignore_eos": True}) as stream:
            for number, _ in enumerate(stream):
                if number == 8:
                    kill()
    expect(raises(openai.APIError, read).code == "upstream_closed", "code")


def dies_in_messages(url, kill):
    seen = []

    def read():
        for e in messages_client(url).messages.create(**{**question(), "max_tokens": 3000}, stream=True):
            seen.append(e.type)
            if e.type == "content_block_delta":
                kill()
    error = raises(anthropic.APIStatusError, read)
    expect(error.body["error"]["type"] == "api_error" and "message_stop" not in seen, f"{error.body} after {seen}")


def dies_in_message_helper(url, kill):
    def read():
        with messages_client(url).messages.stream(**{**question(), "max_tokens": 3000}) as stream:
            for e in stream:
                if e.type == "content_block_delta":
                    kill()
    raises(anthropic.APIStatusError, read)


@case("doors: a client that leaves frees the slot, streamed or not", seconds=120)
def leaving(stage):
    _, url = stage.slow()
    slots = Slots(stage.llama(200))
    ask = {"model": "slow-llama", "input": "Hello", "max_output_tokens": 3000, "extra_body": {"ignore_eos": True}}

    def close_stream():
        with client(url).responses.stream(**ask) as stream:
            for number, _ in enumerate(stream):
                if number == 8:
                    return slots.busy(), time.monotonic()

    def give_up():
        raises(openai.APITimeoutError, lambda: client(url).with_options(timeout=1).responses.create(**ask))
        return True, time.monotonic()
    times = []
    for leave in (close_stream, give_up, close_stream, give_up):
        wait_until(lambda: not slots.busy(), 20)
        was_busy, left = leave()
        expect(was_busy, "the answer was over before the client left")
        wait_until(lambda: not slots.busy(), 20, pause=0)
        times.append((time.monotonic() - left) * 1000)
    return judge(stage, times)

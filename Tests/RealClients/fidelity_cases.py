"""Every recorded chat of both upstreams through Sluice: what the official client gets is valid, the same however the
network cut the upstream's bytes, and the same whether it was streamed or not."""
import importlib.machinery
import importlib.util
import json
import os

import openai
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from harness import HERE, case, events, expect, fetch

PATH = "/v1/chat/completions"


def load_recordings():
    loader = importlib.machinery.SourceFileLoader("replay_chats", os.path.join(HERE, "replay-chats"))
    spec = importlib.util.spec_from_loader("replay_chats", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return {**module.load("llama"), **module.load("ollama")}


def replayed(stage, cut):
    """A Sluice in front of the recordings, their bytes cut so; its address."""
    def make():
        url = stage.start("chats-" + cut, [os.path.join(HERE, "replay-chats"), "--cut", cut]).url()
        return stage.sluice("--backend", "llama-server=" + url, "--backend", "ollama=" + url, name="replay-" + cut)[1]
    return stage.once("replay-" + cut, make)


def is_complete(recording):
    """Whether the upstream said that it had finished."""
    answer = recording.answer
    if recording.status != 200:
        return False
    if recording.name.startswith("ollama/"):
        return b'"done":true' in answer
    return b"data: [DONE]" in answer or b'"object":"chat.completion"' in answer


def body_for(recording, **more):
    """A request that Sluice takes, and that asks for as many choices and facts as the recorded one."""
    kept = {k: recording.request[k] for k in ("n", "logprobs", "top_logprobs") if recording.name.startswith("llama/")
            and isinstance(recording.request.get(k), (int, bool)) and recording.status == 200}
    return {"model": recording.name, "messages": [{"role": "user", "content": "x"}], **kept, **more}


def normal(payload):
    """What must not depend on when the question was asked."""
    value = json.loads(payload)
    value.pop("created", None)
    own = value.pop("id", "").removeprefix("chatcmpl-")
    return json.loads(json.dumps(value).replace(own, "ID")) if own else value


class Told:
    """What a stream adds up to, with its broken rules."""

    def __init__(self, chunks, n):
        self.text, self.thoughts, self.calls, self.finish = {}, {}, {}, {}
        for chunk in chunks:
            for choice in chunk["choices"]:
                self.take(choice, choice["index"], choice["delta"])
        expect(sorted(self.text) == list(range(n)), f"choices {sorted(self.text)} of {n}")

    def take(self, choice, index, delta):
        expect((delta.get("role") == "assistant") == (index not in self.text), f"role: {choice}")
        expect(index not in self.finish, f"after the finish: {choice}")
        self.text[index] = self.text.get(index, "") + (delta.get("content") or "")
        self.thoughts[index] = self.thoughts.get(index, "") + (delta.get("reasoning_content") or "")
        calls = self.calls.setdefault(index, [])
        for call in delta.get("tool_calls") or []:
            if call["index"] == len(calls):
                expect(call["id"] and call["type"] == "function" and call["function"]["name"], f"first fragment {call}")
                calls.append([call["id"], call["function"]["name"], ""])
            else:
                expect(call["index"] < len(calls) and set(call) == {"index", "function"}, f"later fragment {call}")
                expect(set(call["function"]) == {"arguments"}, f"later fragment {call}")
            calls[call["index"]][2] += call["function"]["arguments"]
        if choice["finish_reason"]:
            expect(delta == {}, f"finish with a delta: {choice}")
            self.finish[index] = choice["finish_reason"]


def check_complete(recording, url):
    """A recording that came to its end: streamed with and without usage, and in one piece."""
    streams, n = {}, recording.request.get("n") or 1 if recording.name.startswith("llama/") else 1
    for usage in (False, True):
        answer = fetch(url, "POST", PATH, body_for(recording, stream=True, stream_options={"include_usage": usage}))
        expect(answer.status == 200, f"status {answer.status}: {answer.body[:200]!r}")
        payloads = events(answer.body)
        expect(payloads[-1] == "[DONE]" and payloads.count("[DONE]") == 1, f"ends with {payloads[-1][:80]}")
        for payload in payloads[:-1]:
            ChatCompletionChunk.model_validate_json(payload, strict=True)
        chunks = [json.loads(p) for p in payloads[:-1]]
        expect(len({(c["id"], c["created"], c["model"]) for c in chunks}) == 1, "id, created or model changes")
        expect(chunks[0]["model"] == recording.name, f"model {chunks[0]['model']}")
        expect(all(("usage" in c) == usage for c in chunks), "usage: in all chunks or in none")
        expect(not usage or (chunks[-1]["choices"] == [] and chunks[-1]["usage"]), f"last chunk {chunks[-1]}")
        streams[usage] = (Told(chunks, n), chunks)
    told, chunks = streams[True]
    expect(vars(told) == vars(streams[False][0]) or made_ids(told), "usage changes the stream")
    answer = fetch(url, "POST", PATH, body_for(recording))
    expect(answer.status == 200, f"in one piece: status {answer.status}: {answer.body[:200]!r}")
    whole = ChatCompletion.model_validate_json(answer.body, strict=True)
    expect(whole.usage.model_dump(exclude_none=True) == chunks[-1]["usage"], f"usage {whole.usage}")
    for choice in whole.choices:
        message, index = choice.message, choice.index
        expect((message.content, getattr(message, "reasoning_content", None) or "", choice.finish_reason)
               == (told.text[index], told.thoughts[index], told.finish[index]), f"in one piece {choice}")
        calls = [(c.function.name, c.function.arguments) for c in message.tool_calls or []]
        expect(calls == [(c[1], c[2]) for c in told.calls[index]], f"in one piece {calls}")
    return streams[True][1]


def made_ids(told):
    """Whether ids of calls were made from the request's: they then differ between two requests."""
    return any(call[0].startswith("call_") for calls in told.calls.values() for call in calls)


def check_failed(recording, url):
    """A recording that fails or breaks off: an error in the one shape, with a status or as the last event."""
    for stream in (True, False):
        answer = fetch(url, "POST", PATH, body_for(recording, stream=stream))
        if answer.status == 200:
            expect(stream, f"200 in one piece: {answer.body[:200]!r}")
            payloads = events(answer.body)
            for payload in payloads[:-1]:
                ChatCompletionChunk.model_validate_json(payload, strict=True)
            chunks = [json.loads(p) for p in payloads]
            expect(not any(c.get("finish_reason") for x in chunks[:-1] for c in x["choices"]), "a finish")
            error = chunks[-1]["error"]
        else:
            expect(400 <= answer.status < 600, f"status {answer.status}")
            error = answer.json()["error"]
        expect(isinstance(error["message"], str) and error["message"], f"{error}")
        expect(isinstance(error["code"], str) and "param" in error and isinstance(error["type"], str), f"{error}")
    return None


def check_client(api, recording):
    """The official client reads it to the end, or raises its own error."""
    request = {"model": recording.name, "messages": [{"role": "user", "content": "x"}]}
    n = {"n": body_for(recording)["n"]} if "n" in body_for(recording) else {}
    try:
        chunks = list(api.chat.completions.create(**request, **n, stream=True))
        expect(is_complete(recording), "no error raised")
        expect({c.choices[0].finish_reason for c in chunks} & {"stop", "length", "tool_calls"}, "no finish")
        expect(api.chat.completions.create(**request, **n).choices[0].finish_reason, "no finish in one piece")
    except openai.APIError as error:
        expect(not is_complete(recording), f"{type(error).__name__}: {error}")


def all_of(stage, check):
    problems, done = [], 0
    for recording in load_recordings().values():
        try:
            check(recording)
            done += 1
        except Exception as problem:  # all of them are told, not the first alone
            problems.append(f"{recording.name}: {type(problem).__name__}: {problem}"[:400])
    expect(not problems, f"{len(problems)} of {len(problems) + done}: " + " | ".join(problems[:12]))
    return done


@case("recordings: each is a valid stream and the same answer in one piece", seconds=120)
def recordings(stage):
    url = replayed(stage, "whole")
    done = all_of(stage, lambda r: (check_complete if is_complete(r) else check_failed)(r, url))
    return f"{done} recordings"


@case("recordings: openai-python reads every one, or raises its own error", seconds=120)
def recordings_client(stage):
    api = OpenAI(base_url=replayed(stage, "whole") + "/v1", api_key="none", max_retries=0, timeout=20)
    return f"{all_of(stage, lambda r: check_client(api, r))} recordings"


@case("recordings: cut byte by byte and at random, the same stream", seconds=240)
def recordings_cut(stage):
    urls = {cut: replayed(stage, cut) for cut in ("whole", "bytes", "random")}

    def check(recording):
        told = {}
        for cut, url in urls.items():
            answer = fetch(url, "POST", PATH, body_for(recording, stream=True))
            told[cut] = (answer.status, [p if p == "[DONE]" else normal(p) for p in events(answer.body)]
                         if answer.status == 200 else normal(answer.body))
        expect(told["bytes"] == told["whole"] == told["random"], f"{told}"[:300])
    return f"{all_of(stage, check)} recordings"

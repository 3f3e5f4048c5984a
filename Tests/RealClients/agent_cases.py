"""Agents with the official client: two tools called at once, their results sent back, the final text; and answers read
into pydantic models. A real llama-server with a seed, and recorded answers of Ollama."""
import json
from typing import Literal

import openai
from openai import OpenAI
from pydantic import BaseModel

from fidelity_cases import replayed
from harness import case, expect

OLLAMA_AGENTS = ("ollama/native-rendered/tools-two-stream+ollama/native-rendered/chat-stop-natural",
                 "ollama/native-parser/two-stream+ollama/native-rendered/chat-stop-natural")


def tool(name, **properties):
    return {"type": "function", "function": {"name": name, "description": name, "parameters": {
        "type": "object", "properties": properties, "required": list(properties)}}}


CITY = {"type": "string", "enum": ["Paris", "Rome"]}
TOOLS = [tool("get_weather", city=CITY), tool("get_time", city=CITY)]


class Place:
    """Where an agent runs: a client, a model, and what makes it deterministic there."""

    def __init__(self, url, model, question, **more):
        self.api = OpenAI(base_url=url + "/v1", api_key="none", max_retries=0, timeout=20)
        self.model, self.question, self.more = model, question, more


def places(stage, backend):
    """The places of one kind of backend."""
    if backend.kind == "ollama":
        url = replayed(stage, "whole")
        return [Place(url, model, "@two") for model in OLLAMA_AGENTS]
    url = stage.main()[1]
    place = Place(url, backend.model, "Weather and time?", temperature=0.8, max_tokens=400)
    place.more["seed"] = stage.once("seed-" + url, lambda: seed_of_two_calls(place))
    return [place]


def seed_of_two_calls(place):
    """The first seed with which the tiny model calls twice in one turn: from then on it always does."""
    for seed in range(200):
        place.more["seed"] = seed
        choice = in_one_piece(place, [{"role": "user", "content": place.question}], "required").choices[0]
        if choice.finish_reason == "tool_calls" and len(choice.message.tool_calls) == 2:
            return seed
    raise AssertionError("no seed gave two calls")


def request(place, messages, choice):
    return {"model": place.model, "messages": messages, "tools": TOOLS, "tool_choice": choice,
            "parallel_tool_calls": True, **place.more}


def in_one_piece(place, messages, choice):
    return place.api.chat.completions.create(**request(place, messages, choice))


def streamed_by_helper(place, messages, choice):
    """The client's own accumulation, its events included."""
    with place.api.chat.completions.stream(**request(place, messages, choice)) as stream:
        kinds = [event.type for event in stream]
        answer = stream.get_final_completion()
    calls = answer.choices[0].message.tool_calls or []
    expect(kinds.count("tool_calls.function.arguments.done") == len(calls), f"events {set(kinds)}")
    return answer


class Added:
    """A completion as far as an agent needs it, from chunks added up by index, as most frameworks do."""

    def __init__(self, chunks):
        self.content, self.finish_reason, self.calls = "", None, {}
        for choice in (c.choices[0] for c in chunks if c.choices):
            self.content += choice.delta.content or ""
            self.finish_reason = choice.finish_reason or self.finish_reason
            for part in choice.delta.tool_calls or []:
                call = self.calls.setdefault(part.index, {"id": "", "type": "", "function": {"name": "", "arguments": ""}})
                call["id"] += part.id or ""
                call["type"] += part.type or ""
                call["function"]["name"] += part.function.name or ""
                call["function"]["arguments"] += part.function.arguments or ""


def added_up(place, messages, choice):
    return Added(place.api.chat.completions.create(**request(place, messages, choice), stream=True))


def as_turn(answer):
    """(finish reason, the assistant's turn) of whichever kind of answer."""
    if isinstance(answer, Added):
        calls = [answer.calls[index] for index in sorted(answer.calls)]
        turn = {"role": "assistant", "content": answer.content or None}
        return answer.finish_reason, {**turn, "tool_calls": calls} if calls else turn
    choice = answer.choices[0]
    turn = json.loads(choice.message.model_dump_json())
    for call in turn.get("tool_calls") or []:
        call["function"].pop("parsed_arguments", None)  # the helper's own
    turn.pop("parsed", None)
    return choice.finish_reason, turn  # nulls and all: clients send them back like this


def run_agent(place, ask):
    """One loop; the calls that were made and the final text."""
    messages, made = [{"role": "user", "content": place.question}], []
    finish, turn = as_turn(ask(place, messages, "required"))
    expect(finish == "tool_calls" and len(turn["tool_calls"]) == 2, f"{finish}: {turn}")
    messages.append(turn)
    for call in turn["tool_calls"]:
        expect(call["type"] == "function" and isinstance(json.loads(call["function"]["arguments"]), dict), f"{call}")
        made.append((call["function"]["name"], call["function"]["arguments"]))
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps({"result": 18})})
    expect(len({c["id"] for c in turn["tool_calls"]}) == 2, f"equal ids: {turn}")
    finish, turn = as_turn(ask(place, messages, "none"))
    expect(finish in ("stop", "length") and turn["content"] and not turn.get("tool_calls"), f"{finish}: {turn}")
    return made, turn["content"]


@case("agent: two calls at once, their results, the final text; streamed or not", each_kind=True)
def agent(stage, backend):
    notes = []
    for place in places(stage, backend):
        runs = [run_agent(place, ask) for ask in (in_one_piece, streamed_by_helper, added_up)]
        if backend.kind == "ollama":  # its tools' arguments come in random order; ours are recorded
            expect(runs[0] == runs[1] == runs[2], f"{runs}")
        expect(all([c[0] for c in made] == [c[0] for c in runs[0][0]] for made, _ in runs), f"{runs}")
        notes.append(" and ".join(name for name, _ in runs[0][0]))
    return "; ".join(notes)


class Answer(BaseModel):
    """What the tiny model can say in a few tokens."""
    mood: Literal["calm", "bright"]
    sure: bool


class Recorded(BaseModel):
    """What Ollama was asked for when it was recorded."""
    answer: int


@case("agent: parse reads the answer into a pydantic model; streamed or not", each_kind=True)
def parse(stage, backend):
    if backend.kind == "ollama":
        api = OpenAI(base_url=replayed(stage, "whole") + "/v1", api_key="none", max_retries=0, timeout=20)
        asked = {"model": "ollama/native-rendered/format-schema-stream", "response_format": Recorded}
    else:
        api = OpenAI(base_url=stage.main()[1] + "/v1", api_key="none", max_retries=0, timeout=20)
        asked = {"model": backend.model, "response_format": Answer, "seed": 3, "max_tokens": 300}
    asked["messages"] = [{"role": "user", "content": "Hello"}]
    message = api.chat.completions.parse(**asked).choices[0].message
    with api.chat.completions.stream(**asked) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_completion().choices[0].message
    for parsed in (message.parsed, streamed.parsed):
        expect(isinstance(parsed, asked["response_format"]), f"{message}")
    expect(message.parsed == streamed.parsed or backend.kind != "ollama", f"{message} {streamed}")
    return str(message.parsed)


@case("agent: parse reads the arguments of a call into a pydantic model", each_kind=False)
def parse_tool(stage):
    class GetWeather(BaseModel):
        city: Literal["Paris", "Rome"]
    api = OpenAI(base_url=stage.main()[1] + "/v1", api_key="none", max_retries=0, timeout=20)
    answer = api.chat.completions.parse(
        model="tiny-llama", messages=[{"role": "user", "content": "Hello"}], tool_choice="required", seed=3,
        max_tokens=300, tools=[openai.pydantic_function_tool(GetWeather)])
    calls = answer.choices[0].message.tool_calls
    expect(calls and all(isinstance(c.function.parsed_arguments, GetWeather) for c in calls), f"{answer}")
    return str(calls[0].function.parsed_arguments)

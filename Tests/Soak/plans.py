"""What a request of the soak is to meet with, and what its client must see then."""
import asyncio
import json


class Plan:
    """One request: its shape, its fault or None, and the verdict on what the client was told."""

    def __init__(self, random, fault_share):
        self.kind = random.choice(("llama-server", "ollama"))
        self.stream = random.random() < 0.8
        self.tokens = random.randint(5, 40)
        self.delay = random.choice((0.02, 0.1, 0.2, 0.3))
        self.first = random.choice((0, 0, 0.05, 0.4, 0.9))  # the last one is longer than the head grace
        self.size = random.choice((0, 0, 0, 30, 3000))
        self.how = random.choice(("close", "reset"))
        self.fault = random.choice(FAULTS) if random.random() < fault_share else None
        self.at = random.randint(1, self.tokens - 1)
        shape = SHAPES.get(self.fault)
        if shape:
            shape(self, random)

    def token(self, number):
        return f"[{number}]".ljust(self.size, "x")

    def body(self, run_id):
        model = {"llama-server": "soak-llama", "ollama": "soak-ollama"}[self.kind]
        return json.dumps({"model": model, "stream": self.stream,
                           "messages": [{"role": "user", "content": f"soak {run_id}"}]}).encode()


# ---- the faults: a name, what it needs of a plan, what must come of it ----

COMPLETE, FAILS, REFUSED, LEFT, DROPPED = "complete", "fails", "refused", "left", "dropped"


def patient(plan, random):
    """The client leaves in the middle, so the upstream must have more to say."""
    plan.tokens, plan.delay = plan.at + 50, max(plan.delay, 0.05)


def flood(plan, random):
    plan.tokens, plan.delay, plan.size, plan.stream = 800, 0, 2000, True


def endless_flood(plan, random):
    plan.tokens, plan.delay, plan.size, plan.stream = 40000, 0, 4000, True  # more than any kernel swallows


def streamed(plan, random):
    plan.stream = True


def llama(plan, random):
    plan.kind = "llama-server"


SHAPES = {
    "leaves in its request": None, "leaves with half its request": None, "leaves when asked": None, "leaves after the head": patient,
    "leaves in the middle": patient, "half-closes in the middle": patient,
    "reads slowly": flood, "reads nothing": endless_flood, "drips its request": None,
    "upstream: cut before the head": None, "upstream: cut in the head": None, "upstream: cut behind the head": None,
    "upstream: cut in the middle": None, "upstream: cut in an event": None, "upstream: cut behind the finish": None,
    "upstream: stalls": None, "upstream: says nothing": None, "upstream: error event": None,
    "upstream: broken JSON": None, "upstream: plain text": llama, "upstream: broken chunk": None,
    "upstream: event without end": None, "upstream: flood": flood, "upstream: 500": None, "upstream: 503": None,
    "upstream: 429": None, "upstream: 400": None, "upstream: HTML": None, "upstream: redirect": None,
    "upstream: early hints": None, "upstream: junk after the end": None,
}
FAULTS = list(SHAPES)

CLOSED, PROTOCOL = {"upstream_closed"}, {"upstream_protocol"}
OUTCOMES = {
    None: (COMPLETE, None), "reads slowly": (COMPLETE, None), "drips its request": (COMPLETE, None),
    "leaves in its request": (LEFT, None), "leaves with half its request": (LEFT, None), "leaves when asked": (LEFT, None), "leaves after the head": (LEFT, None),
    "leaves in the middle": (LEFT, None), "half-closes in the middle": (LEFT, None), "reads nothing": (DROPPED, None),
    "upstream: cut before the head": (REFUSED, CLOSED), "upstream: cut in the head": (REFUSED, CLOSED),
    "upstream: cut behind the head": (REFUSED, CLOSED), "upstream: cut in the middle": (FAILS, CLOSED),
    "upstream: cut in an event": (FAILS, CLOSED), "upstream: cut behind the finish": (COMPLETE, None),
    "upstream: stalls": (FAILS, {"token_timeout"}), "upstream: says nothing": (REFUSED, {"first_token_timeout"}),
    "upstream: error event": (FAILS, {"upstream_failed"}), "upstream: broken JSON": (FAILS, PROTOCOL),
    "upstream: plain text": (FAILS, PROTOCOL), "upstream: broken chunk": (FAILS, PROTOCOL),
    "upstream: event without end": (FAILS, PROTOCOL), "upstream: flood": (COMPLETE, None),
    "upstream: 500": (REFUSED, {"upstream_failed"}), "upstream: 503": (REFUSED, {"upstream_failed"}),
    "upstream: 429": (REFUSED, {"upstream_failed"}), "upstream: 400": (REFUSED, None),
    "upstream: HTML": (REFUSED, {"upstream_failed"}), "upstream: redirect": (REFUSED, PROTOCOL),
    "upstream: early hints": (COMPLETE, None), "upstream: junk after the end": (COMPLETE, None),
}


class Run:
    """A plan being carried out: what the upstream has done of it and what the client has seen."""

    def __init__(self, run_id, plan):
        self.id, self.plan = run_id, plan
        self.asked, self.head_sent, self.some_sent = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.sent = 0                  # tokens the upstream has written
        self.upstream_gone = None      # when Sluice closed the upstream's connection
        self.gone = asyncio.Event()
        # the client's side
        self.status, self.received, self.finish, self.done, self.errors = None, 0, None, False, []
        self.fault = None              # what is wrong for sure, whatever the plan
        self.ended = asyncio.get_running_loop().create_future()  # "whole" or how the connection ended
        self.left_at = None
        self.idle = 0                  # how long its connection had been idle before

    def take(self, event):
        """One event the client has read."""
        if self.done or self.errors:
            return self.wrong("something follows the end")
        if event == "[DONE]":
            self.done = True
            return None if self.finish else self.wrong("[DONE] without a finish")
        data = json.loads(event)
        if "error" in data:
            self.errors.append(data["error"]["code"])
            return None
        for choice in data["choices"]:
            text = choice["delta"].get("content")
            if text:
                self.take_text(text)
            if choice["finish_reason"]:
                self.finish = choice["finish_reason"]

    def take_text(self, text):
        if self.finish:
            self.wrong("text after the finish")
        if text != self.plan.token(self.received):
            self.wrong(f"token {self.received} came as {text[:40]!r}")
        self.received += 1

    def take_whole(self, body):
        """A completion in one piece, or an error with its status."""
        data = json.loads(body)
        if "error" in data:
            self.errors.append(data["error"]["code"])
            return
        choice = data["choices"][0]
        self.finish, self.done = choice["finish_reason"], True
        if choice["message"]["content"] != "".join(map(self.plan.token, range(self.plan.tokens))):
            self.wrong("the completion's text is not what was sent")
        self.received = self.plan.tokens

    def wrong(self, text):
        self.fault = self.fault or text

    def verdict(self, ended):
        """What is wrong with what the client saw; None if nothing is."""
        outcome, codes = OUTCOMES[self.plan.fault]
        seen = (f"ended {ended}, status {self.status}, {self.received} of {self.sent} tokens, finish {self.finish}, "
                f"[DONE] {self.done}, errors {self.errors}, on a connection idle for {self.idle:.1f} s")
        if self.fault or ended == "never":
            return f"{self.fault}; {seen}"
        if outcome == COMPLETE:
            right = (ended == "whole" and self.status == 200 and self.received == self.plan.tokens and self.finish
                     and self.done and not self.errors)
        elif outcome in (LEFT, DROPPED):
            right = not self.done and (outcome == LEFT or ended != "whole")
        else:
            right = (ended == "whole" and not self.finish and not self.done and len(self.errors) == 1
                     and (codes is None or self.errors[0] in codes))
            if outcome == FAILS and self.plan.stream:
                right = right and self.status == 200 and self.received == self.sent
        return None if right else seen

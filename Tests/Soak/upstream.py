"""A llama-server and an Ollama that do what each request's plan says, on the event loop of the soak."""
import asyncio
import json
import socket
import struct
import time

RESET = struct.pack("ii", 1, 0)  # SO_LINGER that makes close send a reset


def reset(transport):
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()


class Upstream(asyncio.Protocol):
    """One connection from Sluice."""

    def __init__(self, kind, runs):
        self.kind, self.runs, self.buffer = kind, runs, bytearray()
        self.run = self.task = None
        self.may_write = asyncio.Event()
        self.may_write.set()

    # ---- the connection ----

    def connection_made(self, transport):
        self.transport = transport

    def pause_writing(self):
        self.may_write.clear()

    def resume_writing(self):
        self.may_write.set()

    def connection_lost(self, error):
        if self.task:
            self.task.cancel()
        if self.run:
            self.run.upstream_gone = time.monotonic()
            self.run.gone.set()

    def data_received(self, data):
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].decode()
        length = 0
        for line in head.split("\r\n"):
            if line.lower().startswith("content-length:"):
                length = int(line.split(":")[1])
        if len(self.buffer) < end + 4 + length:
            return
        body = bytes(self.buffer[end + 4:end + 4 + length])
        del self.buffer[:end + 4 + length]
        path = head.split(" ")[1]
        if path in ("/v1/chat/completions", "/api/chat"):
            self.run = self.runs.get(json.loads(body)["messages"][-1]["content"].split(" ")[1])
            if self.run:  # else its client left long ago, and so will Sluice
                self.task = asyncio.ensure_future(self.answer(self.run, self.run.plan))
        else:
            self.json(200, KNOWN.get(path, {"error": "not found"}) if path in KNOWN else {}, close=False)

    # ---- pieces of answers ----

    def write(self, text):
        self.transport.write(text if isinstance(text, bytes) else text.encode())

    def json(self, status, value, close=True, kind="application/json", more=""):
        body = value if isinstance(value, str) else json.dumps(value)
        self.write(f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}")
        if close:
            self.transport.close()

    def head(self):
        kind = "application/x-ndjson" if self.kind == "ollama" else "text/event-stream"
        return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"

    def chunk(self, text):
        self.write(f"{len(text):x}\r\n{text}\r\n")

    def event(self, delta, finish=None):
        if self.kind == "ollama":
            done = {"done": False} if finish is None else {
                "done": True, "done_reason": finish, "prompt_eval_count": 3, "eval_count": 4, "eval_duration": 5}
            return json.dumps({"model": "soak-ollama", "created_at": "2026-01-01T00:00:00Z",
                               "message": {"role": "assistant", "content": delta}, **done}) + "\n"
        choice = {"finish_reason": finish, "index": 0, "delta": {} if finish else {"content": delta}}
        return "data: " + json.dumps({"choices": [choice], "created": 1, "id": "chatcmpl-up", "model": "soak-llama",
                                      "object": "chat.completion.chunk"}, separators=(",", ":")) + "\n\n"

    def cut(self, plan):
        reset(self.transport) if plan.how == "reset" else self.transport.close()

    # ---- answers ----

    async def answer(self, run, plan):
        run.asked.set()
        fault = (plan.fault or "").removeprefix("upstream: ")
        if fault == "says nothing":
            await asyncio.sleep(60)
        await asyncio.sleep(plan.first)
        if fault == "cut before the head":
            return self.cut(plan)
        if fault in STATUSES:
            return STATUSES[fault](self)
        if fault == "early hints":
            self.write("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        if fault == "cut in the head":
            self.write(self.head()[:40])
            await asyncio.sleep(0.01)
            return self.cut(plan)
        self.write(self.head())
        run.head_sent.set()
        if fault == "cut behind the head":
            await asyncio.sleep(0.01)
            return self.cut(plan)
        if plan.fault == "leaves after the head":
            await asyncio.sleep(60)
        if await self.tokens(run, plan, fault):
            await self.finish(plan, fault)

    async def tokens(self, run, plan, fault):
        """Writes the tokens; False if the fault came between."""
        for number in range(plan.tokens):
            if plan.delay:
                await asyncio.sleep(plan.delay)
            if number == plan.at and fault in BREAKS:
                await BREAKS[fault](self, plan)
                return False
            self.chunk(self.event(plan.token(number)))
            if self.transport.is_closing():
                await asyncio.Event().wait()  # until connection_lost, which is about to tell that Sluice has left
            run.sent += 1
            if run.sent == plan.at:
                run.some_sent.set()
            if not self.may_write.is_set():
                await self.may_write.wait()
        return True

    async def finish(self, plan, fault):
        self.chunk(self.event("", "stop"))
        if fault == "cut behind the finish":
            await asyncio.sleep(0.01)
            return self.cut(plan)
        if self.kind == "llama-server":
            self.chunk("data: [DONE]\n\n")
        self.write("0\r\n\r\n" + ("what nobody asked for" if fault == "junk after the end" else ""))
        self.run = None  # what happens to the connection now is nobody's fault
        if self.kind == "llama-server":
            self.transport.close()

    # ---- faults in the middle ----

    async def cut_now(self, plan):
        self.cut(plan)

    async def cut_in_event(self, plan):
        self.chunk(self.event("never whole")[:40])
        await asyncio.sleep(0.01)
        self.cut(plan)

    async def stall(self, plan):
        await asyncio.sleep(60)

    async def error_event(self, plan):
        text = json.dumps({"error": "the model fell over"} if self.kind == "ollama"
                          else {"error": {"code": 500, "message": "the model fell over", "type": "server_error"}})
        self.chunk(text + "\n" if self.kind == "ollama" else f"data: {text}\n\n")
        await asyncio.sleep(60)

    async def broken_json(self, plan):
        self.chunk('{"a": }\n' if self.kind == "ollama" else 'data: {"choices": [}\n\n')
        await asyncio.sleep(60)

    async def plain_text(self, plan):
        self.chunk("something went wrong\n\n")
        await asyncio.sleep(60)

    async def broken_chunk(self, plan):
        self.write("zz\r\n")
        await asyncio.sleep(60)

    async def endless(self, plan):
        self.chunk('{"message":{"content":"' if self.kind == "ollama" else 'data: {"choices":[')
        while True:
            self.chunk("x" * 16384)
            await asyncio.sleep(0.005)


BREAKS = {"cut in the middle": Upstream.cut_now, "cut in an event": Upstream.cut_in_event, "stalls": Upstream.stall,
          "error event": Upstream.error_event, "broken JSON": Upstream.broken_json,
          "plain text": Upstream.plain_text, "broken chunk": Upstream.broken_chunk,
          "event without end": Upstream.endless}
ERROR = {"error": {"code": 500, "message": "the model fell over", "type": "server_error"}}
STATUSES = {
    "500": lambda up: up.json(500, ERROR), "503": lambda up: up.json(503, ERROR),
    "429": lambda up: up.json(429, ERROR, more="Retry-After: 1\r\n"), "400": lambda up: up.json(400, ERROR),
    "HTML": lambda up: up.json(500, "<html><h1>Bad Gateway</h1></html>", kind="text/html"),
    "redirect": lambda up: up.json(302, "", more="Location: http://127.0.0.1:1/\r\n"),
}
KNOWN = {
    "/health": {"status": "ok"}, "/props": {"total_slots": 2000, "model_path": "soak"},
    "/v1/models": {"object": "list", "data": [{"id": "soak-llama", "object": "model", "created": 1, "owned_by": "x"}]},
    "/api/version": {"version": "0.30.0"}, "/api/tags": {"models": [{"name": "soak-ollama", "model": "soak-ollama"}]},
    "/api/show": {"capabilities": ["completion"]}, "/api/ps": {"models": []},
}

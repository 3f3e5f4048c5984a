"""A client of the soak: asks, misbehaves as its plan says, and reads every byte of the answer itself."""
import asyncio
import socket
import time

from upstream import reset


class Client(asyncio.Protocol):
    """One connection to Sluice; carries one run after the other."""

    def __init__(self):
        self.buffer, self.run, self.transport, self.is_open = bytearray(), None, None, False
        self.idle_since = time.monotonic()
        self.forget()

    def forget(self):
        """Ready for the next answer."""
        self.length = self.is_chunked = None
        self.event_bytes = bytearray()
        self.closes = False

    def connection_made(self, transport):
        self.transport, self.is_open = transport, True

    def connection_lost(self, error):
        self.is_open = False
        self.end("reset" if error else "closed")

    def end(self, how):
        if self.run and not self.run.ended.done():
            self.run.ended.set_result(how)

    def data_received(self, data):
        self.buffer += data
        if self.run is None:
            return
        try:
            while self.run and not self.run.ended.done() and self.step():
                pass
        except (ValueError, KeyError, IndexError, TypeError) as problem:
            self.run.wrong(f"cannot be read: {problem!r} in {bytes(self.buffer[:200])!r}")
            self.end("unreadable")

    # ---- reading ----

    def step(self):
        """Takes one part off the buffer; False if it is not there yet."""
        if self.run.status is None:
            return self.head()
        if self.is_chunked:
            return self.chunk()
        if len(self.buffer) < self.length:
            return False
        self.run.take_whole(bytes(self.buffer[:self.length]))
        del self.buffer[:self.length]
        return self.whole()

    def head(self):
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        lines = self.buffer[:end].decode().split("\r\n")
        del self.buffer[:end + 4]
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        self.run.status = int(lines[0].split(" ")[1])
        self.closes = fields.get("connection") == "close"
        self.is_chunked = fields.get("transfer-encoding") == "chunked"
        if not self.is_chunked:
            self.length = int(fields["content-length"])
        return True

    def chunk(self):
        line = self.buffer.find(b"\r\n")
        if line < 0:
            return False
        size = int(self.buffer[:line], 16)
        if len(self.buffer) < line + 2 + size + 2:
            return False
        data = self.buffer[line + 2:line + 2 + size]
        if self.buffer[line + 2 + size:line + 4 + size] != b"\r\n":
            raise ValueError("a chunk without its end")
        del self.buffer[:line + 4 + size]
        if size == 0:
            if self.event_bytes:
                self.run.wrong("half an event at the end")
            return self.whole()
        self.event_bytes += data
        while (end := self.event_bytes.find(b"\n\n")) >= 0:
            event = self.event_bytes[:end].decode()
            del self.event_bytes[:end + 2]
            if event.startswith("data: "):
                self.run.take(event[6:])
            elif not event.startswith(":"):
                raise ValueError("neither event nor comment: " + event[:80])
        return True

    def whole(self):
        if self.buffer:
            self.run.wrong("bytes behind the answer")
        self.idle_since = time.monotonic()
        self.end("whole")
        return False


class Worker:
    """One of the many: a request after the other until time is up."""

    def __init__(self, soak, random):
        self.soak, self.random, self.client = soak, random, None

    async def work(self, until):
        while time.monotonic() < until:
            plan = self.soak.plan(self.random)
            run = self.soak.begin(plan)
            ended = await self.patiently(run, asyncio.ensure_future(self.perform(run, plan)))
            self.soak.finished(run, ended)
            self.client.run = None
            if self.client.is_open and (ended != "whole" or self.client.closes or self.random.random() < 0.5):
                self.client.transport.abort()
        if self.client:
            self.client.transport.abort()

    async def patiently(self, run, performance):
        """How the run ended: "never" is when nothing has come for a minute. A slow reader may take longer than that."""
        received = -1
        while received != run.received:
            received = run.received
            done, _ = await asyncio.wait({performance}, timeout=60)
            if done:
                problem = performance.exception()
                if problem and not isinstance(problem, OSError):
                    raise problem
                return repr(problem) if problem else performance.result()
        performance.cancel()
        return "never"

    async def perform(self, run, plan):
        small = plan.fault in ("reads slowly", "reads nothing")
        # Like any good client: a connection that was idle for long may close just when it is used.
        while not self.client or not self.client.is_open or small or time.monotonic() - self.client.idle_since > 10:
            await self.connect(small)
            small = False
        client = self.client
        run.idle = time.monotonic() - client.idle_since
        client.forget()
        client.run = run
        body = plan.body(run.id)
        request = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nx-request-id: {run.id}\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n").encode() + body
        misdeed = MISDEEDS.get(plan.fault)
        if not misdeed:
            client.transport.write(request)
            return await run.ended
        doing = asyncio.ensure_future(misdeed(self, client, run, plan, request))
        try:
            return await run.ended
        finally:
            doing.cancel()

    async def connect(self, small):
        if self.client and self.client.is_open:
            self.client.transport.abort()
        loop = asyncio.get_running_loop()
        made = socket.socket()
        made.setblocking(False)
        if small:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        await loop.sock_connect(made, self.soak.address)
        _, self.client = await loop.create_connection(Client, sock=made)

    # ---- misdeeds ----

    async def leave(self, client, run, plan, request):
        if plan.fault in ("leaves in its request", "leaves with half its request"):
            client.transport.write(request[:self.random.randint(1, len(request) - 1)])
            if plan.fault == "leaves in its request":  # and not in the same breath
                await asyncio.sleep(self.random.random() * 0.05)
        else:
            client.transport.write(request)
            moment = {"leaves when asked": run.asked, "leaves after the head": run.head_sent}.get(plan.fault, run.some_sent)
            await moment.wait()
            await asyncio.sleep(self.random.random() * 0.02)
        run.left_at = time.monotonic()
        if plan.fault == "half-closes in the middle":
            client.transport.write_eof()
            return
        reset(client.transport) if plan.how == "reset" else client.transport.abort()

    async def read_slowly(self, client, run, plan, request):
        client.transport.write(request)
        while not run.ended.done():
            client.transport.pause_reading()
            await asyncio.sleep(self.random.random() * 0.3)
            if run.ended.done() or not client.is_open:
                return
            client.transport.resume_reading()
            await asyncio.sleep(0.02)

    async def read_nothing(self, client, run, plan, request):
        client.transport.write(request)
        await run.asked.wait()
        client.transport.pause_reading()
        await run.gone.wait()  # Sluice gives the client up, and the upstream with it
        client.transport.resume_reading()

    async def drip(self, client, run, plan, request):
        for start in range(0, len(request), 40):
            client.transport.write(request[start:start + 40])
            await asyncio.sleep(0.005)


MISDEEDS = {"leaves in its request": Worker.leave, "leaves with half its request": Worker.leave, "leaves when asked": Worker.leave,
            "leaves after the head": Worker.leave, "leaves in the middle": Worker.leave,
            "half-closes in the middle": Worker.leave, "reads slowly": Worker.read_slowly,
            "reads nothing": Worker.read_nothing, "drips its request": Worker.drip}

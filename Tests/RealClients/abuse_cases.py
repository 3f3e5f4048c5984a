"""What nobody should do to a server: the corpus of broken requests over real sockets, and more clients than it has
descriptors for."""
import asyncio
import contextlib
import glob
import http.server
import json
import os
import re
import resource
import socket
import threading
import time

from deadlines import Wire, mock
from harness import PROJECT, case, chat, expect, fetch, wait_until

PATH = "/v1/chat/completions"

# ---- the corpus ----

ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "s": b" ", "\\": b"\\"}


def unescape(text, start=0, in_braces=False):
    """The bytes meant by a line of a table (Tests/Fixtures/requests/README.md), and where reading ended."""
    result, i = b"", start
    while i < len(text) and not (in_braces and text[i] == "}"):
        if text[i] == "⏎":
            result, i = result + b"\r\n", i + 1
        elif text[i] != "\\":
            result, i = result + text[i].encode(), i + 1
        elif text[i + 1] == "x":
            result, i = result + bytes([int(text[i + 2:i + 4], 16)]), i + 4
        elif text[i + 1] == "{":
            colon = text.index(":", i)
            inner, end = unescape(text, colon + 1, in_braces=True)
            result, i = result + inner * int(text[i + 2:colon]), end + 1
        else:
            result, i = result + ESCAPES.get(text[i + 1], text[i + 1].encode()), i + 2
    return result, i


def corpus():
    """(name, bytes, expected lines) of every case."""
    found = []
    for path in sorted(glob.glob(os.path.join(PROJECT, "Tests", "Fixtures", "requests", "*.txt"))):
        table = os.path.basename(path)[:-4]
        for line in open(path, encoding="utf-8").read().split("\n"):
            if not line or line.startswith("#"):
                continue
            if not line.startswith(" "):
                found.append((f"{table}: {line}", [], []))
            elif line[2] == ">":
                found[-1][1].append(unescape(line[4:])[0])
            else:
                found[-1][2].append(line[2:])
    return [(name, b"".join(parts), expected) for name, parts, expected in found]


async def read_answer(reader, method):
    """(status, error code or None, whether it says close) of one answer, its body read to its exact end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status = int(head.split(" ")[1])
    if status < 200:
        return await read_answer(reader, method)
    fields = {name.lower(): value for name, value in re.findall(r"\r\n([^:]+): ([^\r]*)", head)}
    body = b""
    if method != "HEAD" and status != 204:
        body = await reader.readexactly(int(fields["content-length"]))
    if status >= 400 and body:
        error = json.loads(body)["error"]
        expect(set(error) == {"message", "type", "param", "code"}, f"error has {sorted(error)}")
        return status, error["code"], fields.get("connection") == "close"
    return status, None, fields.get("connection") == "close"


async def play(port, data, expected):
    """Sends one case and compares what comes with what the table says."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        refusal = next((line.split(" ") for line in expected if line[0] == "!"), None)
        is_cut = any(line[0] == "?" for line in expected)
        requests = [line.split(" ") for line in expected if line[0] == "="]
        if is_cut and requests and expected[-1] == "? body":
            requests.pop()  # it has begun and is never answered
        closes = bool(requests) and "close" in requests[-1]
        for number, words in enumerate(requests):
            if words[2] == "/v1/chat/completions" and "upgrade" in words:
                head = await reader.readuntil(b"\r\n\r\n")
                return expect(head.startswith(b"HTTP/1.1 101 "), f"no upgrade: {head[:100]}")
            status, code, says_close = await read_answer(reader, words[1])
            # What breaks off in a request's body is refused before that request is answered.
            if refusal and number == len(requests) - 1 and str(status) == refusal[1] and code == refusal[2]:
                return await expect_end(reader)
            expect(code != "bad_request", f"{words} was refused")
            expect(says_close == ("close" in words), f"{words}: Connection: close is {says_close}")
        if refusal:
            status, code, says_close = await read_answer(reader, "GET")
            expect((str(status), code) == (refusal[1], refusal[2]), f"{status} {code} instead of {refusal}")
            expect(says_close, "a refusal without Connection: close")
        if refusal or closes:
            return await expect_end(reader)
        if is_cut:
            with contextlib.suppress(asyncio.TimeoutError):
                early = await asyncio.wait_for(reader.read(100), 0.3)
                expect(early == b"HTTP/1.1 100 Continue\r\n\r\n", f"an answer to half a request: {early}")
            return
        writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        expect((await read_answer(reader, "GET"))[0] == 200, "the connection is not usable")
    finally:
        writer.close()


async def expect_end(reader):
    expect(await reader.read(100) == b"", "bytes behind the last answer")


@case("the corpus of requests: each refused as JSON, or framed exactly", seconds=60)
def requests(stage):
    sluice, url = stage.sluice_with(
        f'listen: 127.0.0.1:0\nbackends: [{{name: mock, kind: llama-server, url: "{stage.mock()}"}}]\n'
        "limits: {request_line: 1KiB, head: 4KiB, head_fields: 32, body: 1KiB}\n", name="sluice-corpus")
    cases = corpus()
    # The tables' limits are smaller than may be configured.
    played = [entry for entry in cases if not re.search(r"! (413|414|431) ", " ".join(entry[2]))]

    async def all_of_them():
        async def one(name, data, expected):
            try:
                await asyncio.wait_for(play(int(url.rsplit(":", 1)[1]), data, expected), 10)
            except Exception as problem:  # told with the others
                return f"{name}: {type(problem).__name__} {problem}"
        return [fault for fault in await asyncio.gather(*(one(*entry) for entry in played)) if fault]
    faults = asyncio.run(all_of_them())
    expect(len(cases) > 400 and not faults, f"{len(faults)} of {len(played)}: " + "; ".join(faults[:6]))
    expect(fetch(url, "GET", "/health").status == 200, "it is gone")
    return f"{len(played)} of {len(cases)}, the others are about limits"


# ---- descriptors ----

def processor_seconds(process):
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def with_few_descriptors(stage, count):
    path = stage.write(f'listen: 127.0.0.1:0\nbackends: [{{name: mock, kind: llama-server, url: "{stage.mock()}"}}]\n')
    process = stage.start("sluice-few", ["sh", "-c", f'ulimit -n {count}; exec "{stage.options.sluice}" --config {path}'])
    url = process.url(besides=stage.mock())
    wait_until(lambda: b'"mock"' in fetch(url, "GET", "/v1/models").body, 5)
    return process, url


def connected(url, count):
    host, port = url.split("://")[1].split(":")
    made = []
    for _ in range(count):
        client = socket.socket()
        client.settimeout(10)
        client.connect((host, int(port)))  # the kernel accepts; Sluice may not
        made.append(client)
    return made


def asks_for_health(client):
    client.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")


@case("more clients than descriptors: no spinning, and it recovers by itself", seconds=60)
def few_descriptors(stage):
    process, url = with_few_descriptors(stage, 64)
    clients = connected(url, 150)
    time.sleep(0.3)
    taken = process.descriptors()
    expect(taken == 64, f"{taken} of 64 descriptors are in use")
    for client in clients:
        asks_for_health(client)
    said, before = len(process.said()), processor_seconds(process)
    time.sleep(2)
    used = processor_seconds(process) - before
    said = len(process.said()) - said
    expect(used < 0.2, f"{used:.2f} s of processor time in 2 s")
    expect(said < 100_000, f"{said} bytes of log in 2 s")
    # The accepted ones are answered; with each that goes, one that waits comes in.
    begin = time.monotonic()
    for client in clients:
        expect(client.recv(4096).startswith(b"HTTP/1.1 200"), "a waiting client is not served")
        client.close()
    served = time.monotonic() - begin
    wait_until(lambda: fetch(url, "GET", "/health").status == 200 and process.descriptors() < 30, 5)
    return f"{used * 1000:.0f} ms of processor time in 2 s; {len(clients)} clients served in {served:.1f} s afterwards"


class Forgetful(http.server.BaseHTTPRequestHandler):
    """A server that closes after every answer (HTTP/1.0), so that each request wants a connection, and a descriptor."""

    def do_GET(self):
        self.answer("application/json", b'{"object":"list","data":[{"id":"m","object":"model"}]}')

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        choices = [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}], [
            {"index": 0, "delta": {}, "finish_reason": "stop"}]
        events = [json.dumps({**chunk, "choices": part}) for part in choices] + ["[DONE]"]
        self.answer("text/event-stream", "".join(f"data: {event}\n\n" for event in events).encode())

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def no_more_descriptors(process):
    """The kernel gives the process no further descriptor; those it has it keeps."""
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)


@case("no descriptor for the upstream: a clear error at once, the backend stays up, and the next request goes through")
def no_descriptor_upstream(stage):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forgetful) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        upstream = f"http://127.0.0.1:{server.server_address[1]}"
        process, url = stage.sluice_with(
            f'listen: 127.0.0.1:0\nbackends: [{{name: far, kind: openai, url: "{upstream}"}}]\n', name="sluice-none-left")
        wait_until(lambda: fetch(url, "GET", "/ready").status == 200, 10)
        wires = [Wire(url) for _ in range(3)]
        for wire in wires:
            asks_for_health(wire.socket)
            wire.read_until(b'"ok"}')
        with no_more_descriptors(process):
            for wire, streams in zip(wires, (True, False, True)):
                wire.received = b""
                wire.ask(chat("m", "hi", stream=streams))
                expect(wire.read_until(b"}}") - wire.sent < 1, "it took long to say so")
                expect(b" 503 " in wire.received and b'"overloaded"' in wire.received, f"{wire.received[:400]}")
        for wire, streams in zip(wires, (True, False, True)):
            wire.received = b""
            wire.ask(chat("m", "hi", stream=streams))
            wire.read_until(b"[DONE]" if streams else b"}}")
            expect(b" 200 " in wire.received and b"Hel" in wire.received, f"{wire.received[:400]}")
        server.shutdown()

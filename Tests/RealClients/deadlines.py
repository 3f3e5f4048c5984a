"""Every deadline once in real time, all of them at once: what passes and how long that took."""
import contextlib
import json
import socket
import threading
import time

from harness import Skip, chat, expect, fetch, wait_until

PATH = "/v1/chat/completions"
# In milliseconds, far enough apart that one cannot pass for another.
LIMITS = {"connect": 500, "head_grace": 300, "first_token": 900, "token": 700, "total": 2500, "request_head": 600,
          "request_body": 800, "request_total": 1500, "idle": 1000, "client_stall": 1200, "drain": 700, "queue": 1100}
COMMENTS = 250


def configuration(mock, hole):
    limits = ", ".join(f"{name}: {limit}ms" for name, limit in LIMITS.items())
    return (f"listen: 127.0.0.1:0\n"
            f"backends:\n"
            f'  - {{name: mock, kind: llama-server, url: "{mock}", slots: 100}}\n'
            f'  - {{name: narrow, kind: ollama, url: "{mock}", slots: 1}}\n'
            f'  - {{name: hole, kind: openai, url: "{hole.url}", models: [hole]}}\n'
            f"timeouts: {{{limits}}}\nkeep_alive_interval: {COMMENTS}ms\n")


class Hole:
    """A server that is there when it is asked what it is, and then accepts no connection."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.fillers = []
        self.isOpen = True
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        self.listener.settimeout(0.05)
        while self.isOpen:
            with contextlib.suppress(OSError):
                client, _ = self.listener.accept()
                client.settimeout(1)
                client.recv(65536)
                body = b'{"object":"list","data":[{"id":"hole","object":"model"}]}'
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                               b"Connection: close\r\n\r\n" % len(body) + body)
                client.close()

    def shut(self):
        self.isOpen = False
        time.sleep(0.1)  # the thread has noticed
        for _ in range(4):  # what is in the queue of the listener keeps everybody else out
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.listener.getsockname())
            self.fillers.append(filler)


class Wire:
    """A client's connection, and when what came on it."""

    def __init__(self, url, small=False):
        host, port = url.split("://")[1].split(":")
        self.host = f"{host}:{port}"
        self.socket = socket.socket()
        if small:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.socket.settimeout(10)
        self.socket.connect((host, int(port)))
        self.received = b""

    def ask(self, body):
        data = json.dumps(body).encode()
        self.send(b"POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n"
                  % (PATH.encode(), self.host.encode(), len(data)) + data)

    def send(self, data):
        self.socket.sendall(data)
        self.sent = time.monotonic()

    def read_until(self, text):
        """When the text had come; the end of the connection is the text None."""
        while text is None or text not in self.received:
            with contextlib.suppress(ConnectionError):
                data = self.socket.recv(65536)
                self.received += data
                if data:
                    continue
            expect(text is None, f"the connection ended without {text}: {self.received[-200:]}")
            break
        return time.monotonic()

    def read(self, count):
        while count > 0:
            count -= len(self.socket.recv(min(count, 65536)))


def mock(directives, **more):
    return chat("mock", f"[[mock {directives}]]", stream=True, **more)


# ---- one function a deadline: returns milliseconds ----

def connect(stage, url, hole):
    wire = Wire(url)
    wire.ask(chat("hole", "hi"))
    return wire.read_until(b"connect_timeout") - wire.sent


def head_grace(stage, url, hole):
    wire = Wire(url)
    wire.ask(mock("first_us=5000000"))
    return wire.read_until(b"HTTP/1.1 200") - wire.sent


def comments(stage, url, hole):
    wire = Wire(url)
    wire.ask(mock("first_us=5000000"))
    head = wire.read_until(b"\r\n\r\n")
    return wire.read_until(b": keep-alive") - head


def first_token(stage, url, hole):
    wire = Wire(url)
    wire.ask(mock("first_us=5000000"))
    return wire.read_until(b"first_token_timeout") - wire.sent


def first_token_of_a_whole_answer(stage, url, hole):
    wire = Wire(url)
    wire.ask(chat("mock", "[[mock first_us=5000000]]"))
    return wire.read_until(b"first_token_timeout") - wire.sent


def token(stage, url, hole):
    wire = Wire(url)
    wire.ask(mock("tokens=4 stall_after=2 stall_us=5000000"))
    last = wire.read_until(b"[1:")
    return wire.read_until(b"token_timeout") - last


def total(stage, url, hole):
    wire = Wire(url)
    wire.ask(mock("tokens=1000 delay_us=50000"))
    return wire.read_until(b"total_timeout") - wire.sent


def request_head(stage, url, hole):
    wire = Wire(url)
    wire.send(b"POST / HTTP/1.1\r\nHo")
    return wire.read_until(b"request_timeout") - wire.sent


def request_body(stage, url, hole):
    wire = Wire(url)
    wire.send(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n12")
    time.sleep(0.4)
    wire.send(b"3")  # progress: the clock begins anew
    return wire.read_until(b"request_timeout") - wire.sent


def request_total(stage, url, hole):
    wire = Wire(url)
    wire.send(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n")
    begin = wire.sent
    wire.socket.settimeout(0.1)
    while b"request_timeout" not in wire.received:
        try:
            wire.received += wire.socket.recv(4096)
        except TimeoutError:
            wire.send(b"x")
    return time.monotonic() - begin


def idle(stage, url, hole):
    begin = time.monotonic()  # before Sluice's clock, which begins when it accepts
    wire = Wire(url)
    return wire.read_until(None) - begin


def idle_after_an_answer(stage, url, hole):
    wire = Wire(url)
    begin = time.monotonic()  # before Sluice's clock, which begins when it answers
    wire.send(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    wire.read_until(b'"ok"}')
    return wire.read_until(None) - begin


def client_stall(stage, url, hole):
    """When Sluice gives up a reader of nothing, seen by the upstream; counted from its last reading."""
    wire, name = Wire(url, small=True), f"stall{time.monotonic_ns()}"
    wire.ask(mock(f"tokens=1000000 size=4096 id={name}"))
    time.sleep(0.6)  # everything stands still by now
    wire.read(200_000)
    begin = time.monotonic()
    while True:
        events = fetch(stage.mock(), "GET", "/stats?events=1").json()["events"]
        found = [event for event in events if event["id"] == name]
        if found:
            return found[0]["t_ns"] / 1e9 - begin
        expect(time.monotonic() < begin + 8, "it was not dropped")
        time.sleep(0.05)


def queue(stage, url, hole):
    first, second = Wire(url), Wire(url)
    ask = chat("mock:latest", "[[mock tokens=100 delay_us=20000]]", stream=True)
    first.ask(ask)
    first.read_until(b"[0:")
    second.ask(ask)
    try:
        return second.read_until(b"queue_timeout") - second.sent
    except AssertionError:
        raise Skip("requests are not queued")


def drain(stage, url, hole):
    process, own = stage.sluice_with(configuration(stage.mock(), hole), name="sluice-drain")
    wait_until(lambda: b'"mock"' in fetch(own, "GET", "/v1/models").body, 5)
    wire = Wire(own)
    wire.ask(mock("tokens=1000 delay_us=50000"))
    wire.read_until(b"[1:")
    begin = time.monotonic()
    process.child.terminate()
    return wire.read_until(b"shutting_down") - begin


MEASURED = {connect: "connect", head_grace: "head_grace", comments: None, first_token: "first_token",
            first_token_of_a_whole_answer: "first_token", token: "token", total: "total", request_head: "request_head",
            request_body: "request_body", request_total: "request_total", idle: "idle", idle_after_an_answer: "idle",
            client_stall: "client_stall", queue: "queue", drain: "drain"}


def measure(stage):
    """All of them at the same time: {name: (milliseconds set, milliseconds taken or why not)}."""
    hole = Hole()
    text = configuration(stage.mock(), hole)
    _, url = stage.sluice_with(text, name="sluice-deadlines")
    wait_until(lambda: fetch(url, "GET", "/v1/models").body.count(b'"id"') >= 3, 10)
    hole.shut()
    results = {}

    def run(function):
        name = function.__name__.replace("_", " ") if MEASURED[function] != function.__name__ else function.__name__
        limit = LIMITS.get(MEASURED[function], COMMENTS)
        try:
            results[name] = (limit, function(stage, url, hole) * 1000)
        except Exception as problem:  # told with the others
            results[name] = (limit, problem)

    threads = [threading.Thread(target=run, args=(function,)) for function in MEASURED]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results



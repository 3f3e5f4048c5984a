"""Several backends: one that dies, a configuration that changes, conversations that stay where their cache is."""
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import threading
import time

from client_cases import PATH
from harness import PROJECT, case, expect, fetch, free_port, wait_until

STREAMS = 100


def mock(stage, name):
    """A mockllm of its own, as (process, address)."""
    port = free_port()
    process = stage.start(name, [os.path.join(PROJECT, "Benchmarks", "mockllm"), "--listen", f"127.0.0.1:{port}"])
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: fetch(url, "GET", "/health").status == 200, 5)
    return process, url


class Stream(threading.Thread):
    """One streamed chat, read to its end."""

    def __init__(self, url, body):
        super().__init__(daemon=True)
        self.url, self.body, self.raw, self.status, self.began, self.backend = url, body, b"", 0, None, None
        self.start()

    def run(self):
        with contextlib.closing(http.client.HTTPConnection(self.url.split("://")[1], timeout=60)) as connection:
            connection.request("POST", PATH, json.dumps(self.body).encode())
            response = connection.getresponse()
            self.status, self.backend = response.status, response.headers["x-sluice-backend"]
            while piece := response.read1(65536):
                self.raw += piece
                if b'"content":"' in self.raw and not self.began:
                    self.began = time.monotonic()

    def verdict(self):
        text = self.raw.decode()
        if "data: [DONE]" in text:
            return "whole"
        return "error event" if '"error":{' in text else f"{self.status} {text[-80:]!r}"


def body(text, **settings):
    """A chat that tells mockllm what to answer like."""
    words = " ".join(f"{name}={value}" for name, value in settings.items())
    return {"model": "mock", "stream": True, "messages": [{"role": "user", "content": f"{text} [[mock {words}]]"}]}


def pair(stage, more=""):
    """Two mockllm and a Sluice in front of them."""
    first, second = mock(stage, "mock-one"), mock(stage, "mock-two")
    text = "listen: 127.0.0.1:0\nbackends:\n" + "".join(
        f"  - {{name: {name}, kind: llama-server, url: \"{url}\", slots: 200}}\n"
        for name, (_, url) in (("one", first), ("two", second))) + more
    process, url = stage.sluice_with(text)
    wait_until(lambda: fetch(url, "GET", "/ready").status == 200, 5)
    return first, second, process, url, text


@case("kill -9 of one backend of two under 100 streams", seconds=60)
def killed_backend(stage):
    first, _, _, url, _ = pair(stage)
    speaking = [Stream(url, body(f"s{i}", tokens=3000, delay_us=2000)) for i in range(STREAMS // 2)]
    silent = [Stream(url, body(f"q{i}", tokens=5, first_us=1_500_000)) for i in range(STREAMS // 2)]
    wait_until(lambda: all(s.began for s in speaking), 10)
    time.sleep(0.2)
    first[0].child.kill()
    killed = time.monotonic()
    time.sleep(0.05)
    after = [fetch(url, "POST", PATH, {**body(f"n{i}", tokens=2), "stream": False}).status for i in range(20)]
    took = (time.monotonic() - killed) * 1000
    for stream in silent + speaking:
        stream.join(30)
    expect(all(status == 200 for status in after), f"new requests after 50 ms: {after}")
    verdicts = [s.verdict() for s in silent]
    expect(all(v == "whole" for v in verdicts), f"without content: {sorted(set(verdicts))}")
    ends = [s.verdict() for s in speaking]
    cut = ends.count("error event")
    expect(cut > 0 and cut + ends.count("whole") == len(ends), f"with content: {sorted(set(ends))}")
    return f"{cut} streams told of it, {len(verdicts)} without content whole, 20 new ones until {took:.0f} ms"


@case("kill -9 of one of two real llama-servers under 24 streams: speaking, reading their prompts, and waiting", seconds=180)
def killed_llama(stage):
    servers = [stage.start(f"llama-{n}", [os.path.join(PROJECT, "scripts", "run-llama-server"), "--port", "0", "--alias", "big",
                                          "--pad-mb", "200", "--set", "n_parallel=4"]) for n in (1, 2)]
    process, url = stage.sluice(*(word for server in servers for word in ("--backend", "llama-server=" + server.url(120))))
    wait_until(lambda: [b["state"] for b in fetch(url, "GET", "/v1/backends").json()["data"]] == ["up", "up"], 10)

    def talk(number, **more):
        text = f"{number}: " + ("a long prompt " * 8 if number % 2 else "hello")
        return {"model": "big", "messages": [{"role": "user", "content": text}], "max_tokens": 16, "temperature": 0, **more}
    streams = [Stream(url, talk(number, stream=True)) for number in range(24)]
    wait_until(lambda: any(s.began and s.backend == "llama-server" for s in streams), 30, 0.002)
    killed = time.monotonic()
    servers[0].child.kill()
    time.sleep(0.05)
    after = [fetch(url, "POST", PATH, talk(number), timeout=120).status for number in (100, 102)]
    expect(after == [200, 200], f"new requests after 50 ms: {after}")
    for stream in streams:
        stream.join(120)
    verdicts = [s.verdict() for s in streams]
    cut = verdicts.count("error event")
    expect(cut + verdicts.count("whole") == 24, f"{sorted(set(verdicts))}")
    late = [s.began and s.began - killed for s in streams if s.verdict() == "error event" and not (s.began and s.began < killed + 0.05)]
    expect(not late, f"streams without content that were given up: {late}")
    expect(0 < cut <= 4, f"{cut} streams were cut")
    waited = sum(not s.began or s.began > killed for s in streams)
    return f"{cut} streams told of it, all {waited} without content whole"


@case("SIGHUP 20 times under 100 streams", seconds=60)
def reloads(stage):
    first, second, process, url, text = pair(stage)
    path = process.command[process.command.index("--config") + 1]
    streams = [Stream(url, body(f"s{i}", tokens=1500, delay_us=2000)) for i in range(STREAMS)]
    wait_until(lambda: all(s.began for s in streams), 10)

    def reload(new, wanted):
        with open(path, "w") as file:
            file.write(new)
        count = process.said().count(wanted)
        process.child.send_signal(signal.SIGHUP)
        wait_until(lambda: process.said().count(wanted) > count, 5)

    without = "\n".join(line for line in text.split("\n") if "name: two" not in line)
    for turn in range(20):
        reload([without, text, text + "timeouts: {token: 4m}\n", "limits: {queue: 7}\n" + text][turn % 4], "reloaded: ")
        expect(fetch(url, "GET", "/v1/models").status == 200, "it does not answer")
    reload("backends: 5\n", "not reloaded: ")
    line = [line for line in process.said().splitlines() if "not reloaded: " in line][-1]
    expect(re.search(r"\.yaml:\d+:\d+: ", line), line)
    reload(text + "workers: 2\n", "workers cannot change")
    for stream in streams:
        stream.join(30)
    verdicts = [s.verdict() for s in streams]
    expect(all(v == "whole" for v in verdicts), f"{sorted(set(verdicts))}")
    return f"{len(verdicts)} streams whole"


@case("slots hold for two workers together, and both learn of a reload", seconds=60)
def two_workers(stage):
    upstream, address = mock(stage, "mock-shared")
    text = f"listen: 127.0.0.1:0\nworkers: 2\nbackends:\n  - {{name: one, kind: llama-server, url: \"{address}\", slots: 2}}\n"
    process, url = stage.sluice_with(text)
    wait_until(lambda: fetch(url, "GET", "/ready").status == 200, 5)
    streams = [Stream(url, body(f"w{i}", tokens=20, delay_us=10_000)) for i in range(16)]
    seen = []
    while any(stream.is_alive() for stream in streams):
        state = fetch(url, "GET", "/v1/backends").json()
        seen.append((state["data"][0]["slots"]["used"], state["queued"]))
        time.sleep(0.02)
    expect([s.verdict() for s in streams] == ["whole"] * 16, f"{sorted({s.verdict() for s in streams})}")
    expect(max(used for used, _ in seen) == 2, f"slots used and requests queued: {seen}")
    expect(max(queued for _, queued in seen) > 8, f"slots used and requests queued: {seen}")
    with open(process.command[process.command.index("--config") + 1], "w") as file:
        file.write(text + "keys: [{name: alice, key: AAA}]\n")
    process.child.send_signal(signal.SIGHUP)
    wait_until(lambda: "reloaded: " in process.said(), 5)
    time.sleep(0.1)
    # Enough connections to meet both workers.
    without = {fetch(url, "GET", "/v1/models").status for _ in range(40)}
    expect(without == {401}, f"without a key: {without}")
    with_key = {fetch(url, "POST", PATH, {**body("k", tokens=2), "stream": False}, {"Authorization": "Bearer AAA"}).status
                for _ in range(20)}
    expect(with_key == {200}, f"with the key: {with_key}")
    return f"2 of 2 slots used, up to {max(queued for _, queued in seen)} waited"


class Closer(threading.Thread):
    """An Ollama that closes its connection after each answer without having said that it would."""

    MODELS = {"/api/version": '{"version":"0.33.0"}', "/api/tags": '{"models":[{"name":"tiny"}]}', "/api/ps": '{"models":[]}',
              "/api/show": '{"capabilities":["completion"]}'}
    ANSWER = '{"message":{"role":"assistant","content":"x"},"done":true,"done_reason":"stop","eval_count":1}\n'

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            with connection:
                data = b""
                while b"\r\n\r\n" not in data:
                    piece = connection.recv(65536)
                    if not piece:
                        break
                    data += piece
                if not data:
                    continue
                head, _, rest = data.partition(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                while length and len(rest) < int(length[1]):
                    rest += connection.recv(65536)
                answer = self.MODELS.get(head.split(b" ")[1].decode(), self.ANSWER).encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s"
                                   % (len(answer), answer))


@case("10,000 requests to a backend that closes after each reply", seconds=120)
def closing_backend(stage):
    closer = Closer()
    _, url = stage.sluice("--backend", "ollama=" + closer.url)
    wait_until(lambda: fetch(url, "GET", "/ready").status == 200, 5)
    statuses = {}
    data = json.dumps({"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}).encode()
    with contextlib.closing(http.client.HTTPConnection(url.split("://")[1], timeout=30)) as connection:
        for _ in range(10_000):
            connection.request("POST", PATH, data)
            response = connection.getresponse()
            response.read()
            statuses[response.status] = statuses.get(response.status, 0) + 1
    expect(statuses == {200: 10_000}, f"statuses {statuses}")
    return f"{statuses[200]} answers"


@case("20 conversations of 10 turns in lockstep stay where they are, and two backends with 10 slots share them", seconds=120)
def conversations(stage):
    notes = []
    for workers in (1, 2):
        text = f"listen: 127.0.0.1:0\nworkers: {workers}\nbackends:\n" + "".join(
            f"  - {{name: {name}, kind: llama-server, url: \"{mock(stage, 'mock-' + name)[1]}\", slots: 10}}\n" for name in ("one", "two"))
        process, url = stage.sluice_with(text)
        wait_until(lambda: fetch(url, "GET", "/ready").status == 200, 5)
        places = [[] for _ in range(20)]
        talks = [[{"role": "system", "content": "You are terse."}] for _ in range(20)]
        for turn in range(10):
            for number, messages in enumerate(talks):
                messages.append({"role": "user", "content": f"{number}: question {turn} [[mock tokens=5 delay_us=10000]]"})
            streams = [Stream(url, {"model": "mock", "stream": True, "messages": messages}) for messages in talks]
            for number, stream in enumerate(streams):
                stream.join(30)
                expect(stream.verdict() == "whole", stream.verdict())
                places[number].append(stream.backend)
                talks[number].append({"role": "assistant", "content": f"answer {turn}"})
        returned = sum(a == b for turns in places for a, b in zip(turns, turns[1:]))
        share = sum(turns.count("one") for turns in places) / 200
        expect(returned >= 0.95 * 180 and 0.45 <= share <= 0.55, f"{workers} workers: {returned} of 180 returned, {share:.0%} at one")
        # Twenty go on with one conversation: when its backend is full, they go to the other rather than wait.
        talk = [{"role": "system", "content": "Be long. [[mock tokens=100 delay_us=10000]]"}, {"role": "user", "content": "begin"}]
        begun = Stream(url, {"model": "mock", "stream": True, "messages": talk})
        begun.join(30)
        blockers = [Stream(url, {"model": "mock", "stream": True, "messages": talk + [
            {"role": "assistant", "content": "and"}, {"role": "user", "content": str(n)}]}) for n in range(20)]
        wait_until(lambda: all(s.backend for s in blockers), 10)
        there = [s.backend for s in blockers].count(begun.backend)
        expect(there == 10, f"{there} of them at the backend of the conversation")
        for stream in blockers:
            stream.join(30)
        notes.append(f"{workers} workers: {returned} of 180 returned, {share:.1%} at one")
    return "; ".join(notes)


@case("conversations return to the llama-server that has them in its cache", seconds=180)
def caches(stage):
    servers = [stage.start(f"llama-{n}", [os.path.join(PROJECT, "scripts", "run-llama-server"), "--port", "0", "--alias", "twin",
                                          "--set", "n_parallel=2"]) for n in (1, 2)]
    urls = [server.url(120) for server in servers]
    process, url = stage.sluice(*(word for address in urls for word in ("--backend", "llama-server=" + address)))
    wait_until(lambda: b"twin" in fetch(url, "GET", "/v1/models").body, 10)
    talks = {name: [{"role": "user", "content": f"{name}: tell me of the {name} and its long history. " * 8}] for name in ("owl", "fox")}
    cached, places = [], {name: [] for name in talks}
    for turn in range(5):
        for name, messages in talks.items():
            answer = fetch(url, "POST", PATH, {"model": "twin", "messages": messages, "max_tokens": 8, "temperature": 0})
            expect(answer.status == 200, f"status {answer.status} {answer.body[:200]!r}")
            document = answer.json()
            places[name].append(answer.headers["x-sluice-backend"])
            if turn:
                cached.append(document["usage"]["prompt_tokens_details"]["cached_tokens"] / document["usage"]["prompt_tokens"])
            messages += [document["choices"][0]["message"], {"role": "user", "content": f"And then, number {turn}?"}]
    expect(all(len(set(p)) == 1 for p in places.values()), f"they moved: {places}")
    expect(min(cached) > 0.5, f"cached shares {[round(c, 2) for c in cached]}")
    return f"at least {min(cached):.0%} of each later prompt was in the cache; {({n: p[0] for n, p in places.items()})}"

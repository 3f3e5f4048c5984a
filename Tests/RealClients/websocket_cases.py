"""WebSocket clients: the `websockets` package in front of a real llama-server, and clients that misbehave."""
import asyncio
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time

from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from browser import served
from harness import case, chat, expect, fetch, wait_until
from leaving_cases import LONG, Slots, mock_stats, token_time
from tls_cases import authority, secure_front
from websocket_wire import TEXT, Raw

PATH = "/v1/chat/completions"
FIXED = {"temperature": 0, "seed": 7, "max_tokens": 24}


def address(url):
    return url.replace("http", "ws", 1) + PATH


def asked(identity=None, model="tiny-llama", text="Hello", **more):
    body = chat(model, text, **more)
    return json.dumps({"id": identity, **body} if identity else body)


def over(message):
    """Whether this is the last message of a request."""
    return message == "[DONE]" or any(f'"{word}":' in message[:300] for word in ("done", "cancelled", "error"))


def text_of(chunks):
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


@case("websocket: a stream by messages has the chunks of a stream by HTTP", each_kind=True)
def same_chunks(stage, backend):
    _, url = stage.main()
    body = {"model": backend.model, "messages": [{"role": "user", "content": "Hello"}], "stream": True,
            "stream_options": {"include_usage": True}, **FIXED}
    lines = fetch(url, "POST", PATH, body).body.decode().split("\n\n")
    by_http = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    with connect(address(url), compression=None) as ws:
        ws.send(json.dumps(body))
        messages = []
        while not messages or messages[-1] != "[DONE]":
            messages.append(ws.recv(20))
    by_message = [json.loads(m) for m in messages[:-1]]
    for chunk in by_http + by_message:  # what differs between two runs
        for name in ("id", "created", "timings"):
            chunk.pop(name, None)
        (chunk.get("usage") or {}).pop("prompt_tokens_details", None)
    expect(by_http == by_message, f"{by_http}\n{by_message}")
    return f"{len(by_message)} chunks"


@case("websocket: one message for a request without a stream, with the client's id")
def whole_answer(stage):
    _, url = stage.main()
    whole = fetch(url, "POST", PATH, chat("tiny-llama", "Hello", **FIXED)).json()
    with connect(address(url)) as ws:
        expect("Sec-WebSocket-Extensions" not in ws.response.headers, "compression, which is not offered")
        ws.send(asked("mine", **FIXED))
        answer = json.loads(ws.recv(20))
        expect(answer["id"] == "mine" and answer["object"] == "chat.completion", f"{answer}")
        expect(answer["choices"] == whole["choices"], f"{answer} {whole}")
        with contextlib.suppress(TimeoutError):
            expect(False, f"another message: {ws.recv(0.2)}")


@case("websocket: 40 requests in parallel on one connection come whole, each under its id", seconds=120)
def parallel(stage):
    _, url = stage.main()
    async def run():
        async with connect_async(address(url), max_size=None) as ws:
            for n in range(40):
                await ws.send(asked(f"r{n}", text=f"Count to {n}", stream=n % 4 != 3, **FIXED))
            answers, running = {f"r{n}": [] for n in range(40)}, 40
            turns, last = 0, None
            while running:
                message = await asyncio.wait_for(ws.recv(), 60)
                answer = json.loads(message)
                turns += answer["id"] != last
                last = answer["id"]
                answers[last].append(answer)
                running -= over(message) or answer.get("object") == "chat.completion"
            return answers, turns
    answers, turns = asyncio.run(run())
    for name, messages in answers.items():
        expected = fetch(url, "POST", PATH, chat("tiny-llama", f"Count to {name[1:]}", **FIXED)).json()
        wanted = expected["choices"][0]["message"]["content"]
        if messages[-1].get("object") == "chat.completion":
            expect(len(messages) == 1, f"{len(messages)} messages")
            got = messages[0]["choices"][0]["message"]["content"]
        else:
            expect(messages[-1]["done"] and messages[-1]["headers"]["x-sluice-backend"], f"{messages[-1]}")
            got = text_of(messages[:-1])
        # Slots that work side by side calculate in another order, and may tell another story.
        expect(got[:5] == wanted[:5] and len(got) > 5, f"{name}: {got!r}, alone {wanted!r}")
    expect(turns > 60, f"they came one after the other: {turns} turns")
    return f"{turns} changes from one to another"


@case("websocket: cancel frees llama-server's slot, and only that one", seconds=120)
def cancel(stage):
    _, url = stage.slow()
    slots = Slots(stage.llama(200))
    wait_until(lambda: not slots.busy(), 20)
    times = []
    with connect(address(url)) as ws:
        ws.send(asked("stays", "slow-llama", stream=True, **LONG))
        for n in range(5):
            ws.send(asked(f"goes-{n}", "slow-llama", stream=True, **LONG))
            wait_until(lambda: len(slots.busy()) == 2, 20)
            while json.loads(ws.recv(10))["id"] != f"goes-{n}":
                pass
            ws.send(json.dumps({"type": "cancel", "id": f"goes-{n}"}))
            begin = time.monotonic()
            wait_until(lambda: len(slots.busy()) == 1, 20, pause=0)
            times.append((time.monotonic() - begin) * 1000)
            while True:
                message = json.loads(ws.recv(10))
                if "cancelled" in message:
                    break
            expect(message == {"id": f"goes-{n}", "cancelled": True}, f"{message}")
        expect(json.loads(ws.recv(10))["id"] == "stays", "the other goes on")
        expect(len(slots.busy()) == 1, "the other's slot works")
    wait_until(lambda: not slots.busy(), 20)
    token = 2 * token_time(stage)  # two share the processor
    note = f"freed after {', '.join(f'{t:.0f}' for t in times)} ms; a token takes {token:.0f} ms"
    expect(max(times) <= 50 + 2 * token, note)
    return note


@case("websocket: cancel closes the upstream within 50 ms")
def cancel_mock(stage):
    _, url = stage.sluice("--backend", "llama-server=" + stage.mock(), name="sluice-cancel")
    long = "[[mock tokens=100000 delay_us=50000]]"
    times = []
    wait_until(lambda: mock_stats(stage)["active"] == 0, 5)
    with connect(address(url)) as ws:
        for n in range(20):
            ws.send(asked("x", "mock", long, stream=True))
            ws.recv(10)
            begin = time.monotonic()
            ws.send('{"type":"cancel","id":"x"}')
            wait_until(lambda: mock_stats(stage)["active"] == 0, 5, pause=0)
            times.append((time.monotonic() - begin) * 1000)
            while "cancelled" not in ws.recv(10):
                pass
    note = f"closed after {sorted(times)[10]:.1f} ms, at most {max(times):.1f}"
    expect(max(times) <= 50, note)
    return note


CLIENT = """
import sys
from websockets.sync.client import connect
with connect(sys.argv[1], max_size=None) as ws:
    for message in sys.argv[2:]:
        ws.send(message)
    for _ in range(8):
        ws.recv()
    print("running", flush=True)
    while True:
        ws.recv()
"""


@case("websocket: kill -9 of a client frees the slots of all its requests", seconds=120)
def killed(stage):
    sluice, url = stage.slow()
    slots = Slots(stage.llama(200))
    wait_until(lambda: not slots.busy(), 20)
    times = []
    for _ in range(3):
        before = sluice.descriptors()
        messages = [asked(f"k{n}", "slow-llama", stream=n != 1, **LONG) for n in range(3)]
        command = [sys.executable, "-c", CLIENT, address(url), *messages]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child, contextlib.ExitStack() as stack:
            stack.callback(child.kill)
            child.stdout.readline()
            wait_until(lambda: len(slots.busy()) >= 2, 10)
            child.send_signal(signal.SIGKILL)
            begin = time.monotonic()
            wait_until(lambda: not slots.busy(), 20, pause=0)
            times.append((time.monotonic() - begin) * 1000)
        wait_until(lambda: sluice.descriptors() <= before, 5)
    token = 4 * token_time(stage)
    note = f"freed after {', '.join(f'{t:.0f}' for t in times)} ms; a token takes {token:.0f} ms"
    expect(max(times) <= 100 + 2 * token, note)
    return note


@case("websocket: a client that reads nothing of 200 MiB costs at most 2 MiB, and others do not notice", seconds=90)
def slow_reader(stage):
    sluice, url = stage.sluice("--backend", "llama-server=" + stage.mock(), name="sluice-ws-flood")
    for _ in range(20):
        fetch(url, "POST", PATH, chat("mock", "[[mock tokens=200 size=1000]]", stream=True))
    with connect(address(url), max_size=None) as ws:  # what is allocated once is not the flood's
        ws.send(asked(None, "mock", "[[mock tokens=200 size=1000]]", stream=True))
        while ws.recv(10) != "[DONE]":
            pass
    before, sent = sluice.memory(), mock_stats(stage)["bytes_sent"]
    with Raw(url, receive_buffer=4096) as reader, connect(address(url)) as other:
        reader.text(asked("flood", "mock", f"[[mock tokens={200 * 256} size=4096]]", stream=True).encode())
        peak, slowest, end = 0, 0, time.monotonic() + 5
        while time.monotonic() < end:
            begin = time.monotonic()
            other.send(asked(None, "mock", "[[mock tokens=10]]", stream=True))
            while other.recv(10) != "[DONE]":
                pass
            slowest = max(slowest, time.monotonic() - begin)
            peak = max(peak, sluice.memory())
            time.sleep(0.02)
        taken = (mock_stats(stage)["bytes_sent"] - sent) / 1048576
        grown = (peak - before) / 1048576
        note = f"grew {grown:.2f} MiB, {taken:.1f} MiB taken from the upstream; another's stream took at most {slowest * 1000:.0f} ms"
        expect(taken < 100 and grown <= 2, note)
        # It may read on, and loses nothing.
        numbers, last = 0, b""
        while b'"done":true' not in last:
            opcode, last = reader.read()
            if opcode == TEXT and b'"content":"[' in last:
                expect(f'"content":"[{numbers}:'.encode() in last, f"token {numbers} is missing: {last[:200]}")
                numbers += 1
        expect(numbers == 200 * 256, f"{numbers} tokens")
    return note


@case("websocket: what is wrong is told as an error with the id, and the connection goes on")
def errors(stage):
    _, url = stage.main()
    with connect(address(url)) as ws:
        for message, identity, code, param in (
                (asked("a", "no-such-model"), "a", "model_not_found", "model"),
                (json.dumps({"id": "b", "model": "tiny-llama"}), "b", "missing_field", "messages"),
                ("no JSON", None, "invalid_json", None),
                ("[]", None, "invalid_value", None),
                (asked("x" * 129), None, "invalid_value", "id"),
                (json.dumps({"id": 3}), None, "invalid_value", "id"),
                (json.dumps({"type": "session.update", "id": "c"}), "c", "invalid_value", "type"),
                (asked("d", n="many"), "d", "invalid_value", "n")):
            ws.send(message)
            answer = json.loads(ws.recv(10))
            expect(answer.get("id") == identity, f"{message}: {answer}")
            error = answer["error"]
            expect(error["code"] == code and error["param"] == param, f"{message}: {error}")
        ws.send(asked(**FIXED, stream=True))
        while ws.recv(10) != "[DONE]":
            pass


@case("websocket: keys by header and by subprotocol; foreign names and pages are kept out")
def keys(stage):
    _, url = stage.sluice_with(
        "listen: 127.0.0.1:0\nkeys: [{name: alice, key: sk-alice}]\nbackends:\n"
        f"  - {{name: mock, kind: llama-server, url: '{stage.mock()}'}}\n", name="sluice-ws-keys")
    def status(**how):
        try:
            with connect(address(url), **how) as ws:
                ws.send(asked(None, "mock", "[[mock tokens=2]]"))
                expect("choices" in json.loads(ws.recv(10)), "no answer")
                return ws.subprotocol or 101
        except InvalidStatus as refused:
            expect(json.loads(refused.response.body)["error"]["message"], "no error")
            return refused.response.status_code
    wanted = [
        ({}, 401), ({"additional_headers": {"Authorization": "Bearer sk-alice"}}, 101),
        ({"additional_headers": {"x-api-key": "sk-alice"}}, 101),
        ({"subprotocols": ["sluice", "openai-insecure-api-key.sk-alice"]}, "sluice"),
        ({"subprotocols": ["openai-insecure-api-key.sk-alice"]}, "openai-insecure-api-key.sk-alice"),
        ({"subprotocols": ["openai-insecure-api-key.sk-nobody", "sluice"]}, 401),
        ({"origin": "https://evil.example", "additional_headers": {"Authorization": "Bearer sk-alice"}}, 403),
    ]
    got = [(how, status(**how)) for how, _ in wanted]
    expect(got == wanted, f"{got}")


@case("websocket: SIGTERM lets streams end, then says going away")
def drained(stage):
    sluice, url = stage.sluice("--backend", "llama-server=" + stage.mock(), name="sluice-ws-drain")
    with connect(address(url)) as busy, connect(address(url)) as idle:
        busy.send(asked("s", "mock", "[[mock tokens=30 delay_us=20000]]", stream=True))
        busy.recv(10)
        os.kill(sluice.pid, signal.SIGTERM)
        messages = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                messages.append(busy.recv(10))
        expect('"done":true' in messages[-1], f"{messages[-1]}")
        expect(busy.protocol.close_code == 1001, f"code {busy.protocol.close_code}")
        with contextlib.suppress(ConnectionClosed):
            expect(False, f"a message: {idle.recv(10)}")
        expect(idle.protocol.close_code == 1001, f"code {idle.protocol.close_code}")
    expect(sluice.child.wait(10) == 0, "exit code")


@case("websocket: each message has its log line, and metrics add up")
def logged(stage):
    sluice, url = stage.sluice("--backend", "llama-server=" + stage.mock(), name="sluice-ws-log")
    with connect(address(url)) as ws:
        for n in range(5):
            ws.send(asked(f"m{n}", "mock", "[[mock tokens=3]]", stream=True))
        done = 0
        while done < 5:
            done += over(ws.recv(10))
        lines = [line for line in sluice.said().splitlines() if " method=MESSAGE " in line]
        expect(len(lines) == 5 and all("ending=completed" in line and "status=200" in line for line in lines), f"{lines}")
        expect(len({line.split(" id=")[1].split()[0] for line in lines}) == 5, "five ids")
        metrics = fetch(url, "GET", "/metrics").body.decode()
        total = sum(int(float(line.split()[-1])) for line in metrics.splitlines()
                    if line.startswith("sluice_requests_total{") and 'model="mock"' in line)
        expect(total == 5, f"{total} requests counted")


@case("websocket: a connection has at most 128 requests at a time, and a flood of small ones costs little")
def many_requests(stage):
    sluice, url = stage.sluice("--backend", "llama-server=" + stage.mock(), name="sluice-ws-many")
    with connect(address(url), max_size=None) as ws:
        for n in range(140):
            ws.send(asked(f"q{n}", "mock", "[[mock tokens=100000 delay_us=100000]]", stream=True))
        refused = set()
        while len(refused) < 12:
            answer = json.loads(ws.recv(10))
            if "error" in answer:
                expect(answer["error"]["code"] == "overloaded", f"{answer}")
                refused.add(answer["id"])
        expect(refused == {f"q{n}" for n in range(128, 140)}, f"{refused}")
    wait_until(lambda: mock_stats(stage)["active"] == 0, 5)
    before = sluice.memory()
    with Raw(url, receive_buffer=4096) as ws:  # errors are longer than what they answer, and it reads none
        ws.socket.settimeout(2)
        with contextlib.suppress(TimeoutError):
            for _ in range(2000):
                ws.send((b"\x81\x82\0\0\0\0{}" + b"\x89\x80\0\0\0\0") * 1000)
        grown = (sluice.memory() - before) / 1048576
        expect(grown < 3, f"grew {grown:.1f} MiB")
        expect(fetch(url, "GET", "/health").status == 200, "others are served")
    return f"grew {grown:.1f} MiB"


@case("websocket: wss streams, cancels, and carries megabytes both ways")
def secure(stage):
    folder = authority(stage)
    process, url = secure_front(stage, folder)
    context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    with connect(address(url), ssl=context, max_size=None) as ws:
        ws.send(asked("long", "mock", "[[mock tokens=100000 delay_us=50000]]", stream=True))
        expect(json.loads(ws.recv(10))["id"] == "long", "the first chunk")
        ws.send(asked("big", "mock", "[[mock tokens=2000 size=2000]]" + "x" * (4 << 20), stream=True))
        ws.send('{"type":"cancel","id":"long"}')
        ended, tokens = {}, 0
        while len(ended) < 2:
            answer = json.loads(ws.recv(20))
            if "choices" not in answer:
                ended[answer["id"]] = sorted(answer)
            tokens += answer["id"] == "big" and "choices" in answer
        expect(ended == {"long": ["cancelled", "id"], "big": ["done", "headers", "id"]}, f"{ended}")
        expect(tokens == 2002, f"{tokens} chunks")
    wait_until(lambda: mock_stats(stage)["active"] == 0, 5)
    expect(process.stop() == 0, "exit code")


# A page as people write it: two chats side by side on one WebSocket, each shown as it comes.
PAGE = """<!doctype html><meta charset="utf-8"><title>chat</title><output id="a"></output><output id="b"></output><script>
let times = [], socket;
function begin(url, key) {
    socket = new WebSocket(url, key ? ['sluice', 'openai-insecure-api-key.' + key] : []);
    return new Promise(resolve => {
        socket.onopen = () => resolve('open ' + socket.protocol);
        socket.onclose = event => resolve('closed ' + event.code);
    });
}
function ask(requests, cancelAfter) {
    times = [];
    for (const id of ['a', 'b']) document.getElementById(id).textContent = '';
    const ends = {};
    for (const request of requests) socket.send(JSON.stringify(request));
    return new Promise(resolve => {
        socket.onclose = event => resolve('closed ' + event.code);
        socket.onmessage = ({data}) => {
            const answer = JSON.parse(data);
            if (!answer.choices) {
                ends[answer.id] = answer.error?.code ?? (answer.done ? 'done' : 'cancelled');
                if (Object.keys(ends).length == requests.length) resolve(ends);
                return;
            }
            const token = answer.choices[0]?.delta.content;
            if (!token) return;
            document.getElementById(answer.id).textContent += token;
            times.push([performance.now(), answer.id]);
            if (times.length == cancelAfter) socket.send(JSON.stringify({type: 'cancel', id: answer.id}));
        };
    });
}
</script>"""


@case("websocket: a page in Chromium streams two chats side by side, cancels one, and a foreign page gets nothing")
def page(stage):
    browser, llama = stage.browser(), stage.llama()
    _, url = stage.sluice_with(
        "listen: 127.0.0.1:0\nkeys: [{name: page, key: sk-page}]\nbackends:\n"
        f"  - {{name: mock, kind: llama-server, url: '{stage.mock()}'}}\n"
        f"  - {{name: llama, kind: llama-server, url: '{llama}'}}\n", name="sluice-ws-page")
    key = {"Authorization": "Bearer sk-page"}
    wait_until(lambda: len(fetch(url, "GET", "/v1/models", headers=key).json()["data"]) == 2, 10)
    whole = chat("tiny-llama", "Tell me a story", max_tokens=60, temperature=0, seed=1)
    wanted = fetch(url, "POST", PATH, whole, key).json()["choices"][0]["message"]["content"]
    call = lambda name, *values: f"{name}({', '.join(json.dumps(value) for value in values)})"
    with served(PAGE) as port, browser.page(f"http://localhost:{port}/") as page:
        expect(page.evaluate(call("begin", address(url), None)) == "closed 1006", "without a key")
        expect(page.evaluate(call("begin", address(url), "sk-page")) == "open sluice", f"{page.console}")
        slow = {"id": "a", **chat("mock", "[[mock tokens=60 delay_us=20000]]", stream=True)}
        end = page.evaluate(call("ask", [slow, {"id": "b", **whole, "stream": True}]))
        expect(end == {"a": "done", "b": "done"}, f"{end}")
        expect(page.evaluate("b.textContent") == wanted, "the text of llama-server's stream")
        times = [at for at, which in page.evaluate("times") if which == "a"]
        expect(len(times) == 60 and times[-1] - times[0] > 59 * 20 * 0.8, f"tokens came within {times[-1] - times[0]:.0f} ms")
        end = page.evaluate(call("ask", [{**slow, "id": "a"}], 5))
        expect(end == {"a": "cancelled"} and page.evaluate("times.length") < 10, f"{end}")
        page.evaluate("socket.close()")
        longest = max(late - early for early, late in zip(times, times[1:]))
    with served(PAGE) as port, browser.page(f"http://evil.example:{port}/") as page:
        end = page.evaluate(call("begin", address(url), "sk-page"))
        expect(end == "closed 1006", f"a foreign page: {end}")
    return f"longest gap {longest:.0f} ms"

"""The live page in a real browser: its numbers move, its button ends a request at once, and who may not look does not."""
import http.client
import json
import os
import re
import socket
import subprocess
import time

from browser import served
from harness import case, chat, events, expect, expect_error, fetch, free_port, wait_until
from metrics_text import scrape, total


# A chunk with text in it; the role's has none.
TOKEN = re.compile(rb'"content":"[^"]')


class Stream:
    """A chat that streams on a connection of its own, read bit by bit."""

    def __init__(self, url, body, headers=None):
        self.raw = b""
        self.connection = http.client.HTTPConnection(url.split("://")[1], timeout=30)
        self.connection.request("POST", "/v1/chat/completions", json.dumps(body), headers or {})
        self.response = self.connection.getresponse()

    def read_until(self, pattern):
        while not pattern.search(self.raw):
            piece = self.response.read1(65536)
            expect(piece, f"the stream ended before {pattern}: {self.raw[-200:]!r}")
            self.raw += piece
        return self

    def rest(self):
        self.raw += self.response.read()
        return self.raw

    def close(self):
        self.connection.close()


def stage_of(stage, workers=1, more="", delay=20000, tokens=3000):
    """A Sluice in front of a mock that streams on and on; (process, url, address of the mock)."""
    port = free_port()
    stage.start("mockllm", [os.path.join(stage_path("Benchmarks"), "mockllm"), "--listen", f"127.0.0.1:{port}",
                            f"delay_us={delay}", f"tokens={tokens}", "first_us=5000"])
    mock = f"http://127.0.0.1:{port}"
    wait_until(lambda: fetch(mock, "GET", "/health").status == 200, 5)
    process, url = stage.sluice_with(
        f"listen: 127.0.0.1:0\nworkers: {workers}\n{more}backends:\n"
        f"  - {{name: gpu, kind: llama-server, url: '{mock}', models: [tiny], slots: 2000}}\n", name="sluice-ui")
    return process, url, mock


def stage_path(name):
    return os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), name)


def state(url, headers=None):
    answer = fetch(url, "GET", "/ui/api/state", headers=headers)
    expect(answer.status == 200, f"the state answers {answer.status}: {answer.body[:200]!r}")
    return answer.json()


def stats(mock):
    return fetch(mock, "GET", "/stats").json()


FIRST_ROW = "document.querySelector('#flight tbody tr')"
TOKENS = f"Number({FIRST_ROW}?.querySelectorAll('td.n')[0].textContent.replace(',', '') || 0)"


@case("the page shows a stream's numbers as they move, and Stop frees the upstream within 50 ms; the client keeps its text")
def stop_by_mouse(stage):
    process, url, mock = stage_of(stage)
    return with_page(stage, url, lambda page: moves_and_stops(stage, page, process, url, mock))


def with_page(stage, url, run, **looks):
    page = stage.browser().page(url + "/ui", **looks)
    try:
        note = run(page)
        expect(not page.console, f"the console: {page.console}")
        return note
    finally:
        page.close()


def moves_and_stops(stage, page, process, url, mock):
    page.wait_for("document.getElementById('link').textContent === 'live'")
    # A busy machine is late once, a slow program always.
    for attempt in range(3):
        took, freed = one_stop(page, url, mock, attempt + 1)
        if freed < 50:
            break
    expect(took < 50 and freed < 50, f"{took:.1f} ms from the click to the client's end, {freed:.1f} ms until the upstream was free")
    wait_until(lambda: "ending=stopped_by_operator" in process.said(), 2)
    return f"{took:.1f} ms to the client's end, {freed:.1f} ms until the mock said that it was free"


def one_stop(page, url, mock, number):
    """Milliseconds from the click to the end of the client's stream, and until the mock has no stream any more."""
    stream = Stream(url, chat("tiny", "x", stream=True)).read_until(TOKEN)
    page.wait_for("document.getElementById('in-flight').textContent === '1'")
    page.wait_for("document.querySelectorAll('#flight .streaming').length === 1")
    first = page.wait_for(TOKENS)
    page.wait_for(f"{TOKENS} > {first}")
    expect("streaming" in page.text("#flight tbody tr"), page.text("#flight"))
    page.evaluate("document.querySelector('#flight .stop').addEventListener('click', () => "
                  "window.clicked = performance.timeOrigin + performance.now())")
    page.click("#flight .stop")
    told = events(stream.rest())
    took = time.time() * 1000 - page.evaluate("window.clicked")
    wait_until(lambda: stats(mock)["active"] == 0, 1, pause=0.002)
    freed = time.time() * 1000 - page.evaluate("window.clicked")
    error = json.loads(told[-1])["error"]
    expect(error["code"] is None and error["message"] == "An operator has stopped this request.", told[-1])
    expect("[DONE]" not in told and not any('"finish_reason":"stop"' in one for one in told), "it looks complete")
    expect(sum('"content":' in one for one in told) > 5, "the text that had come was not delivered")
    page.send("Input.dispatchMouseEvent", type="mouseMoved", x=5, y=5)  # away from the rows, which stay under the pointer
    page.wait_for("document.getElementById('in-flight').textContent === '0' && !document.querySelector('#flight tbody tr')")
    page.wait_for(f"document.querySelector('#recent tbody').innerText.split('stopped by operator').length === {number + 1}")
    return took, freed


@case("with two workers, each of 16 streams is shown once and can be stopped within 50 ms, whichever worker has it")
def stop_elsewhere(stage):
    _, url, mock = stage_of(stage, workers=2)
    streams = [Stream(url, chat("tiny", "x", stream=True)).read_until(TOKEN) for _ in range(16)]
    listed = state(url)
    expect(listed["workers"] == 2 and listed["in_flight"] == 16, f"{listed['workers']} {listed['in_flight']}")
    ids = [request["id"] for request in listed["requests"]]
    expect(len(set(ids)) == 16, f"listed twice: {ids}")
    expect({one.split("-")[0] for one in ids} == {"0", "1"}, f"all on one worker: {ids}")
    slowest = 0
    for count, one in enumerate(ids, 1):
        begin = time.monotonic()
        answer = fetch(url, "POST", f"/ui/api/requests/{one}/stop")
        expect(answer.status == 200 and answer.json() == {"stopped": one}, f"{answer.status} {answer.body!r}")
        wait_until(lambda: stats(mock)["active"] == 16 - count, 1, pause=0.001)
        slowest = max(slowest, time.monotonic() - begin)
        expect_error(fetch(url, "POST", f"/ui/api/requests/{one}/stop"), 404, "unknown_path")
    expect(slowest < 0.05, f"{slowest * 1000:.1f} ms until the upstream was free")
    for stream in streams:
        expect(b"An operator has stopped this request." in stream.rest(), "not told")
    return f"the slowest took {slowest * 1000:.1f} ms"


@case("by keyboard alone: Tab comes to every control in order, Enter stops, and a screen reader hears what is what")
def by_keyboard(stage):
    _, url, mock = stage_of(stage)
    with_page(stage, url, lambda page: keys_and_labels(page, url, mock), width=1100)


def keys_and_labels(page, url, mock):
    stream = Stream(url, chat("tiny", "x", stream=True)).read_until(TOKEN)
    page.wait_for("document.querySelector('#flight .stop') !== null")
    page.evaluate("document.querySelector('details').open = true")
    seen = page.accessible()
    for wanted in [("heading", "In flight"), ("heading", "Backends"), ("heading", "Try a prompt"), ("heading", "Last requests"),
                   ("table", "In flight"), ("columnheader", "Tokens/s"), ("combobox", "Model"), ("textbox", "Prompt"),
                   ("button", "Send"), ("button", "Copy"), ("button", "Stop the request for tiny from 127.0.0.1"),
                   ("meter", "Slots of gpu in use")]:
        expect(wanted in seen, f"a screen reader does not find {wanted}")
    expect(any(role == "image" and name.startswith("Tokens per second in the last two minutes: now ") for role, name in seen),
           "the curve says nothing")
    nameless = [one for one in seen if one[0] in ("button", "textbox", "combobox", "link", "image", "table") and not one[1]]
    expect(not nameless, f"without a name: {nameless}")
    order = []
    page.evaluate("document.activeElement.blur()")
    for _ in range(7):
        page.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.className || document.activeElement.tagName"))
        expect(page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", f"{order[-1]}: the focus is not seen")
    expect(order == ["stop", "model", "send", "prompt", "SUMMARY", "curl", "copy"], f"the order is {order}")
    page.evaluate("document.querySelector('#flight .stop').focus()")
    page.press("Enter")
    expect(b"An operator has stopped this request." in stream.rest(), "not stopped")
    # The row stays while the focus is in it, and says what became of it.
    page.wait_for("document.querySelector('#flight tbody').innerText.includes('stopped')")
    expect(page.evaluate("document.activeElement.className") == "stop", "the focus was lost")


@case("a prompt that is tried streams into the page, can be stopped there, and its curl line gives the same answer in a shell")
def try_a_prompt(stage):
    llama = stage.llama()
    _, url = stage.sluice_with(
        f"listen: 127.0.0.1:0\nkeys: [{{name: alice, key: sk-alice}}]\nbackends:\n  - {{name: gpu, kind: llama-server, url: '{llama}'}}\n",
        name="sluice-try")
    def run(page):
        page.wait_for("!document.getElementById('lock').hidden")
        page.write("sk-wrong")
        page.press("Enter")
        page.wait_for("document.getElementById('lock-fault').textContent.includes('does not know')")
        page.write("sk-alice")
        page.press("Enter")
        page.wait_for("document.getElementById('model').value === 'tiny-llama'")
        page.click("#prompt")
        page.write("Don't \"stop\"; $HOME `id`")
        page.evaluate("document.getElementById('try').requestSubmit()")
        page.wait_for("document.getElementById('text').textContent.length > 0", 20)
        page.wait_for("document.getElementById('send').textContent === 'Send'", 60)
        outcome = page.text("#outcome")
        expect(re.match(r"[\d,]+ tokens, [\d.,]+ a second, the first after .+", outcome), outcome)
        command = page.evaluate("document.getElementById('curl').textContent")
        expect("sk-alice" not in command, "the key is in the command")
        said = subprocess.run(["sh", "-c", command + " --silent --max-time 20"], env=dict(os.environ, SLUICE_KEY="sk-alice"), capture_output=True)
        expect(b"data: [DONE]" in said.stdout, f"curl: {said.stdout[:300]} {said.stderr[:300]}")
        expect(page.evaluate("sessionStorage.getItem('sluice-key')") == "sk-alice" and not page.evaluate("localStorage.length"),
               "the key is kept elsewhere")
        words = page.evaluate("document.getElementById('text').textContent")
        told = fetch(url, "GET", "/ui/api/state", headers={"Authorization": "Bearer sk-alice"})
        expect(b"Don't" not in told.body and words[:20].encode() not in told.body, "words of a chat are in the figures")
        # The browser says so of each 401.
        page.console[:] = [line for line in page.console if "401" not in line]
    with_page(stage, url, run)


@case("pages from elsewhere can neither read the figures nor press Stop nor frame the page; with ui: false there is nothing")
def foreign(stage):
    _, url, _ = stage_of(stage)
    stream = Stream(url, chat("tiny", "x", stream=True)).read_until(TOKEN)
    one = state(url)["requests"][0]["id"]
    port = url.rsplit(":", 1)[1]
    attack = f"""(async () => {{
        const tried = [];
        for (const [path, options] of [['/ui/api/state', {{}}], ['/ui/api/events', {{}}],
            ['/ui/api/requests/{one}/stop', {{method: 'POST'}}],
            ['/ui/api/requests/{one}/stop', {{method: 'POST', mode: 'no-cors', body: 'x'}}]])
            tried.push(await fetch('{url}' + path, options).then(answer => answer.type + answer.status, () => 'failed'));
        return tried;
    }})()"""
    with served("<!doctype html><title>other</title>") as other:
        for name in ("localhost", "127.0.0.1", "evil.example"):
            with stage.browser().page(f"http://{name}:{other}/") as page:
                tried = page.evaluate(attack)
                expect(all(one in ("failed", "opaque0", "cors403") for one in tried), f"{name}: {tried}")
    # A name that leads here but is not ours (rebinding), in the address itself.
    with stage.browser().page(f"http://rebound.example:{port}/ui") as page:
        expect("no name of this machine" in page.text(), page.text()[:200])
    framing = f"<!doctype html><title>frame</title><iframe src='{url}/ui'></iframe>"
    with served(framing) as other, stage.browser().page(f"http://localhost:{other}/") as page:
        wait_until(lambda: any("frame" in line.lower() for line in page.console) or page.evaluate("1") != 1, 5)
    expect(state(url)["requests"][0]["id"] == one, "it was stopped")
    stream.close()
    _, locked = stage.sluice_with(
        "listen: 127.0.0.1:0\nkeys: [{name: a, key: sk-a}, {name: b, key: sk-b, ui: false}]\n"
        "backends: [{name: a, kind: llama-server, url: 'http://127.0.0.1:9'}]\n", name="sluice-locked")
    for path in ("/ui/api/state", "/ui/api/events"):
        expect_error(fetch(locked, "GET", path), 401, "invalid_api_key")
        expect_error(fetch(locked, "GET", path, headers={"x-api-key": "sk-b"}), 403, "forbidden")
    expect(state(locked, {"x-api-key": "sk-a"})["in_flight"] == 0, "the other key may")
    _, off = stage.sluice_with("listen: 127.0.0.1:0\nui: false\nbackends: [{name: a, kind: llama-server, url: 'http://127.0.0.1:9'}]\n", name="sluice-off")
    for path in ("/ui", "/ui/app.js", "/ui/api/state", "/ui/api/events"):
        expect_error(fetch(off, "GET", path), 404, "unknown_path")


@case("memory for the page is bounded: 600 streams, 16 who look and do not read, a 17th is refused, 300 ended requests", seconds=120)
def bounded(stage):
    process, url, _ = stage_of(stage, delay=200000, tokens=100000)
    address = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
    for _ in range(300):
        fetch(url, "POST", "/v1/chat/completions", {"model": "x" * 5000, "messages": [{"role": "user", "content": "x"}]})
    body = json.dumps(chat("tiny", "x", stream=True))
    streams = []
    for number in range(600):
        stream = socket.create_connection(address)
        stream.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        streams.append(stream)
    wait_until(lambda: state(url)["in_flight"] == 600, 20, pause=0.2)
    listed = state(url)
    expect(len(listed["requests"]) == 512, f"{len(listed['requests'])} rows")
    expect(len(listed["recent"]) == 200, f"{len(listed['recent'])} ended requests")
    size = len(json.dumps(listed))
    before = process.memory()
    watchers = []
    for _ in range(16):
        watcher = socket.socket()
        watcher.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        watcher.connect(address)
        watcher.sendall(b"GET /ui/api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        watchers.append(watcher)
    wait_until(lambda: fetch(url, "GET", "/ui/api/events", timeout=2).status == 503, 10)
    held = []
    # Until the kernel takes no more for any of them, and a while on. How much of the last look is left over is chance, and
    # the same for all, since they were sent the same.
    while len(held) < 60 and (len(held) < 6 or min(held[-6:]) == 0):
        time.sleep(1)
        held.append(int(total(scrape(url), "sluice_unsent_bytes")))
    expect(max(held) > 0, f"nobody was ever behind: {held}, {size} bytes a look")
    grown = process.memory() - before
    # What a watcher has not taken is at most the one snapshot that it was sent last.
    expect(max(held) <= 16 * (size + 4096), f"{max(held)} bytes are held for 16 of {size} each")
    expect(grown < 16 * size + (4 << 20), f"{grown >> 10} KiB more memory")
    expect(state(url)["in_flight"] == 600, "streams were harmed")
    for one in watchers + streams:
        one.close()
    wait_until(lambda: state(url)["in_flight"] == 0, 10)
    return f"{size >> 10} KiB a snapshot, {max(held) >> 10} KiB unsent, {grown >> 10} KiB more memory"


@case("sluice top tells the same in a terminal: once, as JSON, and live until q")
def in_the_terminal(stage):
    _, url, _ = stage_of(stage)
    stream = Stream(url, chat("tiny", "x", stream=True)).read_until(TOKEN)
    def top(*options):
        return subprocess.run([stage.options.sluice, "top", "--listen", url.split("://")[1], *options],
                              capture_output=True, text=True, timeout=20)
    once = top("--once")
    expect(once.returncode == 0 and "1 in flight" in once.stdout, once)
    expect(re.search(r"streaming +tiny +gpu +127\.0\.0\.1 +\d+ ", once.stdout), once.stdout)
    told = json.loads(top("--json").stdout)
    expect(told["requests"][0]["phase"] == "streaming" and told["backends"][0]["name"] == "gpu", told)
    expect(top().stdout.startswith("Sluice "), "what is no terminal gets it once")
    import pty
    child, terminal = pty.fork()
    if child == 0:
        os.execv(stage.options.sluice, [stage.options.sluice, "top", "--listen", url.split("://")[1]])
    seen = b""
    while seen.count(b"1 in flight") < 2:
        seen += os.read(terminal, 65536)
    os.write(terminal, b"q")
    while not seen.endswith(b"\x1b[?25h\x1b[?1049l"):
        seen += os.read(terminal, 65536)
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    expect(status == 0, f"it ended with {status}")
    stream.close()
    nobody = subprocess.run([stage.options.sluice, "top", "--once", "--listen", "127.0.0.1:9"], capture_output=True, text=True)
    expect(nobody.returncode == 1 and "No Sluice answers" in nobody.stdout, nobody)

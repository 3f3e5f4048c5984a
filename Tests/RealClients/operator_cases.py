"""What an operator relies on: metrics, keys and their limits, the state file, and what stays out of the log."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

from harness import case, chat, expect, expect_error, fetch, wait_until
from metrics_text import scrape, total

PATH = "/v1/chat/completions"


def sluice_for(stage, text="", workers=1, name="operator"):
    """A Sluice in front of the mock alone, with `text` as the rest of its configuration."""
    return stage.sluice_with(
        f"listen: 127.0.0.1:0\nworkers: {workers}\nbackends: [{{name: mock, kind: llama-server, url: '{stage.mock()}'}}]\n"
        + text, name=name)


def ready(url):
    wait_until(lambda: fetch(url, "GET", "/ready").status == 200, 10)
    return url


def bearer(key):
    return {"Authorization": "Bearer " + key}


def stream_and_leave(url, body, headers=None, lines=4):
    """Reads some lines of a stream and closes the connection."""
    with contextlib.closing(http.client.HTTPConnection(url.split("://")[1], timeout=20)) as connection:
        connection.request("POST", PATH, body=json.dumps(body), headers=headers or {})
        response = connection.getresponse()
        for _ in range(lines):
            response.readline()
        response.close()


# ---- metrics ----

def run_metrics(stage, workers):
    process, url = sluice_for(stage, workers=workers)
    ready(url)
    before = total(scrape(url), "sluice_requests_received_total")
    counts = {"completed": 0, "client_left": 0, "refused": 0}

    def ask(number):
        if number % 10 == 3:
            fetch(url, "POST", PATH, chat("no-such-model", "x"))
            return "refused"
        if number % 10 == 5:
            stream_and_leave(url, chat("mock", "[[mock delay_us=20000 tokens=400]]", stream=True))
            return "client_left"
        body = chat("mock", "[[mock delay_us=2000]]", stream=number % 2 == 0)
        expect(fetch(url, "POST", PATH, body).status == 200, "no answer")
        return "completed"

    scrapes = 1
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ask, number) for number in range(300)]
        while not all(one.done() for one in asked):
            samples = scrape(url)
            scrapes += 1
            ended = total(samples, "sluice_requests_total")
            received = total(samples, "sluice_requests_received_total")
            active = total(samples, "sluice_requests_active")
            expect(received == ended + active, f"{received} received, {ended} ended, {active} active")
            time.sleep(0.02)
        for one in asked:
            counts[one.result()] += 1
    return process, url, before, counts, scrapes


@case("metrics scraped while streams run: the endings add up to the requests, with one worker and with two", seconds=120)
def metrics(stage):
    notes = []
    for workers in (1, 2):
        process, url, before, counts, scrapes = run_metrics(stage, workers)

        def settled():
            return total(scrape(url), "sluice_requests_active") <= 1
        wait_until(settled, 10, 0.1)
        samples = scrape(url)
        for ending, wanted in counts.items():
            if ending == "completed":
                found = total(samples, "sluice_requests_total", ending=ending, model="mock")
            else:
                found = total(samples, "sluice_requests_total", ending=ending)
            expect(found == wanted, f"{workers} workers: {found} {ending}, wanted {wanted}")
        ended = total(samples, "sluice_requests_total")
        # The scrape itself has arrived and not ended.
        expect(total(samples, "sluice_requests_received_total") == ended + 1, "received and ended differ")
        expect(total(samples, "sluice_workers") == workers, "a worker's share is missing")
        expect(total(samples, "sluice_backend_up", backend="mock") == 1, "the backend is up")
        answered = total(samples, "sluice_time_to_first_token_seconds_count", model="mock")
        expect(answered == counts["completed"] + counts["client_left"], f"{answered} first tokens")
        for name in ("time_to_first_token", "time_per_output_token", "queue_duration", "request_duration"):
            count = total(samples, f"sluice_{name}_seconds_count")
            expect(count > 0 and count == total(samples, f"sluice_{name}_seconds_bucket", le="+Inf"), name)
        expect(total(samples, "sluice_tokens_total", type="output") > counts["completed"], "tokens")
        # A line for each, and one for this last scrape; it is written after the answer.
        wait_until(lambda: process.said().count("Z request id=") == ended + 1, 5)
        notes.append(f"{int(ended)} requests, {scrapes} scrapes")
    return "; ".join(notes)


@case("models that clients make up cost one series, and /metrics needs a key where there are keys")
def metrics_bounded(stage):
    _, url = sluice_for(stage, "keys: [{name: ann, key: sk-ann}]\nmodels: {'any-*': {model: mock}}\n")
    wait_until(lambda: fetch(url, "GET", "/ready").status == 200, 10)
    expect_error(fetch(url, "GET", "/metrics"), 401, "invalid_api_key")
    expect_error(fetch(url, "GET", "/metrics", headers=bearer("no")), 401, "invalid_api_key")
    for number in range(250):
        fetch(url, "POST", PATH, chat(f"unknown-{number}", "x"), bearer("sk-ann"))
        fetch(url, "POST", PATH, chat(f"any-{number}", "x"), bearer("sk-ann"))
    samples = scrape(url, bearer("sk-ann"))
    models = {labels["model"] for name, labels, _ in samples if name == "sluice_requests_total"}
    expect(len(models) == 202 and not any("unknown" in model for model in models), f"{len(models)} models")
    expect(total(samples, "sluice_requests_total", model="(other)", ending="completed") == 50, "(other)")
    return f"{len(samples)} samples"


# ---- keys ----

WRONG_KEYS = [
    ("none", {}), ("an empty one", {"Authorization": "Bearer "}), ("only the word", {"Authorization": "Bearer"}),
    ("no scheme", {"Authorization": "sk-500-secret"}), ("another scheme", {"Authorization": "Basic sk-500-secret"}),
    ("one letter less", bearer("sk-500-secre")), ("one letter more", bearer("sk-500-secrets")),
    ("another case", bearer("SK-500-SECRET")), ("a beginning", bearer("sk")), ("two of them", bearer("sk-1-secret, sk-2-secret")),
    ("a long one", bearer("x" * 60000)), ("bytes", {"Authorization": b"Bearer \xff\xfe"}),
    ("a wrong x-api-key", {"x-api-key": "sk-nobody"}), ("an empty x-api-key", {"x-api-key": ""}),
    ("a name", bearer("user500")),
]


@case("a thousand keys: each opens, wrong, missing and malformed ones do not")
def many_keys(stage):
    path = stage.write("".join(f"user{n} sk-{n}-secret\n" for n in range(1000)))
    process, url = sluice_for(stage, f"keys_file: {path}\n")
    ready(url)
    for what, headers in WRONG_KEYS:
        for method, target in (("GET", "/v1/models"), ("POST", PATH), ("GET", "/metrics"), ("GET", "/nothing")):
            answer = fetch(url, method, target, chat("mock", "x") if method == "POST" else None, headers)
            if what == "a long one" and answer.status == 431:
                continue
            expect_error(answer, 401, "invalid_api_key")
    begin = time.monotonic()
    for number in range(1000):
        header = bearer(f"sk-{number}-secret") if number % 2 else {"x-api-key": f"sk-{number}-secret"}
        expect(fetch(url, "GET", "/v1/models", headers=header).status == 200, f"key {number}")
    each = (time.monotonic() - begin)
    wait_until(lambda: "key=user999 " in process.said(), 5)
    said = process.said()
    expect(all(f"key=user{n} " in said for n in range(1000)), "names of keys in the log")
    expect("secret" not in said, "a key in the log")
    return f"{each:.2f} ms a request"


def run_limits(stage, workers):
    text = """keys:
  - {name: two, key: sk-two, max_in_flight: 2}
  - {name: minute, key: sk-minute, requests_per_minute: 5}
  - {name: day, key: sk-day, tokens_per_day: 20}
  - {name: free, key: sk-free}
"""
    process, url = sluice_for(stage, text, workers)
    ready(url)
    slow = chat("mock", "[[mock delay_us=20000 tokens=500]]", stream=True)

    def refused(key, limit):
        answer = fetch(url, "POST", PATH, chat("mock", "x"), bearer(key))
        expect(answer.status == 429, f"{key}: status {answer.status}, wanted 429 for {limit}")
        message = expect_error(answer, 429, "rate_limited")
        expect(limit in message, message)
        return int(answer.headers["Retry-After"])

    def running(key):
        return total(scrape(url, bearer("sk-free")), "sluice_key_requests_active", key=key)

    # Requests at one time: two streams run, the third has to wait until a client leaves.
    connections = []
    for _ in range(2):
        connection = http.client.HTTPConnection(url.split("://")[1], timeout=20)
        connection.request("POST", PATH, body=json.dumps(slow), headers=bearer("sk-two"))
        response = connection.getresponse()
        expect(response.status == 200, f"status {response.status}")
        response.readline()
        connections.append((connection, response))
    for _ in range(5):
        expect(refused("sk-two", "max_in_flight") == 1, "Retry-After")
    expect(fetch(url, "POST", PATH, chat("mock", "x"), bearer("sk-free")).status == 200, "others are not held up")
    for connection, response in connections:
        response.close()
        connection.close()
    wait_until(lambda: running("two") == 0, 5)
    expect(fetch(url, "POST", PATH, chat("mock", "x"), bearer("sk-two")).status == 200, "released")

    # A minute's requests at once, then one after the other; refused ones cost nothing.
    for _ in range(5):
        expect(fetch(url, "POST", PATH, chat("mock", "x"), bearer("sk-minute")).status == 200, "within the limit")
    waits = [refused("sk-minute", "requests_per_minute") for _ in range(20)]
    expect(all(10 <= wait <= 12 for wait in waits), f"waits {waits}")

    # A day's tokens: the mock counts 12 in and 16 out.
    expect(fetch(url, "POST", PATH, chat("mock", "x"), bearer("sk-day")).status == 200, "within the limit")
    # They are counted when the answer has been sent: with several workers the client may be quicker than that news.
    wait_until(lambda: running("day") == 0, 5)
    midnight = 86400 - int(time.time()) % 86400
    wait = refused("sk-day", "tokens_per_day")
    expect(abs(wait - midnight) <= 3, f"Retry-After {wait}, midnight in {midnight}")
    samples = scrape(url, bearer("sk-free"))
    expect(total(samples, "sluice_key_tokens_today", key="day") == 28, "tokens of today")
    expect(total(samples, "sluice_key_requests_refused_total", key="two", limit="max_in_flight") == 5, "refusals")
    return process


@case("limits of keys are reached and released, also when the client leaves, with one worker and with three", seconds=120)
def limits(stage):
    for workers in (1, 3):
        run_limits(stage, workers)


@case("a slot goes to the keys for people before those for batches, whoever came first, with one worker and with two")
def priorities(stage):
    for workers in (1, 2):
        _, url = stage.sluice_with(
            f"listen: 127.0.0.1:0\nworkers: {workers}\nbackends: [{{name: mock, kind: llama-server, url: '{stage.mock()}', slots: 1}}]\n"
            "keys: [{name: night, key: sk-night, priority: batch}, {name: person, key: sk-person}]\n", name="priority")
        ready(url)
        order = []

        def ask(key, hurry=None):
            headers = {**bearer(key), **({"x-sluice-priority": hurry} if hurry else {})}
            expect(fetch(url, "POST", PATH, chat("mock", "[[mock tokens=5 delay_us=5000]]"), headers).status == 200, "no answer")
            order.append(key if hurry != "batch" else "sk-night")

        def backend():
            return fetch(url, "GET", "/v1/backends", headers=bearer("sk-person")).json()["data"][0]

        def waiting():
            return backend()["queued"]
        first = threading.Thread(target=fetch, args=(url, "POST", PATH, chat("mock", "[[mock tokens=60 delay_us=20000]]"),
                                                     bearer("sk-person")))
        first.start()
        # Else one of the others may be there before it.
        wait_until(lambda: backend()["slots"]["used"] == 1, 5)
        with concurrent.futures.ThreadPoolExecutor(30) as pool:
            # A batch cannot make itself important, and a person can be modest.
            asked = [pool.submit(ask, "sk-night", "interactive" if n % 2 else None) for n in range(8)]
            asked += [pool.submit(ask, "sk-person", "batch") for n in range(4)]
            wait_until(lambda: waiting() == 12, 5)
            asked += [pool.submit(ask, "sk-person") for n in range(8)]
            wait_until(lambda: waiting() == 20, 5)
            for one in asked:
                one.result()
        first.join()
        expect(order == ["sk-person"] * 8 + ["sk-night"] * 12, f"{workers} workers: {order}")


@case("clients that leave in every phase leave no request behind in the limits")
def left_limits(stage):
    for workers in (1, 2):
        _, url = sluice_for(stage, "keys: [{name: a, key: sk-a, max_in_flight: 20}, {name: b, key: sk-b}]\n", workers)
        ready(url)
        body = json.dumps(chat("mock", "[[mock delay_us=5000 tokens=200]]", stream=True)).encode()
        head = (f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-a\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode()

        def leave(number):
            host, port = url.split("://")[1].split(":")
            with socket.create_connection((host, int(port)), timeout=5) as client:
                client.sendall(head + body)
                time.sleep(number % 7 * 0.002)
                if number % 2:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(leave, range(200)))

        def free():
            samples = scrape(url, bearer("sk-b"))
            return total(samples, "sluice_key_requests_active") == 0 and total(samples, "sluice_requests_active") == 1
        wait_until(free, 10, 0.1)


@case("keys change while Sluice runs: what they have used stays used, what runs is released, and nothing is lost")
def reloaded_keys(stage):
    for workers in (1, 2):
        first = "{name: a, key: sk-a, max_in_flight: 1, tokens_per_day: 1000}"
        process, url = sluice_for(stage, f"keys: [{{name: gone, key: sk-gone, max_in_flight: 5}}, {first}]\n", workers)
        ready(url)
        path = process.command[-1]
        expect(fetch(url, "POST", PATH, chat("mock", "x"), bearer("sk-a")).status == 200, "before")
        streams = []
        for key in ("sk-gone", "sk-a"):
            connection = http.client.HTTPConnection(url.split("://")[1], timeout=20)
            body = chat("mock", "[[mock delay_us=20000 tokens=500]]", stream=True)
            connection.request("POST", PATH, body=json.dumps(body), headers=bearer(key))
            response = connection.getresponse()
            response.readline()
            streams.append((connection, response))
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:  # other places in the list, another limit, a key that is new
            file.write(re.sub(r"keys: .*", "keys: [{name: a, key: sk-a, max_in_flight: 2, tokens_per_day: 28}, {name: b, key: sk-b}]", text))
        os.kill(process.pid, signal.SIGHUP)
        wait_until(lambda: fetch(url, "GET", "/v1/models", headers=bearer("sk-b")).status == 200, 5)
        expect_error(fetch(url, "GET", "/v1/models", headers=bearer("sk-gone")), 401, "invalid_api_key")
        answer = fetch(url, "POST", PATH, chat("mock", "x"), bearer("sk-a"))
        expect("tokens_per_day" in expect_error(answer, 429, "rate_limited"), "the tokens it has used are kept")
        samples = scrape(url, bearer("sk-b"))
        expect(total(samples, "sluice_key_requests_active", key="a") == 1, "the stream that runs is counted")
        for connection, response in streams:
            response.close()
            connection.close()
        wait_until(lambda: total(scrape(url, bearer("sk-b")), "sluice_key_requests_active") == 0, 5)


# ---- the state file ----

@case("token counts survive a restart and kill -9, and a broken state file is named and set aside")
def state_file(stage):
    state = os.path.join(stage.folder, "state")
    text = f"keys: [{{name: day, key: sk-day, tokens_per_day: 100}}]\nstate_file: {state}\n"

    def begin():
        process, url = sluice_for(stage, text, name="state")
        ready(url)
        return process, url

    def today(url):
        return total(scrape(url, bearer("sk-day")), "sluice_key_tokens_today")

    def ask(url):
        return fetch(url, "POST", PATH, chat("mock", "x"), bearer("sk-day"))
    process, url = begin()
    expect(ask(url).status == 200 and today(url) == 28, f"{today(url)} tokens")
    expect(process.stop() == 0, "exit code")  # right after the answer: nothing waits for a timer
    process, url = begin()
    expect(today(url) == 28, f"{today(url)} tokens after a restart")

    expect(ask(url).status == 200, "the second answer")
    wait_until(lambda: "key day 56" in open(state).read(), 4)
    os.kill(process.pid, signal.SIGKILL)
    process.child.wait()
    process, url = begin()
    expect(today(url) == 56, f"{today(url)} tokens after kill -9")
    for _ in range(2):
        ask(url)
    expect_error(ask(url), 429, "rate_limited")
    # What the last two seconds brought may be lost; never more, and the file is whole.
    os.kill(process.pid, signal.SIGKILL)
    process.child.wait()
    process, url = begin()
    expect(today(url) in (56, 84, 112), f"{today(url)} tokens after kill -9 at once")
    process.stop()
    expect(os.stat(state).st_mode & 0o777 == 0o600, "others may read it")

    with open(state, "w") as file:
        file.write("sluice-tokens 1\nday 1\nkey day ma")
    process, url = begin()
    expect(today(url) == 0, "counts begin anew")
    expect(state in process.said() and "not whole" in process.said(), process.said()[-300:])
    expect(open(state + ".broken").read().endswith("ma"), "the broken file is kept")
    process.stop()

    run = subprocess.run([stage.options.sluice, "--config", stage.write(
        f"keys: [{{name: a, key: k}}]\nstate_file: {stage.folder}/no/such/folder/state\nlisten: 127.0.0.1:0\n")],
        capture_output=True, text=True, timeout=20)
    expect(run.returncode == 1 and "state_file" in run.stderr, f"exit {run.returncode}: {run.stderr}")


@case("a state file that cannot be written is tried again without another request, and both are told once")
def state_file_again(stage):
    folder = os.path.join(stage.folder, "states")
    os.mkdir(folder)
    process, url = sluice_for(stage, f"keys: [{{name: day, key: sk-day}}]\nstate_file: {folder}/state\n", name="again")
    ready(url)
    os.rename(folder, folder + ".away")
    expect(fetch(url, "POST", PATH, chat("mock", "x"), bearer("sk-day")).status == 200, "an answer")
    wait_until(lambda: "would not survive" in process.said(), 5)
    time.sleep(2.5)  # one more try that fails
    os.rename(folder + ".away", folder)
    wait_until(lambda: "key day 28" in open(folder + "/state").read(), 5)
    wait_until(lambda: "is written again" in process.said(), 5)
    expect(process.said().count("would not survive") == 1, "told once")
    expect(process.stop() == 0, "exit code")


@case("a disk that hangs under the state file holds up no stream, and is written to when it is back")
def hanging_disk(stage):
    state = os.path.join(stage.folder, "state-on-a-hanging-disk")
    process, url = sluice_for(
        stage, f"keys: [{{name: day, key: sk-day, tokens_per_day: 100000}}]\nstate_file: {state}\n", name="hanging")
    ready(url)
    os.mkfifo(state + ".new")  # whoever opens it for writing waits for a reader
    ask = chat("mock", "[[mock tokens=2]]", stream=True)
    expect(fetch(url, "POST", PATH, ask, bearer("sk-day")).status == 200, "no answer")
    longest = 0
    with contextlib.closing(http.client.HTTPConnection(url.split("://")[1], timeout=20)) as connection:
        connection.request("POST", PATH, json.dumps(chat("mock", "[[mock delay_us=5000 tokens=900]]", stream=True)),
                           bearer("sk-day"))
        response, tokens, last = connection.getresponse(), 0, time.monotonic()
        for line in response:
            tokens += b'"content":"[' in line
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
    expect(fetch(url, "POST", PATH, ask, bearer("sk-day")).status == 200, "no answer afterwards")
    pipe = os.open(state + ".new", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(pipe, True)
    written = os.read(pipe, 4096)  # empty if nobody waited to write
    os.close(pipe)
    os.unlink(state + ".new")
    expect(written.startswith(b"sluice-tokens"), "the disk did not hang")
    expect(tokens == 900 and longest < 1, f"{tokens} tokens, the longest pause {longest:.2f} s")
    fetch(url, "POST", PATH, ask, bearer("sk-day"))
    used = int(total(scrape(url, bearer("sk-day")), "sluice_key_tokens_today"))
    wait_until(lambda: f"key day {used}\n" in open(state).read(), 8)
    expect(process.stop() == 0, "exit code")
    return f"the longest pause between two tokens was {longest * 1000:.0f} ms"


# ---- the log ----

@case("keys, prompts and answers never stand in the log, at any level, in text and in JSON")
def private_log(stage):
    key, prompt = "sk-MARKERKEY", "MARKERPROMPT"
    for form in ("text", "json"):
        process, url = sluice_for(
            stage, f"log: {{format: {form}, level: debug}}\nkeys: [{{name: ann, key: {key}}}]\n", name="log")
        ready(url)
        for stream in (False, True):
            answer = fetch(url, "POST", PATH, chat("mock", prompt, stream=stream), bearer(key))
            expect(answer.status == 200, f"status {answer.status}")
        words = [word for word in re.findall(rb'"content":"([^"]+)"', answer.body) if len(word) > 3]
        stream_and_leave(url, chat("mock", prompt + " [[mock delay_us=20000 tokens=300]]", stream=True), bearer(key))
        fetch(url, "POST", PATH, b'{"model":"mock","messages":"MARKERPROMPT"', bearer(key))
        fetch(url, "POST", PATH, {"model": "mock", "messages": [{"role": "MARKERPROMPT", "content": 5}]}, bearer(key))
        fetch(url, "POST", PATH, chat("mock", prompt), bearer(key + "wrong"))
        fetch(url, "POST", PATH, chat("mock", prompt), {"x-api-key": key + "x"})
        fetch(url, "GET", f"/v1/models?key={key}&q={prompt}", headers={"Cookie": key})
        wait_until(lambda: process.said().count("client_left") >= 1, 5)
        said = process.said()
        expect("MARKER" not in said, next((line for line in said.splitlines() if "MARKER" in line), ""))
        expect(not any(word.decode() in said for word in words), "words of the answer")
        if form == "json":
            for line in said.splitlines():
                json.loads(line)


# ---- browsers ----

@case("a page that rebinds its name to this machine is refused, and so is a page from elsewhere")
def rebinding(stage):
    _, url = sluice_for(stage)
    ready(url)
    port = url.rsplit(":", 1)[1]
    body = chat("mock", "x")
    for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example",
                 "8.8.8.8", "[2001:db8::1]", "localhost@evil.example", "evil.example#localhost"):
        answer = fetch(url, "POST", PATH, body, {"Host": host})
        expect(answer.status in (400, 403), f"Host {host}: {answer.status}")
        expect("access-control-allow-origin" not in answer.headers, host)
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", "LOCALHOST", f"[::1]:{port}", "a.localhost", "192.168.1.5"):
        expect(fetch(url, "POST", PATH, body, {"Host": host}).status == 200, f"Host {host}")
    for origin in ("https://evil.example", "http://localhost.evil.example", "null", "http://127.0.0.1.evil.example",
                   "http://localhost@evil.example", "chrome-extension://abc", "https://evil.example/http://localhost"):
        for method in ("POST", "OPTIONS"):
            answer = fetch(url, method, PATH, body if method == "POST" else None, {"Origin": origin})
            expect_error(answer, 403, "forbidden")
            expect("access-control-allow-origin" not in answer.headers, origin)
    for origin in ("http://localhost:3000", "http://127.0.0.1", "app://obsidian.md", "tauri://localhost", "vscode-webview://x"):
        answer = fetch(url, "POST", PATH, body, {"Origin": origin})
        expect(answer.status == 200, f"Origin {origin}: {answer.status}")
        expect(answer.headers["access-control-allow-origin"] == origin, f"{answer.headers.items()}")

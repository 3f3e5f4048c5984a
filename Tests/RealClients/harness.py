"""What the cases share: registration, processes that are started and surely ended, plain HTTP, checks."""
import contextlib
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))


class Case:
    """One line of the report: `run` gets the stage, and a backend where the case is for every kind."""

    def __init__(self, name, run, each_kind, direct, seconds):
        self.name, self.run, self.each_kind, self.direct, self.seconds = name, run, each_kind, direct, seconds


CASES = []


def case(name, each_kind=False, direct=False, seconds=60):
    """Registers a case. `direct`: it also holds for a llama-server without Sluice, which proves the test itself."""
    def register(run):
        CASES.append(Case(name, run, each_kind, direct, seconds))
        return run
    return register


class Skip(Exception):
    """The case cannot run here; the text says why."""


class Process:
    """A child that dies with us; what it says on stdout and stderr goes to a log file."""

    def __init__(self, name, command, folder, env=None):
        self.name, self.log = name, os.path.join(folder, name + ".log")
        self.command = command
        libc = ctypes.CDLL(None)
        with open(self.log, "wb") as out:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env and dict(os.environ, **env),
                preexec_fn=lambda: libc.prctl(1, signal.SIGTERM))
        self.pid = self.child.pid

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def url(self, seconds=30, besides=""):
        """The first http://127.0.0.1:PORT it prints that we did not tell it, on its command line or in `besides`."""
        told = " ".join(self.command) + besides
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for url in re.findall(r"(https?://127\.0\.0\.1:\d+)[^\d]", self.said()):  # more follows: it is whole
                if url not in told:
                    return url
            if self.child.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"{self.name} did not start: {self.said()[-400:]}")

    def stop(self, patience=10):
        """Ends it with TERM, or KILL when that takes too long; returns the exit code."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(patience)
            except subprocess.TimeoutExpired:
                self.child.kill()
        return self.child.wait()

    def memory(self, field="VmRSS"):
        with open(f"/proc/{self.pid}/status") as status:
            return int(re.search(field + r":\s+(\d+) kB", status.read()).group(1)) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Backend:
    """What a case for every kind is told: what to ask for, and what the kind is."""

    def __init__(self, kind, model):
        self.kind, self.model = kind, model


class Stage:
    """Starts upstreams and Sluice when a case first needs them, and ends all of them."""

    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="sluice-clients-")
        self.processes, self.made = [], {}

    def start(self, name, command, env=None):
        process = Process(f"{name}-{len(self.processes)}", command, self.folder, env)
        self.processes.append(process)
        return process

    def once(self, name, make):
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    def llama(self, pad=0):
        """A real llama-server, fast, or with the pace of a big model; its address."""
        alias = "slow-llama" if pad else "tiny-llama"
        command = [os.path.join(PROJECT, "scripts", "run-llama-server"), "--port", "0", "--alias", alias,
                   "--pad-mb", str(pad), "--set", "n_batch=128"]
        return self.once(alias, lambda: self.start(alias, command).url(120))

    def ollama(self, gap=5):
        """A replay of recorded answers, with at least `gap` ms between two pieces; its address."""
        command = [os.path.join(HERE, "replay-ollama"), "--gap-ms", str(gap), "--log", self.ollama_log_path(gap)]
        return self.once(f"ollama-{gap}", lambda: self.start("ollama", command).url())

    def ollama_log_path(self, gap):
        return os.path.join(self.folder, f"ollama-{gap}.jsonl")

    def times_ollama_was_left(self, gap=5):
        """How many answers the replay could not finish, because its client had gone."""
        with open(self.ollama_log_path(gap)) as log:
            return sum('"how": "client_left"' in line for line in log)

    def mock(self):
        def make():
            port = free_port()
            self.start("mockllm", [os.path.join(PROJECT, "Benchmarks", "mockllm"), "--listen", f"127.0.0.1:{port}"])
            wait_until(lambda: fetch(f"http://127.0.0.1:{port}", "GET", "/health").status == 200, 5)
            return f"http://127.0.0.1:{port}"
        return self.once("mockllm", make)

    def sluice(self, *arguments, name="sluice"):
        """A Sluice of its own for one case, as (process, url)."""
        command = [self.options.sluice, "--listen", "127.0.0.1:0", "--workers", str(self.options.workers), *arguments]
        process = self.start(name, command)
        return process, process.url()

    def sluice_with(self, text, name="sluice"):
        """A Sluice with this configuration, as (process, url)."""
        path = self.write(text)
        process = self.start(name, [self.options.sluice, "--config", path])
        return process, process.url(besides=text)

    def write(self, text):
        """A configuration file with this text; its path."""
        handle, path = tempfile.mkstemp(suffix=".yaml", dir=self.folder)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        return path

    def main(self):
        """The Sluice in front of everything real, as (process, url); the bare llama-server with --direct."""
        if self.options.direct:
            return None, self.llama()
        return self.once("main", lambda: self.sluice(
            "--backend", "llama-server=" + self.llama(), "--backend", "ollama=" + self.ollama()))

    def slow(self):
        """The Sluice in front of the slow llama-server."""
        if self.options.direct:
            return None, self.llama(200)
        return self.once("slow", lambda: self.sluice("--backend", "llama-server=" + self.llama(200)))

    def browser(self):
        """A headless Chromium (browser.py); the case is skipped where there is none."""
        import browser
        if not browser.program():
            raise Skip("chromium is not there: scripts/setup installs it on Debian")

        def make():
            self.processes.append(browser.Browser(self.folder))
            return self.processes[-1]
        return self.once("browser", make)

    def backends(self):
        llama = Backend("llama-server", "tiny-llama")
        return [llama] if self.options.direct else [llama, Backend("ollama", "tiny-go:latest")]

    def close(self):
        for process in reversed(self.processes):
            process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


# ---- plain HTTP ----

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def fetch(url, method, path, body=None, headers=None, timeout=30):
    """One request on a connection of its own; `body` is bytes, or an object to send as JSON."""
    address = url.split("://")[1]
    with contextlib.closing(http.client.HTTPConnection(address, timeout=timeout)) as connection:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())


def chat(model, text, **more):
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def events(raw):
    """The `data:` payloads of a stream, comments left out; fails on anything else in it."""
    payloads = []
    for block in raw.decode("utf-8").split("\n\n"):
        if block and not block.startswith(":"):
            expect(block.startswith("data: ") and "\n" not in block, f"one data line an event, got {block[:80]!r}")
            payloads.append(block[len("data: "):])
    return payloads


# ---- checks ----

def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def expect_error(answer, status, code, param=None):
    """The error shape of the OpenAI API with this status and code; returns the message."""
    statuses, codes = (x if isinstance(x, tuple) else (x,) for x in (status, code))
    expect(answer.status in statuses, f"status {answer.status} {answer.body[:200]!r}, wanted {status}")
    error = answer.json()["error"]
    expect(set(error) >= {"message", "type", "param", "code"}, f"error has only {sorted(error)}")
    expect(error["code"] in codes, f"code {error['code']!r}, wanted {code!r}")
    expect(isinstance(error["message"], str) and error["message"], "no message")
    if param is not None:
        expect(error["param"] == param, f"param {error['param']!r}, wanted {param!r}")
    return error["message"]


def wait_until(condition, seconds, pause=0.02):
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if condition():
                return
        expect(time.monotonic() < end, f"not within {seconds} s")
        time.sleep(pause)


def median(values):
    return sorted(values)[len(values) // 2]


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


@contextlib.contextmanager
def time_limit(seconds):
    def stop(*_):
        raise AssertionError(f"not finished within {seconds} s")
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run_cases(stage, only=None):
    """Runs all registered cases, one line each; returns (passed, failed)."""
    passed = failed = 0
    for entry in CASES:
        if stage.options.direct and not entry.direct:
            continue
        for backend in stage.backends() if entry.each_kind else [None]:
            name = entry.name + (f" [{backend.kind}]" if backend else "")
            if only and only not in name:
                continue
            begin = time.monotonic()
            try:
                with time_limit(entry.seconds):
                    note = entry.run(stage, backend) if backend else entry.run(stage)
                verdict, passed = "pass", passed + 1
            except Skip as reason:
                verdict, note = "skip", str(reason)
            except Exception as problem:  # a failed case must not keep the others from running
                verdict, failed = "FAIL", failed + 1
                note = f"{type(problem).__name__}: {problem}"[:600]
            seconds = time.monotonic() - begin
            print(f"{verdict}  {name} ({seconds:.1f} s)" + (f": {note}" if note else ""), flush=True)
    return passed, failed


def dump_logs(stage):
    """The last lines of each Sluice, for whoever looks for the reason of a failure."""
    for process in stage.processes:
        if process.name.startswith("sluice"):
            print(f"--- {process.name}", *process.said().splitlines()[-6:], sep="\n", file=sys.stderr)

"""A short bounded load for builds with sanitizers: many streams, clients that leave, both kinds, a clean end."""
import json
import os
import subprocess

from harness import PROJECT, case, chat, expect, fetch, wait_until
from metrics_text import scrape, total

PATH = "/v1/chat/completions"


def front(stage):
    """Sluice in front of the mock, once as a llama-server and once as an Ollama."""
    return stage.once("load", lambda: stage.sluice(
        "--backend", "llama-server=" + stage.mock(), "--backend", "ollama=" + stage.mock(), name="sluice-load"))


def load(stage, model, *options, whole=True):
    _, url = front(stage)
    command = [os.path.join(PROJECT, "Benchmarks", "llmload"), "--json", "--model", model, "-d", "40",
               "--stats", stage.mock().split("://")[1], url + PATH, *options]
    run = subprocess.run(command, capture_output=True, text=True, timeout=90)
    expect(run.stdout.strip(), run.stderr[-300:])
    result = json.loads(run.stdout)
    expect(not whole or run.returncode == 0, f"{result.get('errors')} {run.stderr[-300:]}")
    return f"{result['ok']} whole answers, {result['disconnected']} left"


@case("load: streams at once", seconds=100)
def streams(stage):
    return load(stage, "mock", "-c", "32", "-r", "200", "--tokens", "200")


@case("load: answers in one piece", seconds=100)
def whole_answers(stage):
    return load(stage, "mock", "-c", "16", "-r", "400", "--tokens", "20", "--no-stream")


@case("load: Ollama's streams", seconds=100)
def ollama_streams(stage):
    return load(stage, "mock:latest", "-c", "4", "-r", "40", "--tokens", "100")


@case("load: a connection for each request", seconds=100)
def connections(stage):
    return load(stage, "mock", "-c", "16", "-r", "300", "--tokens", "5", "--no-keepalive")


@case("load: clients leave in the middle of the stream", seconds=100)
def leave_streams(stage):
    return load(stage, "mock", "-c", "16", "-r", "200", "--tokens", "1000", "--delay-us", "2000",
                "--disconnect-after-chunks", "5", whole=False)


@case("load: clients leave before the first token", seconds=100)
def leave_early(stage):
    return load(stage, "mock", "-c", "16", "-r", "100", "--first-us", "5000000", "--disconnect-before-first",
                whole=False)


@case("load: errors of every sort beside it")
def errors(stage):
    _, url = front(stage)
    for directive in ("status=503", "status=400", "tokens=20 cut=5"):
        for stream in (False, True):
            answer = fetch(url, "POST", PATH, chat("mock", f"[[mock {directive}]]", stream=stream))
            expect(b'"error"' in answer.body, f"{directive}: {answer.body[-200:]!r}")
    expect(fetch(url, "POST", PATH, b"{").status == 400, "broken JSON")


@case("load: the endings add up to the requests, and each has its line in the log")
def sums(stage):
    process, url = front(stage)
    wait_until(lambda: total(scrape(url), "sluice_requests_active") == 1, 10, 0.2)  # the scrape itself
    samples = scrape(url)
    received, ended = (total(samples, f"sluice_requests_{name}total") for name in ("received_", ""))
    expect(received == ended + 1, f"{received} received, {ended} ended")
    wait_until(lambda: process.said().count("Z request id=") == ended + 1, 10, 0.2)
    words = {labels["ending"]: total(samples, "sluice_requests_total", ending=labels["ending"])
             for name, labels, _ in samples if name == "sluice_requests_total"}
    return ", ".join(f"{int(count)} {ending}" for ending, count in sorted(words.items()) if count)


@case("load: TERM ends it with exit code 0 and nothing to report by the sanitizer", seconds=60)
def clean_end(stage):
    process, _ = front(stage)
    wait_until(lambda: fetch(stage.mock(), "GET", "/stats").json()["active"] == 0, 5)
    code = process.stop(patience=40)
    said = process.said()
    reports = [line for line in said.splitlines() if "Sanitizer" in line or "runtime error" in line]
    expect(not reports, "; ".join(reports[:5]))
    expect(code == 0, f"exit code {code}: {said[-300:]}")

"""curl and node's fetch: what arrives, and when."""
import json
import os
import shutil
import subprocess
import time

from harness import HERE, Skip, case, chat, events, expect, fetch, median, percentile
from tap import Tap, event_times

PATH = "/v1/chat/completions"


def curl(url, body, *options):
    """The command line; the body goes the way people type it, without a content type."""
    return ["curl", "-sN", *options, url + PATH, "-d", json.dumps(body)]


def timed_output(command):
    """Runs a command; returns (time, bytes) for each piece of its output."""
    pieces = []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        while data := os.read(child.stdout.fileno(), 65536):
            pieces.append((time.monotonic(), data))
    expect(child.returncode == 0, f"curl ended with {child.returncode}")
    return pieces


@case("curl -N: a stream, whole", each_kind=True, direct=True)
def curl_stream(stage, backend):
    body = chat(backend.model, "Hello", stream=True, temperature=0, seed=7, max_tokens=24)
    raw = subprocess.run(curl(stage.main()[1], body), capture_output=True, check=True).stdout
    payloads = events(raw)
    expect(payloads[-1] == "[DONE]" and len(payloads) > 10, f"{len(payloads)} events, last {payloads[-1][:80]}")


@case("curl -0: HTTP/1.0 gets the stream without chunks, closed at the end", each_kind=True)
def curl_old(stage, backend):
    body = chat(backend.model, "Hello", stream=True, temperature=0, seed=7, max_tokens=24)
    raw = subprocess.run(curl(stage.main()[1], body, "-0", "-i"), capture_output=True, check=True).stdout
    head, _, content = raw.partition(b"\r\n\r\n")
    expect(b"transfer-encoding" not in head.lower(), f"head {head}")
    expect(events(content)[-1] == "[DONE]", "no [DONE]")


@case("the head of a stream")
def stream_head(stage):
    answer = fetch(stage.main()[1], "POST", PATH, chat("tiny-llama", "Hello", stream=True, max_tokens=4),
                   headers={"Accept-Encoding": "gzip, deflate, br"})
    wanted = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no",
              "transfer-encoding": "chunked"}
    for name, value in wanted.items():
        expect(answer.headers.get(name, "").lower() == value, f"{name}: {answer.headers.get(name)}")
    expect("content-encoding" not in answer.headers, "content-encoding")
    expect(answer.headers.get("x-request-id"), "no x-request-id")


@case("HEAD and GET: models, health, the root")
def simple_paths(stage):
    url = stage.main()[1]
    for path in ("/health", "/ready", "/", "/v1/models"):
        expect(fetch(url, "GET", path).status == 200, f"GET {path}")
        head = fetch(url, "HEAD", path)
        expect(head.status == 200 and head.body == b"", f"HEAD {path}: {head.status} {head.body[:80]}")


@case("a browser's preflight is answered without a key, errors carry CORS headers too")
def preflight(stage):
    url, origin = stage.main()[1], {"Origin": "http://localhost:3000"}
    asked = {**origin, "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os"}
    answer = fetch(url, "OPTIONS", PATH, headers=asked)
    expect(answer.status in (200, 204), f"preflight {answer.status}")
    allowed = answer.headers.get("access-control-allow-headers", "").lower()
    expect("authorization" in allowed and "x-stainless-os" in allowed, f"allowed headers: {allowed}")
    wrong = fetch(url, "POST", PATH, b"{", headers=origin)
    expect(wrong.headers.get("access-control-allow-origin"), "an error without access-control-allow-origin")


@case("curl -N: tokens arrive with the upstream's own gaps", direct=True, seconds=120)
def gaps(stage):
    tap = Tap(stage.llama(200))
    url = tap.url if stage.options.direct else stage.sluice("--backend", "llama-server=" + tap.url)[1]
    body = chat("slow-llama", "Tell me about the river.", stream=True, temperature=0, seed=7, max_tokens=100,
                ignore_eos=True)
    mark = len(tap.seen)
    at_client = event_times(timed_output(curl(url, body)))
    at_upstream = event_times(tap.seen[mark:])
    expect([t for t, _ in at_client] == [t for t, _ in at_upstream] and len(at_client) > 50,
           f"{len(at_client)} events at the client, {len(at_upstream)} at the upstream")
    gaps_of = lambda found: [b[1] - a[1] for a, b in zip(found, found[1:])]
    differences = [abs(a - b) * 1000 for a, b in zip(gaps_of(at_client), gaps_of(at_upstream))]
    pace = median(gaps_of(at_upstream)) * 1000
    added = [(c - u) * 1000 for (_, c), (_, u) in zip(at_client, at_upstream)]
    note = (f"{len(at_client)} tokens, upstream gap {pace:.0f} ms; difference of gaps p50 {median(differences):.2f} ms, "
            f"p95 {percentile(differences, 0.95):.2f} ms; on the way p50 {median(added):.2f} ms")
    expect(median(differences) < 2 and percentile(differences, 0.95) < 20, note)
    return note


@case("node: fetch reads the stream as it comes, and sees errors as JSON", each_kind=True, direct=True)
def node(stage, backend):
    if not shutil.which("node"):
        raise Skip("node is not installed")
    run = subprocess.run(["node", os.path.join(HERE, "fetch.mjs"), stage.main()[1], backend.model,
                          "direct" if stage.options.direct else "sluice"], capture_output=True, text=True, timeout=40)
    expect(run.returncode == 0, run.stderr.strip()[-400:])
    return run.stdout.strip()

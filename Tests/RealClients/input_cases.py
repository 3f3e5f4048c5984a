"""Wrong requests and wrong configurations: the answer says what is wrong."""
import os
import re
import subprocess

from harness import case, chat, expect, expect_error, fetch, free_port

PATH = "/v1/chat/completions"

# (what, body, status, code, param)
WRONG = [
    ("broken JSON", b'{"model": "tiny-llama", "messages": [', 400, "invalid_json", None),
    ("no JSON at all", b"hello", 400, "invalid_json", None),
    ("an empty body", b"", 400, ("invalid_json", "missing_field"), None),
    ("an array", b"[]", 400, ("invalid_json", "invalid_value"), None),
    ("wrong UTF-8", b'{"model":"tiny-llama","messages":[{"role":"user","content":"\xff"}]}', 400, "invalid_json", None),
    ("too deep", b'{"model":"tiny-llama","messages":' + b"[" * 200 + b"]" * 200 + b"}", 400,
     ("invalid_json", "invalid_value"), None),
    ("no messages", {"model": "tiny-llama"}, 400, "missing_field", "messages"),
    ("empty messages", {"model": "tiny-llama", "messages": []}, 400, ("invalid_value", "missing_field"), "messages"),
    ("a message without role", {"model": "tiny-llama", "messages": [{"content": "x"}]}, 400, "missing_field", None),
    ("a number as model", {"model": 5, "messages": [{"role": "user", "content": "x"}]}, 400, "invalid_value", "model"),
    ("text as temperature", chat("tiny-llama", "x", temperature="hot"), 400, "invalid_value", "temperature"),
    ("no tokens at all", chat("tiny-llama", "x", max_tokens=0), 400, "invalid_value", "max_tokens"),
    ("an unknown model", chat("no-such-model", "x"), 404, "model_not_found", "model"),
    ("two answers from Ollama", chat("tiny-go:latest", "x", n=2), 400, "unsupported_parameter", "n"),
]


@case("wrong requests name what is wrong")
def wrong_requests(stage):
    url = stage.main()[1]
    problems = []
    for what, body, status, code, param in WRONG:
        try:
            expect_error(fetch(url, "POST", PATH, body), status, code, param)
        except (AssertionError, KeyError, ValueError) as problem:
            problems.append(f"{what}: {problem}")
    expect(not problems, "; ".join(problems))
    return f"{len(WRONG)} requests"


@case("unknown paths and wrong methods")
def paths(stage):
    url = stage.main()[1]
    expect_error(fetch(url, "GET", "/v1/nothing"), 404, "unknown_path")
    answer = fetch(url, "GET", PATH)
    expect_error(answer, 405, "method_not_allowed")
    expect("POST" in answer.headers.get("allow", ""), f"Allow: {answer.headers.get('allow')}")
    close_name = expect_error(fetch(url, "POST", PATH, chat("tiny-lama", "x")), 404, "model_not_found")
    expect("tiny-llama" in close_name, f"no nearest name in {close_name!r}")


@case("an upstream that is down is named, without its address")
def upstream_down(stage):
    port = free_port()
    _, url = stage.sluice_with("listen: 127.0.0.1:0\nbackends:\n  - {name: gpu, kind: llama-server, "
                               f"url: 'http://127.0.0.1:{port}', models: [tiny]}}\n")
    for stream in (False, True):
        answer = fetch(url, "POST", PATH, chat("tiny", "x", stream=stream))
        message = expect_error(answer, (502, 503), ("upstream_unreachable", "no_backend"))
        expect("gpu" in message and str(port) not in message, f"message {message!r}")
    expect(fetch(url, "GET", "/health").status == 200, "/health")
    expect(fetch(url, "GET", "/ready").status == 503, "/ready")


def fails(stage, *arguments):
    """Runs Sluice, which must end by itself: (exit code, what it said)."""
    run = subprocess.run([stage.options.sluice, *arguments], capture_output=True, text=True, timeout=20)
    return run.returncode, run.stderr + run.stdout


# (what, configuration, line and column where it is wrong, words of the message)
WRONG_FILES = [
    ("an unknown key", "listen: 127.0.0.1:0\nbakends: []\n", (2, 1), ["bakends"]),
    ("a bad duration", "timeouts:\n  connect: fast\n", (2, 12), ["connect", "fast"]),
    ("an unknown kind", "backends:\n  - {name: a, kind: gpu, url: 'http://127.0.0.1:1'}\n", (2, 21), ["kind", "gpu"]),
    ("broken YAML", "backends: [\n", (2, None), []),
]


@case("a wrong configuration: file, line, column, key, and exit code 2")
def wrong_files(stage):
    problems = []
    for what, text, (line, column), words in WRONG_FILES:
        path = stage.write(text)
        for extra in ([], ["--check"]):
            code, said = fails(stage, "--config", path, *extra)
            place = re.escape(path) + f":{line}:" + (str(column) if column else r"\d+") + ":"
            if code not in ((1, 2) if extra else (2,)) or not re.search(place, said) or not all(w in said for w in words):
                problems.append(f"{what} {extra}: exit {code}, {said.strip()[-200:]!r}")
    expect(not problems, "; ".join(problems))


@case("wrong usage is exit code 2; a port in use is 1 and named; --help and --version are 0")
def usage(stage):
    url = stage.main()[1]
    code, said = fails(stage, "--no-such-option")
    expect(code == 2 and "no-such-option" in said, f"exit {code}: {said[-200:]}")
    code, said = fails(stage, "--config", os.path.join(stage.folder, "missing.yaml"))
    expect(code == 2 and "missing.yaml" in said, f"exit {code}: {said[-200:]}")
    address = url.split("://")[1]
    code, said = fails(stage, "--listen", address, "--backend", "llama-server=" + stage.llama())
    expect(code == 1 and address in said, f"exit {code}: {said[-200:]}")
    code, said = fails(stage, "--listen", "0.0.0.0:0", "--backend", "llama-server=" + stage.llama())
    expect(code == 2 and "insecure-no-auth" in said, f"exit {code}: {said[-200:]}")
    for option in ("--help", "--version"):
        code, said = fails(stage, option)
        expect(code == 0 and "sluice" in said.lower(), f"{option}: exit {code}: {said[-200:]}")

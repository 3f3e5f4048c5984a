"""TLS towards clients and towards backends, with an authority made for the occasion."""
import json
import os
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

from harness import case, chat, expect

PATH = "/v1/chat/completions"


def openssl(*arguments, text=None):
    return subprocess.run(["openssl", *arguments], input=text, capture_output=True, text=True, timeout=30)


def authority(stage):
    """Makes an authority and certificates for localhost, another name, and one that nobody signed: their folder."""
    folder = os.path.dirname(stage.write("tls"))

    def path(name):
        return os.path.join(folder, name)

    made = openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority",
                   "-keyout", path("ca.key"), "-out", path("ca.pem"))
    expect(made.returncode == 0, made.stderr)
    for name, names in (("good", "DNS:localhost,IP:127.0.0.1"), ("other", "DNS:other.example")):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", path(name + ".key"),
                "-out", path(name + ".csr"))
        with open(path(name + ".ext"), "w") as file:
            file.write("subjectAltName=" + names)
        made = openssl("x509", "-req", "-in", path(name + ".csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"),
                       "-CAcreateserial", "-days", "2", "-extfile", path(name + ".ext"), "-out", path(name + ".pem"))
        expect(made.returncode == 0, made.stderr)
    return folder


def secure_front(stage, folder, certificate="good"):
    mock = stage.mock()
    return stage.sluice_with(
        f"listen: 127.0.0.1:0\ntls: {{certificate: {folder}/{certificate}.pem, key: {folder}/{certificate}.key}}\n"
        f"backends:\n  - {{name: mock, kind: llama-server, url: '{mock}', models: [mock]}}\n", name="sluice-tls")


@case("TLS: openai-python over https, streaming and not; TLS 1.1 is refused; a plain request does no harm")
def listener(stage):
    import openai
    folder = authority(stage)
    process, url = secure_front(stage, folder)
    expect(url.startswith("https://127.0.0.1:"), url)
    context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    client = openai.OpenAI(base_url=url + "/v1", api_key="x", max_retries=0,
                           http_client=openai.DefaultHttpxClient(verify=context))
    parts = [chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(
        model="mock", messages=[{"role": "user", "content": "[[mock tokens=400]]"}], stream=True) if chunk.choices]
    expect("".join(parts).count("[") == 400, f"{''.join(parts).count('[')} tokens")
    whole = client.chat.completions.create(model="mock", messages=[{"role": "user", "content": "x" * 300_000}])
    expect(whole.choices[0].finish_reason == "stop", str(whole))
    port = int(url.rsplit(":", 1)[1])
    old = openssl("s_client", "-connect", f"127.0.0.1:{port}", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", text="")
    expect(old.returncode != 0 or "Cipher is (NONE)" in old.stdout, "TLS 1.1 was accepted")
    new = openssl("s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", f"{folder}/ca.pem", text="")
    expect("Verify return code: 0 (ok)" in new.stdout, new.stdout[-400:])
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        plain.settimeout(5)
        expect(b"200 OK" not in plain.recv(1000), "plain text was answered")
    with urllib.request.urlopen(url + "/health", context=context, timeout=5) as answer:
        expect(answer.status == 200, "the server goes on")


@case("TLS: a slow reader over https pauses the upstream and gets every token")
def slow_reader(stage):
    folder = authority(stage)
    process, url = secure_front(stage, folder)
    context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    before = process.memory()
    body = json.dumps(chat("mock", "[[mock tokens=60000 size=200]]", stream=True)).encode()
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))) as raw:
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as secure:
            secure.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                           b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            first = secure.recv(1000)

            time.sleep(1)  # what is not read must wait in sockets, not in memory
            grown = process.memory() - before
            parts = [first]
            while part := secure.recv(1 << 20):
                parts.append(part)
    text = b"".join(parts)
    tokens = text.count(b'"content":"[')
    expect(tokens == 60000 and b"data: [DONE]" in text, f"{tokens} tokens")
    expect(grown < 4 << 20, f"grew {grown} bytes")
    return f"grew {grown / (1 << 20):.2f} MiB"


@case("https backends: verified, with an authority of their own; a wrong name or signer is named")
def backend(stage):
    folder = authority(stage)
    _, good = secure_front(stage, folder)
    _, other = secure_front(stage, folder, "other")
    port, other_port = good.rsplit(":", 1)[1], other.rsplit(":", 1)[1]

    def front(host, port, ca=True):
        trust = f", ca: {folder}/ca.pem" if ca else ""
        return stage.sluice_with(
            "listen: 127.0.0.1:0\nbackends:\n  - {name: far, kind: openai, "
            f"url: 'https://{host}:{port}', models: [mock]{trust}}}\n", name="sluice-front")[1]

    def ask(url, **more):
        request = urllib.request.Request(url + PATH, json.dumps(chat("mock", "x", **more)).encode())
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    for host in ("localhost", "127.0.0.1"):
        url = front(host, port)
        for stream in (False, True):
            for _ in range(3):
                status, text = ask(url, stream=stream)
                expect(status == 200 and "[7:" in text, f"{host}: {status} {text[:200]}")
    for url, why in ((front("localhost", other_port), "a wrong name"), (front("localhost", port, ca=False), "no CA")):
        status, text = ask(url)
        expect(status in (502, 503), f"{why}: {status} {text[:200]}")
        expect(port not in text and other_port not in text, text)

"""TLS towards clients and towards backends, with an authority made for the occasion."""
import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request

from harness import case, chat, expect, fetch, wait_until

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


def secure_front(stage, folder, certificate="good", more=""):
    mock = stage.mock()
    return stage.sluice_with(
        f"{more}listen: 127.0.0.1:0\ntls: {{certificate: {folder}/{certificate}.pem, key: {folder}/{certificate}.key}}\n"
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
    for version, fine in (("-tls1", False), ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)):
        asked = openssl("s_client", "-connect", f"127.0.0.1:{port}", version, "-cipher", "ALL:@SECLEVEL=0", text="")
        made = asked.returncode == 0 and "Cipher is (NONE)" not in asked.stdout and "Cipher is" in asked.stdout
        expect(made == fine, f"{version} was {'accepted' if made else 'refused'}: {asked.stdout[-300:]}{asked.stderr[-300:]}")
    new = openssl("s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", f"{folder}/ca.pem", text="")
    expect("Verify return code: 0 (ok)" in new.stdout, new.stdout[-400:])
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        plain.settimeout(5)
        expect(b"200 OK" not in plain.recv(1000), "plain text was answered")
    with urllib.request.urlopen(url + "/health", context=context, timeout=5) as answer:
        expect(answer.status == 200, "the server goes on")


def subject(port):
    """Whose certificate a new connection is shown, and when it was made."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(raw) as secure:
            shown = ssl.DER_cert_to_PEM_cert(secure.getpeercert(binary_form=True))
    return openssl("x509", "-noout", "-subject", text=shown).stdout.strip()


@case("TLS: SIGHUP brings another certificate to new connections, and streams go on; one that is broken changes nothing")
def reload(stage):
    for workers in (1, 2):
        folder = authority(stage)
        used = os.path.join(folder, "used")

        def install(name):
            for suffix in (".pem", ".key"):
                shutil.copy(f"{folder}/{name}{suffix}", used + suffix)
        install("good")
        process, url = secure_front(stage, folder, "used", more=f"workers: {workers}\n")
        port = int(url.rsplit(":", 1)[1])
        context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
        streams = []
        for _ in range(10):
            body = chat("mock", "[[mock tokens=300 delay_us=10000]]", stream=True)
            streams.append(urllib.request.urlopen(urllib.request.Request(url + PATH, json.dumps(body).encode()),
                                                  context=context, timeout=30))
        seen = [stream.readline() for stream in streams]
        expect(subject(port) == "subject=CN = good", subject(port))
        install("other")
        os.kill(process.pid, signal.SIGHUP)
        # Every worker has to show the new one, whichever the kernel chooses.
        wait_until(lambda: {subject(port) for _ in range(10)} == {"subject=CN = other"}, 5)
        with open(used + ".pem", "w") as file:
            file.write("-----BEGIN CERTIFICATE-----\nbroken")
        os.kill(process.pid, signal.SIGHUP)
        wait_until(lambda: "the certificate stays" in process.said(), 5)
        expect({subject(port) for _ in range(10)} == {"subject=CN = other"}, "the one that works is kept")
        for first, stream in zip(seen, streams):
            text = first + stream.read()
            expect(text.count(b'"content":"[') == 300 and text.rstrip().endswith(b"data: [DONE]"), text[-200:].decode())
        expect(process.stop() == 0, "exit code")


@case("sluice models asks a Sluice with TLS, and gives its key to no other certificate, be it well signed")
def models(stage):
    folder = authority(stage)
    keys = "keys: [{name: a, key: sk-a}]\n"
    process, url = secure_front(stage, folder, more=keys)

    def ask(address, certificate):
        path = stage.write(f"{keys}listen: {address}\ntls: {{certificate: {folder}/{certificate}.pem, "
                           f"key: {folder}/{certificate}.key}}\n")
        return subprocess.run([stage.options.sluice, "models", "--config", path], capture_output=True, text=True, timeout=20)
    address = url.split("//")[1]
    wait_until(lambda: ask(address, "good").stdout == "mock\n", 5)
    with open(f"{folder}/ca.pem") as ca, open(f"{folder}/other.pem", "a") as other:
        other.write(ca.read())  # a whole chain, as services of certificates give it
    wrong = ask(address, "other")
    expect(wrong.returncode == 1 and "certificate" in wrong.stdout, wrong.stdout + wrong.stderr)
    expect("sk-a" not in wrong.stdout, "the key is told")
    expect(process.said().count("path=/v1/models") >= 1 and " 401 " not in process.said(), "asked with the key")


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


@case("TLS: a client that says nothing, or half a greeting, is cut by request_head; one that has shaken hands by idle")
def handshakes(stage):
    folder = authority(stage)
    _, url = secure_front(stage, folder, more="timeouts: {request_head: 500ms, idle: 1500ms}\n")
    port = int(url.rsplit(":", 1)[1])
    context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    greeting = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), greeting, server_hostname="127.0.0.1")
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    half = greeting.read(100)

    def cut_after(begin, client):
        client.settimeout(10)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while client.recv(1000):
                pass
        return (time.monotonic() - begin) * 1000
    told = []
    for data in (b"", half):
        begin = time.monotonic()
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(data)
            told.append(cut_after(begin, client))
            expect(498 <= told[-1] < 1000, f"after {len(data)} bytes it was cut after {told[-1]:.0f} ms")
    with socket.create_connection(("127.0.0.1", port)) as raw:
        begin = time.monotonic()
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as secure:
            told.append(cut_after(begin, secure))
            expect(1498 <= told[-1] < 2000, f"idle, it was cut after {told[-1]:.0f} ms")
    return ", ".join(f"{taken:.0f} ms" for taken in told)


class Stale:
    """A TLS server that answers one chat on a connection and breaks that off, in one way or another, at the next."""

    def __init__(self, folder):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(f"{folder}/good.pem", f"{folder}/good.key")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "https://localhost:%d" % self.listener.getsockname()[1]
        self.broken, self.answered = [], 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            with contextlib.suppress(OSError):
                raw, _ = self.listener.accept()
                threading.Thread(target=self.talk, args=(raw,), daemon=True).start()

    def talk(self, raw):
        with contextlib.suppress(OSError), self.context.wrap_socket(raw, server_side=True) as secure:
            chats = 0
            while request := self.request(secure):
                if request.startswith(b"GET "):  # probes do not touch the connection that chats use
                    secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 45\r\n"
                                   b'Connection: close\r\n\r\n{"object":"list","data":[{"id":"far model"}]}')
                    return
                chats += 1
                if chats == 2:
                    how = ("goodbye", "no goodbye", "reset")[len(self.broken) % 3]
                    self.broken.append(how)
                    if how == "goodbye":
                        secure.unwrap()
                    elif how == "reset":
                        secure.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                self.answered += 1
                body = (b'data: {"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":"stop"}]}\n\n'
                        b"data: [DONE]\n\n")
                secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"
                               % len(body) + body)

    def request(self, secure):
        data = b""
        while b"\r\n\r\n" not in data:
            part = secure.recv(65536)
            if not part:
                return b""
            data += part
        head, body = data.split(b"\r\n\r\n", 1)
        if b"content-length: " in head.lower():
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            while len(body) < length:
                body += secure.recv(65536)
        return data


@case("https backends: a kept connection that has gone stale is replaced, and nobody notices")
def stale(stage):
    folder = authority(stage)
    server = Stale(folder)
    _, url = stage.sluice_with(
        "listen: 127.0.0.1:0\nbackends:\n  - {name: far, kind: openai, "
        f"url: '{server.url}', models: [far], ca: {folder}/ca.pem}}\n", name="sluice-stale")
    wait_until(lambda: fetch(url, "GET", "/ready").status == 200, 10)
    for number in range(8):
        answer = fetch(url, "POST", PATH, chat("far", "hi", stream=number % 2 == 0))
        expect(answer.status == 200 and b"Hel" in answer.body and b"error" not in answer.body, f"{number}: {answer.body[:300]}")
    expect(server.answered == 8 and len(set(server.broken)) == 3, f"{server.answered} answered, {server.broken}")
    return f"{len(server.broken)} broken off: {', '.join(server.broken)}"

"""The cases of the Autobahn test suite's fuzzing client (crossbario/autobahn-testsuite, groups 1 to 7, 9 and 10), against
Sluice. The suite itself runs in Python 2 only and wants a server that echoes; here the model does: what a text message
carries is a chat, and the upstream answers with the chat's own text. Binary messages, which the suite wants echoed, are
refused (1003). Groups 12 and 13 are about compression, which Sluice does not offer.
"""
import contextlib
import http.server
import json
import threading

from harness import case, expect, fetch, wait_until
from websocket_wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Raw


class Echo(http.server.BaseHTTPRequestHandler):
    """An OpenAI-compatible server whose model says what it was told."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(b'{"object":"list","data":[{"id":"echo","object":"model"}]}', "application/json")

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = request["messages"][-1]["content"]
        pieces = [text[i:i + 30000] for i in range(0, len(text), 30000)]
        chunks = [chunk({"role": "assistant", "content": ""})] + [chunk({"content": p}) for p in pieces] + [chunk({}, "stop")]
        events = [b"data: " + json.dumps(c, ensure_ascii=False).encode() + b"\n\n" for c in chunks] + [b"data: [DONE]\n\n"]
        self.answer(b"".join(events), "text/event-stream")

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def chunk(delta, finish=None):
    return {"id": "chatcmpl-echo", "object": "chat.completion.chunk", "created": 1, "model": "echo",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


class EchoServer(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """Cases that fail on purpose leave their answers unread, and kept connections end with Sluice."""


@contextlib.contextmanager
def echo_server():
    server = EchoServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


# ---- what a case does ----

def ask(text="Hello", length=0):
    """A chat as JSON with raw UTF-8 (or bytes that are none), padded to `length` bytes."""
    text = text if isinstance(text, bytes) else json.dumps(text, ensure_ascii=False)[1:-1].encode()
    return (b'{"model":"echo","messages":[{"role":"user","content":"' + text + b'"}]}').ljust(length)


def echoed(ws, text="Hello"):
    opcode, payload = ws.read() or (None, b"")
    expect(opcode == TEXT, f"no answer, but {opcode} {payload[:100]!r}")
    answer = json.loads(payload)
    expect("choices" in answer, f"no completion: {payload[:200]!r}")
    expect(answer["choices"][0]["message"]["content"] == text, f"another text: {payload[:200]!r}")


def told(ws, code):
    """An error that leaves the connection as it is."""
    opcode, payload = ws.read()
    expect(opcode == TEXT and json.loads(payload)["error"]["code"] == code, f"{opcode} {payload[:200]!r}")


def ponged(ws, payload=b""):
    frame = ws.read()
    expect(frame == (PONG, payload), f"{frame}")


def closed(ws, *codes):
    """The server closes with one of the codes (none: without), and ends the connection."""
    frame = ws.read()
    expect(frame and frame[0] == CLOSE, f"no close, but {str(frame)[:200]}")
    code = int.from_bytes(frame[1][:2], "big") if frame[1] else None
    expect(code in (codes or (None,)), f"closed with {code}, wanted {codes}")
    frame[1][2:].decode("utf-8")
    expect(ws.read() is None, "not at an end")


def good_bye(ws):
    ws.frame(CLOSE, b"\x03\xe8")
    closed(ws, 1000)


def fine(steps, *answers):
    """Does the steps, looks for the answers, and closes in order."""
    def play(ws):
        steps(ws)
        for answer in answers:
            answer(ws)
        good_bye(ws)
    return play


def fails(steps, *answers, code=1002):
    def play(ws):
        steps(ws)
        for answer in answers:
            answer(ws)
        closed(ws, code)
    return play


def frames(*parts, chop=0):
    """Sends frames, each (opcode, payload) or (opcode, payload, fin) or (opcode, payload, fin, reserved)."""
    def play(ws):
        for part in parts:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have closed at the first
                ws.frame(part[0], part[1], *part[2:], chop=chop)
    return play


def message(text, **how):
    return lambda ws: ws.text(text, **how)


# ---- the groups ----

def group_1():
    yield "1.1.1", fine(message(b""), lambda ws: told(ws, "invalid_json"))
    for number, length in enumerate((125, 126, 127, 128, 65535, 65536), 2):
        yield f"1.1.{number}", fine(message(ask(length=length)), echoed)
    yield "1.1.8", fine(message(ask(length=65536), chop=997), echoed)
    for number, length in enumerate((0, 125, 126, 127, 128, 65535, 65536), 1):
        yield f"1.2.{number}", fails(frames((BINARY, b"\xfe" * length)), code=1003)
    yield "1.2.8", fails(lambda ws: frames((BINARY, b"\xfe" * 65536), chop=997)(ws), code=1003)


def group_2():
    for number, payload in enumerate((b"", b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125), 1):
        yield f"2.{number}", fine(frames((PING, payload)), lambda ws, p=payload: ponged(ws, p))
    yield "2.5", fails(frames((PING, b"\xfe" * 126)))
    yield "2.6", fine(frames((PING, b"\xfe" * 125), chop=1), lambda ws: ponged(ws, b"\xfe" * 125))
    yield "2.7", fine(frames((PONG, b"")))
    yield "2.8", fine(frames((PONG, b"unasked")))
    yield "2.9", fine(frames((PONG, b"unasked"), (PING, b"ping")), lambda ws: ponged(ws, b"ping"))
    ten = [(PING, b"payload-%d" % n) for n in range(10)]
    for number, chop in ((10, 0), (11, 1)):
        yield f"2.{number}", fine(frames(*ten, chop=chop), *(lambda ws, p=p: ponged(ws, p) for _, p in ten))


def group_3():
    yield "3.1", fails(frames((TEXT, ask(), True, 1)))
    for number, chop in ((2, 0), (3, 30), (4, 1)):
        steps = frames((TEXT, ask()), (TEXT, ask(), True, 2), (PING, b""), chop=chop)
        yield f"3.{number}", fails(lambda ws, s=steps: (ws.text(ask("first")), echoed(ws, "first"), s(ws)),
                                   any_echo)
    yield "3.5", fails(frames((BINARY, b"\x00\xff", True, 5)))
    yield "3.6", fails(frames((PING, b"Hello", True, 6)))
    yield "3.7", fails(frames((CLOSE, b"", True, 7)))


def any_echo(ws):
    """The chat before the failure may be answered, or be dropped with the connection: both are right."""
    opcode, payload = ws.read()
    if opcode == CLOSE:
        ws.unread = bytes([0x88, len(payload)]) + payload + ws.unread


def group_4():
    for group, opcodes in ((1, (3, 4, 5, 6, 7)), (2, (11, 12, 13, 14, 15))):
        for number, opcode in enumerate(opcodes, 1):
            payload = b"reserved opcode payload" if number in (2, 4) else b""
            before = [(TEXT, ask())] if number in (3, 4, 5) else []
            steps = frames(*before, (opcode, payload), (PING, b""), chop=1 if number == 5 else 0)
            yield f"4.{group}.{number}", fails(steps, *([any_echo] if before else []))


def group_5():
    text = ask("fragment")
    half = len(text) // 2
    first, second = (TEXT, text[:half], False), (CONTINUATION, text[half:])
    echo = lambda ws: echoed(ws, "fragment")
    yield "5.1", fails(frames((PING, b"frag", False), (CONTINUATION, b"ment")))
    yield "5.2", fails(frames((PONG, b"frag", False), (CONTINUATION, b"ment")))
    for number, chop in ((3, 0), (4, 20), (5, 1)):
        yield f"5.{number}", fine(frames(first, second, chop=chop), echo)
    for number, chop in ((6, 0), (7, 20), (8, 1)):
        yield f"5.{number}", fine(frames(first, (PING, b"ping"), second, chop=chop), lambda ws: ponged(ws, b"ping"), echo)
    nothing = (CONTINUATION, b"nothing to continue")
    for base, fin in ((9, True), (12, False)):
        for number, chop in enumerate((0, 20, 1), base):
            yield f"5.{number}", fails(frames((*nothing, fin), (TEXT, ask()), chop=chop))
    yield "5.15", fails(frames(first, second, (*nothing, False), (TEXT, ask())), any_echo)
    yield "5.16", fails(frames(*[(*nothing, False), first, second] * 2))
    yield "5.17", fails(frames(*[(*nothing, True), first, second] * 2))
    yield "5.18", fails(frames(first, (TEXT, text[half:])))
    five = [ask("fragments")[i * 14:(i + 1) * 14 if i < 4 else None] for i in range(5)]
    inside = [(TEXT, five[0], False), (CONTINUATION, five[1], False), (PING, b"1"), (CONTINUATION, five[2], False),
              (CONTINUATION, five[3], False), (PING, b"2"), (CONTINUATION, five[4])]
    for number, chop in ((19, 0), (20, 1)):
        yield f"5.{number}", fine(frames(*inside, chop=chop), lambda ws: ponged(ws, b"1"), lambda ws: ponged(ws, b"2"),
                                  lambda ws: echoed(ws, "fragments"))


VALID = {  # groups 6.5 to 6.22: each is text
    "5": ["κόσμε"],
    "7": ["\u0080", "\u0800", "\U00010000"],
    "9": ["\u007f", "\u07ff", "\uffff", "\U0010ffff"],
    "11": ["\ud7ff", "\ue000", "\ufffd", "\U0010ffff"],
    "22": [chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF)],
    "23": ["\ufff9", "\ufffa", "\ufffb", "\ufffc", "\ufffd", "\ufffe", "\uffff"],
}
INVALID = {  # what is not UTF-8: beginnings, lonely bytes, overlong forms, surrogates, beyond U+10FFFF
    "6": [b"\xce", b"\xce\xba\xe1", b"\xce\xba\xe1\xbd", b"\xce\xba\xe1\xbd\xb9\xcf", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce",
          b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce"],
    "8": [b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"],
    "10": [b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf"],
    "11": [b"\xf4\x90\x80\x80"],
    "12": [b"\x80", b"\xbf", b"\x80\xbf", b"\x80\xbf\x80", b"\x80\xbf\x80\xbf", b"\x80\xbf\x80\xbf\x80",
           b"\x80\xbf\x80\xbf\x80\xbf", bytes(range(0x80, 0xC0))],
    "13": [b" ".join(bytes([b]) for b in range(low, high)) for low, high in
           ((0xC0, 0xE0), (0xE0, 0xF0), (0xF0, 0xF8), (0xF8, 0xFC), (0xFC, 0xFE))],
    "14": [b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xfc\x80\x80\x80\x80", b"\xdf", b"\xef\xbf",
           b"\xf7\xbf\xbf", b"\xfb\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf"],
    "15": [b"\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xfc\x80\x80\x80\x80\xdf\xef\xbf\xf7\xbf\xbf\xfb\xbf\xbf\xbf\xfd\xbf\xbf\xbf\xbf"],
    "16": [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"],
    "17": [b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf", b"\xfc\x80\x80\x80\x80\xaf"],
    "18": [b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf8\x87\xbf\xbf\xbf", b"\xfc\x83\xbf\xbf\xbf\xbf"],
    "19": [b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xf8\x80\x80\x80\x80", b"\xfc\x80\x80\x80\x80\x80"],
    "20": [b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xaf\xbf", b"\xed\xb0\x80", b"\xed\xbe\x80", b"\xed\xbf\xbf"],
    "21": [b"\xed\xa0\x80\xed\xb0\x80", b"\xed\xa0\x80\xed\xbf\xbf", b"\xed\xad\xbf\xed\xb0\x80", b"\xed\xad\xbf\xed\xbf\xbf",
           b"\xed\xae\x80\xed\xb0\x80", b"\xed\xae\x80\xed\xbf\xbf", b"\xed\xaf\xbf\xed\xb0\x80", b"\xed\xaf\xbf\xed\xbf\xbf"],
}


def group_6():
    yield "6.1.1", fine(message(b""), lambda ws: told(ws, "invalid_json"))
    yield "6.1.2", fine(frames((TEXT, b"", False), (CONTINUATION, b"", False), (CONTINUATION, b"")),
                        lambda ws: told(ws, "invalid_json"))
    yield "6.1.3", fine(frames((TEXT, b"", False), (CONTINUATION, ask(), False), (CONTINUATION, b"")), echoed)
    hello = "Hello-µ@ßöäüàá-UTF-8!!"
    cut = ask(hello).index("ä".encode())
    for number, size in ((1, 0), (2, cut), (3, 1), (4, cut + 1)):
        yield f"6.2.{number}", fine(message(ask(hello), size=size), lambda ws: echoed(ws, hello))
    broken = ask(b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited")
    yield "6.3.1", fails(message(broken), code=1007)
    yield "6.3.2", fails(frames(*[(CONTINUATION if n else TEXT, broken[n:n + 1], False) for n in range(len(broken))]), code=1007)
    # The server closes at the first bad byte, while the message, or even the frame, goes on.
    start, bad, rest = broken.split(b"\xed\xa0\x80")[0], b"\xed\xa0\x80", b"edited"
    yield "6.4.1", fails(frames((TEXT, start, False), (CONTINUATION, bad, False)), code=1007)
    yield "6.4.2", fails(frames((TEXT, start, False), (CONTINUATION, b"\xf4\x90", False)), code=1007)
    yield "6.4.3", fails(lambda ws: ws.frame(TEXT, start + bad, length=len(start + bad + rest)), code=1007)
    yield "6.4.4", fails(lambda ws: ws.frame(TEXT, start + b"\xf4\x90", length=1000, chop=1), code=1007)
    for group, texts in VALID.items():
        for number, text in enumerate(texts, 1):
            yield f"6.{group}.{number}", fine(message(ask(text)), lambda ws, t=text: echoed(ws, t))
    for group, texts in INVALID.items():
        for number, text in enumerate(texts, 1):
            yield f"6.{group}.{number} (invalid)", fails(message(ask(text)), code=1007)


def group_7():
    yield "7.1.1", fine(message(ask()), echoed)

    def after_close(*late):
        def play(ws):
            ws.frame(CLOSE, b"\x03\xe8")
            frames(*late)(ws)
            closed(ws, 1000)
        return play
    yield "7.1.2", after_close((CLOSE, b"\x03\xe8"))
    yield "7.1.3", after_close((PING, b""))
    yield "7.1.4", after_close((TEXT, ask()))

    def between(ws):
        ws.frame(TEXT, ask()[:20], fin=False)
        after_close((CONTINUATION, ask()[20:]))(ws)
    yield "7.1.5", between
    yield "7.1.6", lambda ws: (ws.text(ask("B" * 262144)), echoed(ws, "B" * 262144), after_close((PING, b""))(ws))
    yield "7.3.1", lambda ws: (ws.frame(CLOSE), closed(ws))
    yield "7.3.2", fails(frames((CLOSE, b"a")))
    yield "7.3.3", good_bye
    yield "7.3.4", lambda ws: (ws.frame(CLOSE, b"\x03\xe8Hello World!"), closed(ws, 1000))
    yield "7.3.5", lambda ws: (ws.frame(CLOSE, b"\x03\xe8" + b"*" * 123), closed(ws, 1000))
    yield "7.3.6", fails(frames((CLOSE, b"\x03\xe8" + b"*" * 124)))
    yield "7.5.1", fails(frames((CLOSE, b"\x03\xe8\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80")), code=1007)
    for number, code in enumerate((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999), 1):
        yield f"7.7.{number}", lambda ws, c=code: (ws.frame(CLOSE, c.to_bytes(2, "big")), closed(ws, c))
    for number, code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1):
        yield f"7.9.{number}", fails(frames((CLOSE, code.to_bytes(2, "big"))))
    for number, code in enumerate((5000, 65535), 1):
        yield f"7.13.{number}", fails(frames((CLOSE, code.to_bytes(2, "big"))))


def group_9():
    for number, size in enumerate((65536, 262144, 1 << 20, 4 << 20, 8 << 20, 16 << 20), 1):
        yield f"9.1.{number}", fine(message(ask("*" * size)), lambda ws, s=size: echoed(ws, "*" * s))
    large = ask("é" * (2 << 20))
    for number, size in enumerate((64, 256, 1024, 4096, 16384, 65536, 262144, 1 << 20, 4 << 20), 1):
        yield f"9.3.{number}", fine(message(large, size=size), lambda ws: echoed(ws, "é" * (2 << 20)))
    for number, chop in enumerate((64, 128, 256, 512, 1024, 2048), 1):
        yield f"9.5.{number}", fine(message(ask("*" * (1 << 20)), chop=chop), lambda ws: echoed(ws, "*" * (1 << 20)))
    for number, size in enumerate((0, 16, 64, 256, 1024, 4096), 1):
        def play(ws, size=size):
            for turn in range(100):
                text = f"{turn}".rjust(size, "*")
                ws.text(ask(text))
                echoed(ws, text)
            good_bye(ws)
        yield f"9.7.{number}", play
    yield "10.1.1", fine(message(ask("*" * 65536), size=1300), lambda ws: echoed(ws, "*" * 65536))


GROUPS = {"1 framing": group_1, "2 pings and pongs": group_2, "3 reserved bits": group_3, "4 opcodes": group_4,
          "5 fragmentation": group_5, "6 UTF-8": group_6, "7 closing": group_7, "9 and 10, limits and sizes": group_9}


def play_group(stage, group):
    with echo_server() as upstream:
        sluice, url = stage.sluice("--backend", "openai=" + upstream, name="sluice-autobahn")
        wait_until(lambda: b'"echo"' in fetch(url, "GET", "/v1/models").body, 10)
        failed, count = [], 0
        for name, play in group():
            count += 1
            try:
                with Raw(url) as ws:
                    expect(b"sec-websocket-extensions" not in ws.head.lower(), "an extension nobody offered")
                    play(ws)
            except (AssertionError, OSError, TypeError, ValueError) as problem:
                failed.append(f"{name}: {type(problem).__name__} {problem}"[:200])
        wait_until(lambda: b"\nsluice_connections 1\n" in fetch(url, "GET", "/metrics").body, 5)
        expect(not failed, f"{len(failed)} of {count} failed: " + "; ".join(failed))
        expect(sluice.stop() == 0, "it did not end well")
        return f"{count} cases"


for title, group in GROUPS.items():
    case("Autobahn " + title, seconds=240)(lambda stage, group=group: play_group(stage, group))

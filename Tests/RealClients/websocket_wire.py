"""A WebSocket client that sends what it is told, right or wrong, frame by frame: what libraries do not let one do."""
import base64
import hashlib
import os
import socket
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PATH = "/v1/chat/completions"


class Raw:
    """One connection, upgraded."""

    def __init__(self, url, fields=(), timeout=20, receive_buffer=None):
        host, port = url.split("://")[1].split(":")
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""
        key = base64.b64encode(os.urandom(16)).decode()
        head = [f"GET {PATH} HTTP/1.1", f"Host: {host}:{port}", "Connection: keep-alive, Upgrade", "Upgrade: websocket",
                "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *fields]
        self.socket.sendall("\r\n".join([*head, "", ""]).encode())
        while b"\r\n\r\n" not in self.unread:
            piece = self.socket.recv(4096)
            assert piece, f"closed instead of upgraded: {self.unread!r}"
            self.unread += piece
        self.head, self.unread = self.unread.split(b"\r\n\r\n", 1)
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        assert self.head.startswith(b"HTTP/1.1 101 "), f"not upgraded: {self.head!r} {self.unread!r}"
        assert b"Sec-WebSocket-Accept: " + base64.b64encode(digest) in self.head, f"wrong accept: {self.head!r}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def frame(self, opcode, payload=b"", fin=True, reserved=0, chop=0, mask=None, length=None):
        """Sends one frame; `chop` bytes at a time if not 0."""
        mask = os.urandom(4) if mask is None else mask
        count = len(payload) if length is None else length
        head = bytes([fin << 7 | reserved << 4 | opcode])
        if count < 126:
            head += bytes([0x80 | count])
        else:
            head += bytes([0xFE]) + struct.pack(">H", count) if count < 65536 else bytes([0xFF]) + struct.pack(">Q", count)
        self.send(head + mask + masked(payload, mask), chop)

    def send(self, data, chop=0):
        for start in range(0, len(data), chop or max(1, len(data))):
            self.socket.sendall(data[start:start + (chop or len(data))])

    def text(self, text, size=0, chop=0):
        """Sends one message, in fragments of `size` bytes if not 0."""
        parts = [text[i:i + size] for i in range(0, len(text), size)] if size else [text]
        for number, part in enumerate(parts):
            self.frame(CONTINUATION if number else TEXT, part, fin=number == len(parts) - 1, chop=chop)

    def take(self, count):
        parts, missing = [self.unread[:count]], count - len(self.unread[:count])
        self.unread = self.unread[count:]
        while missing:
            piece = self.socket.recv(min(missing, 1 << 20))
            if not piece:
                return None
            parts.append(piece)
            missing -= len(piece)
        return b"".join(parts)

    def read(self):
        """The next frame as (opcode, payload), or None at the end."""
        try:
            head = self.take(2)
        except ConnectionResetError:
            return None
        if head is None:
            return None
        assert head[0] & 0x70 == 0, "reserved bits"
        assert head[0] & 0x80, "Sluice sends no fragments"
        assert head[1] & 0x80 == 0, "a server does not mask"
        count = head[1]
        if count == 126:
            count, = struct.unpack(">H", self.take(2))
            assert count > 125, "a length longer than needed"
        elif count == 127:
            count, = struct.unpack(">Q", self.take(8))
            assert count > 65535, "a length longer than needed"
        payload = self.take(count)
        assert payload is not None, "cut inside a frame"
        return head[0] & 15, payload


def masked(payload, mask):
    if not payload:
        return b""
    count = len(payload)
    key = int.from_bytes((mask * (count // 4 + 1))[:count], "big")
    return (int.from_bytes(payload, "big") ^ key).to_bytes(count, "big")

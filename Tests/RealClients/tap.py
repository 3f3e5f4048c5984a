"""A byte relay that notes when the upstream's bytes passed: Sluice between two clocks."""
import select
import socket
import threading
import time


class Tap:
    """Listens on a free port and relays to `upstream`; `seen` holds (time, bytes) of what the upstream sent."""

    def __init__(self, upstream):
        host, port = upstream.split("://")[1].split(":")
        self.upstream, self.seen = (host, int(port)), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.relay, args=(client,), daemon=True).start()

    def relay(self, client):
        with client, socket.create_connection(self.upstream) as upstream:
            for end in (client, upstream):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                for ready in select.select([client, upstream], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is upstream:
                        self.seen.append((time.monotonic(), data))
                        client.sendall(data)
                    else:
                        upstream.sendall(data)


def event_times(pieces):
    """(text, time) of each content event in (time, bytes) pieces; an event counts when its blank line is there."""
    import json
    found, buffer = [], b""
    for when, data in pieces:
        buffer += data
        while b"\n\n" in buffer:
            event, buffer = buffer.split(b"\n\n", 1)
            line = event[event.rfind(b"data: "):] if b"data: {" in event else b""
            if not line:
                continue
            choices = json.loads(line[len(b"data: "):]).get("choices")
            text = choices and choices[0]["delta"].get("content")
            if text:
                found.append((text, when))
    return found

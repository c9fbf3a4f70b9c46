"""A client of the event stream that notices everything: raw bytes in, whole events out."""
import json
import socket
import time


class Event:
    __slots__ = ("id", "name", "data", "at")

    def __init__(self, id, name, data, at):
        self.id, self.name, self.data, self.at = id, name, data, at

    @property
    def vector(self):
        bars, forecasts, _posts = self.id.split(".")
        return int(bars[1:]), int(forecasts[1:])


class Stream:
    """Connects; `events()` yields events until `seconds` are over or the server ends. close() cuts at once."""

    def __init__(self, port, last_id=None, query="", source=None, receive_buffer=None, timeout=5):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.socket.bind((source, 0))
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"GET /api/v1/stream{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n"
        if last_id:
            head += f"Last-Event-ID: {last_id}\r\n"
        self.socket.sendall((head + "\r\n").encode())
        self.raw = b""      # as received, still in chunks
        self.text = b""     # without chunks, not yet parsed
        self.status = None
        self.ended = False

    def close(self):
        self.socket.close()

    def _take_header(self):
        end = self.raw.find(b"\r\n\r\n")
        if end < 0:
            return False
        self.status = int(self.raw.split(b" ", 2)[1])
        self.raw = self.raw[end + 4:]
        return True

    def _take_chunks(self):
        while True:
            end = self.raw.find(b"\r\n")
            if end < 0:
                return
            size = int(self.raw[:end].split(b";")[0], 16)
            if len(self.raw) < end + 2 + size + 2:
                return
            self.ended = self.ended or size == 0
            self.text += self.raw[end + 2:end + 2 + size]
            self.raw = self.raw[end + 2 + size + 2:]
            if self.ended:
                return

    def events(self, seconds=5.0, count=None):
        deadline = time.monotonic() + seconds
        given = 0
        while not self.ended and time.monotonic() < deadline:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                got = self.socket.recv(65536)
            except (TimeoutError, socket.timeout):
                return
            at = time.time_ns()
            if not got:
                self.ended = True
            self.raw += got
            if self.status is None and not self._take_header():
                continue
            if self.status != 200:
                return
            self._take_chunks()
            while b"\n\n" in self.text:
                block, self.text = self.text.split(b"\n\n", 1)
                event = parse(block.decode(), at)
                if event:
                    given += 1
                    yield event
                    if count and given >= count:
                        return


def parse(block, at):
    fields = {}
    for line in block.split("\n"):
        if line.startswith(":") or not line:
            continue
        name, _, value = line.partition(": ")
        fields[name] = value
    if "event" not in fields:
        return None
    return Event(fields["id"], fields["event"], json.loads(fields["data"]), at)

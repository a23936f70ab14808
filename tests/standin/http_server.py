"""A small threaded HTTP/1.1 server for stand-ins: fast, exact about bytes, able to misbehave.

One thread per connection. A handler maps a Request to a Reply; a Reply may ask for a delay, a close
before or in the middle of the answer, or an endless body. Close and reopen the listening socket
with down() and up(): the port stays the same.
"""

import os
import select
import signal
import socket
import stat
import sys
import threading
import time

REASONS = {
    200: "OK",
    201: "CREATED",
    202: "ACCEPTED",
    204: "NO CONTENT",
    303: "SEE OTHER",
    400: "BAD REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT FOUND",
    407: "PROXY AUTHENTICATION REQUIRED",
    408: "REQUEST TIMEOUT",
    409: "CONFLICT",
    422: "UNPROCESSABLE ENTITY",
    425: "TOO EARLY",
    429: "TOO MANY REQUESTS",
    500: "INTERNAL SERVER ERROR",
    502: "BAD GATEWAY",
    503: "SERVICE UNAVAILABLE",
    504: "GATEWAY TIMEOUT",
}
HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 64 * 1024 * 1024
STREAM_PIECE = b"x" * 65536


class Request:
    __slots__ = ("method", "target", "path", "query", "headers", "body", "received_at")

    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.path, _, self.query = target.partition("?")
        self.received_at = time.time()

    def header(self, name, otherwise=""):
        name = name.lower()
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return otherwise


class Reply:
    """What to answer. `deliver` says how: whole, never (close at once), part (close in the middle)
    or hang (keep the connection open, say nothing). `stream_bytes` sends that many filler bytes
    after the body; `chunked` sends them in chunks and without an end."""

    def __init__(
        self,
        status=200,
        body=b"",
        content_type="application/json",
        headers=(),
        close=False,
        deliver="whole",
        stream_bytes=0,
        chunked=False,
    ):
        self.status, self.body, self.content_type = status, body, content_type
        self.headers, self.close, self.deliver = list(headers), close, deliver
        self.stream_bytes, self.chunked = stream_bytes, chunked

    def head(self, server_name, date):
        lines = [
            f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'STATUS')}",
            f"Server: {server_name}",
            f"Date: {date}",
        ]
        if self.content_type:
            lines.append(f"Content-Type: {self.content_type}")
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
        else:
            lines.append(f"Content-Length: {len(self.body) + self.stream_bytes}")
        lines.extend(f"{name}: {value}" for name, value in self.headers)
        lines.append("Connection: close" if self.close else "Connection: keep-alive")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def http_date(moment):
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(moment))


class HttpServer:
    def __init__(self, handler, port=0, server_name="standin", clock=time.time):
        self.handler, self.server_name, self.clock = handler, server_name, clock
        self._lock = threading.Lock()
        self._connections = set()
        self._listener = None
        self.port = port
        self.up()

    def up(self):
        """Listens (again) on the same port; nothing happens when already listening."""
        with self._lock:
            if self._listener is not None:
                return
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self.port))
            listener.listen(1024)
            self.port = listener.getsockname()[1]
            self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self):
        """Refuses connections and cuts the open ones."""
        with self._lock:
            listener, self._listener = self._listener, None
            connections = list(self._connections)
        if listener is not None:
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with self._lock:
            if self._listener is None:
                connection.close()
                return
            self._connections.add(connection)
        try:
            buffered = b""
            while True:
                request, buffered = read_request(connection, buffered)
                if request is None:
                    return
                reply = self.handler(request)
                if request.header("connection").lower() == "close":
                    reply.close = True
                if not self._send(connection, reply) or reply.close:
                    return
        except (OSError, ValueError):
            pass  # A client that leaves or sends nonsense ends its connection, nothing else.
        finally:
            with self._lock:
                self._connections.discard(connection)
            close_gently(connection)

    def _send(self, connection, reply):
        if reply.deliver == "never":
            return False
        if reply.deliver == "hang":
            connection.recv(1)  # until the client gives up or down() cuts it
            return False
        data = reply.head(self.server_name, http_date(self.clock())) + (
            b"" if reply.chunked else reply.body
        )
        if reply.deliver == "part":
            connection.sendall(data[: len(data) - max(1, len(reply.body) // 2)])
            return False
        connection.sendall(data)
        if reply.stream_bytes or reply.chunked:
            stream(connection, reply)
        return not reply.chunked


def stream(connection, reply):
    left = reply.stream_bytes
    while left > 0:
        piece = STREAM_PIECE[: min(left, len(STREAM_PIECE))]
        if reply.chunked:
            connection.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
        else:
            connection.sendall(piece)
        left -= len(piece)


def close_gently(connection):
    """Sends FIN, not RST, so that the last bytes of an answer are not thrown away."""
    try:
        connection.shutdown(socket.SHUT_WR)
        connection.setblocking(False)
        connection.recv(65536)
    except OSError:
        pass
    connection.close()


def read_request(connection, buffered):
    """One request and what was received beyond it; (None, b"") when the client is done."""
    while b"\r\n\r\n" not in buffered:
        piece = connection.recv(65536)
        if not piece:
            return None, b""
        buffered += piece
        if len(buffered) > HEAD_BYTES_MAX and b"\r\n\r\n" not in buffered:
            raise ValueError("head too large")
    head, _, rest = buffered.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    method, target, _version = lines[0].split(" ", 2)
    headers = []
    length = 0
    for line in lines[1:]:
        name, _, value = line.partition(":")
        value = value.strip()
        headers.append((name, value))
        if name.lower() == "content-length":
            length = int(value)
        elif name.lower() == "transfer-encoding":
            raise ValueError("stand-ins take Content-Length only")
    if length > BODY_BYTES_MAX:
        raise ValueError("body too large")
    pieces, have = [rest], len(rest)
    while have < length:
        piece = connection.recv(min(262144, length - have))
        if not piece:
            return None, b""
        pieces.append(piece)
        have += len(piece)
    data = b"".join(pieces)
    return Request(method, target, headers, data[:length]), data[length:]


def run_until_told():
    """Returns on SIGTERM, SIGINT, or when standard input closes (so no orphan outlives its test).
    A standard input that is /dev/null from the start does not count as closed."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        mode = os.fstat(0)
        watch = not (
            stat.S_ISCHR(mode.st_mode) and os.path.realpath("/proc/self/fd/0") == "/dev/null"
        )
    except OSError:
        watch = False
    while not stop.is_set():
        if not watch:
            stop.wait(0.2)
            continue
        readable, _, _ = select.select([0], [], [], 0.2)
        if readable and not os.read(0, 4096):
            return


def announce(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()

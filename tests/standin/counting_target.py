#!/usr/bin/env python3
"""A target for very many small requests: keeps no bodies, only how the records' numbers came in.

Every body is a JSON object with `record` and `n`, which counts from 1 within its record. One thread
serves all connections. Prints one line of JSON with its ports when ready; it listens after the
command `up`.
"""

import json
import os
import select
import socket
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from control import control_handler  # noqa: E402
from http_server import HttpServer, announce, run_until_told  # noqa: E402

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
NOTHING = -1


class CountingTarget:
    def __init__(self):
        self.last = {}  # record -> the highest n that arrived
        self.received = self.repeats = self.gaps = 0
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def up(self):
        """From now on connections are taken; before, they are refused."""
        self.listener.listen(1024)
        threading.Thread(target=self.serve, daemon=True).start()

    def counts(self):
        return {
            "received": self.received,
            "records": len(self.last),
            "repeats": self.repeats,
            "gaps": self.gaps,
            "through": min(self.last.values(), default=0),
        }

    def serve(self):
        poll = select.epoll()
        poll.register(self.listener, select.EPOLLIN)
        open_ones = {}  # file descriptor -> [socket, bytes that wait for the rest]
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self.listener.fileno():
                    connection, _ = self.listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    poll.register(connection, select.EPOLLIN)
                    open_ones[connection.fileno()] = [connection, b""]
                elif not self.read(open_ones[descriptor]):
                    poll.unregister(descriptor)
                    open_ones.pop(descriptor)[0].close()

    def read(self, entry):
        connection, waiting = entry
        try:
            piece = connection.recv(65536)
        except OSError:
            return False
        if not piece:
            return False
        waiting += piece
        answers = 0
        while (end := body_end(waiting)) != NOTHING:
            self.count(waiting[waiting.index(b"\r\n\r\n") + 4 : end])
            waiting = waiting[end:]
            answers += 1
        entry[1] = waiting
        if answers:
            connection.sendall(ANSWER * answers)
        return True

    def count(self, body):
        if not body:
            return  # a question whether this target is there
        event = json.loads(body)
        record, number = event["record"], event["n"]
        before = self.last.get(record, 0)
        self.received += 1
        self.repeats += number <= before
        self.gaps += number > before + 1
        self.last[record] = max(before, number)


def body_end(waiting):
    """Where the first request ends; NOTHING while it is not complete."""
    head = waiting.find(b"\r\n\r\n")
    if head < 0:
        return NOTHING
    at = waiting.lower().find(b"content-length:", 0, head)
    length = int(waiting[at + 15 : waiting.index(b"\r\n", at)]) if at >= 0 else 0
    end = head + 4 + length
    return end if len(waiting) >= end else NOTHING


def main():
    target = CountingTarget()
    commands = {"up": target.up, "counts": target.counts, "ping": lambda: None}
    control = HttpServer(control_handler(commands))
    announce(json.dumps({"port": target.port, "control_port": control.port}))
    run_until_told()
    os._exit(0)  # the serving thread never ends


if __name__ == "__main__":
    main()

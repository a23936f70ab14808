"""A way to a Kafka on which what a producer sends to one topic can be held for a while."""

import socket
import struct
import threading

PRODUCE = 0  # the API key of Kafka's protocol


class HoldingProxy:
    """Passes bytes on, request by request. Between `hold` and `let_go` a connection stands still from
    the first record on that is to be written to `topic`."""

    def __init__(self, topic):
        self.topic = topic.encode()
        self.upstream = None
        self.holding = False
        self.held = 0
        self._passing = threading.Event()
        self._passing.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self):
        self._passing.clear()
        self.holding = True

    def let_go(self):
        self.holding = False
        self._passing.set()

    def close(self):
        self.let_go()
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.upstream))
            except OSError:
                return
            threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answers, args=(server, client), daemon=True).start()

    def _requests(self, client, server):
        try:
            while True:
                head = self._exactly(client, 4)
                body = self._exactly(client, struct.unpack(">i", head)[0])
                if self.holding and self._is_held(body):
                    self.held += 1
                    self._passing.wait()
                server.sendall(head + body)
        except OSError:
            self._end(client, server)

    def _is_held(self, body):
        return struct.unpack(">h", body[:2])[0] == PRODUCE and self.topic in body

    def _answers(self, server, client):
        try:
            while data := server.recv(65536):
                client.sendall(data)
        except OSError:
            pass
        self._end(client, server)

    @staticmethod
    def _exactly(connection, size):
        data = b""
        while len(data) < size:
            more = connection.recv(size - len(data))
            if not more:
                raise ConnectionError("the other end closed")
            data += more
        return data

    @staticmethod
    def _end(*connections):
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

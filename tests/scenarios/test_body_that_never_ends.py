"""A sender that stops in the middle of a body is cut off at the request's deadline."""

import socket

from configurations import SHOP_TOKEN, as_sent, order
from millrace_harness import Scenario, main

REQUEST_SECONDS_MAX = 60
SENDERS = 20


class BodyThatNeverEnds(Scenario):
    def test_it_is_closed_at_the_deadline_and_others_are_served(self):
        mes = self.target()
        millrace = self.order_broker(mes).start()
        head = (f"POST /hooks/shop/{SHOP_TOKEN} HTTP/1.1\r\nHost: x\r\n"
                "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
        stuck = [socket.create_connection(("127.0.0.1", millrace.port)) for _ in range(SENDERS)]
        for connection in stuck:
            self.addCleanup(connection.close)
            connection.sendall(head.encode())
        self.send(millrace, order(1, quantity=1, version=1))
        self.await_bodies(mes, [as_sent(1, 1)])
        for connection in stuck:
            connection.settimeout(REQUEST_SECONDS_MAX + 15)
            self.read_to_the_end(connection)
        self.send(millrace, order(2, quantity=1, version=1))
        self.await_bodies(mes, [as_sent(1, 1), as_sent(2, 1)])
        self.assertEqual([], self.dead_letters(millrace))

    def read_to_the_end(self, connection):
        try:
            while connection.recv(4096):
                pass
        except ConnectionError:
            pass


if __name__ == "__main__":
    main()

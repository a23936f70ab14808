"""Bodies that are not what they should be: the sender is answered, the daemon stays up."""
# labels: quick

import json
import socket

from configurations import SHOP_TOKEN, as_sent, order
from millrace_harness import Scenario, eventually, main

PATH = f"/hooks/shop/{SHOP_TOKEN}"
BODY_BYTES_MAX = 1 << 20


class BadHookBodies(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes).start()

    def check_dead_letter_of_the_connection(self, body):
        answer = self.millrace.post(PATH, body)
        self.assertEqual(200, answer.status, "a sender can do nothing about its own bug")
        letters = eventually(lambda: self.dead_letters(self.millrace), what="the dead letter shows")
        self.assertEqual(1, len(letters), letters)
        self.assertIn("shop", str(letters[0]))
        self.check_still_works()

    def check_still_works(self):
        self.send(self.millrace, order(1, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1)])

    def test_not_json(self):
        self.check_dead_letter_of_the_connection("id=7&number=S7")

    def test_empty(self):
        self.check_dead_letter_of_the_connection("")

    def test_a_hundred_thousand_deep(self):
        self.check_dead_letter_of_the_connection("[" * 100_000 + "]" * 100_000)

    def test_a_repeated_key(self):
        self.check_dead_letter_of_the_connection('{"id": 1, "id": 2, "number": "S1"}')

    def test_no_record_named(self):
        self.check_dead_letter_of_the_connection('{"number": "S7"}')

    def test_the_largest_body_and_one_byte_more(self):
        payload = {**order(1, quantity=1, version=1), "note": ""}
        room = BODY_BYTES_MAX - len(json.dumps(payload))
        payload["note"] = "x" * room
        largest = json.dumps(payload)
        self.assertEqual(BODY_BYTES_MAX, len(largest))
        self.assertEqual(200, self.millrace.post(PATH, largest).status)
        self.await_bodies(self.mes, [as_sent(1, 1)])
        try:
            self.assertEqual(413, self.millrace.post(PATH, largest + " ").status)
        except ConnectionError:
            pass  # answered and closed while we were still sending
        self.assertEqual([], self.dead_letters(self.millrace))

    def test_too_large_by_its_header(self):
        with socket.create_connection(("127.0.0.1", self.millrace.port), 30) as connection:
            connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\n"
                               f"Content-Length: {BODY_BYTES_MAX + 1}\r\n\r\n".encode())
            self.assertIn(b" 413 ", connection.recv(4096))
        self.check_still_works()

    def test_wrong_token(self):
        self.assertEqual(404, self.millrace.post("/hooks/shop/wrong", order(1, 1)).status)
        self.assertEqual(404, self.millrace.post("/hooks/nobody/wrong", order(1, 1)).status)
        self.assertEqual([], self.dead_letters(self.millrace))


if __name__ == "__main__":
    main()

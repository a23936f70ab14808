"""Each limit says so: heads and bodies that are too large, answers that are, and what a parked row
keeps of them. Nothing is lost, and what comes next goes on."""
# labels: quick
# logs: kafka

import json
import socket

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, SHOP_TOKEN, as_sent, order
from millrace_harness import Scenario, eventually, main

PATH = f"/hooks/shop/{SHOP_TOKEN}"
BODY_MAX = 4 << 10
ROOMY_MAX = 3 << 20
ANSWER_MAX = 8 << 20
KEPT_MAX = 64 << 10

SMALL_SHOP = SHOP + "limits: { body: 4KiB }\n"
ROOMY = SHOP.replace("connection: shop", "connection: roomy") + "limits: { body: 3MiB }\n"
PLAIN = MES.replace("idempotent: true\n", "")


class LimitsOfIngress(Scenario):
    def setUp(self):
        self.mes = self.target()
        entity = ORDER.replace("from:\n", "from:\n  - connection: roomy\n    map: '{ number: .number, "
                               "state: .state, quantity: .quantity }'\n")
        self.millrace = self.broker(SMALL_SHOP, ROOMY, MES % {"target_port": self.mes.port}, entity,
                                    EVERY_CHANGE).start()

    def refused(self):
        return self.millrace.metrics()['millrace_http_refused_total{outcome="too_large"}']

    def sized(self, record, size):
        """A payload of so many bytes."""
        payload = {**order(record, quantity=1, version=1), "note": ""}
        payload["note"] = "x" * (size - len(json.dumps(payload)))
        return json.dumps(payload)

    def raw(self, head):
        """The first line of what a request of these bytes is answered with."""
        with socket.create_connection(("127.0.0.1", self.millrace.port), 30) as connection:
            connection.sendall(head)
            return connection.makefile("rb").readline()

    def head(self, *fields):
        body = json.dumps(order(5, quantity=1, version=1))
        lines = [f"POST {PATH} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *fields]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    def test_a_body_by_its_connection(self):
        self.insist(200, lambda: self.millrace.post(PATH, self.sized(1, BODY_MAX)))
        answer = self.millrace.post(PATH, self.sized(2, BODY_MAX + 1))
        self.assertEqual(413, answer.status)
        self.assertIn(b"too large", answer.body)
        roomy = f"/hooks/roomy/{SHOP_TOKEN}"
        self.insist(200, lambda: self.millrace.post(roomy, self.sized(3, ROOMY_MAX)))
        eventually(lambda: len(self.mes.bodies()) == 2, what="both arrive")
        self.assertEqual(1, self.refused())

    def test_a_head(self):
        few = [f"X-{i}: 1" for i in range(98)]
        self.assertIn(b" 200 ", self.raw(self.head(*few)))
        self.assertIn(b" 431 ", self.raw(self.head(*few, "X-99: 1")))
        spare = 8192 - len(self.head("X: ")) + len(json.dumps(order(5, quantity=1, version=1)))
        self.assertIn(b" 200 ", self.raw(self.head("X: " + "y" * spare)))
        self.assertIn(b" 431 ", self.raw(self.head("X: " + "y" * (spare + 1))))
        self.assertEqual(2, self.refused())
        self.await_bodies(self.mes, [as_sent(5, 1)])


class LimitsOfAnswers(Scenario):
    def setUp(self):
        self.mes = self.target(idempotent=False)
        self.millrace = self.broker(SHOP, PLAIN % {"target_port": self.mes.port}, ORDER,
                                    EVERY_CHANGE).start()

    def others_go_on(self):
        self.send(self.millrace, order(2, quantity=1, version=1))
        eventually(lambda: as_sent(2, 1) in self.mes.bodies(), what="others go on")

    def test_an_answer_that_is_too_large_is_an_unknown_outcome(self):
        self.mes.fault(mode="oversized", bytes=ANSWER_MAX + 1, applied_anyway=True, body='"S1"')
        self.send(self.millrace, order(1, quantity=1, version=1))
        [row] = eventually(lambda: self.parked(self.millrace), what="it waits for a person")
        self.assertEqual("unknown", row["state"])
        self.assertIn(str(ANSWER_MAX), row["reason"])
        self.others_go_on()
        self.millrace.cli("parked", "release", row["id"], "--applied")
        eventually(lambda: not self.parked(self.millrace), what="it is decided")
        self.assertEqual([as_sent(1, 1), as_sent(2, 1)], self.mes.bodies())

    def dead_with(self, answer):
        self.mes.fault(status=422, body='"S1"', answer=answer)
        self.send(self.millrace, order(1, quantity=1, version=1))
        [letter] = eventually(lambda: self.dead_letters(self.millrace), what="it is dead")
        self.millrace.kill9()
        self.millrace.start()
        shown = self.millrace.admin("GET", f"/admin/v1/dead/{letter['id']}").json()
        self.mes.heal()
        self.millrace.cli("dead", "resubmit", letter["id"])
        eventually(lambda: self.mes.bodies() == [as_sent(1, 1)], what="it is sent again")
        return shown["answer"]["body"]

    def test_64_kb_of_an_answer_are_kept_and_no_half_letter(self):
        kept = self.dead_with("x" + "é" * KEPT_MAX)
        self.assertEqual("x" + "é" * (KEPT_MAX // 2 - 1), kept)

    def test_an_answer_that_is_no_text_is_kept_as_text(self):
        self.assertEqual("caf\ufffd \ufffd", self.dead_with("caf\udce9 \udcff"))


if __name__ == "__main__":
    main()

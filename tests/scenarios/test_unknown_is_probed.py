"""Sent, and no answer came, to a target that does not honour keys but can be asked: the probe says
whether it was applied, and nothing is sent twice or forgotten."""
# labels: quick

import re

from configurations import MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main

PLAIN = MES.replace("idempotent: true\n", "")

PROBED = """\
route: order-to-mes
from: order
to: mes
requests:
  changed:
    method: POST
    path: /orders
    body: .data
    remember: .answer.body.id
probe:
  request: { path: "/orders?number=${ .data.number }" }
  applied: .answer.status == 200
  remember: .answer.body.ids[-1]
retry: { initial: 50ms, max_interval: 200ms, give_up_after: 1h }
"""


class UnknownIsProbed(Scenario):
    def setUp(self):
        self.mes = self.target(idempotent=False)
        self.mes.control("lookup", member="number")
        self.millrace = self.broker(SHOP, PLAIN % {"target_port": self.mes.port}, ORDER,
                                    PROBED).start()

    def where(self, number):
        return self.millrace.cli("where", number, expect=None).stdout

    def probes(self):
        return [r for r in self.mes.control("requests")["requests"] if r["method"] == "GET"]

    def test_it_was_applied_and_is_not_sent_again(self):
        self.mes.fault(mode="close", times=1, method="POST", applied_anyway=True)
        self.send(self.millrace, order(1, quantity=1, version=1))
        eventually(self.probes, what="the probe")
        self.send(self.millrace, order(2, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(2, 1)])
        eventually(lambda: "T1" in self.where("S1"), what="the id is known")
        self.assertEqual([], self.parked(self.millrace))

    def test_it_was_not_applied_and_is_sent_again(self):
        self.mes.fault(mode="close", times=1, method="POST")
        self.send(self.millrace, order(1, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1)])
        self.assertEqual(1, len(self.probes()))

    def test_the_probe_is_not_answered_for_a_while(self):
        self.mes.fault(mode="close", times=1, method="POST", applied_anyway=True)
        self.mes.fault(mode="status", times=4, method="GET", status=503)
        self.send(self.millrace, order(1, quantity=1, version=1))
        eventually(lambda: len(self.probes()) >= 5, what="probes until one is answered")
        self.send(self.millrace, order(2, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(2, 1)])

    def test_an_empty_remember_asks_the_probe(self):
        self.mes.control("answer", body={})
        self.send(self.millrace, order(1, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1)])
        eventually(lambda: "T1" in self.where("S1"), what="the id is known")
        self.assertEqual([], self.parked(self.millrace))

    def test_what_was_on_the_wire_at_a_crash_is_asked_for(self):
        self.mes.fault(mode="hang", times=3, method="POST", applied_anyway=True)
        for number in (1, 2, 3):
            self.send(self.millrace, order(number, quantity=1, version=1))
        eventually(lambda: len(self.mes.bodies()) == 3, what="three on the wire")
        self.millrace.kill9()
        self.millrace.start()
        self.send(self.millrace, order(4, quantity=1, version=1))
        eventually(lambda: as_sent(4, 1) in self.mes.bodies(), what="the next order")
        for number in (1, 2, 3):
            eventually(lambda: re.search(r"\bT[123]\b", self.where(f"S{number}")),
                       what="the probe's id is bound")
        self.assertCountEqual([as_sent(n, 1) for n in (1, 2, 3, 4)], self.mes.bodies())


class AnIdThatNoAnswerTold(Scenario):
    """The probe tells it, also where what is unanswered would be sent again or asked a person."""

    def asks_the_probe(self, unknown):
        mes = self.target(idempotent=False)
        mes.control("lookup", member="number")
        mes.control("answer", body={})
        mes.fault(mode="status", times=2, method="GET", status=503)
        millrace = self.broker(SHOP, PLAIN % {"target_port": mes.port}, ORDER,
                               PROBED + f"unknown: {unknown}\n").start()
        self.send(millrace, order(1, quantity=1, version=1))
        eventually(lambda: "T1" in millrace.cli("where", "S1", expect=None).stdout,
                   what="the id is known")
        self.assertEqual([as_sent(1, 1)], mes.bodies())
        self.assertEqual([], self.parked(millrace))

    def test_where_it_would_be_sent_again(self):
        self.asks_the_probe("retry")

    def test_where_a_person_would_be_asked(self):
        self.asks_the_probe("ask")


if __name__ == "__main__":
    main()

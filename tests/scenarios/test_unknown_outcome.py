"""Sent, and no answer came, to a target that does not honour keys: a person says what happened, later
news of the record waits for that, everybody else goes on."""
# labels: quick

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main

COUNTED = "millrace_route_repeated_unknown_total"
PLAIN = MES.replace("idempotent: true\n", "")


class UnknownOutcome(Scenario):
    def setUp(self):
        self.mes = self.target(idempotent=False)
        self.millrace = self.broker(SHOP, PLAIN % {"target_port": self.mes.port}, ORDER,
                                    EVERY_CHANGE).start()

    def leave_one_unanswered(self, **fault):
        self.mes.fault(mode="close", times=1, **fault)
        self.send(self.millrace, order(1, quantity=1, version=1))
        waiting = eventually(lambda: self.parked(self.millrace), what="the order waits")
        self.assertEqual("unknown", waiting[0]["state"])
        self.send(self.millrace, order(1, quantity=2, version=2))
        self.send(self.millrace, order(2, quantity=1, version=1))
        eventually(lambda: as_sent(2, 1) in self.mes.bodies(), what="the other order arrives")
        eventually(lambda: len(self.parked(self.millrace)) == 2, what="the next news waits behind")
        self.assertNotIn(as_sent(1, 2), self.mes.bodies())
        return waiting[0]["id"]

    def of_order_1(self):
        return [body for body in self.mes.bodies() if body["number"] == "S1"]

    def test_it_was_not_applied(self):
        waiting = self.leave_one_unanswered()
        self.millrace.cli("parked", "release", waiting, "--not-applied", "--reason", "looked")
        eventually(lambda: self.of_order_1() == [as_sent(1, 1), as_sent(1, 2)],
                   what="both arrive in their order")
        eventually(lambda: not self.parked(self.millrace), what="nothing waits")

    def test_it_was_applied(self):
        waiting = self.leave_one_unanswered(applied_anyway=True)
        self.millrace.cli("parked", "release", waiting, "--applied")
        eventually(lambda: self.of_order_1() == [as_sent(1, 1), as_sent(1, 2)],
                   what="it is not sent twice, and the next one goes")
        eventually(lambda: not self.parked(self.millrace), what="nothing waits")

    def test_it_waits_across_a_crash(self):
        waiting = self.leave_one_unanswered()
        self.millrace.kill9()
        self.millrace.start()
        self.assertIn(waiting, [row["id"] for row in self.parked(self.millrace)])
        self.assertEqual([], self.of_order_1())
        refused = self.millrace.cli("parked", "release", waiting, "--absent", expect=1)
        self.assertIn("unknown", refused.stderr)

    def test_what_was_on_the_wire_at_a_crash_is_sent_again_and_counted(self):
        self.mes.fault(mode="hang", times=1, applied_anyway=True)
        self.send(self.millrace, order(1, quantity=1, version=1))
        eventually(self.of_order_1, what="it is on the wire")
        self.assertEqual(0, self.repeated())
        self.millrace.kill9()
        self.millrace.start()
        eventually(lambda: self.of_order_1() == [as_sent(1, 1), as_sent(1, 1)],
                   what="it is sent again")
        self.assertEqual(1, self.repeated())
        self.send(self.millrace, order(1, quantity=2, version=2))
        eventually(lambda: as_sent(1, 2) in self.mes.bodies(), what="the next news")
        self.assertEqual(1, self.repeated())

    def repeated(self):
        route = self.millrace.cli_json("status")["routes"][0]
        metric = self.millrace.metrics()[f'{COUNTED}{{route="order-to-mes"}}']
        self.assertEqual(route["repeated_unknown_total"], metric)
        return metric


if __name__ == "__main__":
    main()

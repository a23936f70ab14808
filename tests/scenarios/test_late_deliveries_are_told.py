"""What is undelivered for longer than `slo.within` is said, also when it is parked: `status` names the
oldest record, why, and what to type; a metric rings the bell; a crash changes nothing."""
# labels: quick

from configurations import EVERY_CHANGE, as_sent, order
from millrace_harness import Scenario, eventually, main

ROUTE = EVERY_CHANGE + "slo: { within: 1s }\n"
LATE = 'millrace_route_late{route="order-to-mes"}'
AGE = 'millrace_route_oldest_undelivered_seconds{route="order-to-mes"}'


class LateDeliveriesAreTold(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes, ROUTE).start()

    def late(self):
        """What `status` says about late deliveries."""
        problems = self.millrace.admin("GET", "/admin/v1/status").json()["problems"]
        return [problem for problem in problems if "is late" in problem["what"]]

    def until_parked(self, record):
        """Others are answered meanwhile: the fault is the record's."""
        for other in range(1000, 2000):
            self.send(self.millrace, order(other, quantity=1, version=1))
            if any(row["record"] == f"shop/{record}" for row in self.parked(self.millrace)):
                return
        self.fail(f"shop/{record} is not parked")

    def test_a_parked_delivery_that_retries(self):
        self.mes.fault(status=503, body='"S7"')
        self.send(self.millrace, order(7, quantity=1, version=1))
        self.until_parked(7)
        self.send(self.millrace, order(7, quantity=2, version=2))
        eventually(lambda: len(self.parked(self.millrace)) == 2, what="the next waits behind it")
        for _ in range(2):
            [said] = eventually(self.late, what="it is late")
            self.assertIn("shop/7 is undelivered (retrying, ", said["what"])
            first = next(row for row in self.parked(self.millrace) if row["state"] == "retrying")
            self.assertEqual(f"millrace dead show {first['id']}", said["next"])
            self.assertIn("503", self.millrace.cli(*said["next"].split()[1:]).stdout)
            self.assertEqual(1, self.millrace.metrics()[LATE])
            self.assertGreater(self.millrace.metrics()[AGE], 1)
            self.millrace.kill9()
            self.millrace.start()
        self.mes.heal()
        eventually(lambda: not self.parked(self.millrace), what="both are delivered")
        eventually(lambda: self.millrace.metrics()[LATE] == 0, what="nothing is late")
        self.assertEqual([], self.late())
        self.assertEqual([as_sent(7, 1), as_sent(7, 2)],
                         [body for body in self.mes.bodies() if body["number"] == "S7"])

    def test_a_dead_letter_is_said_as_such(self):
        self.mes.fault(status=422, body='"S7"')
        self.send(self.millrace, order(7, quantity=1, version=1))
        eventually(lambda: self.dead_letters(self.millrace), what="it is dead")
        eventually(lambda: "1 dead letters" in self.millrace.cli("status", expect=1).stdout,
                   what="the status says so")
        self.assertEqual(0, self.millrace.metrics()[AGE])


if __name__ == "__main__":
    main()

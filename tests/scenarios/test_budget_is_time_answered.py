"""`give_up_after` counts time in which the target answered: a record that keeps failing is given up,
parked or not, and a restart goes on counting; an outage longer than the budget uses up none of it."""
# labels: quick

import time

from configurations import EVERY_CHANGE, as_sent, order
from millrace_harness import Scenario, eventually, main

BUDGET = 2.0
LONG_BUDGET = 10.0  # not used up before the outage, however busy the machine is


class BudgetIsTimeAnswered(Scenario):
    def setUp(self):
        self.mes = self.target()

    def start(self, budget):
        route = EVERY_CHANGE.replace("give_up_after: 1h", f"give_up_after: {budget:g}s")
        self.millrace = self.order_broker(self.mes, route).start()

    def test_a_parked_record_is_given_up(self):
        self.start(BUDGET)
        self.mes.fault(status=503, body='"S7"')
        self.send(self.millrace, order(7, quantity=1, version=1))
        eventually(lambda: self.parked(self.millrace), what="it is parked")
        self.millrace.kill9()
        self.millrace.start()
        [letter] = eventually(lambda: self.dead_letters(self.millrace), what="it is given up")
        self.assertEqual("given up", letter["cause"])

    def test_an_outage_uses_up_nothing(self):
        self.start(LONG_BUDGET)
        self.send(self.millrace, order(1, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1)])
        self.mes.fault(status=503, body='"S7"')
        self.send(self.millrace, order(7, quantity=1, version=1))
        eventually(lambda: self.parked(self.millrace), what="it is parked")
        self.mes.control("down")
        down_at = time.monotonic()
        eventually(lambda: self.millrace.metrics()['millrace_connection_up{connection="mes"}'] == 0,
                   what="the target is down")
        eventually(lambda: time.monotonic() - down_at > 1.2 * LONG_BUDGET, what="a long outage")
        self.mes.heal()
        self.mes.control("up")
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(7, 1)])
        self.assertEqual([], self.dead_letters(self.millrace))


if __name__ == "__main__":
    main()

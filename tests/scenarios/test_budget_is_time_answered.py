"""`give_up_after` counts time in which the target answered: a record that keeps failing is given up,
parked or not, and a restart goes on counting; an outage longer than the budget uses up none of it."""
# labels: quick

import time

from configurations import EVERY_CHANGE, as_sent, order
from millrace_harness import Scenario, eventually, main

BUDGET = 2.0
ROUTE = EVERY_CHANGE.replace("give_up_after: 1h", "give_up_after: 2s")


class BudgetIsTimeAnswered(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes, ROUTE).start()

    def test_a_parked_record_is_given_up(self):
        self.mes.fault(status=503, body='"S7"')
        self.send(self.millrace, order(7, quantity=1, version=1))
        eventually(lambda: self.parked(self.millrace), what="it is parked")
        self.millrace.kill9()
        self.millrace.start()
        [letter] = eventually(lambda: self.dead_letters(self.millrace), what="it is given up")
        self.assertEqual("given up", letter["cause"])

    def test_an_outage_uses_up_nothing(self):
        self.send(self.millrace, order(1, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1)])
        self.mes.fault(status=503, body='"S7"')
        self.send(self.millrace, order(7, quantity=1, version=1))
        eventually(lambda: self.parked(self.millrace), what="it is parked")
        self.mes.control("down")
        down_at = time.monotonic()
        eventually(lambda: self.millrace.metrics()['millrace_connection_up{connection="mes"}'] == 0,
                   what="the target is down")
        eventually(lambda: time.monotonic() - down_at > 2 * BUDGET, what="a long outage")
        self.mes.heal()
        self.mes.control("up")
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(7, 1)])
        self.assertEqual([], self.dead_letters(self.millrace))


if __name__ == "__main__":
    main()

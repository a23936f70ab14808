"""A cancellation never overtakes the confirmation it cancels, however long that is retried."""
# labels: quick
# logs: kafka

from configurations import RELEASE_AND_WITHDRAW, order
from millrace_harness import Scenario, eventually, main

ATTEMPTS_BEFORE_PARKING = 3


class CancelBehindRetriedConfirm(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes, RELEASE_AND_WITHDRAW).start()
        self.mes.fault(status=503, body='"S7"')

    def attempts(self):
        return [r for r in self.mes.control("requests")["requests"] if '"S7"' in r["body"]]

    def confirm_and_cancel(self):
        """The confirmation is tried until it is parked, while others show that the target works."""
        self.send(self.millrace, order(7, 1, "confirmed", version=1))
        other = 100
        while len(self.attempts()) < ATTEMPTS_BEFORE_PARKING:
            other += 1
            number = other
            self.send(self.millrace, order(number, 1, "confirmed", version=1))
            eventually(lambda n=number: {"orderNo": f"S{n}", "quantity": 1} in self.mes.bodies(),
                       what=f"order S{number} is delivered past the one that is retried")
        eventually(lambda: self.parked(self.millrace), what="the confirmation is parked")
        self.send(self.millrace, order(7, 1, "cancelled", version=2))
        eventually(lambda: len(self.parked(self.millrace)) == 2, what="the cancellation waits")

    def calls(self):
        """What was carried out for S7, in order."""
        return [(effect["method"], effect["target"]) for effect in self.mes.effects()
                if effect["target"] == "/work-orders/S7"
                or (effect["body"] or {}).get("orderNo") == "S7"]

    def await_both(self):
        self.mes.heal()
        eventually(lambda: len(self.calls()) >= 2, what="both arrive")
        self.assertEqual([("POST", "/work-orders"), ("DELETE", "/work-orders/S7")], self.calls())
        eventually(lambda: not self.parked(self.millrace), what="nothing is parked any more")

    def test_the_cancellation_waits(self):
        self.confirm_and_cancel()
        self.await_both()

    def test_the_cancellation_waits_through_a_crash(self):
        self.confirm_and_cancel()
        self.millrace.kill9()
        self.millrace.start()
        self.await_both()


if __name__ == "__main__":
    main()

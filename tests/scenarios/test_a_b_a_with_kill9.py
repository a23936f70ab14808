"""A record goes A, B and back to A: three pieces of news, whenever the daemon is killed."""
# labels: quick
# states: postgresql

from configurations import SHOP_WITHOUT_VERSION, as_sent, order
from millrace_harness import Scenario, main

A, B = order(7, quantity=1), order(7, quantity=2)
NEWS = [as_sent(7, quantity=1), as_sent(7, quantity=2), as_sent(7, quantity=1)]


class ABAWithKill9(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes, shop=SHOP_WITHOUT_VERSION).start()

    def kill_and_restart(self):
        self.millrace.kill9()
        self.millrace.start()

    def test_killed_after_each_delivery(self):
        for number, payload in enumerate((A, B, A), start=1):
            self.send(self.millrace, payload)
            self.await_bodies(self.mes, NEWS[:number])
            self.kill_and_restart()
        self.await_bodies(self.mes, NEWS)

    def test_killed_while_nothing_could_be_delivered(self):
        self.mes.control("down")
        self.send(self.millrace, A)
        self.send(self.millrace, B)
        self.kill_and_restart()
        self.send(self.millrace, A)
        self.kill_and_restart()
        self.mes.control("up")
        self.await_bodies(self.mes, NEWS)

    def test_killed_right_after_each_acknowledgement(self):
        for payload in (A, B, A):
            self.send(self.millrace, payload)
            self.kill_and_restart()
        self.await_bodies(self.mes, NEWS)

    def test_the_same_payload_again_is_no_news(self):
        for payload in (A, A, B):
            self.send(self.millrace, payload)
        self.kill_and_restart()
        for payload in (B, A):
            self.send(self.millrace, payload)
        self.await_bodies(self.mes, NEWS)


if __name__ == "__main__":
    main()

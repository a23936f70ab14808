"""A payload older than what was applied is dropped, and the trail says so."""
# labels: quick

from configurations import as_sent, order
from millrace_harness import Scenario, eventually, main


class HookVersions(Scenario):
    def test_a_stale_payload_is_dropped(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes).start()
        self.send(self.millrace, order(1, quantity=1, version=5))
        self.send(self.millrace, order(1, quantity=2, version=3))
        self.send(self.millrace, order(1, quantity=3, version=6))
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(1, 3)])
        eventually(lambda: "stale" in self.millrace.cli("where", "shop/1", expect=None).stdout, 30,
                   "the trail says that it was stale")


if __name__ == "__main__":
    main()

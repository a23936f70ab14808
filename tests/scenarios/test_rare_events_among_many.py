"""A route whose events are rare among many others of the same partition never stops at the distance
between two of them."""
# labels: quick

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main

WINDOW = 4096  # offsets a route may be ahead of its first unsettled one

TALK = """\
entity: talk
version: 1
from:
  - connection: shop
    only: .state == "draft"
    map: .
events:
  changed: true
"""
RARE = ORDER.replace("- connection: shop\n", '- connection: shop\n    only: .state != "draft"\n')


class RareEventsAmongMany(Scenario):
    def test_the_next_one_lies_beyond_the_window(self):
        mes = self.target()
        millrace = self.broker(SHOP, MES % {"target_port": mes.port}, TALK, RARE,
                               EVERY_CHANGE).start()
        mes.fault(status=503)
        self.send(millrace, order(1, quantity=1, version=1))
        eventually(lambda: mes.control("requests")["requests"], what="the first one is tried")
        # The same record, and so the same partition; none of these concerns the route.
        for version in range(2, WINDOW + 10):
            self.send(millrace, order(1, quantity=version, version=version, state="draft"))
        last = WINDOW + 10
        self.send(millrace, order(1, quantity=last, version=last))
        mes.heal()
        self.await_bodies(mes, [as_sent(1, 1), as_sent(1, last)])


if __name__ == "__main__":
    main()

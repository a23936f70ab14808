"""On one change a route sends one request, the first that its `requests` name; the change's other
events settle as covered, and `where` says so."""
# labels: quick

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, order
from millrace_harness import Scenario, eventually, main


def route(*events):
    """Its requests name these events, in this order."""
    requests = "".join(f"  {event}: {{ method: POST, path: /{event}, body: .data }}\n"
                       for event in events)
    return f"""\
route: order-to-mes
from: order
to: mes
requests:
{requests}retry: {{ initial: 50ms, max_interval: 500ms, give_up_after: 1h }}
"""


# The entity's own order is confirmed, cancelled, changed.
CHANGED_FIRST = route("changed", "cancelled", "confirmed")
CHANGED_LAST = route("cancelled", "confirmed", "changed")
# Another route is asked by itself.
ONLY_CHANGES = EVERY_CHANGE.replace("order-to-mes", "order-to-log").replace("/orders", "/log")


class OneRequestForOneChange(Scenario):
    def start(self, *routes):
        self.mes = self.target()
        self.millrace = self.broker(SHOP, MES % {"target_port": self.mes.port}, ORDER,
                                    *routes).start()

    def sent(self):
        return [(effect["target"], effect["body"]["quantity"]) for effect in self.mes.effects()]

    def confirm_change_and_cancel(self):
        self.send(self.millrace, order(1, 5, "confirmed", version=1))
        self.send(self.millrace, order(1, 6, "confirmed", version=2))
        self.send(self.millrace, order(1, 7, "cancelled", version=3))

    def covered(self):
        """Of each event of the record that was covered, what covers it."""
        where = self.millrace.admin("GET", "/admin/v1/where?key=S1").json()
        return [(hop["owner"], hop["detail"]) for record in where["records"]
                for hop in record["hops"] if hop["what"] == "covered"]

    def test_the_first_named_in_requests_is_sent(self):
        self.start(CHANGED_FIRST)
        self.confirm_change_and_cancel()
        eventually(lambda: len(self.sent()) == 3, what=lambda: f"three; {self.sent()}")
        self.assertEqual([("/changed", 5), ("/changed", 6), ("/changed", 7)], self.sent())
        by = ("order-to-mes", "`changed` is sent for this change")
        eventually(lambda: self.covered() == [by, by], what=lambda: f"two; {self.covered()}")

    def test_in_their_order_and_not_in_that_of_the_events(self):
        self.start(CHANGED_LAST, ONLY_CHANGES)
        self.confirm_change_and_cancel()
        eventually(lambda: len(self.sent()) == 6, what=lambda: f"six; {self.sent()}")
        self.assertEqual([("/cancelled", 7), ("/changed", 6), ("/confirmed", 5),
                          ("/log", 5), ("/log", 6), ("/log", 7)], sorted(self.sent()))
        # What a route does not name is no news to it, and not worth a line.
        eventually(lambda: self.covered() == [
            ("order-to-mes", "`confirmed` is sent for this change"),
            ("order-to-mes", "`cancelled` is sent for this change")],
            what=lambda: f"two; {self.covered()}")
        self.assertIn("covered", self.millrace.cli("where", "S1").stdout)

    def test_also_after_a_crash_while_the_first_is_retried(self):
        self.start(CHANGED_LAST)
        self.mes.fault(status=503)
        self.confirm_change_and_cancel()
        eventually(lambda: len(self.covered()) == 2, what=lambda: f"two; {self.covered()}")
        self.millrace.kill9()
        self.mes.heal()
        self.millrace.start()
        self.send(self.millrace, order(1, 8, "confirmed", version=4))
        eventually(lambda: len(self.sent()) == 4, what=lambda: f"four; {self.sent()}")
        self.assertEqual([("/confirmed", 5), ("/changed", 6), ("/cancelled", 7),
                          ("/confirmed", 8)], self.sent())


if __name__ == "__main__":
    main()

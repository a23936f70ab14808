"""`parked list|release|skip`: one that waits is tried at once, or given up, and what is given up stays
so, also while it is being tried; its record's news goes on in order."""
# labels: quick
# states: postgresql

import json

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, order
from millrace_harness import Scenario, eventually, main
from processes import Background

IMPATIENT = EVERY_CHANGE.replace("    body: .data\n", "    body: .data\n    timeout: 2s\n")


class ParkedByHand(Scenario):
    def start(self, route):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes, route).start()

    def park(self, **fault):
        """The first order is parked, and its next change behind it; another one flows."""
        self.mes.fault(body='"S1"', **fault)
        self.send(self.millrace, order(1, quantity=1, version=1))
        self.send(self.millrace, order(2, quantity=1, version=1))
        row = eventually(lambda: [r for r in self.parked(self.millrace)
                                  if r["state"] == "retrying"], what="it is parked")[0]
        self.send(self.millrace, order(1, quantity=2, version=2))
        eventually(lambda: len(self.parked(self.millrace)) == 2, what="its news waits behind it")
        return str(row["id"])

    def of_order_1(self):
        return [body["quantity"] for body in self.mes.bodies() if body["number"] == "S1"]

    def test_release_tries_it_now(self):
        self.start(EVERY_CHANGE)
        self.mes.fault(status=500, body='"S1"', times=2)
        row = self.park(status=429, headers={"Retry-After": "3600"})
        self.mes.heal()
        said = self.millrace.cli("parked", "list", "--route", "order-to-mes").stdout
        self.assertIn("behind", said)
        self.assertIn(row, said)
        self.assertIn("again 429", self.millrace.cli("parked", "list", "--by", "cause").stdout)
        self.assertEqual([], self.of_order_1())
        self.millrace.cli("parked", "release", row, "--absent")
        eventually(lambda: self.of_order_1() == [1, 2], what="both arrive in their order")
        eventually(lambda: not self.parked(self.millrace), what="nothing is parked")

    def test_skip_lets_its_news_go_on(self):
        self.start(EVERY_CHANGE)
        row = self.park(status=500)
        self.assertNotEqual(0, self.millrace.cli("parked", "skip", row, expect=None).returncode)
        self.millrace.cli("parked", "skip", row, "--reason", "made by hand")
        self.mes.heal()
        eventually(lambda: self.of_order_1() == [2], what="its news arrives")
        self.millrace.kill9()
        self.millrace.start()
        self.send(self.millrace, order(1, quantity=3, version=3))
        eventually(lambda: self.of_order_1() == [2, 3], what="it never comes back")
        self.assertIn("made by hand", self.millrace.cli("where", "S1").stdout)

    def test_what_is_given_up_while_it_is_tried_stays_so(self):
        self.start(IMPATIENT)
        row = self.park(status=500)
        self.mes.heal()
        self.mes.fault(mode="delay", ms=4000, body='"quantity":1')
        self.mes.fault(mode="close", body='"quantity":1')
        before = len(self.mes.control("requests")["requests"])
        eventually(lambda: self.mes.control("requests")["requests"][before:], what="it is tried")
        self.millrace.cli("parked", "skip", row, "--reason", "made by hand")
        eventually(lambda: self.of_order_1()[-1:] == [2], what="its news arrives")
        eventually(lambda: not self.parked(self.millrace), what="nothing is parked")
        self.send(self.millrace, order(1, quantity=3, version=3))
        eventually(lambda: self.of_order_1()[-1:] == [3], what="the record flows")
        self.assertEqual([], self.parked(self.millrace))

    def test_answers_that_come_while_rows_are_given_up(self):
        self.mes = self.target()
        many_places = MES.replace("in_flight: 8", "in_flight: 160")
        hasty = EVERY_CHANGE.replace("initial: 50ms, max_interval: 500ms",
                                     "initial: 10ms, max_interval: 100ms")
        self.millrace = self.broker(SHOP, many_places % {"target_port": self.mes.port}, ORDER,
                                    hasty).start()
        self.mes.fault(status=500, body='"quantity":1')
        for record in range(1, 41):
            self.send(self.millrace, order(record, quantity=1, version=1))
            self.send(self.millrace, order(1000 + record, quantity=2, version=1))
        rows = eventually(lambda: self.all_parked(40), within=60, what="all are parked")
        skips = [Background(self.skip_each, rows[turn::8]) for turn in range(8)]
        for skip in skips:
            skip.join()
        self.millrace.terminate()
        states = [json.loads(row)["state"]
                  for row in self.millrace.state_values("parked").splitlines()]
        self.assertEqual(["discarded"] * 40, states)

    def all_parked(self, count):
        rows = [str(row["id"]) for row in self.parked(self.millrace)]
        return rows if len(rows) == count else None

    def skip_each(self, rows):
        for row in rows:
            path = f"/admin/v1/parked/{row}/skip"
            self.insist(200, lambda: self.millrace.admin("POST", path, {"reason": "made by hand"}))


if __name__ == "__main__":
    main()

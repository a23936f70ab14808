"""`domain:` and `only:` say which records count: leaving them tells `deleted`, entering is news, and
a filter that changes is neither a flood nor overlooked."""
# labels: quick

import configurations
from configurations import order
from millrace_harness import Scenario, eventually, main
from odoo_neighbour import OdooScenario

CREATED_AND_DELETED = """\
route: order-to-mes
from: order
to: mes
requests:
  deleted:
    method: DELETE
    path: /orders/${ .data.number }?was=${ .data.quantity }
  created:
    method: POST
    path: /created
    body: .data
  changed:
    method: POST
    path: /changed
    body: .data
retry: { initial: 50ms, max_interval: 500ms, give_up_after: 1h }
"""
# Does not name `deleted`.
CHANGES_ONLY = """\
route: order-to-log
from: order
to: mes
requests:
  created: { method: POST, path: /log, body: .data }
  changed: { method: POST, path: /log, body: .data }
"""


class ReadBackFilters(OdooScenario):
    def begin(self, filter_line):
        self.neighbours(more=f"    {filter_line}\n")
        states = ["draft"] * 5 + ["sale"] * 5 + ["done"] * 2
        old = "2025-01-02 03:04:05"
        self.odoo.control("insert", model="sale.order", rows=[
            {"state": state, "create_date": old, "write_date": old, "name": f"S{number:05}",
             "id": number} for number, state in enumerate(states, start=1)])
        self.start()

    def refilter(self, before, after):
        path = self.millrace.config / "objects.yaml"
        text = path.read_text("utf-8")
        self.assertIn(before, text)
        path.write_text(text.replace(before, after, 1), "utf-8")
        told = self.millrace.cli("plan", "--sample", "50").stdout
        reads = self.millrace.log_text().count("records were read again")
        self.millrace.cli("reload")
        eventually(lambda: self.millrace.log_text().count("records were read again") > reads, 60,
                   "the model was read again")
        self.await_settled()
        return told

    def test_a_domain_that_changes(self):
        self.begin('domain: [["state", "in", ["sale", "done"]]]')
        # Wider: what it lets in is history, but known from now on.
        told = self.refilter('"sale", "done"', '"draft", "sale", "done"')
        self.assertIn("order: 7 records of sale.order are read again", told)
        self.assertEqual([], self.sent())
        self.odoo.ring_into(self.millrace)
        self.odoo.write_order(1, client_order_ref="known")
        self.await_sent(["POST /changed S00001 draft"])
        # Narrower: what it leaves out is withdrawn from those who ask for it.
        told = self.refilter('"draft", "sale", "done"', '"sale", "done"')
        self.assertIn("5 of them are outside the new `domain:` or `only:`", told)
        gone = [f"DELETE /orders/S{number:05}" for number in range(1, 6)]
        eventually(lambda: len(self.sent()) == 6, 30, lambda: f"five more; {self.sent()}")
        self.assertEqual(gone, sorted(self.sent()[1:]))
        # By its own change a record enters: that is news.
        self.odoo.write_order(1, state="sale")
        eventually(lambda: len(self.sent()) == 7, 30, "it came back")
        self.assertEqual("POST /created S00001 sale", self.sent()[-1])

    def test_an_only_that_changes(self):
        self.begin('only: .state != "draft"')
        told = self.refilter('.state != "draft"', '.state == "done"')
        self.assertIn("5 of them are outside the new `domain:` or `only:`", told)
        eventually(lambda: len(self.sent()) == 5, 30, lambda: f"five; {self.sent()}")
        self.assertEqual([f"DELETE /orders/S{number:05}" for number in range(6, 11)],
                         sorted(self.sent()))
        self.refilter('.state == "done"', "true")
        self.odoo.ring_into(self.millrace)
        self.odoo.write_order(2, client_order_ref="known")
        eventually(lambda: "POST /changed S00002 draft" in self.sent(), 30,
                   lambda: f"a draft that the wider filter let in without a word: {self.sent()}")
        # What was withdrawn is told again, and drafts that were there all the time are not.
        again = [f"POST /created S{number:05} sale" for number in range(6, 11)]
        eventually(lambda: sorted(line for line in self.sent() if "/created" in line) == again, 30,
                   lambda: f"those that were withdrawn, and no others: {self.sent()}")

    def test_a_domain_that_leaves_most_out_waits_for_a_person(self):
        self.begin('domain: [["state", "in", ["draft", "sale", "done"]]]')
        self.refilter('"draft", "sale", "done"', '"drat"')
        eventually(lambda: "outside `domain:`: that many deletes wait" in
                   self.millrace.cli("status", expect=None).stdout, 30, "status asks")
        self.await_settled()
        self.assertEqual([], self.sent())


class PayloadFilters(Scenario):
    def sent(self):
        return [f'{effect["method"]} {effect["target"]}' for effect in self.mes.effects()]

    def await_sent(self, *expected):
        eventually(lambda: len(self.sent()) >= len(expected), 30, lambda: f"{self.sent()}")
        self.assertEqual(list(expected), self.sent())

    def begin(self, more=()):
        self.mes = self.target()
        self.entity = configurations.ORDER.replace(
            "    map:", '    only: .state == "confirmed"\n    map:').replace(
                "events:\n", "events:\n  created: $before == null\n")
        self.millrace = self.broker(
            configurations.SHOP_WITHOUT_VERSION,
            configurations.MES % {"target_port": self.mes.port}, self.entity,
            CREATED_AND_DELETED, *more)
        self.millrace.start()

    def test_entering_is_first_sight_and_leaving_tells_the_last_data(self):
        self.begin([CHANGES_ONLY])
        self.send(self.millrace, order(1, 5, state="draft"))
        self.send(self.millrace, order(1, 6, state="confirmed"))
        eventually(lambda: len(self.sent()) == 2, 30, lambda: f"{self.sent()}")
        self.send(self.millrace, order(1, 7, state="draft"))
        eventually(lambda: "DELETE /orders/S1?was=6" in self.sent(), 30, lambda: f"{self.sent()}")
        self.send(self.millrace, order(1, 8, state="confirmed"))
        eventually(lambda: len(self.sent()) == 5, 30, lambda: f"{self.sent()}")
        self.assertEqual(["DELETE /orders/S1?was=6", "POST /created", "POST /created",
                          "POST /log", "POST /log"], sorted(self.sent()))

    def test_an_only_that_changes_counts_from_the_next_payload(self):
        self.begin()
        self.send(self.millrace, order(1, 5, state="confirmed"))
        self.send(self.millrace, order(2, 5, state="draft"))
        self.await_sent("POST /created")
        path = self.millrace.config / "objects.yaml"
        text = path.read_text("utf-8").replace('only: .state == "confirmed"',
                                               'only: .state == "draft"', 1)
        path.write_text(text, "utf-8")
        self.millrace.cli("reload")
        self.send(self.millrace, order(1, 6, state="confirmed"))
        self.await_sent("POST /created", "DELETE /orders/S1?was=5")
        self.send(self.millrace, order(2, 6, state="draft"))
        self.await_sent("POST /created", "DELETE /orders/S1?was=5", "POST /created")


if __name__ == "__main__":
    main()

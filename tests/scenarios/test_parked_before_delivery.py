"""What cannot be read or projected waits, with what follows it: a reload, a changed table or the
record's next doorbell releases it; a person may give it up, and nothing of it is left then."""
# labels: quick
# states: postgresql

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main
from odoo_neighbour import OdooScenario

TRANSLATED = ORDER.replace("state: .state,", 'state: lookup("states"; .state),')
STATES = """\
table: states
missing: park
file: tables/states.csv
"""
MANY = 1100  # more than a page of rows, all of one record
SHOP_PATH = "/hooks/shop/"


class ParkedPayloads(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.broker(SHOP, MES % {"target_port": self.mes.port}, TRANSLATED,
                                    EVERY_CHANGE, STATES)
        self.table = self.millrace.config / "tables" / "states.csv"
        self.table.parent.mkdir()
        self.table.write_text("ok,confirmed\nno,cancelled\n", "utf-8")
        self.millrace.start()

    def states(self):
        return sorted(row["state"] for row in self.parked(self.millrace))

    def total(self):
        return self.millrace.admin("GET", "/admin/v1/parked?limit=1").json()["total"]

    def await_states(self, *expected):
        eventually(lambda: self.states() == sorted(expected), 30,
                   lambda: f"{expected}; parked are {self.parked(self.millrace)}")

    def of_record(self, record):
        return [body for body in self.mes.bodies() if body["number"] == f"S{record}"]

    def row(self, state):
        return next(str(row["id"]) for row in self.parked(self.millrace) if row["state"] == state)

    def give_up(self, row):
        self.millrace.cli("parked", "skip", row, "--reason", "made by hand")
        self.assertNotIn(row, [str(r["id"]) for r in self.parked(self.millrace)])

    def test_a_row_of_a_table_releases_all_in_their_order(self):
        for number in range(1, MANY + 1):
            self.send(self.millrace, order(1, number, state="new", version=number))
        self.send(self.millrace, order(2, 1, state="ok", version=1))
        eventually(lambda: self.of_record(2) == [as_sent(2, 1)], 30, "others flow on")
        eventually(lambda: self.total() == MANY, 30, "all are parked")
        self.millrace.kill9()
        self.millrace.start()
        self.send(self.millrace, order(1, MANY + 1, state="ok", version=MANY + 1))
        with self.table.open("a", encoding="utf-8") as file:
            file.write("new,draft\n")
        self.millrace.cli("reload")
        eventually(lambda: len(self.of_record(1)) >= MANY + 1, 60,
                   lambda: f"{len(self.of_record(1))} of {MANY + 1} arrived")
        self.assertEqual([as_sent(1, number, "draft") for number in range(1, MANY + 1)]
                         + [as_sent(1, MANY + 1)], self.of_record(1))
        self.await_states()

    def test_an_older_one_behind_it_stays_unsaid(self):
        self.send(self.millrace, order(1, 2, state="new", version=2))
        self.send(self.millrace, order(1, 1, state="ok", version=1))
        self.await_states("behind", "waiting_reference")
        with self.table.open("a", encoding="utf-8") as file:
            file.write("new,draft\n")
        self.millrace.cli("reload")
        self.await_states()
        self.send(self.millrace, order(1, 3, state="ok", version=3))
        eventually(lambda: len(self.of_record(1)) >= 2, 30, "the second and the third")
        self.assertEqual([as_sent(1, 2, "draft"), as_sent(1, 3)], self.of_record(1))

    def test_what_is_given_up_is_gone_and_what_follows_goes_on(self):
        for number, state in enumerate(("new", "ok", "newer", "no"), start=1):
            self.send(self.millrace, order(1, number, state=state, version=number))
        self.await_states("behind", "behind", "behind", "waiting_reference")
        self.give_up(self.row("waiting_reference"))
        # Its news is projected up to the next one that cannot be.
        eventually(lambda: self.of_record(1) == [as_sent(1, 2)], 30,
                   lambda: f"the second; {self.of_record(1)}")
        self.await_states("behind", "waiting_reference")
        self.millrace.kill9()
        self.millrace.start()
        self.await_states("behind", "waiting_reference")
        self.give_up(self.row("behind"))
        self.send(self.millrace, order(1, 5, state="ok", version=5))
        self.await_states("behind", "waiting_reference")
        self.give_up(self.row("waiting_reference"))
        eventually(lambda: self.of_record(1) == [as_sent(1, 2), as_sent(1, 5)], 30,
                   lambda: f"the second and the fifth; {self.of_record(1)}")
        self.await_states()
        self.assertNotIn("shop/1", self.millrace.state_values("parked"))
        eventually(lambda: "made by hand" in self.millrace.cli("where", "shop/1").stdout, 30,
                   "the trail says why")

    def test_an_unreadable_message_that_is_given_up_is_gone(self):
        secret = (self.millrace.secrets / "shop_hook").read_text("ascii")
        self.assertEqual(200, self.millrace.post(SHOP_PATH + secret, "no JSON").status)
        letter = eventually(lambda: self.dead_letters(self.millrace), 30, "its dead letter")[0]
        self.assertIn("1 messages of shop could not be read",
                      self.millrace.cli("status", expect=None).stdout)
        self.millrace.cli("dead", "discard", str(letter["id"]), "--reason", "the sender is mended")
        self.assertEqual([], self.dead_letters(self.millrace))
        self.assertEqual("", self.millrace.state_values("parked"))


class ParkedReadings(OdooScenario):
    def setUp(self):
        self.neighbours()
        self.start()
        self.odoo.ring_into(self.millrace)
        # Forbidden before it is committed: a reading in between would find it.
        self.order = self.odoo.do(["create", "sale.order", {}], commit_after_ms=1000,
                                  wait=False)["results"][0]
        self.odoo.control("forbid", model="sale.order", ids=[self.order])
        self.await_parked()

    def await_parked(self):
        row = eventually(lambda: self.parked(self.millrace), 30, "it is parked")[0]
        self.assertEqual(("collect", f"odoo/sale.order/{self.order}"),
                         (row["stage"], row["record"]))
        self.await_settled()
        told = self.millrace.cli("status", expect=None).stdout
        self.assertIn("1 records of odoo cannot be read", told)
        self.assertIn("millrace parked list --route collect.odoo", told)
        return str(row["id"])

    def await_created(self):
        eventually(lambda: f"POST /created S{self.order:05} draft" in self.sent(), 30,
                   lambda: f"it is sent; {self.sent()}")
        eventually(lambda: self.parked(self.millrace) == [], 30, "nothing is parked")

    def test_a_reload_releases(self):
        self.odoo.control("permit", model="sale.order", ids=[self.order])
        self.millrace.cli("reload")
        self.await_created()

    def test_what_is_given_up_is_gone_until_its_next_doorbell(self):
        self.millrace.cli("parked", "skip", self.await_parked(), "--reason", "not ours")
        self.assertEqual([], self.parked(self.millrace))
        self.assertEqual("", self.millrace.state_values("parked"))
        self.millrace.cli("fetch", "odoo", "sale.order", str(self.order))
        self.await_parked()
        self.odoo.control("permit", model="sale.order", ids=[self.order])
        self.odoo.write_order(self.order, note="ours after all")
        self.await_created()


if __name__ == "__main__":
    main()

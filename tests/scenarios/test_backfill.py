"""History is sent on purpose: paced, stopped and gone on with, also after a kill."""

from millrace_harness import eventually, main
from odoo_neighbour import OdooScenario

RECORDS = 300


class Backfill(OdooScenario):
    def begin(self):
        self.neighbours()
        self.odoo.control("seed", model="sale.order", count=RECORDS, age_days=400)
        self.start()
        eventually(lambda: self.doorbells()["baselined_total"] == RECORDS, 60, "all were read")

    def state(self):
        found = self.millrace.admin("GET", "/admin/v1/status").json()["backfills"]
        return found[0] if found else None

    def numbers(self):
        return [line.split()[2] for line in self.sent()]

    def test_every_record_is_sent_once(self):
        self.begin()
        self.assertEqual([], self.sent())
        self.millrace.cli("backfill", "order", "--per-second", "10000")
        eventually(lambda: self.state()["state"] == "done", 60, lambda: f"done: {self.state()}")
        eventually(lambda: len(self.sent()) == RECORDS, 60, "every order reached the MES")
        self.await_settled()
        expected = [f"S{number:05}" for number in range(1, RECORDS + 1)]
        self.assertEqual(expected, sorted(self.numbers()))
        self.assertTrue(all(line.startswith("POST /created") for line in self.sent()))

    def test_stopped_killed_and_gone_on_with(self):
        self.begin()
        self.millrace.cli("backfill", "order", "--per-second", "50")
        eventually(lambda: self.state()["records"] >= 50, 30, "a page was rung")
        status = self.millrace.cli("status")
        self.assertIn("Backfill of order: running", status.stdout)
        self.millrace.cli("backfill", "order", "--stop")
        eventually(lambda: self.state()["state"] == "stopped", 30, "it is stopped")
        self.await_settled()
        eventually(lambda: len(self.sent()) == self.state()["records"], 30, "what was rung is sent")
        self.assertLess(self.state()["records"], RECORDS)
        self.millrace.kill9()
        self.millrace.start()
        self.assertEqual("stopped", self.state()["state"])
        self.millrace.cli("backfill", "order", "--per-second", "10000")
        eventually(lambda: self.state()["state"] == "done", 60, lambda: f"done: {self.state()}")
        eventually(lambda: len(self.sent()) >= RECORDS, 60, "every order reached the MES")
        self.await_settled()
        self.assertEqual(RECORDS, len(set(self.numbers())))

    def test_an_entity_that_is_not_there_is_refused(self):
        self.begin()
        refused = self.millrace.cli("backfill", "ordr", expect=1)
        self.assertIn("there is no entity 'ordr'", refused.stdout + refused.stderr)


if __name__ == "__main__":
    main()

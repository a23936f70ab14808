"""A check finds what rang no bell, deletes among it; many deletes wait for a person."""
# labels: quick

from millrace_harness import eventually, main
from odoo_neighbour import OdooScenario


class OdooChecks(OdooScenario):
    def begin(self, count):
        self.neighbours()
        self.odoo.control("seed", model="sale.order", count=count, age_days=400)
        self.start()
        eventually(lambda: self.doorbells()["baselined_total"] == count, 60, "all were read")

    def check(self, *more):
        before = self.millrace.log_text().count("checked connection=odoo")
        # Right after the first reading the model's row may not be there yet.
        eventually(lambda: self.millrace.cli("checks", "run", "odoo", "sale.order", "--whole",
                                             *more, expect=None).returncode == 0, 30, "asked")
        eventually(lambda: self.millrace.log_text().count("checked connection=odoo") > before, 30,
                   "the check is done")

    def finds_nothing(self):
        self.check()
        lines = [line for line in self.millrace.log_text().splitlines() if "checked conn" in line]
        return lines[-1].endswith("different=0 gone=0")

    def reads_nothing(self):
        self.await_settled()
        readings = self.doorbells()["readings_total"]
        self.check()
        self.await_settled()
        return self.doorbells()["readings_total"] == readings

    def problems(self):
        found = self.millrace.admin("GET", "/admin/v1/status").json()["problems"]
        return [one["what"] for one in found]

    def test_a_delete_and_a_change_without_a_bell(self):
        self.begin(50)
        self.odoo.control("unlink", model="sale.order", ids=[9])
        self.odoo.write_order(3, state="sale")
        self.check()
        eventually(lambda: len(self.sent()) == 2, 30, lambda: f"two were told: {self.sent()}")
        self.assertEqual(["DELETE /orders/S00009", "POST /changed S00003 sale"],
                         sorted(self.sent()))
        # What was told is saved a moment later; from then on a check finds nothing.
        eventually(self.finds_nothing, 30, "a check finds nothing")
        # What was read soon after it was written is read again, until that was late enough.
        eventually(self.reads_nothing, 30, "nothing is left to read")
        self.assertEqual(2, len(self.sent()))

    def test_many_deletes_wait_for_a_person(self):
        self.begin(50)
        gone = list(range(1, 21))
        self.odoo.control("unlink", model="sale.order", ids=gone)
        self.check()
        held = ["20 of 50 records of odoo/sale.order are gone at the source, or outside `domain:`: "
                "that many deletes wait for a person"]
        eventually(lambda: self.problems() == held, 30, lambda: f"they wait; {self.problems()}")
        self.await_settled()
        self.assertEqual([], self.sent())
        self.millrace.cli("checks", "accept", "odoo", "sale.order", "--reason", "cleaned up")
        expected = [f"DELETE /orders/S{number:05}" for number in gone]
        eventually(lambda: len(self.sent()) == len(expected), 30, "all were withdrawn")
        self.assertEqual(expected, sorted(self.sent()))
        eventually(lambda: not self.problems(), 30, "nothing is wrong any more")

    def test_hidden_is_not_deleted(self):
        self.begin(50)
        self.odoo.control("forbid", model="sale.order", ids=[4])
        self.check()
        eventually(lambda: self.doorbells()["hidden_total"] == 1, 30, "it is hidden")
        self.assertEqual([], self.sent())
        self.odoo.control("permit", model="sale.order", ids=[4])
        self.odoo.write_order(4, state="sale")
        self.check()
        self.await_sent(["POST /changed S00004 sale"])


if __name__ == "__main__":
    main()

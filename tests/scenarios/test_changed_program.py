"""A changed map runs beside the old one: no flood of events, and what really changed is news."""

from millrace_harness import eventually, main
from odoo_neighbour import OdooScenario

RECORDS = 1000


class ChangedProgram(OdooScenario):
    def change_map(self):
        """One more member of every order."""
        path = self.millrace.config / "objects.yaml"
        text = path.read_text("utf-8")
        text = text.replace("{ number: .name", "{ customer: .partner_id, number: .name", 1)
        path.write_text(text.replace("      name:\n", "      name:\n      partner_id:\n", 1), "utf-8")

    def test_a_member_more_floods_nobody_and_a_real_change_is_news(self):
        self.neighbours()
        partner = self.odoo.do(["create", "res.partner", {"name": "Acme"}])["results"][0]
        self.odoo.control("seed", model="sale.order", count=RECORDS, age_days=400,
                          values={"partner_id": partner})
        self.start()
        eventually(lambda: self.doorbells()["baselined_total"] == RECORDS, 60, "all were read")
        self.odoo.write_order(10, state="sale")  # among the first 50 keys; no webhook tells of it
        self.change_map()
        plan = self.millrace.cli("plan", "--sample", "50")
        self.assertIn(f"order: {RECORDS} records of sale.order are read again", plan.stdout)
        self.assertIn("of 50 read now 49 would be stored without a word, 1 are news: about 20 in all",
                      plan.stdout)
        self.millrace.cli("reload")
        eventually(lambda: "records were read again" in self.millrace.log_text(), 90,
                   "every record was read with the new program")
        self.await_settled()
        self.assertEqual(["POST /changed S00010 sale"], self.sent())
        told = self.mes.effects()[0]["body"]
        self.assertEqual((partner, "S00010"), (told["customer"], told["number"]))
        # The next change of any record is judged by the new program alone.
        self.odoo.ring_into(self.millrace)
        self.odoo.write_order(8, state="sale")
        self.await_sent(["POST /changed S00010 sale", "POST /changed S00008 sale"])

    def test_a_reload_in_the_middle_of_a_restart_goes_on(self):
        self.neighbours()
        self.odoo.control("seed", model="sale.order", count=RECORDS, age_days=400)
        self.start()
        eventually(lambda: self.doorbells()["baselined_total"] == RECORDS, 60, "all were read")
        self.millrace.terminate()
        self.change_map()  # while it is down
        self.millrace.start()
        eventually(lambda: "records were read again" in self.millrace.log_text(), 90,
                   "every record was read with the new program")
        self.await_settled()
        self.assertEqual([], self.sent())


if __name__ == "__main__":
    main()

"""A record without a company has none; one of a company that the configuration does not list waits
at its projection until a reload lists it or its next doorbell says another."""
# labels: quick

from millrace_harness import eventually, main
from odoo_neighbour import OdooScenario

LISTED = "companies: { 1: main }"
BOTH_LISTED = "companies: { 1: main, 7: plant }"


class Companies(OdooScenario):
    def setUp(self):
        self.neighbours()
        # An order may be made for a company that its reader does not belong to.
        self.odoo.control("field", model="sale.order", field="x_for:many2one(res.company)")
        self.rewrite("      name:\n", "      name:\n      x_for:\n")
        self.rewrite("number: .name", "number: .name, for: company(.x_for)")
        self.start()
        self.odoo.ring_into(self.millrace)

    def rewrite(self, before, after):
        path = self.millrace.config / "objects.yaml"
        text = path.read_text("utf-8")
        self.assertIn(before, text)
        path.write_text(text.replace(before, after, 1), "utf-8")

    def made_for(self):
        """What the MES was told, in its order: (number, for)."""
        return [(body["number"], body["for"]) for body in self.mes.bodies()]

    def await_made_for(self, *expected):
        eventually(lambda: len(self.made_for()) >= len(expected), 30,
                   lambda: f"{expected} at the MES; it has {self.made_for()}")
        self.assertEqual(list(expected), self.made_for())

    def park_one(self):
        order = self.odoo.create_order(x_for=7)
        row = eventually(lambda: self.parked(self.millrace), 30, "it is parked")[0]
        self.assertEqual(("project", "order", f"odoo/sale.order/{order}", "waiting_reference"),
                         (row["stage"], row["route"], row["record"], row["state"]))
        self.assertIn("company 7 is not listed in `companies:` of connection odoo", row["reason"])
        return order

    def attempts(self):
        rows = self.parked(self.millrace)
        self.assertEqual(1, len(rows), rows)
        return rows[0]["attempts"]

    def test_none_is_none_and_a_listed_one_has_its_code(self):
        first = self.odoo.create_order()
        self.await_made_for((f"S{first:05}", None))
        second = self.odoo.create_order(x_for=1)
        self.await_made_for((f"S{first:05}", None), (f"S{second:05}", "main"))
        self.assertEqual([], self.parked(self.millrace))

    def test_an_unknown_one_holds_up_nobody_and_a_reload_that_lists_it_releases(self):
        order = self.park_one()
        other = self.odoo.create_order(x_for=1)
        self.await_made_for((f"S{other:05}", "main"))
        self.await_settled()
        self.millrace.terminate()
        self.millrace.start()
        self.assertEqual([f"odoo/sale.order/{order}"],
                         [row["record"] for row in self.parked(self.millrace)])
        # A reload that does not help leaves it there.
        tried = self.attempts()
        self.rewrite("limits: { in_flight: 4 }", "limits: { in_flight: 3 }")
        self.millrace.cli("reload")
        eventually(lambda: self.attempts() > tried, 30, "it was tried again")
        self.odoo.control("user", company_ids=[1, 7])
        self.rewrite(LISTED, BOTH_LISTED)
        self.millrace.cli("reload")
        self.await_made_for((f"S{other:05}", "main"), (f"S{order:05}", "plant"))
        eventually(lambda: self.parked(self.millrace) == [], 30, "nothing is parked")

    def test_its_next_doorbell_releases_it(self):
        order = self.park_one()
        self.await_settled()
        tried = self.attempts()
        self.odoo.write_order(order, client_order_ref="still for it")
        eventually(lambda: self.attempts() > tried, 30, "it was tried again")
        self.odoo.write_order(order, x_for=1)
        self.await_made_for((f"S{order:05}", "main"))
        eventually(lambda: self.parked(self.millrace) == [], 30, "nothing is parked")

    def test_a_company_that_our_login_gets_later(self):
        """Not visible at first: the row is one of reading, and a reload releases it."""
        order = self.odoo.create_order(company_id=7)
        row = eventually(lambda: self.parked(self.millrace), 30, "it is parked")[0]
        self.assertEqual(("collect", "odoo", f"odoo/sale.order/{order}", "hidden"),
                         (row["stage"], row["route"], row["record"], row["cause"]))
        self.odoo.control("user", company_ids=[1, 7])
        self.rewrite(LISTED, BOTH_LISTED)
        self.millrace.cli("reload")
        self.await_made_for((f"S{order:05}", None))
        eventually(lambda: self.parked(self.millrace) == [], 30, "nothing is parked")


if __name__ == "__main__":
    main()

"""A key is a name for people: it changes, several records may have one, and its history is kept;
one record under two entities is two projections."""
# labels: quick

from millrace_harness import eventually, main
from odoo_neighbour import OdooScenario

PARTNERS = """\
---
entity: %(name)s
version: 1
from:
  - connection: odoo
    model: res.partner
    only: .%(rank)s > 0
    first_seen: emit
    read: { name: , %(rank)s: }
    map: "{ name, rank: .%(rank)s }"
events: { changed: true }
---
route: %(name)s-to-mes
from: %(name)s
to: mes
requests: { changed: { path: /%(name)s, body: .data } }
"""


class NamesAndRecords(OdooScenario):
    def where(self, name):
        return self.millrace.cli("where", name, expect=None).stdout

    def test_a_backorder_renames_the_order(self):
        self.neighbours()
        self.start()
        self.odoo.ring_into(self.millrace)
        order = self.odoo.create_order(name="WH/MO/00012")
        eventually(self.sent, 30, lambda: f"the order; {self.doorbells()}")
        self.await_settled()
        self.odoo.write_order(order, name="WH/MO/00012-001")
        self.await_sent(["POST /created WH/MO/00012 draft", "POST /changed WH/MO/00012-001 draft"])
        # An event may arrive before its name can be asked for: that is written within 50 ms.
        for name in ("WH/MO/00012", "WH/MO/00012-001"):
            eventually(lambda name=name: f"odoo/sale.order/{order}" in self.where(name), 30,
                       f"{name} is known")

    def test_all_drafts_are_called_slash(self):
        self.neighbours()
        self.start()
        self.odoo.ring_into(self.millrace)
        orders = self.odoo.do(["create", "sale.order", {"name": "/"}],
                              ["create", "sale.order", {"name": "/"}])["results"]
        eventually(lambda: len(self.sent()) == 2, 30, "both")
        self.await_settled()
        for order in orders:
            eventually(lambda order=order: f"odoo/sale.order/{order}" in self.where("/"), 30,
                       "it is known by its name")

    def test_customer_and_supplier_are_one_partner(self):
        self.neighbours()
        path = self.millrace.config / "objects.yaml"
        path.write_text(path.read_text("utf-8") + "".join(
            PARTNERS % {"name": name, "rank": f"{name}_rank"}
            for name in ("customer", "supplier")), "utf-8")
        self.millrace.start()
        eventually(lambda: self.millrace.log_text().count("full read done") == 2, 60, "full reads")
        self.odoo.ring_into(self.millrace, model="res.partner")
        partner = self.odoo.do(["create", "res.partner", {
            "name": "Acme", "customer_rank": 1, "supplier_rank": 1}])["results"][0]
        targets = lambda: sorted(effect["target"] for effect in self.mes.effects())
        eventually(lambda: targets() == ["/customer", "/supplier"], 30, "it is both")
        self.await_settled()
        # One of the two changes: the other has no news.
        self.odoo.control("write", model="res.partner", ids=[partner],
                          values={"supplier_rank": 2})
        eventually(lambda: len(targets()) == 3, 30, "the supplier changed")
        self.await_settled()
        self.assertEqual(["/customer", "/supplier", "/supplier"], targets())


if __name__ == "__main__":
    main()

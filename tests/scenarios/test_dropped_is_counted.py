"""What is acknowledged and comes to nothing is counted, for each connection: stale and unreadable
messages, and doorbells of models that no entity reads."""
# labels: quick

from configurations import ORDER, SHOP, SHOP_TOKEN, as_sent, order
from millrace_harness import eventually, main
from odoo_neighbour import HOOK_TOKEN, OdooScenario

ORDERS_OF_THE_SHOP = ORDER.replace("entity: order", "entity: shop_order")
TO_MES = """\
route: shop-to-mes
from: shop_order
to: mes
requests: { changed: { path: /orders, body: .data } }
"""
ODOO, OF_SHOP = f"/hooks/odoo/{HOOK_TOKEN}", f"/hooks/shop/{SHOP_TOKEN}"


class DroppedIsCounted(OdooScenario):
    def setUp(self):
        self.neighbours()
        path = self.millrace.config / "objects.yaml"
        path.write_text("---\n".join([path.read_text("utf-8"), SHOP, ORDERS_OF_THE_SHOP, TO_MES]),
                        "utf-8")
        self.start()

    def dropped(self, connection):
        """(stale, unreadable, model_not_read), as the metrics and the status say."""
        reasons = ("stale", "unreadable", "model_not_read")
        metrics = self.millrace.metrics()
        measured = tuple(int(metrics["millrace_messages_dropped_total"
                                     f'{{connection="{connection}",reason="{reason}"}}'])
                         for reason in reasons)
        listed = self.listing(self.millrace, "/admin/v1/connections")
        told = next(one["dropped"] for one in listed if one["name"] == connection)
        self.assertEqual(measured, tuple(told[reason] for reason in reasons))
        return measured

    def await_dropped(self, connection, *expected):
        eventually(lambda: self.dropped(connection) == expected, 30,
                   lambda: f"{expected} of {connection}; {self.dropped(connection)}")

    def ring(self, body):
        self.assertEqual(200, self.millrace.post(ODOO, body).status)

    def test_of_a_connection_and_for_what(self):
        for number, version in ((1, 5), (2, 3), (3, 4), (4, 6)):
            self.send(self.millrace, order(1, number, version=version))
        self.assertEqual(200, self.millrace.post(OF_SHOP, "no JSON").status)
        self.ring({"_model": "res.partner", "_id": 7})
        self.ring({"_model": "res.partner", "_id": 8})
        self.ring({"_model": "sale.order"})
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(1, 4)])
        self.await_dropped("shop", 2, 1, 0)
        self.await_dropped("odoo", 0, 1, 2)
        eventually(lambda: len(self.dead_letters(self.millrace)) == 2, 30, "two dead letters")
        told = self.millrace.cli("status", expect=None).stdout
        self.assertIn("Dropped of shop: 2 stale, 1 unreadable", told)
        self.assertIn("Dropped of odoo: 1 unreadable, 2 of models nobody reads", told)
        self.await_settled()
        self.assertEqual({}, self.odoo.control("counts")["counts"].get("res.partner.read", {}))

    def test_a_model_that_is_not_read_any_more(self):
        self.ring({"_model": "sale.order.line", "_id": 1})
        self.await_settled()
        path = self.millrace.config / "objects.yaml"
        text = path.read_text("utf-8").replace(
            "    touched_by: { sale.order.line: order_id }\n", "", 1)
        path.write_text(text, "utf-8")
        self.millrace.cli("reload")
        self.ring({"_model": "sale.order.line", "_id": 2})
        self.await_dropped("odoo", 0, 0, 1)


if __name__ == "__main__":
    main()

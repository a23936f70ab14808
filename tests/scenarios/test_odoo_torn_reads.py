"""A record changes between the calls of one nested read: no new lines under an old header, and no
new product under an old line."""
# labels: quick

from millrace_harness import eventually, main
from odoo_neighbour import OdooScenario


class OdooTornReads(OdooScenario):
    def begin(self):
        self.neighbours()
        path = self.millrace.config / "objects.yaml"
        text = path.read_text("utf-8")
        text = text.replace("order_line: { product_uom_qty: , name: }",
                            "order_line: { name: , product_id: { default_code: } }", 1)
        text = text.replace("{ text: .name, quantity: .product_uom_qty }",
                            "{ text: .name, sku: .product_id.default_code }", 1)
        path.write_text(text, "utf-8")
        # Old rows: what changes now carries another second.
        self.product = self.insert("product.product", default_code="OLD")
        self.order = self.insert("sale.order", client_order_ref="old")
        self.line = self.insert("sale.order.line", order_id=self.order, name="old",
                                product_id=self.product)
        self.start()

    def insert(self, model, **values):
        old = "2025-01-02 03:04:05"
        row = {"create_date": old, "write_date": old, **values}
        return self.odoo.control("insert", model=model, rows=[row])["ids"][0]

    def meanwhile(self, model, *operations):
        """Right before the next reading of the model somebody else commits."""
        self.odoo.control("fault", mode="meanwhile", times=1, model=model, method="read",
                          operations=list(operations))

    def change_during_the_next_read(self, model, *operations):
        # The order changes a little, so that whatever is read is told.
        self.odoo.write_order(self.order, state="sent")
        self.meanwhile(model, *operations)
        self.millrace.cli("fetch", "odoo", "sale.order", str(self.order))
        eventually(self.mes.effects, 30, "the order was told")
        self.await_settled()
        return self.mes.bodies()

    def test_new_lines_under_an_old_header(self):
        self.begin()
        told = self.change_during_the_next_read(
            "sale.order.line",
            ["write", "sale.order", [self.order], {"client_order_ref": "new"}],
            ["write", "sale.order.line", [self.line], {"name": "new"}])
        self.assertEqual([("new", "new")],
                         [(body["reference"], body["lines"][0]["text"]) for body in told])

    def test_a_new_product_under_an_old_line(self):
        self.begin()
        other = self.insert("product.product", default_code="NEW")
        told = self.change_during_the_next_read(
            "product.product",
            ["write", "sale.order.line", [self.line], {"name": "new", "product_id": other}],
            ["write", "product.product", [self.product], {"default_code": "RETIRED"}])
        self.assertEqual([("new", "NEW")],
                         [(body["lines"][0]["text"], body["lines"][0]["sku"]) for body in told])


if __name__ == "__main__":
    main()

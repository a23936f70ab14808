"""A field that the old program read is gone from Odoo when the new one comes: nobody can tell what is
news, so all is stored without a word, with an alarm; what changes from then on is said."""
# labels: quick

from millrace_harness import eventually, main
from odoo_neighbour import OdooScenario

RECORDS = 300


class FieldGoneFromOdoo(OdooScenario):
    def begin(self, model="sale.order"):
        self.neighbours()
        self.path = self.millrace.config / "objects.yaml"
        self.odoo.control("field", model=model, field="x_site:char")
        self.odoo.control("seed", model="sale.order", count=RECORDS, age_days=400, lines=1,
                          values={"x_site": "Lyon"} if model == "sale.order" else {})

    def rewrite(self, before, after):
        text = self.path.read_text("utf-8")
        self.assertIn(before, text)
        self.path.write_text(text.replace(before, after, 1), "utf-8")

    def upgrade(self, model="sale.order"):
        """The module that had the field goes; meanwhile an order changes, too."""
        self.odoo.control("field", model=model, remove="x_site")
        self.odoo.write_order(7, state="sale")  # no webhook tells of it

    def await_silence(self, field):
        self.millrace.cli("reload")
        eventually(lambda: "records were read again" in self.millrace.log_text(), 90,
                   "every record was read with the new program")
        self.await_settled()
        self.assertEqual([], self.sent())
        told = self.millrace.cli("status", expect=None).stdout
        self.assertIn(f"{RECORDS} records were stored without a word after a change of the "
                      f"configuration: the source no longer has what the old one read "
                      f"(order: {field})", told)
        self.assertEqual(RECORDS, self.doorbells()["silenced"][f"order: {field}"])

    def await_news_again(self):
        self.odoo.ring_into(self.millrace)
        self.odoo.write_order(7, client_order_ref="news")
        self.await_sent(["POST /changed S00007 sale"])

    def test_one_of_the_record(self):
        self.begin()
        self.rewrite("      name:\n", "      name:\n      x_site:\n")
        self.rewrite("{ number: .name", "{ site: .x_site, number: .name")
        self.start()
        self.upgrade()
        # Until somebody says what to read instead, nothing is read, and status says why.
        self.millrace.cli("fetch", "odoo", "sale.order", "7")
        eventually(lambda: "x_site" in self.millrace.cli("status", expect=None).stdout, 60,
                   "status names the field")
        self.rewrite("      x_site:\n", "")
        self.rewrite("{ site: .x_site, ", "{ ")
        self.await_silence("x_site")
        self.await_news_again()

    def test_one_of_its_lines(self):
        self.begin("sale.order.line")
        self.rewrite("order_line: { ", "order_line: { x_site: , ")
        self.rewrite("{ text: .name", "{ site: .x_site, text: .name")
        self.start()
        self.upgrade("sale.order.line")
        self.rewrite("order_line: { x_site: , ", "order_line: { ")
        self.rewrite("{ site: .x_site, ", "{ ")
        self.await_silence("order_line.x_site")
        self.await_news_again()


if __name__ == "__main__":
    main()

"""Odoo rings before it commits: what is sent is what was committed, once, and nothing else."""
# labels: quick

from millrace_harness import eventually, main
from odoo_neighbour import OdooScenario


class OdooDoorbells(OdooScenario):
    def setUp(self):
        self.neighbours()
        self.start()
        self.odoo.ring_into(self.millrace)

    def await_rung(self, count=1):
        eventually(lambda: self.doorbells()["waiting"] >= count, 20, "the doorbell was taken up")

    def test_a_create_that_is_rolled_back_sends_nothing(self):
        self.odoo.do(["create", "sale.order", {}], rollback=True)
        self.await_rung()
        self.await_settled()
        self.assertEqual(1, self.doorbells()["phantoms_total"])
        self.assertEqual([], self.sent())

    def test_a_commit_800_ms_after_its_doorbell_is_sent_once(self):
        done = self.odoo.do(["create", "sale.order", {}], commit_after_ms=800)
        number = f"S{done['results'][0]:05}"
        self.await_sent([f"POST /created {number} draft"])
        self.await_settled()
        self.await_sent([f"POST /created {number} draft"])

    def test_a_doorbell_with_the_write_date_of_the_transaction_before(self):
        self.odoo.control("hooks_clear")
        self.odoo.ring_into(self.millrace, stale_write_date=True)
        order = self.odoo.create_order()
        number = f"S{order:05}"
        self.await_sent([f"POST /created {number} draft"])
        self.await_settled()
        self.odoo.do(["write", "sale.order", [order], {"state": "sale"}], commit_after_ms=1500)
        self.await_sent([f"POST /created {number} draft", f"POST /changed {number} sale"])

    def test_22_doorbells_of_one_create_are_one_event(self):
        writes = [["write", "sale.order", ["$0"], {"note": f"step {n}"}] for n in range(21)]
        done = self.odoo.do(["create", "sale.order", {"client_order_ref": "22"}], *writes)
        self.assertEqual(22, len(done["hooks"]))
        number = f"S{done['results'][0]:05}"
        eventually(lambda: f"POST /created {number} draft" in self.sent(), 30, "the order")
        self.await_settled()
        self.assertEqual(1, sum(number in line for line in self.sent()), self.sent())

    def test_a_deleted_order_is_withdrawn(self):
        self.odoo.ring_into(self.millrace, on=["unlink"])
        order = self.odoo.create_order()
        number = f"S{order:05}"
        self.await_sent([f"POST /created {number} draft"])
        self.await_settled()
        self.odoo.control("unlink", model="sale.order", ids=[order])
        self.await_sent([f"POST /created {number} draft", f"DELETE /orders/{number}"])
        self.assertEqual(1, self.doorbells()["deleted_total"])

    def test_a_changed_line_is_a_changed_order(self):
        self.odoo.ring_into(self.millrace, model="sale.order.line", fields=["name"])
        order = self.odoo.create_order(order_line=[[0, 0, {"name": "Table"}]])
        number = f"S{order:05}"
        eventually(lambda: self.sent(), 30, "the order")
        self.await_settled()
        before = len(self.sent())
        line = self.odoo.control("rows", model="sale.order.line")["rows"][0]["id"]
        self.odoo.control("write", model="sale.order.line", ids=[line], values={"name": "Chair"})
        eventually(lambda: len(self.sent()) > before, 30, "the change")
        self.assertEqual(f"POST /changed {number} draft", self.sent()[-1])
        self.assertEqual("Chair", self.mes.bodies()[-1]["lines"][0]["text"])


if __name__ == "__main__":
    main()

"""What rang no doorbell is found by a sweep, and filters say what an order means to the MES."""

from millrace_harness import eventually, main
from odoo_neighbour import OdooScenario


class OdooSweeps(OdooScenario):
    def test_a_change_without_a_doorbell_is_found(self):
        self.neighbours(more="    sweep: 10s\n")
        order = self.odoo.create_order()
        self.start()
        self.odoo.write_order(order, state="sale")
        self.await_sent([f"POST /changed S{order:05} sale"], within=60)

    def test_a_late_commit_behind_the_mark_is_found(self):
        self.neighbours(longest_transaction="60s", more="    sweep: 10s\n")
        first, second = self.odoo.create_order(), self.odoo.create_order()
        self.start()
        transaction = self.odoo.control("begin")["tx"]
        self.odoo.control("write", tx=transaction, model="sale.order", ids=[first],
                          values={"state": "sale"})
        # A younger transaction commits first and moves the mark.
        self.odoo.write_order(second, state="sent")
        self.await_sent([f"POST /changed S{second:05} sent"], within=60)
        self.odoo.control("commit", tx=transaction)
        self.await_sent([f"POST /changed S{second:05} sent", f"POST /changed S{first:05} sale"],
                        within=60)

    def test_an_order_is_found_by_its_line(self):
        self.neighbours(more="    sweep: 10s\n")
        order = self.odoo.create_order(order_line=[[0, 0, {"name": "Table"}]])
        self.start()
        line = self.odoo.control("rows", model="sale.order.line")["rows"][0]["id"]
        self.odoo.control("write", model="sale.order.line", ids=[line], values={"name": "Chair"})
        self.await_sent([f"POST /changed S{order:05} draft"], within=60)

    def test_an_order_that_leaves_its_domain_is_withdrawn_and_comes_back(self):
        self.neighbours(more='    domain: [["state", "!=", "cancel"]]\n')
        order = self.odoo.create_order()
        number = f"S{order:05}"
        self.start()
        self.odoo.ring_into(self.millrace)
        self.odoo.write_order(order, state="cancel")
        self.await_sent([f"DELETE /orders/{number}"])
        self.odoo.write_order(order, state="draft")
        self.await_sent([f"DELETE /orders/{number}", f"POST /created {number} draft"])

    def test_a_fetch_by_hand_reads_one_order(self):
        self.neighbours()
        order = self.odoo.create_order()
        self.start()
        self.odoo.write_order(order, state="sale")
        self.millrace.cli("fetch", "odoo", "sale.order", str(order))
        self.await_sent([f"POST /changed S{order:05} sale"], within=60)
        eventually(lambda: self.doorbells()["waiting"] == 0, 5, "one reading is enough")


if __name__ == "__main__":
    main()

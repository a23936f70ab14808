"""A database of ten years meets the broker: nothing of the past is sent, all that follows is."""

from millrace_harness import eventually, main
from odoo_neighbour import OdooScenario

OLD_ORDERS = 10_000


class OdooFirstRead(OdooScenario):
    def setUp(self):
        self.neighbours()
        self.seeded = self.odoo.control("seed", model="sale.order", count=OLD_ORDERS, lines=1,
                                        age_days=3650, values={"state": "sale"})

    def await_read(self):
        eventually(lambda: "full read done" in self.millrace.log_text(), 240, "a full read")

    def test_of_10_000_old_orders_sends_nothing_and_a_change_after_it_is_sent(self):
        self.millrace.start()
        self.await_read()
        self.assertEqual(OLD_ORDERS, self.doorbells()["baselined_total"])
        self.assertEqual([], self.sent())
        self.odoo.ring_into(self.millrace)
        old = self.seeded["first"] + OLD_ORDERS // 2
        self.odoo.write_order(old, state="cancel")
        self.await_sent([f"POST /changed S{old:05} cancel"])
        new = self.odoo.create_order()
        self.await_sent([f"POST /changed S{old:05} cancel", f"POST /created S{new:05} draft"])

    def test_killed_in_it_goes_on_where_it_was_and_stays_silent(self):
        self.millrace.start()
        eventually(lambda: self.doorbells()["baselined_total"] > OLD_ORDERS // 2, 120,
                   "half of the full read")
        self.millrace.kill9()
        before = self.odoo.calls("sale.order.read")["ids"]
        self.millrace.start()
        self.await_read()
        again = self.odoo.calls("sale.order.read")["ids"] - before
        self.assertLess(again, 2 * OLD_ORDERS, "not from the beginning again")
        self.assertEqual([], self.sent())
        self.odoo.ring_into(self.millrace)
        for old in (self.seeded["first"], self.seeded["last"]):
            self.odoo.write_order(old, state="cancel")
        eventually(lambda: len(self.sent()) == 2, 30, "both changes")


if __name__ == "__main__":
    main()

"""Odoo fails in every way it knows: orders wait and arrive, and a guilty one holds up nobody."""

from millrace_harness import eventually, main
from odoo_neighbour import OdooScenario


class OdooBadDays(OdooScenario):
    def setUp(self):
        self.neighbours(longest_transaction="20s")
        self.start()
        self.odoo.ring_into(self.millrace)

    def connection(self):
        listed = self.listing(self.millrace, "/admin/v1/connections")
        return next(connection for connection in listed if connection["name"] == "odoo")

    def order_arrives_after(self, mode, **fault):
        """Rings while every reading fails; heals; the order arrives once."""
        self.odoo.control("fault", mode=mode, **fault)
        order = self.odoo.create_order()
        eventually(lambda: self.connection()["state"] == "down", 30,
                   lambda: f"Odoo is down; it is {self.connection()}")
        self.assertNotEqual("", self.connection()["reason"])
        self.assertEqual(1, self.doorbells()["waiting"])
        self.assertEqual([], self.sent())
        self.odoo.control("faults_clear")
        self.await_sent([f"POST /created S{order:05} draft"], within=60)
        eventually(lambda: self.connection()["state"] == "up", 30, "Odoo is up")
        self.await_settled(within=60)
        self.assertEqual(1, len(self.sent()))

    def test_html_where_json_should_be(self):
        self.order_arrives_after("html")

    def test_a_redirect_to_the_login_page(self):
        self.order_arrives_after("redirect")

    def test_an_answer_without_a_result(self):
        self.order_arrives_after("no_result", method="read")

    def test_a_serialization_error(self):
        self.order_arrives_after("serialization")

    def test_a_database_that_is_down(self):
        self.order_arrives_after("database_down")

    def test_connections_closed_halfway(self):
        self.order_arrives_after("close_midway")

    def test_down_and_back(self):
        self.odoo.control("down")
        order = self.odoo.create_order()
        eventually(lambda: self.connection()["state"] == "down", 30, "Odoo is down")
        self.assertEqual(1, self.doorbells()["waiting"])
        self.odoo.control("up")
        self.await_sent([f"POST /created S{order:05} draft"], within=60)

    def test_slow_answers_only_take_longer(self):
        self.odoo.control("fault", mode="slow", ms=1500)
        orders = [self.odoo.create_order() for _ in range(5)]
        eventually(lambda: len(self.sent()) >= len(orders), 60, "five orders")
        self.assertCountEqual([f"POST /created S{order:05} draft" for order in orders],
                              self.sent())

    def test_one_forbidden_order_among_200(self):
        operations = [["create", "sale.order", {}] for _ in range(200)]
        # Forbidden before it is committed: a reading in between would find it.
        orders = self.odoo.do(*operations, commit_after_ms=2000, wait=False)["results"]
        guilty = orders[77]
        self.odoo.control("forbid", model="sale.order", ids=[guilty])
        eventually(lambda: len(self.sent()) >= 199, 60, lambda: f"199 of 200: {len(self.sent())}")
        self.assertNotIn(f"POST /created S{guilty:05} draft", self.sent())
        waiting = eventually(lambda: self.parked(self.millrace), 30, "the guilty one is parked")
        self.assertEqual([f"odoo/sale.order/{guilty}"], [row["record"] for row in waiting])
        self.assertEqual("collect", waiting[0]["stage"])
        # Once our login may read it, its next doorbell brings it.
        self.odoo.control("permit", model="sale.order", ids=[guilty])
        self.odoo.write_order(guilty, note="now readable")
        eventually(lambda: f"POST /created S{guilty:05} draft" in self.sent(), 60, "the last one")
        eventually(lambda: not self.parked(self.millrace), 30, "nothing is parked")

    def test_a_doorbell_outlives_kill_9(self):
        self.odoo.control("down")
        order = self.odoo.create_order()
        eventually(lambda: self.doorbells()["waiting"] == 1, 20, "it rang")
        self.millrace.kill9()
        self.odoo.control("up")
        self.millrace.start()
        self.await_sent([f"POST /created S{order:05} draft"], within=60)


if __name__ == "__main__":
    main()

"""Two instances read back from one Odoo: each record is read by who has its partition, whoever its
doorbell, the first full read and the sweeps reach; nothing of the past is sent, and no change twice."""
# kafka: yes

from kafka_neighbour import KafkaServer
from millrace_harness import eventually, main, write_secret
from odoo_neighbour import ALL_EVENTS, API_KEY, HOOK_TOKEN, ODOO, SALES_ORDER, Odoo, OdooScenario
from postgresql_neighbour import PostgresServer
import configurations

OLD_ORDERS = 400
CHANGED = 24
TAKE_OVER_WITHIN = 15.0


class OdooManyInstances(OdooScenario):
    def setUp(self):
        kafka, postgresql = KafkaServer(), PostgresServer()
        self.addCleanup(kafka.close)
        self.addCleanup(postgresql.close)
        self.odoo = Odoo()
        self.addCleanup(self.odoo.close)
        self.mes = self.target()
        self.seeded = self.odoo.control("seed", model="sale.order", count=OLD_ORDERS, lines=1,
                                        age_days=3650, values={"state": "draft"})
        ports = {"odoo_port": self.odoo.port, "longest_transaction": "3s"}
        documents = (ODOO % ports, configurations.MES % {"target_port": self.mes.port},
                     SALES_ORDER % {"more": "    sweep: 10s\n"}, ALL_EVENTS)
        self.group = self.instances(("a", "b"), documents, kafka, postgresql)
        for millrace in self.group.values():
            write_secret(millrace.secrets / "odoo_hook", HOOK_TOKEN)
            write_secret(millrace.secrets / "odoo_api_key", API_KEY)

    def await_shared(self, names):
        def shared():
            group = self.group[names[0]].admin("GET", "/admin/v1/status").json()["group"]
            return {one["name"] for one in group["instances"] if one["partitions"]} == set(names)
        eventually(shared, 30, f"{names} share the partitions")

    def change(self, orders, state):
        for order in orders:
            self.odoo.write_order(order, state=state)

    def await_changes(self, orders, state, within):
        wanted = {f"POST /changed S{order:05} {state}" for order in orders}
        eventually(lambda: wanted <= set(self.sent()), within,
                   lambda: f"missing {sorted(wanted - set(self.sent()))[:5]}")

    def test_each_record_is_read_by_who_has_its_partition(self):
        a, b = self.group["a"], self.group["b"]
        a.start()
        b.start()
        self.await_shared(("a", "b"))
        eventually(lambda: len(a.state.rows("projections")) == OLD_ORDERS, 120,
                   lambda: f"all is read: {len(a.state.rows('projections'))} of {OLD_ORDERS}")
        eventually(lambda: "full read done" in a.log_text() + b.log_text(), 30, "it is done")
        self.assertEqual([], self.sent())
        orders = range(self.seeded["first"], self.seeded["first"] + CHANGED)
        self.odoo.ring_into(a)
        self.change(orders, "sent")
        self.await_changes(orders, "sent", 60)
        self.odoo.control("hooks_clear")
        self.change(orders, "sale")  # no doorbell: the sweep finds them
        self.await_changes(orders, "sale", 60)
        a.kill9()
        self.odoo.ring_into(b)
        self.change(orders, "cancel")
        self.await_changes(orders, "cancel", TAKE_OVER_WITHIN + 15)
        self.assertEqual(len(self.sent()), len(set(self.sent())), "a change was sent twice")


if __name__ == "__main__":
    main()
# own stores: several instances

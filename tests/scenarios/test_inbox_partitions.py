"""A message lies in the partition of the record that it names, so that what concerns one record keeps
its order; one that names none lies in that of its connection."""
# labels: quick

from configurations import MES, ORDER, SHOP, SHOP_TOKEN, EVERY_CHANGE, as_sent, order
from millrace_harness import Scenario, eventually, main
from odoo_neighbour import HOOK_TOKEN, OdooScenario

PARTITIONS = 64
REFUSED = ORDER.replace("quantity: .quantity",
                        'quantity: (if .quantity == 13 then error("13") else .quantity end)')


def murmur2(key):
    """The hash of Kafka's clients, of a key's bytes."""
    data, mask = key.encode(), 0xFFFFFFFF
    value = (0x9747B28C ^ len(data)) & mask
    for at in range(0, len(data) - 3, 4):
        word = int.from_bytes(data[at:at + 4], "little") * 0x5BD1E995 & mask
        word = (word ^ word >> 24) * 0x5BD1E995 & mask
        value = (value * 0x5BD1E995 & mask) ^ word
    rest = data[len(data) & ~3:]
    if rest:
        value = (value ^ int.from_bytes(rest, "little")) * 0x5BD1E995 & mask
    value = (value ^ value >> 13) * 0x5BD1E995 & mask
    return value ^ value >> 15


def partition_of(name):
    return (murmur2(name) & 0x7FFFFFFF) % PARTITIONS


class PartitionsOfPayloads(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.broker(SHOP, MES % {"target_port": self.mes.port}, REFUSED,
                                    EVERY_CHANGE).start()

    def test_that_of_the_record(self):
        records = ["1", "42", "S/00017", "Zürich", "a record with a longer name"]
        for record in records:
            self.send(self.millrace, order(record, 13, version=1))
        eventually(lambda: len(self.parked(self.millrace)) == len(records), 30, "all are parked")
        for row in self.parked(self.millrace):
            self.assertEqual(f"project.order:{partition_of(row['record'])}",
                             row["id"].rpartition(":")[0], row)

    def test_that_of_the_connection_for_what_names_none(self):
        for body in ("no JSON", '{"number": "S7"}', '{"id": null}', '{"id": ""}'):
            answer = self.millrace.post(f"/hooks/shop/{SHOP_TOKEN}", body)
            self.assertEqual(200, answer.status)
        letters = eventually(lambda: len(self.dead_letters(self.millrace)) == 4
                             and self.dead_letters(self.millrace), 30, "four dead letters")
        # Dense in their partition, and in nobody else's way.
        self.assertEqual([f"collect.shop:{partition_of('shop')}:{offset}" for offset in range(4)],
                         sorted(letter["id"] for letter in letters))
        self.send(self.millrace, order(1, 1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1)])


class PartitionsOfDoorbells(OdooScenario):
    def test_that_of_the_record_or_of_the_connection(self):
        self.neighbours()
        self.start()
        self.odoo.ring_into(self.millrace)
        # Forbidden before it is committed: a reading in between would find them.
        orders = self.odoo.do(*[["create", "sale.order", {}]] * 5, commit_after_ms=1000,
                              wait=False)["results"]
        self.odoo.control("forbid", model="sale.order", ids=orders)
        eventually(lambda: len(self.parked(self.millrace)) == len(orders), 30, "all are parked")
        for row in self.parked(self.millrace):
            self.assertEqual(f"collect.odoo:{partition_of(row['record'])}",
                             row["id"].rpartition(":")[0], row)
        answer = self.millrace.post(f"/hooks/odoo/{HOOK_TOKEN}", {"_model": "sale.order"})
        self.assertEqual(200, answer.status)
        letter = eventually(lambda: self.dead_letters(self.millrace), 30, "a dead letter")[0]
        self.assertEqual(f"collect.odoo:{partition_of('odoo')}", letter["id"].rpartition(":")[0])


if __name__ == "__main__":
    main()

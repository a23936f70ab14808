"""Several instances share one log on Kafka and one state in PostgreSQL: partitions go to who lives, and
who was frozen through a take-over neither sends nor records anything afterwards."""
# kafka: yes

import signal
import time

from configurations import EVERY_CHANGE, SHOP_TOKEN, as_sent, order
from kafka_neighbour import KafkaServer
from millrace_harness import Scenario, eventually, main
from postgresql_neighbour import PostgresServer

TAKE_OVER_WITHIN = 15.0  # the bound, from the death on
PARTITIONS = 64


class ManyInstances(Scenario):
    @classmethod
    def setUpClass(cls):
        cls.kafka = KafkaServer()
        cls.addClassCleanup(cls.kafka.close)
        cls.postgresql = PostgresServer()
        cls.addClassCleanup(cls.postgresql.close)

    def setUp(self):
        self.mes = self.target()

    def group(self, *names):
        return self.instances(names, self.order_documents(self.mes), self.kafka,
                              self.postgresql)

    def owned(self, millrace):
        """Partitions by instance, as this one sees the group."""
        group = millrace.admin("GET", "/admin/v1/status").json()["group"]
        return {one["name"]: one["partitions"] for one in group["instances"]
                if one["state"] == "working"}

    def await_shared(self, millrace, names, within=30):
        def shared():
            owned = self.owned(millrace)
            return set(owned) == set(names) and sum(owned.values()) == PARTITIONS and all(
                owned.values())
        eventually(shared, within, lambda: f"{names} share all: {self.owned(millrace)}")

    def accept(self, millrace, records, version=1):
        for record in records:
            self.send(millrace, order(record, quantity=version, version=version))

    def await_all(self, records, version=1, within=60):
        wanted = {str(as_sent(record, version)) for record in records}

        def missing():
            return wanted - {str(body) for body in self.mes.bodies()}
        eventually(lambda: not missing(), within, lambda: f"missing {sorted(missing())[:5]}")

    def check_once(self):
        bodies = [str(body) for body in self.mes.bodies()]
        self.assertEqual(len(set(bodies)), len(bodies), "an effect was repeated")

    def test_partitions_go_to_who_lives(self):
        group = self.group("a", "b")
        a, b = group["a"].start(), group["b"]
        self.await_shared(a, ["a"])
        self.accept(a, range(1, 21))
        self.await_all(range(1, 21))
        b.start()
        self.await_shared(a, ["a", "b"])
        self.accept(a, range(1, 21), version=2)
        self.accept(b, range(21, 41))
        self.await_all(range(1, 21), version=2)
        self.await_all(range(21, 41))
        b.kill9()
        died = time.monotonic()
        self.accept(a, range(1, 41), version=3)
        self.await_all(range(1, 41), version=3, within=TAKE_OVER_WITHIN)
        print(f"all lanes moved again {time.monotonic() - died:.1f} s after the death")
        b.start()
        self.await_shared(b, ["a", "b"])
        self.assertEqual(0, a.terminate())
        self.await_shared(b, ["b"])
        # What is given up in order is taken at once, and not only when its owner is given up.
        self.assertNotIn("its partitions go to others instance=a", b.log_text())
        self.accept(b, range(1, 41), version=4)
        self.await_all(range(1, 41), version=4)
        self.check_once()

    def test_a_frozen_instance_does_nothing_afterwards(self):
        group = self.group("a", "b")
        a, b = group["a"].start(), group["b"].start()
        self.await_shared(a, ["a", "b"])
        self.mes.fault(status=503, always=True)
        self.accept(a, range(1, 31))
        b.freeze()
        self.addCleanup(self.thaw, b)
        eventually(lambda: self.owned(a) == {"a": PARTITIONS}, TAKE_OVER_WITHIN, "a has it all")
        self.mes.heal()
        self.await_all(range(1, 31))
        before = self.mes.counts()
        self.thaw(b)
        self.assertEqual(70, b.wait_exit(), b.log_tail())
        self.assertIn("expelled", b.log_tail())
        self.assertEqual(before, self.mes.counts(), "it began a request after it was expelled")
        self.check_once()
        b.start()
        self.await_shared(a, ["a", "b"])

    def test_each_says_from_where_its_partitions_have_another_text(self):
        """Reloaded one after the other, then killed: what was on the wire goes out as it was."""
        impatient = EVERY_CHANGE.replace("body: .data\n", "body: .data\n    timeout: 1s\n")
        group = self.instances(("a", "b"), self.order_documents(self.mes, impatient), self.kafka,
                               self.postgresql)
        a, b = group["a"].start(), group["b"].start()
        self.await_shared(a, ["a", "b"])
        self.mes.fault(mode="hang", applied_anyway=True)
        self.accept(a, range(1, 5))
        eventually(lambda: len(set(self.mes.posts())) == 4, 30, "all are on the wire")
        first = set(self.mes.posts())
        for one in (a, b):
            file = one.config / "objects.yaml"
            file.write_text(file.read_text("utf-8").replace("path: /orders", "path: /v2"), "utf-8")
            one.cli("reload")
        a.kill9()
        b.kill9()
        a.start()
        before = len(self.mes.posts())
        self.mes.heal()
        eventually(lambda: first <= set(self.mes.posts()[before:]), 60, "all are sent again")
        self.assertEqual(first, set(self.mes.posts()))
        self.accept(a, range(1, 5), version=2)
        self.await_all(range(1, 5), version=2)
        news = [as_sent(record, 2) for record in range(1, 5)]
        self.assertEqual({"/v2"}, {e["target"] for e in self.mes.effects() if e["body"] in news})
        # Nobody has any use for the earlier text then, whoever it was that reloaded first.
        eventually(lambda: self.texts(a) == 1, 30, lambda: f"{self.texts(a)} texts")

    @staticmethod
    def texts(millrace):
        return millrace.state_rows("routes", "text")

    def test_the_spool_of_a_dead_instance_is_named(self):
        group = self.instances(("a", "b"), self.order_documents(self.mes),
                               self.kafka.acking("auto"), self.postgresql)
        a, b = group["a"].start(), group["b"].start()
        self.await_shared(a, ["a", "b"])
        tail = 'millrace_kafka_brokers_up{client="tail"}'
        eventually(lambda: a.metrics().get(tail) == 1, 30, "the tail's consumer is connected")
        self.kafka.freeze()
        self.addCleanup(self.kafka.thaw)
        self.accept(b, range(1, 11))
        gone = "instance b is gone, and 10 messages that it acknowledged wait in its spool"
        eventually(lambda: self.spooled(a, "b") == 10, 30, lambda: self.spooled(a, "b"))
        b.kill9()
        eventually(lambda: gone in a.cli("status", expect=None).stdout, 30, gone)
        self.assertEqual(10, a.metrics()["millrace_spool_records_of_the_gone"])
        self.kafka.thaw()
        b.start()
        self.await_all(range(1, 11))
        eventually(lambda: self.spooled(a, "b") == 0 and gone not in
                   a.cli("status", expect=None).stdout, 60, "its spool is empty")
        # One that ends in order leaves word of what it could not hand on.
        self.kafka.freeze()
        self.accept(b, range(11, 14))
        b.terminate()
        eventually(lambda: "and 3 messages that it acknowledged" in
                   a.cli("status", expect=None).stdout, 30, "its last word")
        self.kafka.thaw()
        b.start()
        self.await_all(range(1, 14))
        self.await_shared(a, ["a", "b"])

    @staticmethod
    def spooled(millrace, name):
        """Messages in the spool of an instance, as this one heard."""
        group = millrace.admin("GET", "/admin/v1/status").json()["group"]
        return next(one["spooled"] for one in group["instances"] if one["name"] == name)

    @staticmethod
    def thaw(millrace):
        if millrace.process is not None:
            millrace.signal(signal.SIGCONT)


if __name__ == "__main__":
    main()
# own stores: several instances

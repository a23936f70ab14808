"""An instance is frozen while Kafka has not taken its events yet. Another one takes its partitions over,
says the same, and goes on; then the old events reach Kafka, behind the new ones. They are passed over:
no older state is sent behind a newer one, and nothing is lost."""
# kafka: yes

import itertools
import signal

from configurations import SHOP_TOKEN, order
from holding_proxy import HoldingProxy
from kafka_neighbour import KafkaServer
from millrace_harness import Scenario, eventually, main
from postgresql_neighbour import PostgresServer

PARTITIONS = 64
RECORDS = range(1, 41)
TAKE_OVER_WITHIN = 30.0
EXPELLED = 70


class LateEventsOfAnExpelledInstance(Scenario):
    def setUp(self):
        self.proxy = HoldingProxy(".events.order")
        self.addCleanup(self.proxy.close)
        self.kafka = KafkaServer(proxy=self.proxy)
        self.addCleanup(self.kafka.close)
        self.postgresql = PostgresServer()
        self.addCleanup(self.postgresql.close)
        # One that does not know a repeat: it would carry it out.
        self.mes = self.target(idempotent=False)
        group = self.instances(("a", "b"), self.order_documents(self.mes), self.kafka,
                               self.postgresql)
        self.topic = f"{self.kafka.prefix()}.events.order"
        self.a, self.b = group["a"], group["b"]
        file = self.a.config / "millrace.yaml"
        file.write_text(file.read_text("utf-8").replace(f":{self.kafka.port}", f":{self.proxy.port}"),
                        "utf-8")

    def test_they_are_passed_over(self):
        for millrace in (self.a, self.b):
            millrace.start()
        self.await_owners(self.b, "a", "b")
        self.send_version(1)
        self.await_version(1)
        self.proxy.hold()
        self.send_version(2)
        eventually(lambda: self.proxy.held > 0, 30, "events of a are on their way")
        self.a.freeze()
        self.addCleanup(self.thaw)
        self.await_owners(self.b, "b")
        self.send_version(3)
        self.await_version(3)
        self.proxy.let_go()
        eventually(self.late, 60, "Kafka takes what a had on its way")
        self.thaw()
        self.assertEqual(EXPELLED, self.a.wait_exit(), self.a.log_tail())
        self.send_version(4)
        self.await_version(4)
        self.check_passed_over()
        self.a.start()
        self.await_owners(self.b, "a", "b")
        self.send_version(5)
        self.await_version(5)
        self.check_order(5)

    # -- steps -----------------------------------------------------------------------------------
    def send_version(self, version):
        for record in RECORDS:
            self.send(self.b, order(record, quantity=version, version=version))

    def await_version(self, version):
        def missing():
            return [record for record, got in self.delivered().items() if version not in got]
        eventually(lambda: not missing(), 60,
                   lambda: f"version {version} is not delivered of {missing()}")

    def await_owners(self, millrace, *names):
        def share():
            group = millrace.admin("GET", "/admin/v1/status").json()["group"]["instances"]
            owned = {one["name"]: one["partitions"] for one in group if one["state"] == "working"}
            return set(owned) == set(names) and sum(owned.values()) == PARTITIONS and all(
                owned.values())
        eventually(share, TAKE_OVER_WITHIN, lambda: f"{names} have all partitions")

    def thaw(self):
        if self.a.process is not None:
            self.a.signal(signal.SIGCONT)

    # -- what must be true -----------------------------------------------------------------------
    def late(self):
        """Events of a that lie behind events of b in their partition."""
        found = []
        behind = set()
        for partition, _, owner in self.kafka.owners(self.topic):
            if owner.startswith("b/"):
                behind.add(partition)
            elif partition in behind:
                found.append((partition, owner))
        return found

    def check_passed_over(self):
        late = self.late()
        self.assertEqual(1, len({owner for _, owner in late}), late)
        eventually(lambda: self.b.metrics()["millrace_log_passed_over_total"] == len(late), 30,
                   lambda: f"b passed over {late}")
        print(f"{len(late)} events came late")
        self.assertEqual(1, self.b.log_text().count("no longer had their partition"))

    def check_order(self, newest):
        for record, versions in self.delivered().items():
            once = [version for version, _ in itertools.groupby(versions)]
            self.assertEqual(list(range(1, newest + 1)), once, f"record {record}: {versions}")

    def delivered(self):
        versions = {record: [] for record in RECORDS}
        for body in self.mes.bodies():
            versions[int(body["number"][1:])].append(body["quantity"])
        return versions


if __name__ == "__main__":
    main()

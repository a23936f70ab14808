"""Three Kafka brokers of which two die: what only one of them has is not acknowledged, so nothing is
lost whichever of them comes back."""
# kafka: yes

from configurations import EVERY_CHANGE, SHOP_TOKEN, SHOP_WITHOUT_VERSION, as_sent, order
from kafka_neighbour import KafkaServer
from millrace_harness import Scenario, eventually, main

WITHIN = 120.0


class TooFewReplicas(Scenario):
    def setUp(self):
        self.cluster = KafkaServer.cluster(3)
        for server in self.cluster:
            self.addCleanup(server.close)

    def status(self, millrace):
        return millrace.cli("status", expect=None).stdout

    def test_one_replica_acknowledges_nothing(self):
        first, *others = self.cluster
        spooling_mes, strict_mes = self.target(), self.target()
        spooling = self.order_broker(spooling_mes, EVERY_CHANGE, SHOP_WITHOUT_VERSION,
                                     kafka=first.acking("auto")).start()
        strict = self.order_broker(strict_mes, kafka=first.acking("kafka"), name="strict").start()
        self.send(spooling, order(1, 1))
        self.await_bodies(spooling_mes, [as_sent(1, 1)])

        def refused(record):
            answer = strict.post(f"/hooks/shop/{SHOP_TOKEN}", order(record, 1, version=1), timeout=60)
            return answer.status == 503
        eventually(lambda: not refused(1), WITHIN, "new topics are ready")
        self.await_bodies(strict_mes, [as_sent(1, 1)])
        # The same three brokers, and one replica is enough.
        first.create("loose", partitions=1)
        first.set("loose", "min.insync.replicas=1")
        for other in others:
            other.kill9()
        first.produce("loose", [("key", "acknowledged: the others are out of step")])
        eventually(lambda: refused(2), WITHIN, "nothing is acknowledged that two replicas do not have")
        eventually(lambda: "does not acknowledge" in self.status(strict), WITHIN, "status says so")
        for quantity in range(2, 22):
            self.send(spooling, order(1, quantity))
        eventually(lambda: "messages wait in the spool" in self.status(spooling), WITHIN,
                   "the spool takes over")
        ready = spooling.admin("GET", "/readyz")
        self.assertEqual(200, ready.status, "it takes messages in")
        self.assertIn("does not acknowledge", ready.body.decode())
        self.assertEqual([as_sent(1, 1)], spooling_mes.bodies())

        others[0].start()
        self.await_bodies(spooling_mes, [as_sent(1, quantity) for quantity in range(1, 22)], WITHIN)
        eventually(lambda: not refused(2), WITHIN, "it is acknowledged again")
        eventually(lambda: as_sent(2, 1) in strict_mes.bodies(), WITHIN, "and delivered")
        self.assertEqual(1, strict_mes.bodies().count(as_sent(2, 1)))
        eventually(lambda: "does not acknowledge" not in self.status(spooling) and
                   "wait in the spool" not in self.status(spooling), WITHIN, "all is well again")


if __name__ == "__main__":
    main()

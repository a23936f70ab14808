"""A site that outgrew its machine: log and state go from files and SQLite to Kafka and PostgreSQL, and
back. Nothing is lost and nothing is sent twice."""
# kafka: yes

import json

from configurations import MES, ORDER, SHOP, as_sent, order
from kafka_neighbour import KafkaServer
from millrace_harness import Scenario, eventually, main
from postgresql_neighbour import PostgresServer

# A second entity, so that offsets differ where topics are counted by themselves.
PARCEL = ORDER.replace("entity: order", "entity: parcel").replace(
    "  - connection: shop\n", "  - connection: shop\n    only: .parcel\n")
RETRY = "retry: { initial: 50ms, max_interval: 500ms, give_up_after: 1h }\n"
TO_MES = """\
route: order-to-mes
from: order
to: mes
requests:
  changed:
    method: POST
    path: /orders
    body: .data
    remember: .answer.body.id
""" + RETRY
TO_ARCHIVE = TO_MES.replace("order-to-mes", "order-to-archive").replace("to: mes", "to: archive")
PARCELS = TO_MES.replace("order-to-mes", "parcel-to-archive").replace(
    "from: order", "from: parcel").replace("to: mes", "to: archive").replace("/orders", "/parcels")
ARCHIVE = MES.replace("connection: mes", "connection: archive")


class TheWayOver(Scenario):
    @classmethod
    def setUpClass(cls):
        cls.kafka = KafkaServer.shared()
        cls.postgresql = PostgresServer.shared()

    def setUp(self):
        self.mes, self.archive = self.target(), self.target()
        self.documents = (SHOP, MES % {"target_port": self.mes.port},
                          ARCHIVE % {"target_port": self.archive.port}, ORDER, PARCEL,
                          TO_MES, TO_ARCHIVE, PARCELS)
        self.here = self.site("here")

    def site(self, name, **stores):
        return self.broker(*self.documents, name=name, **stores)

    def site_over_there(self, name="there"):
        return self.site(name, kafka=self.kafka, postgresql=self.postgresql)

    def carry(self, old, new, **options):
        """What a person does, with the daemon stopped."""
        for what in ("log", "state"):
            old.cli(what, "copy", "--to", str(new.config), **options)

    # -- what the site does --------------------------------------------------------------------
    def orders(self, site, records, version=1, parcel=True):
        for record in records:
            self.send(site, {**order(record, quantity=version, version=version), "parcel": parcel})

    def at(self, target, path="/orders"):
        return [effect["body"] for effect in target.effects() if effect["target"] == path]

    def await_at(self, target, expected, path="/orders"):
        """These, each once; those of one record in this order."""
        eventually(lambda: len(self.at(target, path)) >= len(expected),
                   what=lambda: f"{len(expected)} at {path}: {self.at(target, path)}")
        found = self.at(target, path)
        for number in {body["number"] for body in expected}:
            self.assertEqual([body for body in expected if body["number"] == number],
                             [body for body in found if body["number"] == number], path)
        self.assertEqual(len(expected), len(found))

    def assert_none_repeated(self, target):
        """No request that was answered was sent once more, not even with the same key."""
        answered = sorted((request["target"], request["body"])
                          for request in target.control("requests")["requests"]
                          if request["method"] == "POST" and request["status"] == 200)
        self.assertEqual(sorted(set(answered)), answered)

    def rows(self, site):
        """Parked ones by record and version: state, attempts."""
        parked = [json.loads(value) for _, value in site.state.rows("parked")]
        return sorted((row["record"], row["payload"]["data"]["quantity"], row["state"])
                      for row in parked)

    def hops(self, site, key):
        return site.cli("where", key).stdout

    def begin(self):
        """1 to 5 are everywhere they go; 6 is a dead letter, 7 retries with another one behind it;
        the archive's route was paused, so that its backlog is in the log alone."""
        self.here.start()
        self.here.cli("routes", "pause", "order-to-archive", "--reason", "the archive is moved")
        self.mes.fault(status=422, body='"S6"')
        self.mes.fault(status=503, body='"S7"')
        self.orders(self.here, range(1, 8))
        self.orders(self.here, [7], version=2)
        self.await_at(self.mes, [as_sent(record, 1) for record in range(1, 6)])
        self.await_at(self.archive, [as_sent(record, 1) for record in range(1, 8)]
                      + [as_sent(7, 2)], "/parcels")
        eventually(lambda: self.rows(self.here) == self.PARKED, what=lambda: f"three are parked: "
                   f"{self.rows(self.here)}")

    PARKED = [("shop/6", 1, "dead"), ("shop/7", 1, "retrying"), ("shop/7", 2, "behind")]

    # -- stories -------------------------------------------------------------------------------
    def test_to_kafka_and_postgresql_and_back(self):
        self.begin()
        before = self.hops(self.here, "S3")
        self.assertIn("delivered", before)
        self.assertEqual(0, self.here.terminate())
        there = self.site_over_there()
        self.carry(self.here, there)
        self.assertIn("moved to", self.refused(self.here))
        there.start()
        self.assertEqual(self.PARKED, self.rows(there))
        self.assertEqual(before, self.hops(there, "S3"))
        self.go_on(there)
        self.assertEqual(0, there.terminate())
        back = self.site("back")
        self.carry(there, back)
        self.assertIn("moved to", self.refused(there))
        back.start()
        self.come_back(back)

    def refused(self, site):
        """What a daemon that does not start says."""
        site.start(ready=False)
        self.assertEqual(2, site.wait_exit())
        return site.log_tail()

    def go_on(self, site):
        """A person looks after what waited, and there is news."""
        self.orders(site, [8])
        self.orders(site, [3], version=2)
        self.await_at(self.archive, [as_sent(record, 1) for record in range(1, 9)]
                      + [as_sent(7, 2), as_sent(3, 2)], "/parcels")
        self.mes.heal()
        [dead] = self.dead_letters(site)
        site.cli("dead", "resubmit", dead["id"])
        self.await_at(self.mes, [as_sent(record, 1) for record in range(1, 9)]
                      + [as_sent(7, 2), as_sent(3, 2)])
        self.assertEqual([], self.at(self.archive), "its route is still paused")
        self.assert_none_repeated(self.mes)

    def come_back(self, site):
        site.cli("routes", "resume", "order-to-archive")
        self.orders(site, [9])
        self.orders(site, [3], version=3)
        everything = [as_sent(record, 1) for record in range(1, 10)] + [
            as_sent(7, 2), as_sent(3, 2), as_sent(3, 3)]
        for target, path in ((self.mes, "/orders"), (self.archive, "/orders"),
                             (self.archive, "/parcels")):
            self.await_at(target, everything, path)
            self.assert_none_repeated(target)
        self.assertEqual([], self.dead_letters(site))
        self.assertIn("fits its log", site.cli("state", "verify").stdout)


if __name__ == "__main__":
    main()

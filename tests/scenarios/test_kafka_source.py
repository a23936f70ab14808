"""Records of a Kafka topic are a source: nothing is lost, nothing comes twice, nothing is skipped."""
# kafka: yes

import json
import os

from configurations import EVERY_CHANGE, MES, ORDER, SHOP_TOKEN, as_sent, order
from kafka_neighbour import KafkaServer
from millrace_harness import Scenario, eventually, main, only_files

SHOP = """\
connection: shop
type: kafka
brokers: "%s"
topic: %s
start: beginning
record: .id
version: .version
"""

# The same topic with CloudEvents in it, and what they may be.
EVENTS = SHOP.replace("record: .id\nversion: .version\n",
                      'events: { sources: [ "/shop/*" ], types: [ "order.*" ] }\n')
SENT_ORDER = """\
entity: order
version: 1
events: { changed: true }
schema: schemas/order.v1.json
"""

WITHIN = 60.0


def attributes(event, **others):
    return {"specversion": "1.0", "id": event, "source": "/shop/1", "type": "order.changed",
            "subject": "S1", **others}


def binary(event, data, **others):
    """A record in CloudEvents' binary mode."""
    headers = {f"ce_{name}": text for name, text in attributes(event, **others).items()}
    return "S1", json.dumps(data), headers


def structured(event, data, **others):
    return ("S1", json.dumps({**attributes(event, **others), "data": data}),
            {"content-type": "application/cloudevents+json; charset=utf-8"})


class KafkaSource(Scenario):
    topics = 0

    def setUp(self):
        super().setUp()
        KafkaSource.topics += 1
        self.topic = f"orders-{os.getpid()}-{KafkaSource.topics}"
        self.mes = self.target()

    def reading(self, kafka, topic=None):
        return self.broker(SHOP % (kafka.brokers, topic or self.topic),
                           MES % {"target_port": self.mes.port}, ORDER, EVERY_CHANGE)

    def shop(self, kafka, *orders, partition=-1, seconds_old=0):
        kafka.produce(self.topic, [(one["id"], json.dumps(one)) for one in orders], partition,
                      seconds_old)

    def connection(self, broker):
        listed = self.listing(broker, "/admin/v1/connections")
        return next(one for one in listed if one["name"] == "shop")

    def await_state(self, broker, state):
        eventually(lambda: self.connection(broker)["state"] == state, WITHIN,
                   lambda: f"shop is {state}; it is {self.connection(broker)}")

    def numbers(self):
        return sorted(body["number"] for body in self.mes.bodies())

    def test_good_records_are_delivered_and_bad_ones_are_dead_letters(self):
        kafka = KafkaServer.shared()
        kafka.create(self.topic, partitions=1)
        self.shop(kafka, order(1, 1, version=1))
        kafka.produce(self.topic, [("x", "no json"), ("y", '{"number": "nobody"}')])
        self.shop(kafka, order(1, 2, version=2))
        millrace = self.reading(kafka).start()
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(1, 2)], WITHIN)
        eventually(lambda: len(self.dead_letters(millrace)) == 2, WITHIN, "two dead letters")
        self.await_state(millrace, "up")
        # What is older than what was applied is stale, whichever way it comes.
        self.shop(kafka, order(1, 9, version=1), order(1, 3, version=3))
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(1, 2), as_sent(1, 3)], WITHIN)
        taken = {outcome: millrace.metrics()[f'millrace_ingress_kafka_total{{outcome="{outcome}"}}']
                 for outcome in ("accepted", "unreadable", "duplicate")}
        self.assertEqual({"accepted": 4, "unreadable": 2, "duplicate": 0}, taken)

    def test_nothing_is_lost_and_nothing_comes_twice_after_kill9(self):
        kafka = KafkaServer.shared()
        kafka.create(self.topic)
        millrace = self.reading(kafka).start()
        for batch in range(4):
            ids = range(batch * 100, batch * 100 + 100)
            self.shop(kafka, *(order(record, 1, version=1) for record in ids))
            eventually(lambda least=batch * 100 + 10: len(self.mes.bodies()) >= least, WITHIN,
                       "some of them are through")
            millrace.kill9()
            millrace.start()
        expected = sorted(f"S{record}" for record in range(400))
        eventually(lambda: self.numbers() == expected, WITHIN,
                   lambda: f"400 effects; there are {len(self.mes.bodies())}")

    def test_a_broker_that_is_away_is_waited_for(self):
        kafka = KafkaServer()
        self.addCleanup(kafka.close)
        kafka.create(self.topic, partitions=1)
        millrace = self.reading(kafka).start()
        self.shop(kafka, order(1, 1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1)], WITHIN)
        kafka.kill9()
        self.await_state(millrace, "down")
        self.assertIn("connections check shop", millrace.cli("status", expect=None).stdout)
        kafka.start()
        self.shop(kafka, order(1, 2, version=2))
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(1, 2)], WITHIN)
        self.await_state(millrace, "up")

    def test_records_that_are_gone_stop_it_for_a_person(self):
        kafka = KafkaServer.shared()
        kafka.create(self.topic, partitions=1)
        millrace = self.reading(kafka).start()
        self.shop(kafka, order(1, 1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1)], WITHIN)
        self.assertEqual(0, millrace.terminate())
        self.shop(kafka, *(order(1, quantity, version=quantity) for quantity in (2, 3, 4)))
        kafka.trim(self.topic, 0, 3)
        millrace.start()
        self.await_state(millrace, "paused")
        reason = self.connection(millrace)["reason"]
        self.assertIn(f"offset 1 of topic {self.topic} partition 0 comes next and is gone", reason)
        self.assertIn("millrace connections resume shop --reason",
                      millrace.cli("status", expect=None).stdout)
        # It waits across restarts, whatever comes.
        millrace.kill9()
        millrace.start()
        self.await_state(millrace, "paused")
        self.assertEqual([as_sent(1, 1)], self.mes.bodies())
        millrace.cli("connections", "resume", "shop", "--reason", "the shop says so")
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(1, 4)], WITHIN)
        self.await_state(millrace, "up")

    def test_a_topic_made_anew_stops_it_and_is_read_whole_afterwards(self):
        kafka = KafkaServer.shared()
        kafka.create(self.topic, partitions=1)
        millrace = self.reading(kafka).start()
        self.shop(kafka, order(1, 1, version=1), order(2, 1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(2, 1)], WITHIN)
        kafka.delete(self.topic)
        self.await_state(millrace, "paused")
        kafka.create(self.topic, partitions=1)
        self.shop(kafka, order(3, 1, version=1))
        millrace.cli("connections", "resume", "shop", "--reason", "moved")
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(2, 1), as_sent(3, 1)], WITHIN)

    @only_files("a disk without room is what keeps it from taking anything in")
    def test_records_older_than_half_their_retention_are_an_alarm(self):
        kafka = KafkaServer.shared()
        kafka.create(self.topic, partitions=1)
        kafka.set(self.topic, "retention.ms=3600000")
        millrace = self.reading(kafka)
        file = millrace.config / "millrace.yaml"
        usual = file.read_text("utf-8")
        # Nothing is taken in: the disk has not that much room.
        file.write_text(usual + "retention: { min_free: 99% }\n", "utf-8")
        millrace.start()
        aged = 'millrace_kafka_aged_records{connection="shop"}'
        behind = 'millrace_kafka_records_behind{client="source/shop"}'
        self.await_state(millrace, "up")
        self.assertEqual(0, millrace.metrics()[aged])
        self.shop(kafka, order(1, 1, version=1), order(1, 2, version=2), seconds_old=2400)
        self.shop(kafka, order(1, 3, version=3))
        eventually(lambda: millrace.metrics()[aged] == 2, WITHIN, "two records are aged")
        problems = millrace.cli("status", expect=None).stdout
        self.assertIn("2 records for connection shop wait for longer than half of the 1 hours",
                      problems)
        file.write_text(usual, "utf-8")
        millrace.cli("reload")
        self.await_bodies(self.mes, [as_sent(1, quantity) for quantity in (1, 2, 3)], WITHIN)
        eventually(lambda: millrace.metrics()[aged] == 0, WITHIN, "nothing is aged")
        self.assertNotIn("wait for longer", millrace.cli("status", expect=None).stdout)
        eventually(lambda: millrace.metrics()[behind] == 0, WITHIN, "nothing is behind")
        self.assertEqual(1, millrace.metrics()['millrace_kafka_brokers_up{client="source/shop"}'])

    def test_cloud_events_are_taken_in_as_those_sent_to_events(self):
        kafka = KafkaServer.shared()
        kafka.create(self.topic, partitions=1)
        good = [as_sent(1, quantity) for quantity in (1, 2, 3)]
        kafka.produce(self.topic, [
            binary("e1", good[0]),
            structured("e2", good[1]),
            ("S1", json.dumps(good[0])),
            binary("b2", good[0], type="order.lost"),
            structured("b3", good[0], source="/other"),
            binary("b4", {**good[0], "quantity": "one"}),
            binary("b5", good[0], rev="7"),
            structured("b6", good[0], time="yesterday"),
            binary("e2", good[1]),
            binary("e3", good[2])])
        millrace = self.broker(EVENTS % (kafka.brokers, self.topic),
                               MES % {"target_port": self.mes.port}, SENT_ORDER,
                               EVERY_CHANGE).start()
        self.await_bodies(self.mes, good, WITHIN)
        letters = eventually(lambda: len(self.dead_letters(millrace)) == 6 and
                             self.dead_letters(millrace), WITHIN, "six dead letters")
        reasons = sorted((one["reason"] for one in letters), key=lambda text: text[-3:])
        for offset, (reason, words) in enumerate(zip(reasons, (
                "send a CloudEvent", "/type: no entity of this installation has this type",
                "takes no event of this source", "/data/quantity: ", "rev is reserved",
                "time is no RFC 3339 time")), start=2):
            self.assertIn(words, reason)
            self.assertIn(f"(topic {self.topic} partition 0 offset {offset})", reason)
        shown = millrace.cli("dead", "show", letters[0]["id"]).stdout
        self.assertIn("kafka_offset", shown)
        # Whichever way it comes, an event is the same one; and after a crash, too.
        key = millrace.cli_json("key", "create", "--source", "*", "--type", "*", "--note", "test")["key"]
        again = millrace.post("/events", {**attributes("e3"), "data": good[2]},
                              {"Authorization": f"Bearer {key}",
                               "Content-Type": "application/cloudevents+json"})
        self.assertEqual({"id": "e3", "duplicate": True}, again.json())
        millrace.kill9()
        millrace.start()
        kafka.produce(self.topic, [binary("e1", good[0]), binary("e4", as_sent(1, 4))])
        self.await_bodies(self.mes, good + [as_sent(1, 4)], WITHIN)
        self.await_state(millrace, "up")
        self.assertEqual(6, len(self.dead_letters(millrace)))

    def test_a_connection_without_version_is_refused(self):
        kafka = "127.0.0.1:1"
        broken = (SHOP % (kafka, "orders")).replace("version: .version\n", "")
        millrace = self.broker(broken, MES % {"target_port": self.mes.port}, ORDER, EVERY_CHANGE)
        self.assertIn("needs `version:`", millrace.cli("lint", expect=1).stdout)
        self.assertNotIn(SHOP_TOKEN, millrace.cli("lint", expect=1).stdout)


if __name__ == "__main__":
    main()

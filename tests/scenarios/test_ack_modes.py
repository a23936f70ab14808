"""What a sender is told while a real Kafka does not answer: with `ack: auto` and `local` the message
lies in the spool of this machine and comes into the log later, once and in order; with `ack: kafka`
it is refused. Nothing that was acknowledged is lost, whoever dies meanwhile."""
# kafka: yes

import json
import time

from configurations import EVERY_CHANGE, SHOP_TOKEN, SHOP_WITHOUT_VERSION, as_sent, order
from kafka_neighbour import KafkaServer
from millrace_harness import Scenario, eventually, main
from processes import sanitized

RECORDS = range(1, 7)
# Of 100 KB each: twenty times what may be with Kafka's client.
PADDING = "x" * 100_000
PADDED = 300
RSS_MB_MAX = 25
ACK_SECONDS_MAX = 1.0

NOTE = """\
entity: note
version: 1
events: { written: true }
"""
NOTE_ROUTE = """\
route: note-to-mes
from: note
to: mes
requests:
  written:
    method: POST
    path: /notes
    body: .data
retry: { initial: 50ms, max_interval: 500ms, give_up_after: 1h }
"""


class AckModes(Scenario):
    @classmethod
    def setUpClass(cls):
        cls.kafka = KafkaServer()
        cls.addClassCleanup(cls.kafka.close)

    def setUp(self):
        self.mes = self.target()
        self.sent = {record: 0 for record in RECORDS}

    def broker_of(self, ack):
        # Without a version: what came twice or out of its order would be news.
        millrace = self.order_broker(self.mes, EVERY_CHANGE, SHOP_WITHOUT_VERSION,
                                     kafka=self.kafka.acking(ack))
        millrace.start()
        return millrace

    def freeze(self):
        self.kafka.freeze()
        self.addCleanup(self.kafka.thaw)

    def send_next(self, millrace, record, padding=""):
        """One more change of the record, acknowledged in time."""
        self.sent[record] += 1
        before = time.monotonic()
        self.send(millrace, {**order(record, self.sent[record]), "padding": padding})
        self.assertLess(time.monotonic() - before, ACK_SECONDS_MAX)

    def send_round(self, millrace):
        for record in RECORDS:
            self.send_next(millrace, record)

    def quantities(self, record):
        return [body["quantity"] for body in self.mes.bodies() if body["number"] == f"S{record}"]

    def await_all(self):
        """Each change arrived once, those of a record in their order."""
        eventually(lambda: len(self.mes.bodies()) >= sum(self.sent.values()), 120,
                   lambda: f"{self.sent} arrive; these have: {self.mes.bodies()}")
        for record, count in self.sent.items():
            self.assertEqual(list(range(1, count + 1)), self.quantities(record), record)

    def spool(self, millrace):
        return json.loads(millrace.cli("status", "--json", expect=None).stdout)["spool"]

    def passes_the_spool(self, millrace):
        before = self.spool(millrace)["spooled_total"]
        self.send_round(millrace)
        return self.spool(millrace)["spooled_total"] == before

    def await_drained(self, millrace):
        eventually(lambda: self.spool(millrace)["messages"] == 0, 60, "the spool is empty")

    def await_alarm(self, millrace):
        eventually(lambda: "messages wait in the spool" in
                   millrace.cli("status", expect=None).stdout, 30, "status counts what waits")

    def test_a_frozen_kafka_and_a_crash(self):
        millrace = self.broker_of("auto")
        self.send_round(millrace)
        self.await_all()
        eventually(lambda: self.passes_the_spool(millrace), 120, "Kafka acknowledges in time")
        self.freeze()
        self.send_round(millrace)
        self.await_alarm(millrace)
        ready = millrace.admin("GET", "/readyz")
        self.assertEqual(200, ready.status, "it takes messages in")
        self.assertIn("messages wait in the spool", ready.body.decode())
        self.kafka.thaw()
        self.await_drained(millrace)
        self.await_all()

        self.freeze()
        self.send_round(millrace)
        early = millrace.rss_mb()
        for number in range(PADDED):
            self.send_next(millrace, RECORDS[number % len(RECORDS)], PADDING)
        if not sanitized():
            self.assertLess(millrace.rss_mb() - early, RSS_MB_MAX)
        self.assertLess(PADDED, self.spool(millrace)["messages"])
        millrace.kill9()
        self.kafka.thaw()
        millrace.start()
        self.send_round(millrace)
        self.await_all()
        self.await_drained(millrace)
        self.assertLess(PADDED, millrace.metrics()["millrace_spool_forwarded_total"])
        eventually(lambda: "wait in the spool" not in millrace.cli("status", expect=None).stdout,
                   what="all is well again")

    def test_a_kafka_that_dies(self):
        millrace = self.broker_of("auto")
        self.send_round(millrace)
        self.kafka.kill9()
        for _ in range(5):
            self.send_round(millrace)
        self.kafka.start()
        self.send_round(millrace)
        self.await_all()
        self.await_drained(millrace)

    def test_events_are_known_by_their_id(self):
        millrace = self.order_broker(self.mes, kafka=self.kafka.acking("auto"))
        objects = millrace.config / "objects.yaml"
        objects.write_text(objects.read_text("utf-8") + "---\n" + NOTE + "---\n" + NOTE_ROUTE,
                           "utf-8")
        millrace.start()
        key = millrace.cli_json("key", "create", "--source", "lab", "--type", "note.*", "--note",
                                "test")["key"]

        def duplicate(number):
            event = {"specversion": "1.0", "id": f"e{number}", "source": "lab",
                     "type": "note.written", "subject": "N", "data": {"number": number}}
            answer = millrace.post("/events", json.dumps(event), {
                "Authorization": f"Bearer {key}", "Content-Type": "application/cloudevents+json"})
            self.assertEqual(202, answer.status, answer.body)
            return answer.json()["duplicate"]
        self.freeze()
        for number in range(20):
            self.assertFalse(duplicate(number))
        self.assertTrue(duplicate(0))
        self.assertTrue(duplicate(19))
        millrace.kill9()
        self.kafka.thaw()
        millrace.start()
        self.assertTrue(duplicate(0))
        self.assertTrue(duplicate(19))
        self.assertFalse(duplicate(20))
        self.await_bodies(self.mes, [{"number": number} for number in range(21)], 60)

    def test_local_is_always_the_spool_first(self):
        millrace = self.broker_of("local")
        self.send_round(millrace)
        self.await_all()
        self.await_drained(millrace)
        self.assertEqual(len(RECORDS), self.spool(millrace)["spooled_total"])
        self.freeze()
        for _ in range(5):
            self.send_round(millrace)
        self.kafka.thaw()
        self.send_round(millrace)
        self.await_all()
        self.await_drained(millrace)

    def test_kafka_alone_refuses_and_forwards_what_waits_from_before(self):
        millrace = self.broker_of("auto")
        self.freeze()
        self.send_round(millrace)
        millrace.kill9()
        file = millrace.config / "millrace.yaml"
        file.write_text(file.read_text("utf-8").replace("ack: auto", "ack: kafka"), "utf-8")
        self.kafka.thaw()
        millrace.start()
        self.await_all()
        self.await_drained(millrace)
        self.freeze()
        refused = millrace.post(f"/hooks/shop/{SHOP_TOKEN}", order(99, 1), timeout=60)
        self.assertEqual(503, refused.status)
        self.kafka.thaw()
        eventually(lambda: as_sent(99, 1) in self.mes.bodies(), 60, "it may arrive all the same")

    def test_a_start_without_kafka_says_what_waits(self):
        millrace = self.broker_of("auto")
        self.freeze()
        self.send_round(millrace)
        millrace.kill9()
        self.kafka.thaw()
        file = millrace.config / "millrace.yaml"
        good = file.read_text("utf-8")
        file.write_text(good.replace(str(self.kafka.port), "1"), "utf-8")
        millrace.start(ready=False)
        self.assertNotEqual(0, millrace.wait_exit(60))
        self.assertIn(f"{len(RECORDS)} messages wait in the spool", millrace.log_tail())
        file.write_text(good, "utf-8")
        # Nor is a copy of the log whole that lacks them.
        elsewhere = self.order_broker(self.mes, EVERY_CHANGE, SHOP_WITHOUT_VERSION, name="there")
        copied = millrace.cli("log", "copy", "--to", str(elsewhere.config), expect=None)
        self.assertNotEqual(0, copied.returncode)
        self.assertIn(f"{len(RECORDS)} messages wait in the spool", copied.stderr)
        millrace.start()
        self.await_all()


if __name__ == "__main__":
    main()
# own stores: what a sender is told is told of a Kafka that dies

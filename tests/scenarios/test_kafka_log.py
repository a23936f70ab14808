"""The log on a real Kafka: away, frozen, not as it must be; nothing acknowledged is lost and nothing
is repeated."""
# own stores: a Kafka that dies

from configurations import SHOP_TOKEN, as_sent, order
from kafka_neighbour import KafkaServer
from millrace_harness import Scenario, eventually, main

END = -1  # of a partition, whatever that is


class KafkaLog(Scenario):
    @classmethod
    def setUpClass(cls):
        cls.kafka = KafkaServer()
        cls.addClassCleanup(cls.kafka.close)

    def setUp(self):
        self.mes = self.target()

    def post(self, millrace, record, version=1):
        return millrace.post(f"/hooks/shop/{SHOP_TOKEN}", order(record, quantity=1, version=version),
                             timeout=60)

    def await_trouble(self, millrace):
        eventually(lambda: "does not acknowledge" in millrace.cli("status", expect=None).stdout,
                   within=30, what="status says that Kafka is away")

    def accept(self, millrace, record):
        self.insist(200, lambda: self.post(millrace, record))

    def test_a_kafka_that_dies_and_comes_back(self):
        millrace = self.order_broker(self.mes, kafka=self.kafka.acking("kafka"))
        millrace.start()
        self.accept(millrace, 1)
        self.await_bodies(self.mes, [as_sent(1, 1)])
        self.kafka.kill9()
        refused = self.post(millrace, 2)
        self.assertEqual(503, refused.status, "nothing is acknowledged that Kafka does not have")
        self.await_trouble(millrace)
        self.assertEqual(200, millrace.admin("GET", "/admin/v1/dead").status)
        self.kafka.start()
        eventually(lambda: self.post(millrace, 3).status == 200, within=60, what="it goes on")
        # What was refused may still arrive; what was acknowledged does, and once.
        eventually(lambda: as_sent(3, 1) in self.mes.bodies(), within=60, what="deliveries go on")
        self.assertEqual(1, self.mes.bodies().count(as_sent(3, 1)))
        millrace.kill9()
        millrace.start()
        self.accept(millrace, 4)
        eventually(lambda: as_sent(4, 1) in self.mes.bodies(), within=60, what="the log is whole")
        for record in (1, 3, 4):
            self.assertEqual(1, self.mes.bodies().count(as_sent(record, 1)), record)

    def test_its_client_is_in_the_metrics(self):
        millrace = self.order_broker(self.mes, kafka=self.kafka.acking("kafka")).start()

        def of_producer(name):
            return millrace.metrics()[f'millrace_kafka_{name}{{client="producer"}}']
        self.accept(millrace, 1)
        eventually(lambda: of_producer("brokers_up") == 1, 30, "it is connected")
        eventually(lambda: of_producer("round_trip_p99_seconds") > 0, 30, "its round trips")
        at_once = millrace.metrics()
        self.assertLessEqual(
            at_once['millrace_kafka_round_trip_mean_seconds{client="producer"}'],
            at_once['millrace_kafka_round_trip_p99_seconds{client="producer"}'])
        self.assertLess(0, of_producer("requests_total"))
        eventually(lambda: of_producer("queued_records") == 0, 30, "nothing waits in the client")
        self.assertEqual(0, millrace.metrics()["millrace_kafka_records_resent_total"])
        self.kafka.freeze()
        self.addCleanup(self.kafka.thaw)
        self.assertEqual(503, self.post(millrace, 2).status)
        eventually(lambda: of_producer("queued_records") > 0, 30, "what waits in the client")
        self.assertLess(0, of_producer("requests_in_flight"))
        self.kafka.thaw()
        eventually(lambda: of_producer("queued_records") == 0, 60, "all is acknowledged")

    def test_a_frozen_kafka_acknowledges_nothing(self):
        millrace = self.order_broker(self.mes, kafka=self.kafka.acking("kafka"))
        millrace.start()
        self.accept(millrace, 1)
        self.await_bodies(self.mes, [as_sent(1, 1)])
        self.kafka.freeze()
        self.addCleanup(self.kafka.thaw)
        self.assertEqual(503, self.post(millrace, 2).status)
        self.await_trouble(millrace)
        self.kafka.thaw()
        eventually(lambda: self.post(millrace, 2).status == 200, within=60, what="it goes on")
        eventually(lambda: as_sent(2, 1) in self.mes.bodies(), within=60, what="it is delivered")
        self.accept(millrace, 3)
        self.await_bodies(self.mes, [as_sent(number, 1) for number in (1, 2, 3)])
        eventually(lambda: "does not acknowledge" not in
                   millrace.cli("status", expect=None).stdout, what="all is well again")

    def test_what_was_not_delivered_is_after_a_restart(self):
        millrace = self.order_broker(self.mes, kafka=self.kafka)
        millrace.start()
        self.mes.fault(status=503, always=True)
        for record in range(1, 21):
            self.accept(millrace, record)
        millrace.kill9()
        self.mes.heal()
        millrace.start()
        expected = {str(as_sent(record, 1)) for record in range(1, 21)}
        eventually(lambda: {str(body) for body in self.mes.bodies()} == expected, within=60,
                   what="everything acknowledged arrives")
        self.assertEqual(20, len(self.mes.bodies()))

    def test_tools_that_show_lag_see_how_far_a_route_is(self):
        millrace = self.order_broker(self.mes, kafka=self.kafka)
        millrace.start()
        for record in range(1, 6):
            self.accept(millrace, record)
        eventually(lambda: len(self.mes.bodies()) == 5, within=60, what="all are delivered")
        # It is told at the start, and every half a minute.
        millrace.terminate()
        millrace.start()
        prefix = self.kafka.prefix()

        def told():
            return self.kafka.offsets(f"{prefix}.events.order", f"{prefix}.order-to-mes")

        def read_to_the_end():
            places = told()
            return (len(places) == 64 and sum(end for _, end in places) > 0
                    and all(offset == end for offset, end in places))
        eventually(read_to_the_end, within=90, what=lambda: f"the group has no lag: {told()}")

    def test_a_state_of_another_log_is_refused(self):
        millrace = self.order_broker(self.mes, kafka=self.kafka)
        millrace.start()
        self.accept(millrace, 1)
        self.await_bodies(self.mes, [as_sent(1, 1)])
        self.assertEqual(0, millrace.terminate())
        file = millrace.config / "millrace.yaml"
        file.write_text(file.read_text("utf-8").replace("prefix: ", "prefix: other-"), "utf-8")
        self.assertIn("belongs to log", self.refused_start(millrace))

    def test_a_route_goes_on_behind_what_kafka_dropped(self):
        """Its topic has a retention of its own, and the target was down for longer."""
        millrace = self.order_broker(self.mes, kafka=self.kafka)
        millrace.start()
        self.mes.fault(status=503, always=True)
        self.accept(millrace, 1)
        eventually(lambda: millrace.cli_json("routes", "list")["routes"][0]["waiting"] == 1,
                   what="it is taken up")
        self.assertEqual(0, millrace.terminate())
        self.mes.heal()
        for partition in range(64):
            self.kafka.trim(f"{self.kafka.prefix()}.events.order", partition, before=END)
        millrace.start()
        next_step = "millrace routes skip order-to-mes --to beginning"
        eventually(lambda: next_step in millrace.cli("status", expect=None).stdout,
                   what="status says what to type")
        said = millrace.cli("routes", "skip", "order-to-mes", "--to", "beginning").stdout
        self.assertIn("let go of 0 undelivered events", said)
        self.assertIn("records before them were dropped from the log unread", said)
        self.accept(millrace, 2)
        millrace.cli("routes", "skip", "order-to-mes", "--to", "beginning", "--yes", "--reason",
                     "they were entered by hand")
        self.await_bodies(self.mes, [as_sent(2, 1)])
        eventually(lambda: "Nothing is wrong." in millrace.cli("status", expect=None).stdout,
                   what="nothing is wrong")

    def test_a_new_entity_needs_a_restart(self):
        millrace = self.order_broker(self.mes, kafka=self.kafka)
        millrace.start()
        objects = millrace.config / "objects.yaml"
        objects.write_text(objects.read_text("utf-8")
                           + "---\nentity: note\nversion: 1\nevents: { written: true }\n", "utf-8")
        said = millrace.cli("reload", expect=None)
        self.assertNotEqual(0, said.returncode)
        self.assertIn("entity note is new, and the topic of its events on Kafka is made at a start; "
                      "restart the daemon", said.stdout + said.stderr)

    def test_a_route_that_takes_from_another_entity_needs_another_name(self):
        millrace = self.order_broker(self.mes, kafka=self.kafka)
        objects = millrace.config / "objects.yaml"
        text = (objects.read_text("utf-8")
                + "---\nentity: note\nversion: 1\nevents: { changed: true }\n")
        objects.write_text(text, "utf-8")
        millrace.start()
        self.accept(millrace, 1)
        self.await_bodies(self.mes, [as_sent(1, 1)])
        objects.write_text(text.replace("from: order", "from: note"), "utf-8")
        for command in ("plan", "reload"):
            said = millrace.cli(command, expect=None)
            self.assertNotEqual(0, said.returncode, command)
            self.assertIn("give it another name", said.stdout + said.stderr)
        self.accept(millrace, 2)
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(2, 1)])
        millrace.kill9()
        self.assertIn("give it another name", self.refused_start(millrace))

    def test_a_start_without_kafka_says_so(self):
        millrace = self.order_broker(self.mes, kafka=self.kafka)
        file = millrace.config / "millrace.yaml"
        file.write_text(file.read_text("utf-8").replace(str(self.kafka.port), "1"), "utf-8")
        self.assertIn("the log is on Kafka, and 127.0.0.1:1 does not answer",
                      self.refused_start(millrace))

    def refused_start(self, millrace):
        millrace.start(ready=False)
        self.assertNotEqual(0, millrace.wait_exit(60))
        return millrace.log_tail()


if __name__ == "__main__":
    main()

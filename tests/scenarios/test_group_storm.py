"""Three instances, one Kafka, one PostgreSQL, under load: each instance is killed in turn, Kafka and
PostgreSQL are restarted, one instance is frozen for longer than its lease. All that was acknowledged
arrives, once and in order, and every lane moves again in time."""
# kafka: yes

import os
import random
import signal
import threading
import time

from configurations import SHOP_TOKEN, order
from kafka_neighbour import KafkaServer
from millrace_harness import Scenario, eventually, main
from postgresql_neighbour import PostgresServer
from processes import Background

NAMES = ("a", "b", "c")
SECONDS = float(os.environ.get("MILLRACE_STORM_SECONDS", "60"))
FROZEN_SECONDS = float(os.environ.get("MILLRACE_FROZEN_SECONDS", "12"))
SENDERS = 4
RECORDS_PER_SENDER = 25
ORDERS_PER_SECOND = 200
MOVES_WITHIN = 15.0  # the bound, after a recovery
EXPELLED = 70


class Sender:
    """Posts versions of its records in turn, to whichever instance takes them."""

    def __init__(self, number, brokers, seed):
        self.brokers, self.chance = brokers, random.Random(f"{seed}/{number}")
        self.records = [number * RECORDS_PER_SENDER + i for i in range(RECORDS_PER_SENDER)]
        self.sent = {record: [] for record in self.records}
        self.acknowledged = set()
        self.stopping = threading.Event()

    def run(self):
        interval = SENDERS / ORDERS_PER_SECOND
        due = time.monotonic()
        turn = 0
        while not self.stopping.is_set():
            self.post(self.records[turn % len(self.records)])
            turn += 1
            due = max(due + interval, time.monotonic() - 1.0)  # catches up one second at most
            self.stopping.wait(max(0.0, due - time.monotonic()))

    def post(self, record):
        """A version is repeated until it is answered, so that those of a record come in order."""
        version = len(self.sent[record]) + 1
        self.sent[record].append(version)
        payload = order(record, quantity=version, version=version)
        while not self.stopping.is_set():
            try:
                broker = self.chance.choice(self.brokers)
                answer = broker.post(f"/hooks/shop/{SHOP_TOKEN}", payload, timeout=2)
                if answer.status == 200:
                    self.acknowledged.add((record, version))
                    return
                assert answer.status == 503, f"hook answered {answer.status} {answer.body}"
            except OSError:
                pass
            self.stopping.wait(0.02)


class GroupStorm(Scenario):
    def setUp(self):
        self.seed = int(os.environ.get("MILLRACE_SEED", random.randrange(1 << 32)))
        print(f"seed {self.seed} (MILLRACE_SEED repeats it)")
        self.chance = random.Random(self.seed)
        self.kafka = KafkaServer()
        self.addCleanup(self.kafka.close)
        self.postgresql = PostgresServer()
        self.addCleanup(self.postgresql.close)
        self.mes = self.target()
        self.group = self.instances(NAMES, self.order_documents(self.mes), self.kafka,
                                    self.postgresql)

    def test_nothing_is_lost_repeated_or_overtaken(self):
        for millrace in self.group.values():
            millrace.start()
        senders = [Sender(number, list(self.group.values()), self.seed)
                   for number in range(SENDERS)]
        threads = [Background(sender.run) for sender in senders]
        blows = [*(lambda name=name: self.kill(name) for name in NAMES),
                 self.restart_kafka, self.restart_postgresql,
                 lambda: self.freeze(self.chance.choice(NAMES))]
        self.chance.shuffle(blows)
        begun = time.monotonic()
        for number, blow in enumerate(blows):
            due = begun + SECONDS * (number + 1) / (len(blows) + 1)
            threading.Event().wait(max(0.0, due - time.monotonic()))
            blow()
            self.await_moving(senders)
        for sender in senders:
            sender.stopping.set()
        for thread in threads:
            thread.join()
        acknowledged = set().union(*(sender.acknowledged for sender in senders))
        self.assertGreater(len(acknowledged), 20 * SECONDS, "too little to show anything")
        eventually(lambda: not acknowledged - self.delivered(), within=60,
                   what=lambda: f"lost {sorted(acknowledged - self.delivered())[:20]}")
        self.check_effects(senders)
        counts = self.mes.counts()
        print(f"{len(acknowledged)} acknowledged, {counts['effects']} delivered, "
              f"{counts['repeats']} repeats absorbed by the key")

    # -- blows: each returns once it is over ---------------------------------------------------------
    def kill(self, name):
        self.group[name].kill9()
        self.group[name].start()

    def restart_kafka(self):
        self.kafka.kill9()
        self.kafka.start()

    def restart_postgresql(self):
        self.postgresql.kill9()
        self.postgresql.start()

    def freeze(self, name):
        millrace = self.group[name]
        millrace.freeze()
        threading.Event().wait(FROZEN_SECONDS)
        millrace.signal(signal.SIGCONT)
        self.assertEqual(EXPELLED, millrace.wait_exit(), millrace.log_tail())
        millrace.start()

    # -- what must be true -----------------------------------------------------------------------
    def await_moving(self, senders):
        """Of every record something that is acknowledged from now on arrives in time."""
        before = [set(sender.acknowledged) for sender in senders]
        since = time.monotonic()

        def standing():
            delivered = self.delivered()
            moved = {record for sender, known in zip(senders, before)
                     for record, _ in (sender.acknowledged - known) & delivered}
            return {record for sender in senders for record in sender.records} - moved
        eventually(lambda: not standing(), MOVES_WITHIN,
                   lambda: f"records that stand still: {sorted(standing())}")
        print(f"moved {time.monotonic() - since:.1f} s after the recovery")

    def delivered(self):
        return {(int(body["number"][1:]), body["quantity"]) for body in self.mes.bodies()}

    def check_effects(self, senders):
        versions = {}
        for body in self.mes.bodies():
            versions.setdefault(int(body["number"][1:]), []).append(body["quantity"])
        for sender in senders:
            for record, sent in sender.sent.items():
                got = versions.get(record, [])
                self.assertEqual(sorted(set(got)), got, f"order or repeats of record {record}")
                self.assertLessEqual(set(got), set(sent), f"invented versions of record {record}")


if __name__ == "__main__":
    main()
# own stores: several instances, on servers that die

"""kill -9 again and again under load: all that was acknowledged arrives, once and in order."""
# states: postgresql
# logs: kafka

import os
import random
import threading
import time

from configurations import SHOP_TOKEN, order
from millrace_harness import Scenario, eventually, main
from processes import Background

CYCLES = int(os.environ.get("MILLRACE_KILL_CYCLES", "20"))
SENDERS = 4
RECORDS_PER_SENDER = 10
ORDERS_PER_SECOND = 300
KILL_AFTER_SECONDS = (0.05, 0.8)


class Sender:
    """Posts versions of its records in turn. A post that failed is repeated until it is answered,
    or given up, by chance: senders do either."""

    def __init__(self, number, broker, seed):
        self.broker, self.chance = broker, random.Random(f"{seed}/{number}")
        self.records = [number * RECORDS_PER_SENDER + i for i in range(RECORDS_PER_SENDER)]
        self.sent = {record: [] for record in self.records}
        self.acknowledged = set()
        self.stopping = threading.Event()

    def run(self):
        interval = SENDERS / ORDERS_PER_SECOND
        due = time.monotonic()
        version = 0
        while not self.stopping.is_set():
            if version % len(self.records) == 0:
                self.chance.shuffle(self.records)
            record = self.records[version % len(self.records)]
            version += 1
            self.post(record, version)
            due = max(due + interval, time.monotonic() - 1.0)  # catches up one second at most
            self.stopping.wait(max(0.0, due - time.monotonic()))

    def post(self, record, version):
        self.sent[record].append(version)
        payload = order(record, quantity=version, version=version)
        while not self.stopping.is_set():
            try:
                answer = self.broker.post(f"/hooks/shop/{SHOP_TOKEN}", payload, timeout=5)
                if answer.status == 200:
                    self.acknowledged.add((record, version))
                    return
                assert answer.status == 503, f"hook answered {answer.status} {answer.body}"
            except OSError:
                pass
            if self.chance.random() < 0.5:
                return
            self.stopping.wait(0.02)


class KillStorm(Scenario):
    def test_nothing_is_lost_repeated_or_overtaken(self):
        seed = int(os.environ.get("MILLRACE_SEED", random.randrange(1 << 32)))
        print(f"seed {seed} (MILLRACE_SEED repeats it)")
        chance = random.Random(seed)
        mes = self.target(idempotent=True)
        millrace = self.order_broker(mes).start()
        senders = [Sender(number, millrace, seed) for number in range(SENDERS)]
        threads = [Background(sender.run) for sender in senders]
        pause = threading.Event()
        for cycle in range(1, CYCLES + 1):
            pause.wait(chance.uniform(*KILL_AFTER_SECONDS))
            eventually(lambda: sum(len(sender.acknowledged) for sender in senders) > 10 * cycle,
                       60, "there is something that could be lost")
            millrace.kill9()
            millrace.start()
        for sender in senders:
            sender.stopping.set()
        for thread in threads:
            thread.join()
        acknowledged = set().union(*(sender.acknowledged for sender in senders))
        self.assertGreater(len(acknowledged), 10 * CYCLES, "too little was sent to show anything")
        eventually(lambda: not acknowledged - self.delivered(mes), within=90,
                   what=lambda: f"lost {sorted(acknowledged - self.delivered(mes))[:20]}")
        self.check_effects(mes.bodies(), senders)
        counts = mes.counts()
        print(f"{len(acknowledged)} acknowledged, {counts['effects']} delivered, "
              f"{counts['repeats']} repeats absorbed by the key, {CYCLES} kills")

    def delivered(self, mes):
        return {(int(body["number"][1:]), body["quantity"]) for body in mes.bodies()}

    def check_effects(self, bodies, senders):
        versions = {}
        for body in bodies:
            versions.setdefault(int(body["number"][1:]), []).append(body["quantity"])
        for sender in senders:
            for record, sent in sender.sent.items():
                got = versions.get(record, [])
                self.assertEqual(sorted(set(got)), got, f"order or repeats of record {record}")
                self.assertLessEqual(set(got), set(sent), f"invented versions of record {record}")


if __name__ == "__main__":
    main()

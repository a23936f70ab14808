"""Thousands of records that the target refuses, in runs, hold up nobody: not even on a route whose first
retry is far away. After kill -9 in between and mended, all of them arrive."""

from millrace_harness import Scenario, eventually, main

NUMBERS = range(4000)  # half of them poisoned: more than the lanes of two shards hold in memory
RUN = 150
BATCH = 500

READING = """\
entity: reading
version: 1
events: { taken: true }
"""

STORE = """\
connection: store
type: http
url: "http://127.0.0.1:%d"
idempotent: true
limits: { in_flight: 8 }
"""

# What is not parked waits for up to half a minute, and there is room in memory for 512 a shard.
ROUTE = """\
route: reading-to-store
from: reading
to: store
retry: { initial: 30s, max_interval: 30s }
requests:
  taken: { method: POST, path: /readings, body: .data }
"""


def is_poisoned(number):
    return number // RUN % 2 == 1


def reading(number):
    word = "poison" if is_poisoned(number) else "good"
    return (f'{{"specversion":"1.0","id":"e{number}","source":"meter","type":"reading.taken",'
            f'"subject":"R{number}","data":{{"n":{number},"is":"{word}"}}}}')


class PoisonedRuns(Scenario):
    def setUp(self):
        self.store = self.target()
        self.store.fault(status=503, body='"poison"')
        self.millrace = self.broker(READING, STORE % self.store.port, ROUTE).start()
        self.key = self.millrace.cli_json("key", "create", "--source", "meter", "--type",
                                          "reading.*", "--note", "test")["key"]

    def post(self, numbers):
        headers = {"Authorization": f"Bearer {self.key}",
                   "Content-Type": "application/cloudevents-batch+json"}
        body = ("[" + ",".join(reading(number) for number in numbers) + "]").encode()
        self.insist(202, lambda: self.millrace.post("/events", body, headers))

    def arrived(self):
        return {body["n"] for body in self.store.bodies()}

    def test_the_good_ones_pass_by(self):
        good = {number for number in NUMBERS if not is_poisoned(number)}
        for first in range(0, len(NUMBERS), BATCH):
            self.post(NUMBERS[first:first + BATCH])
        # Well before the first of those that were refused is asked about after 30 s.
        eventually(lambda: self.arrived() == good, 20,
                   lambda: f"{len(self.arrived())} of {len(good)} good ones arrive")
        self.millrace.kill9()
        self.store.heal()
        self.millrace.start()
        eventually(lambda: self.arrived() == set(NUMBERS), 90,
                   lambda: f"{len(self.arrived())} of {len(NUMBERS)} arrive")


if __name__ == "__main__":
    main()

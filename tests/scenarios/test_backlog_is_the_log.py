"""The log is the backlog. The target is down while 100,000 small events come in (MILLRACE_BACKLOG: as many as it says, a
million in tests/bench): memory stays under 100 MB at every moment, and when the target is back they
are drained in the order of each record, each exactly once."""

import json
import os
import re
import time
from pathlib import Path

from millrace_harness import Scenario, eventually, main, on_kafka
from processes import Standin, sanitized

EVENTS = int(os.environ.get("MILLRACE_BACKLOG", "100000"))
RECORDS = 1000
BATCH = 4 * RECORDS
# What a client of Kafka fetches ahead, and hands out a partition at a time, comes on top.
RSS_MB_MAX = 150 if on_kafka() else 100
LARGE_RSS_MB_MAX = 250 if on_kafka() else 150

READING = """\
entity: reading
version: 1
events: { taken: true }
"""

# Not listening is refused at once, so the lane pauses and probes.
STORE = """\
connection: store
type: http
url: "http://127.0.0.1:%(port)d"
idempotent: true
limits: { in_flight: 32 }
breaker: { probes_every: 200ms }
"""

ROUTE = """\
route: reading-to-store
from: reading
to: store
requests:
  taken:
    method: POST
    path: /readings
    body: .data
"""


LARGE_EVENTS = 300
LARGE_NUMBERS = 100_000  # two bytes each as text, and much more once they are read


def batch(first):
    """BATCH events from `first` on, the records in turns."""
    events = []
    for number in range(first, first + BATCH):
        record, n = number % RECORDS, number // RECORDS + 1
        events.append(f'{{"specversion":"1.0","id":"e{number}","source":"meter","type":'
                      f'"reading.taken","subject":"R{record}","data":{{"record":{record},"n":{n}}}}}')
    return ("[" + ",".join(events) + "]").encode()


class BacklogIsTheLog(Scenario):
    def peak_mb(self):
        text = Path(f"/proc/{self.millrace.process.pid}/status").read_text("ascii")
        return int(re.search(r"VmHWM:\s+(\d+) kB", text).group(1)) / 1000

    def check_memory(self, when, at_most=RSS_MB_MAX):
        print(f"{when}: {self.millrace.rss_mb():.1f} MB, at most {self.peak_mb():.1f} MB")
        if not sanitized():
            self.assertLess(self.peak_mb(), at_most, when)

    def route(self):
        return json.loads(self.millrace.cli("status", "--json", expect=None).stdout)["routes"][0]

    def setUp(self):
        self.store = Standin("counting_target.py")
        self.addCleanup(self.store.close)
        self.millrace = self.broker(READING, STORE % {"port": self.store.port}, ROUTE).start()
        self.key = self.millrace.cli_json("key", "create", "--source", "meter", "--type",
                                          "reading.*", "--note", "test")["key"]
        self.check_memory("idle")

    def post(self, body):
        headers = {"Authorization": f"Bearer {self.key}",
                   "Content-Type": "application/cloudevents-batch+json"}
        self.insist(202, lambda: self.millrace.post("/events", body, headers))

    def drain(self, count, at_most=RSS_MB_MAX):
        began = time.monotonic()
        self.store.control("up")
        eventually(lambda: self.store.control("counts")["received"] >= count,
                   within=60 + count / 1000,
                   what=lambda: f"all arrive; {self.store.control('counts')}")
        print(f"drained in {time.monotonic() - began:.1f} s")
        self.check_memory("drained", at_most)
        eventually(lambda: self.route()["lag"] == 0, what="all of it is recorded")

    def test_large_events_are_bounded_in_bytes(self):
        numbers = ",".join("1" * LARGE_NUMBERS)
        for number in range(LARGE_EVENTS):
            self.post(f'[{{"specversion":"1.0","id":"e{number}","source":"meter","type":'
                      f'"reading.taken","subject":"R{number}","data":{{"record":{number},"n":1,'
                      f'"numbers":[{numbers}]}}}}]'.encode())
        self.check_memory("accepted", LARGE_RSS_MB_MAX)
        self.drain(LARGE_EVENTS, LARGE_RSS_MB_MAX)
        self.assertEqual(0, self.store.control("counts")["repeats"])
        self.millrace.cli("replay", "reading-to-store", "--from", "beginning", "--yes", "--reason",
                          "the store lost them")
        eventually(lambda: "replay" not in self.millrace.cli_json("routes", "list")["routes"][0],
                   within=60, what="they are replayed")
        self.assertEqual(LARGE_EVENTS, self.store.control("counts")["repeats"])
        self.check_memory("replayed", LARGE_RSS_MB_MAX)

    def test_it_is_drained_in_order_within_100_mb(self):
        began = time.monotonic()
        for first in range(0, EVENTS, BATCH):
            self.post(batch(first))
        print(f"accepted in {time.monotonic() - began:.1f} s")
        self.check_memory("accepted")
        # What lies in the spool is in no log yet.
        eventually(lambda: self.route()["lag"] == EVENTS, what="the log has all of it")
        route = self.route()
        self.assertEqual("held_by_target", route["state"])
        self.assertEqual((0, 0), (route["parked"], route["dead"]))
        self.drain(EVENTS)
        counts = self.store.control("counts")
        self.assertEqual(
            (EVENTS, RECORDS, EVENTS // RECORDS, 0, 0),
            tuple(counts[name] for name in ("received", "records", "through", "repeats", "gaps")))


if __name__ == "__main__":
    main()

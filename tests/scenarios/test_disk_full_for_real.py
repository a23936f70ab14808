"""A file system without space: 503, nothing acknowledged is lost, reads and commands go on, and it
goes on by itself within 5 s of there being space. Who holds the disk is named. Needs to mount a
small tmpfs, so to be root."""
# only files: the log fills the disk

import json
import os
import subprocess
import sys
import time

from configurations import as_sent, order
from millrace_harness import SHOP_TOKEN, Scenario, eventually, main

MB = 1_000_000
PADDING = "x" * 950_000

NOTE = """\
entity: note
version: 1
events: { written: true }
---
route: note-to-mes
from: note.written
to: mes
requests:
  written:
    method: POST
    path: /notes
    body: |
      { note: .subject }
"""


class DiskFull(Scenario):
    def small_disk(self, megabytes, min_free):
        """The usual daemon with its data on a file system of this size."""
        data = self.directory / "small"
        data.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes * MB}", "tmpfs", data],
            capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            print(f"SKIPPED: {self.id()} cannot mount a tmpfs: {mounted.stderr}", file=sys.stderr)
            self.skipTest("needs root to mount a tmpfs")
        self.addCleanup(lambda: subprocess.run(["umount", data], check=True))
        self.mes = self.target()
        millrace = self.order_broker(self.mes)
        file = millrace.config / "millrace.yaml"
        file.write_text(file.read_text("utf-8").replace(str(millrace.data), str(data))
                        + f"retention: {{ min_free: {min_free} }}\n", "utf-8")
        millrace.data = data
        self.millrace = millrace

    def fill_up(self, left):
        """A file of somebody else takes all but `left` bytes."""
        def take():
            space = os.statvfs(self.millrace.data)
            size = space.f_bavail * space.f_frsize - left
            try:
                with open(self.millrace.data / "ballast", "wb") as file:
                    os.posix_fallocate(file.fileno(), 0, size)
            except OSError:
                return False  # the daemon took some of it meanwhile
            return True
        eventually(take, what="the disk is full")

    def status(self):
        return json.loads(self.millrace.cli("status", "--json", expect=None).stdout)

    def post(self, record, padding=""):
        payload = {**order(record, quantity=1, version=1), "padding": padding}
        return self.millrace.post(f"/hooks/shop/{SHOP_TOKEN}", payload)

    def deliver_and_record(self, record):
        """Also what is known of it is saved: a disk that is full a moment later takes none of it."""
        self.assertEqual(200, self.post(record).status)
        self.await_bodies(self.mes, [as_sent(record, 1)])
        eventually(lambda: self.millrace.cli("where", f"S{record}", expect=None).returncode == 0,
                   what="its commit")

    def free_space_and_await_acceptance(self, record):
        (self.millrace.data / "ballast").unlink()
        freed = time.monotonic()
        eventually(lambda: self.post(record).status == 200, within=10, what="it goes on by itself")
        self.assertLess(time.monotonic() - freed, 5.0)

    def check_reads_go_on(self):
        self.assertEqual("scenario", self.status()["name"])
        self.millrace.cli("where", "S1")
        self.assertEqual(200, self.millrace.admin("GET", "/admin/v1/dead").status)

    def test_a_segment_that_finds_no_space(self):
        self.small_disk(560, "0.1%")
        self.millrace.start()
        self.deliver_and_record(1)
        self.fill_up(left=6 * MB)
        acknowledged = [1]
        for record in range(2, 400):
            answer = self.post(record, PADDING)
            if answer.status == 503:
                break
            self.assertEqual(200, answer.status, answer.body)
            acknowledged.append(record)
        self.assertEqual(503, answer.status, "the next segment has no room")
        self.assertIn("retry-after", {name.lower() for name in answer.headers})
        self.assertGreater(len(acknowledged), 100)
        self.check_reads_go_on()
        self.assertEqual(503, self.post(500, PADDING).status, "and so it stays")
        self.free_space_and_await_acceptance(501)
        acknowledged.append(501)
        expected = {json.dumps(as_sent(record, 1)) for record in acknowledged}
        eventually(lambda: expected <= {json.dumps(body) for body in self.mes.bodies()}, within=60,
                   what="everything acknowledged arrives")
        self.millrace.kill9()
        self.millrace.start()
        self.assertEqual(200, self.post(502).status)
        eventually(lambda: as_sent(502, 1) in self.mes.bodies(), what="the log is whole")

    def test_below_min_free(self):
        self.small_disk(560, "2%")
        self.millrace.start()
        self.deliver_and_record(1)
        self.fill_up(left=0)
        eventually(lambda: self.post(2).status == 503, what="below min_free")
        self.assertIn("nothing is accepted", self.millrace.cli("status", expect=None).stdout)
        self.check_reads_go_on()
        self.free_space_and_await_acceptance(3)
        eventually(lambda: as_sent(3, 1) in self.mes.bodies(), what="deliveries go on, too")

    def test_who_holds_the_disk(self):
        self.small_disk(1000, "0.1%")
        objects = self.millrace.config / "objects.yaml"
        objects.write_text(objects.read_text("utf-8") + "---\n" + NOTE, "utf-8")
        self.millrace.start()
        key = self.millrace.cli_json("key", "create", "--source", "lab", "--type", "note.*",
                                     "--note", "test")["key"]
        self.millrace.cli("routes", "pause", "note-to-mes", "--reason", "test")
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/cloudevents+json"}
        for number in range(150):
            event = {"specversion": "1.0", "id": f"e{number}", "source": "lab",
                     "type": "note.written", "subject": f"N{number}", "data": PADDING}
            answer = self.millrace.post("/events", event, headers)
            self.assertEqual(202, answer.status, answer.body)
        events = self.millrace.data / "log" / "events"
        self.assertEqual(2, len(list(events.glob("*.log"))))
        disk = self.status()["disk"]
        self.assertEqual("note-to-mes", disk["held_by"])
        self.assertGreater(disk["held_bytes"], 100 * MB)
        self.assertEqual("millrace routes resume note-to-mes", disk["next"])
        self.assertIn(disk["alarm"], (50, 75))
        eventually(lambda: "% of its share of the disk" in self.millrace.log_text(), what="an alarm")
        self.assertIn(self.millrace.metrics()["millrace_log_budget_alarm"], (50, 75))
        # Beyond its share nothing goes that a route still needs ...
        subprocess.run(["mount", "-o", f"remount,size={650 * MB}", self.millrace.data], check=True)
        eventually(lambda: self.millrace.metrics()["millrace_log_budget_alarm"] == 90, what="90 %")
        self.assertEqual(2, len(list(events.glob("*.log"))))
        # ... and the oldest goes as soon as it does not.
        self.millrace.cli("routes", "resume", "note-to-mes")
        eventually(lambda: len(self.mes.effects()) == 150, within=60, what="all notes arrive")
        eventually(lambda: len(list(events.glob("*.log"))) == 1, within=60, what="the oldest goes")
        self.assertEqual("", self.status()["disk"]["held_by"])


if __name__ == "__main__":
    main()

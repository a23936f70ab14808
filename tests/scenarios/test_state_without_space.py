"""A state store without space: what comes in is still acknowledged, nothing more is projected or
sent, `status` says why, and it goes on by itself when there is space. A stop does not wait for it.
Needs to mount a small tmpfs, so to be root."""
# only sqlite: its file lies on a file system of its own

import os
import subprocess
import sys

from configurations import as_sent, order
from millrace_harness import Scenario, eventually, main
from processes import SqliteState

DISK_BYTES = 8_000_000
RECORDS = range(2, 1202)
SENT_MAX = 600  # until a first commit is refused; lanes that did not wait would send 512 a shard


class StateWithoutSpace(Scenario):
    def setUp(self):
        disk = self.directory / "small"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", disk],
                                 capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            print(f"SKIPPED: {self.id()} cannot mount a tmpfs: {mounted.stderr}", file=sys.stderr)
            self.skipTest("needs root to mount a tmpfs")
        self.addCleanup(lambda: subprocess.run(["umount", disk], check=True))
        self.ballast = disk / "ballast"
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes)
        file = self.millrace.config / "millrace.yaml"
        text = file.read_text("utf-8")
        self.millrace.state = SqliteState(disk)
        file.write_text(text.replace(SqliteState(self.millrace.data).yaml, self.millrace.state.yaml),
                        "utf-8")
        self.millrace.start()
        self.send(self.millrace, order(1, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1)])
        self.fill_up(disk)

    def fill_up(self, disk):
        def take():
            space = os.statvfs(disk)
            with open(self.ballast, "ab") as file:
                file.write(b"\1" * (space.f_bavail * space.f_frsize))
            return os.statvfs(disk).f_bavail == 0
        eventually(take, what="the disk is full")

    def test_it_goes_on_by_itself(self):
        for record in RECORDS:
            self.send(self.millrace, order(record, quantity=1, version=1))
        self.assertLess(len(self.mes.bodies()), SENT_MAX, "deliveries wait")
        self.assertIn("the state store has no space", self.millrace.cli("status", expect=1).stdout)
        self.assertEqual(1, self.millrace.metrics()["millrace_state_full"])
        self.ballast.unlink()
        eventually(lambda: len(self.mes.bodies()) > len(RECORDS), within=60, what="all arrive")
        self.assertEqual([as_sent(record, 1) for record in (1, *RECORDS)],
                         sorted(self.mes.bodies(), key=lambda body: int(body["number"][1:])))
        eventually(lambda: self.millrace.metrics()["millrace_state_full"] == 0, what="it has space")
        self.millrace.cli("status")

    def test_a_stop_does_not_wait_for_space(self):
        for record in RECORDS:
            self.send(self.millrace, order(record, quantity=1, version=1))
        self.assertEqual(0, self.millrace.terminate())
        self.ballast.unlink()
        self.millrace.start()
        eventually(lambda: len({body["number"] for body in self.mes.bodies()}) > len(RECORDS),
                   within=60, what="all arrive")


if __name__ == "__main__":
    main()

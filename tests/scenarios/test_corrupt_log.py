"""Damage to the log is told with file and byte, a start on it is refused and changes nothing, and
what docs/runbooks/corrupt-log.md tells leads out of it."""
# only files: it damages segments
# only sqlite: it loses state.db and adopts a new one

import shutil
import struct

from configurations import as_sent, order
from millrace_harness import SHOP_TOKEN, Scenario, eventually, main

PADDING = "x" * 950_000
HEADER = 4096


class CorruptLog(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes)
        self.millrace.start()

    def post(self, record, padding=""):
        self.send(self.millrace, {**order(record, quantity=1, version=1), "padding": padding})

    def deliver(self, *records):
        for record in records:
            self.post(record)
        eventually(lambda: all(as_sent(record, 1) in self.mes.bodies() for record in records),
                   what="orders arrive")

    def stop(self):
        self.assertEqual(0, self.millrace.terminate())

    def segments(self, journal):
        return sorted((self.millrace.data / "log" / journal).glob("*.log"))

    def flip(self, path, byte):
        with open(path, "r+b") as file:
            file.seek(byte)
            value = file.read(1)[0]
            file.seek(byte)
            file.write(bytes([value ^ 4]))

    def log_files(self):
        return {path: path.read_bytes() for journal in ("inbox", "events")
                for path in self.segments(journal)}

    def check_refused(self, *words):
        """The start is refused with these words and leaves the log as it is."""
        before = self.log_files()
        self.millrace.start(ready=False)
        self.assertNotEqual(0, self.millrace.wait_exit(30))
        for word in words:
            self.assertIn(str(word), self.millrace.log_tail())
        self.assertEqual(before, self.log_files())

    def adopt(self):
        """The runbook's last step."""
        for path in self.millrace.data.glob("state.db*"):
            path.rename(path.with_name("old-" + path.name))
        self.millrace.cli("state", "adopt", "--routes-from", "end", "--reason", "the disk lied")

    def test_the_segment_that_is_written(self):
        self.deliver(1, 2, 3)
        self.stop()
        inbox = self.segments("inbox")[0]
        self.flip(inbox, HEADER + 60)
        self.check_refused(inbox, f"byte {HEADER}", "log quarantine inbox")
        self.assertIn(f"byte {HEADER}", self.millrace.cli("log", "verify", expect=1).stdout)
        self.millrace.cli("log", "quarantine", "inbox")
        self.assertTrue(inbox.with_name(inbox.name + ".quarantine").exists())
        self.check_refused("acknowledged records are gone", "state adopt")
        self.adopt()
        self.millrace.cli("log", "verify")
        self.millrace.cli("state", "verify")
        self.millrace.start()
        self.deliver(4)

    def test_a_sealed_segment(self):
        self.deliver(1)
        for record in range(2, 150):
            self.post(record, PADDING)
        self.assertEqual(2, len(self.segments("inbox")))
        eventually(lambda: as_sent(149, 1) in self.mes.bodies(), within=60, what="all arrive")
        self.stop()
        sealed = self.segments("inbox")[0]
        self.flip(sealed, 60_000_000)
        told = self.millrace.cli("log", "verify", expect=1).stdout
        self.assertIn(f"{sealed}: damaged frame at byte ", told)
        # Nobody needs it any more, so a start does not read it.
        self.millrace.start()
        self.deliver(200)
        self.stop()
        self.millrace.cli("log", "quarantine", "inbox")
        self.assertEqual(1, len(self.segments("inbox")))
        self.check_refused("acknowledged records are gone", "state adopt")
        self.adopt()
        self.millrace.start()
        self.deliver(201)
        self.stop()
        self.millrace.cli("log", "verify")

    def test_a_segment_header(self):
        self.deliver(1)
        self.stop()
        inbox = self.segments("inbox")[0]
        self.flip(inbox, 100)
        self.check_refused(inbox, "damaged segment header at byte 0", "log quarantine")
        self.millrace.cli("log", "quarantine", "inbox")
        self.check_refused("acknowledged records are gone")
        self.adopt()
        self.millrace.start()
        self.deliver(2)

    def test_acknowledged_frames_that_are_cut_off(self):
        self.deliver(1, 2, 3)
        self.stop()
        # Half of the second frame and all behind it: alone it looks like a torn tail.
        inbox = self.segments("inbox")[0]
        content = inbox.read_bytes()
        second = content.index(b"MRF1", HEADER + 8)
        with open(inbox, "r+b") as file:
            file.truncate(second + 50)
        self.check_refused("acknowledged records are gone", inbox.parent.parent)
        inbox.write_bytes(content)
        self.millrace.start()
        self.deliver(4)

    def test_a_frame_inside_a_hook_body(self):
        """A body that holds a frame of this very log is a body, also behind a torn tail."""
        self.deliver(1)
        inbox = self.segments("inbox")[0]
        frame = inbox.read_bytes()[HEADER:HEADER + 400]
        self.assertTrue(frame.startswith(b"MRF1"))
        for shift in range(8):
            answer = self.millrace.post(f"/hooks/shop/{SHOP_TOKEN}", b"x" * shift + frame * 3)
            self.assertEqual(200, answer.status)
        self.deliver(2)
        self.millrace.kill9()
        content = inbox.read_bytes().rstrip(b"\0")
        end = (len(content) + 7) // 8 * 8
        # Of the frame that is torn there is left what a sender put into its body: frames of this log,
        # and frames that say where they lie and that all before them was acknowledged.
        torn = bytearray(b"MRF1" + b"torn" * 9)
        for _ in range(8):
            torn += frame
            forged = bytearray(frame)
            struct.pack_into("<QQ", forged, 16, end - HEADER + len(torn), 1 << 40)
            torn += forged
        with open(inbox, "r+b") as file:
            file.seek(end)
            file.write(torn)
        self.millrace.start()
        self.deliver(3)
        eventually(lambda: len(self.dead_letters(self.millrace)) == 8, what="a dead letter each")
        self.stop()
        self.millrace.cli("log", "verify")

    def test_the_state_of_another_log(self):
        self.deliver(1)
        self.stop()
        other = self.order_broker_beside("other")
        other.start()
        self.assertEqual(0, other.terminate())
        self.assertFalse(list(self.millrace.data.glob("state.db-*")))
        shutil.copy(self.millrace.data / "state.db", other.data / "state.db")
        other.start(ready=False)
        self.assertNotEqual(0, other.wait_exit(30))
        self.assertIn("belongs to log", other.log_tail())
        # Nor does a log begin anew beside a state that knows one.
        shutil.rmtree(self.millrace.data / "log")
        self.millrace.start(ready=False)
        self.assertNotEqual(0, self.millrace.wait_exit(30))
        self.assertIn("put the log's directory back", self.millrace.log_tail())
        self.assertFalse((self.millrace.data / "log" / "log.json").exists())

    def order_broker_beside(self, name):
        objects = (self.millrace.config / "objects.yaml").read_text("utf-8")
        return self.broker(objects, name=name)


if __name__ == "__main__":
    main()

"""Each dead letter is announced exactly once on topic `dead`, also when the daemon dies between the
announcement and the commit that takes it from the outbox."""
# labels: quick
# only files: it sees in a segment when to kill

import json
import mmap
import re
import time

from configurations import order
from millrace_harness import Scenario, eventually, main

LOOKED_AT = 4 << 20  # of the segment: it is much more than is written here
CYCLES_MAX = 40
ANNOUNCED = b'"type":"dead.announced"'


class DeadLettersAreAnnouncedOnce(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes).start()
        self.mes.fault(status=422, body='"number"')
        self.sent = 0

    def announced(self):
        """Ids on topic `dead`, in the order of the log."""
        [segment] = (self.millrace.data / "log").glob("events*/*.log")
        with open(segment, "rb") as file:
            text = file.read(LOOKED_AT)
        found = re.findall(rb'\{"specversion":"1\.0","id":"([^"]+)","source":"[^"]*",'
                           rb'"type":"dead\.announced"', text)
        return [event.decode() for event in found]

    def kill_at_announcement(self):
        """Kills the daemon once the log shows one more than now: before the commit that follows."""
        [segment] = (self.millrace.data / "log").glob("events*/*.log")
        with open(segment, "rb") as file, mmap.mmap(file.fileno(), LOOKED_AT,
                                                    prot=mmap.PROT_READ) as text:
            known = text.rfind(ANNOUNCED) + 1
            self.reject_some(3)
            # Without a pause: the moment is as short as one sync.
            until = time.monotonic() + 30
            while text.find(ANNOUNCED, known) < 0:
                self.assertLess(time.monotonic(), until, "nothing is announced")
            self.millrace.kill9()

    def outbox(self):
        return [json.loads(value)["id"] for key, value in self.millrace.state.rows("outbox")
                if key.startswith(b"dead:")]

    def reject_some(self, count):
        for _ in range(count):
            self.sent += 1
            self.send(self.millrace, order(self.sent % 15, quantity=self.sent,
                                           version=self.sent))

    def test_also_when_it_dies_before_it_is_recorded(self):
        hits = 0
        for _ in range(CYCLES_MAX):
            self.kill_at_announcement()
            hits += bool(set(self.announced()) & set(self.outbox()))
            self.millrace.start()
            if hits == 2:
                break
        self.assertEqual(2, hits, "it never died at the right moment")
        eventually(lambda: len(self.dead_letters(self.millrace)) == self.sent, what="all are dead")
        eventually(lambda: not self.outbox(), what="all are announced")
        ids = self.announced()
        self.assertEqual(self.sent, len(set(ids)))
        self.assertEqual(sorted(set(ids)), sorted(ids), "one was announced twice")


if __name__ == "__main__":
    main()

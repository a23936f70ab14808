"""A target that no longer knows us while hundreds of records wait: the lane pauses with an alarm,
there is no storm of requests, a probe each `probes_every` asks about another record, and it resumes
by itself when the login works. Nothing is parked or dead. 403 for three records does the same."""
# labels: quick

import time

from configurations import EVERY_CHANGE, as_sent, order
from millrace_harness import Scenario, eventually, main

RECORDS = range(1, 501)
IN_FLIGHT = 8
PROBES_EVERY = 0.2
PROBES_SEEN = 8


class Storm401(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes).start()

    def refused(self):
        return [request for request in self.mes.control("requests")["requests"]
                if request["method"] == "POST"]

    def pause_with(self, status):
        """Sends all, and waits for some probes; how many requests the target saw."""
        self.mes.fault(status=status)
        began = time.monotonic()
        for record in RECORDS:
            self.send(self.millrace, order(record, quantity=1, version=1))
        said = eventually(lambda: self.status_naming(str(status)),
                          what="status names the route that waits")
        self.assertIn("order-to-mes", said)
        eventually(lambda: len(self.refused()) >= IN_FLIGHT + PROBES_SEEN, what="it is probed")
        refused = self.refused()
        # What was on the wire when it began, and one probe at a time since.
        probes_max = (time.monotonic() - began) / PROBES_EVERY + 2
        self.assertLessEqual(len(refused), IN_FLIGHT + probes_max)
        probes = [request["body"] for request in refused[-PROBES_SEEN:]]
        for before, after in zip(probes, probes[1:]):
            self.assertNotEqual(before, after, "each probe asks about another record")

    def status_naming(self, status):
        said = self.millrace.cli("status", expect=None).stdout
        return said if status in said else None

    def test_401_uses_up_nothing(self):
        self.pause_with(401)
        self.assertEqual([], self.parked(self.millrace))
        self.assertEqual([], self.dead_letters(self.millrace))
        self.mes.heal()
        eventually(lambda: self.mes.counts()["effects"] >= len(RECORDS), what="all arrive")
        self.assertCountEqual([as_sent(record, 1) for record in RECORDS], self.mes.bodies())
        self.assertEqual([], self.dead_letters(self.millrace))
        self.assertEqual([], self.parked(self.millrace))

    def test_403_for_three_records_pauses_and_two_are_dead(self):
        self.pause_with(403)
        self.assertEqual([], self.parked(self.millrace))
        eventually(lambda: len(self.dead_letters(self.millrace)) == 2,
                   what="the two that were refused before the third")
        self.mes.heal()
        eventually(lambda: self.mes.counts()["effects"] >= len(RECORDS) - 2, what="the others go")
        self.assertEqual(2, len(self.dead_letters(self.millrace)))


class One403(Scenario):
    def test_one_record_that_is_forbidden_is_its_own_fault(self):
        mes = self.target()
        millrace = self.order_broker(mes).start()
        mes.fault(status=403, body='"S13"')
        for record in RECORDS[:20]:
            self.send(millrace, order(record, quantity=1, version=1))
        eventually(lambda: mes.counts()["effects"] >= 19, what="the others arrive")
        eventually(lambda: [row["record"] for row in self.dead_letters(millrace)] == ["shop/13"],
                   what="it is a dead letter")


if __name__ == "__main__":
    main()

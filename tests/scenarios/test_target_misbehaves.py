"""A target that hangs, closes without an answer or in its middle, or answers without end: every order
arrives once, the daemon stays up and small."""
# labels: quick

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main
from processes import sanitized

RECORDS = range(1, 7)
IMPATIENT = MES + "timeout: 1s\n"
RSS_MB_MAX = 150


class TargetMisbehaves(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.broker(SHOP, IMPATIENT % {"target_port": self.mes.port}, ORDER,
                                    EVERY_CHANGE).start()

    def each_arrives_once(self, **fault):
        self.mes.fault(times=4, **fault)
        for record in RECORDS:
            self.send(self.millrace, order(record, quantity=1, version=1))
        eventually(lambda: len(self.mes.bodies()) >= len(RECORDS), 60.0, "all orders arrive")
        arrived = sorted(body["number"] for body in self.mes.bodies())
        self.assertEqual(sorted(as_sent(record, 1)["number"] for record in RECORDS), arrived)
        self.assertEqual([], self.dead_letters(self.millrace))
        if not sanitized():
            self.assertLess(self.millrace.rss_mb(), RSS_MB_MAX)

    def test_hangs(self):
        self.each_arrives_once(mode="hang")

    def test_closes_without_an_answer_though_it_applied(self):
        self.each_arrives_once(mode="close", applied_anyway=True)

    def test_closes_in_the_middle_of_its_answer(self):
        self.each_arrives_once(mode="close_midway", applied_anyway=True)

    def test_announces_a_gigabyte(self):
        self.each_arrives_once(mode="oversized", bytes=1 << 30, applied_anyway=True)

    def test_answers_without_end(self):
        self.each_arrives_once(mode="endless", applied_anyway=True)

    def test_asks_to_come_back_later(self):
        self.each_arrives_once(mode="status", status=503, headers={"Retry-After": "1"})


if __name__ == "__main__":
    main()

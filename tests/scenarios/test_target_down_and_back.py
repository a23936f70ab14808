"""A target that is down parks nothing: the log is the backlog; memory stays flat, all drains."""

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main
from processes import sanitized

RECORDS = 100
VERSIONS = 30
MEMORY_GROWTH_MB_MAX = 32


class TargetDownAndBack(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes).start()

    def send_versions(self, versions):
        for version in versions:
            for record in range(1, RECORDS + 1):
                self.send(self.millrace, order(record, quantity=version, version=version))

    def check_all_arrive(self):
        total = RECORDS * VERSIONS
        eventually(lambda: self.mes.counts()["effects"] >= total, within=60,
                   what=lambda: f"{total} effects; {self.mes.counts()}")
        bodies = self.mes.bodies()
        self.assertEqual(total, len(bodies))
        by_record = {}
        for body in bodies:
            by_record.setdefault(body["number"], []).append(body)
        for record in range(1, RECORDS + 1):
            self.assertEqual([as_sent(record, v) for v in range(1, VERSIONS + 1)],
                             by_record[f"S{record}"])

    def test_the_backlog_stays_in_the_log_and_drains(self):
        self.send_versions([1])
        eventually(lambda: self.mes.counts()["effects"] == RECORDS, what="the first arrive")
        self.mes.control("down")
        self.send_versions(range(2, 6))
        early = self.millrace.rss_mb()
        self.send_versions(range(6, VERSIONS + 1))
        late = self.millrace.rss_mb()
        if not sanitized():
            self.assertLess(late - early, MEMORY_GROWTH_MB_MAX)
        self.assertEqual([], self.parked(self.millrace))
        self.assertEqual([], self.dead_letters(self.millrace))
        self.mes.control("up")
        self.check_all_arrive()

    def test_a_target_that_answers_503_to_all_is_down_too(self):
        self.mes.fault(status=503)
        self.send_versions(range(1, VERSIONS + 1))
        self.assertEqual([], self.dead_letters(self.millrace))
        self.millrace.kill9()
        self.millrace.start()
        self.mes.heal()
        self.check_all_arrive()


class PacedTarget(Scenario):
    def test_a_pace_slower_than_the_probes_does_not_stop_them(self):
        mes = self.target()
        paced = MES.replace("in_flight: 8", "in_flight: 8, per_second: 1")
        millrace = self.broker(SHOP, paced % {"target_port": mes.port}, ORDER, EVERY_CHANGE).start()
        mes.control("down")
        for record in (1, 2):
            self.send(millrace, order(record, quantity=1, version=1))
        eventually(lambda: "is down" in millrace.cli("status", expect=None).stdout,
                   what="status says that it is down")
        mes.control("up")
        eventually(lambda: mes.counts()["effects"] == 2, what="both arrive")


if __name__ == "__main__":
    main()

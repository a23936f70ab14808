"""A target that no longer knows us pauses the lane, uses up no event, and resumes by itself."""
# labels: quick

from configurations import as_sent, order
from millrace_harness import Scenario, eventually, main

RECORDS = range(1, 51)
# One probe at a time, each another record; never a storm of refused requests.
REFUSED_MAX = 60


class Target401PausesLane(Scenario):
    def test_the_lane_pauses_tells_and_resumes(self):
        mes = self.target()
        millrace = self.order_broker(mes).start()
        mes.fault(status=401)
        for record in RECORDS:
            self.send(millrace, order(record, quantity=1, version=1))
        eventually(lambda: mes.counts()["requests"] > 0, what="it was tried")
        said = eventually(lambda: self.status_naming(millrace, "order-to-mes"),
                          what="status names the route that waits")
        self.assertIn("401", said)
        self.assertEqual([], self.parked(millrace))
        self.assertEqual([], self.dead_letters(millrace))
        self.assertLessEqual(mes.counts()["requests"], REFUSED_MAX)

        mes.heal()
        eventually(lambda: mes.counts()["effects"] >= len(RECORDS), what="all arrive by themselves")
        self.assertCountEqual([as_sent(record, 1) for record in RECORDS], mes.bodies())
        self.assertEqual([], self.dead_letters(millrace))

    def status_naming(self, millrace, name):
        said = millrace.cli("status", expect=None).stdout
        return said if name in said and "401" in said else None


if __name__ == "__main__":
    main()

"""The breaker opens on slow calls, too: a target that answers, but late, is asked one at a time, each
time about another record, until it is fast again. What it answered is delivered, once."""
# labels: quick

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main

SLOW_MS = 400
QUICK_TO_OPEN = MES.replace("opens_after: 5", "opens_after: 5, slow_after: 200ms")
RECORDS = range(1, 41)
IN_FLIGHT = 8


class SlowTarget(Scenario):
    def mes_is(self, state):
        connections = self.millrace.admin("GET", "/admin/v1/status").json()["connections"]
        return next(one for one in connections if one["name"] == "mes")["state"] == state

    def test_one_at_a_time_until_it_is_fast_again(self):
        self.mes = self.target()
        self.mes.fault(mode="delay", ms=SLOW_MS)
        self.millrace = self.broker(SHOP, QUICK_TO_OPEN % {"target_port": self.mes.port}, ORDER,
                                    EVERY_CHANGE).start()
        for record in RECORDS:
            self.send(self.millrace, order(record, quantity=1, version=1))
        eventually(lambda: self.mes_is("down"), what="slow answers open the breaker")
        said = self.millrace.cli("status", expect=None).stdout
        self.assertIn("too slowly", said)
        # Two rounds of what was on the wire may have gone out before; from then on, one by one.
        eventually(lambda: len(self.mes.effects()) >= 2 * IN_FLIGHT + 3, what="probes go on")
        arrived = [effect["at"] for effect in self.mes.effects()][2 * IN_FLIGHT:]
        gaps = [later - before for before, later in zip(arrived, arrived[1:])]
        self.assertGreaterEqual(min(gaps), SLOW_MS / 1000, gaps)
        self.assertFalse(self.mes_is("up"))
        self.assertEqual([], self.parked(self.millrace))

        self.mes.heal()
        eventually(lambda: len(self.mes.effects()) >= len(RECORDS), what="all arrive")
        self.assertCountEqual([as_sent(record, 1) for record in RECORDS], self.mes.bodies())
        self.assertEqual(0, self.mes.counts()["repeats"])
        eventually(lambda: self.mes_is("up"), what="status says that it is back")
        self.assertEqual([], self.dead_letters(self.millrace))


if __name__ == "__main__":
    main()

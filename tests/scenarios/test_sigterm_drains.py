"""SIGTERM: what is on the wire is finished and recorded, so a restart repeats nothing."""
# labels: quick

from configurations import as_sent, order
from millrace_harness import Scenario, eventually, main

RECORDS = range(1, 41)
EXIT_SECONDS_MAX = 30


class SigtermDrains(Scenario):
    def test_nothing_is_lost_or_sent_twice(self):
        mes = self.target(idempotent=False)
        millrace = self.order_broker(mes).start()
        mes.fault(mode="delay", ms=1000)
        millrace.cli("routes", "pause", "order-to-mes", "--reason", "until all are there")
        for record in RECORDS:
            self.send(millrace, order(record, quantity=1, version=1))
        millrace.cli("routes", "resume", "order-to-mes")
        eventually(lambda: mes.counts()["effects"] > 0, what="the first is answered")
        self.assertEqual(0, millrace.terminate(EXIT_SECONDS_MAX))
        self.assertLess(mes.counts()["effects"], len(RECORDS), "it stopped in the middle")
        mes.heal()
        millrace.start()
        eventually(lambda: mes.counts()["effects"] >= len(RECORDS), what="the rest arrives")
        self.assertCountEqual([as_sent(record, 1) for record in RECORDS], mes.bodies())
        self.assertEqual(len(RECORDS), mes.counts()["requests"], "nothing was sent twice")

    def test_an_acknowledged_payload_survives(self):
        mes = self.target()
        millrace = self.order_broker(mes).start()
        mes.control("down")
        self.send(millrace, order(1, quantity=1, version=1))
        self.assertEqual(0, millrace.terminate(EXIT_SECONDS_MAX))
        mes.control("up")
        millrace.start()
        self.await_bodies(mes, [as_sent(1, 1)])


if __name__ == "__main__":
    main()

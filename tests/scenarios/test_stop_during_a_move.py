"""SIGTERM while a route is being moved or the configuration taken in: the daemon ends in order, and what
was asked for is done whole or not at all."""
# labels: quick

from configurations import as_sent, order
from millrace_harness import Scenario, eventually, main
from processes import Background, request

NAME = "order-to-mes"
ENDS_WITHIN = 25.0  # requests on the wire have 10 s to be answered


class StopDuringAMove(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes).start()

    def control_is_busy(self):
        token = (self.millrace.data / "admin.token").read_text("ascii").strip()
        try:
            request(self.millrace.admin_port, "POST", "/admin/v1/plan", {},
                    {"Authorization": f"Bearer {token}"}, timeout=0.5)
        except OSError:
            return True
        return False

    def test_moves_that_wait_for_the_target(self):
        self.mes.fault("delay", ms=40_000)
        self.send(self.millrace, order(1, quantity=1, version=1))
        eventually(lambda: self.millrace.cli_json("routes", "list")["routes"][0]["waiting"] == 1,
                   what="it is taken up")
        # One waits its ten seconds, the others for their turn: longer than a stop takes.
        moves = [Background(lambda: self.millrace.cli("routes", "seek", NAME, "--to", "end", "--yes",
                                                      "--reason", "try", expect=None))
                 for _ in range(4)]
        eventually(self.control_is_busy, what="the move waits")
        self.assertEqual(0, self.millrace.terminate(ENDS_WITHIN))
        for move in moves:
            move.join()
        self.mes.heal()
        self.millrace.start()
        self.assertNotIn("sought past", self.millrace.state_values("audit"))
        self.await_bodies(self.mes, [as_sent(1, 1)])

    def test_reloads(self):
        file = self.millrace.config / "objects.yaml"
        text = file.read_text("utf-8")
        for turn in range(1, 6):
            changed = text.replace("initial: 50ms", f"initial: {10 * turn}ms")
            file.write_text(changed, "utf-8")
            reload = Background(lambda: self.millrace.cli("reload", expect=None))
            self.assertEqual(0, self.millrace.terminate(ENDS_WITHIN))
            reload.join()
            self.millrace.start()
            self.send(self.millrace, order(turn, quantity=1, version=1))
        # What a stop cut off is taken up at the next start, beside other records' news.
        eventually(lambda: len(self.mes.bodies()) >= 5, 30, lambda: f"all: {self.mes.bodies()}")
        self.assertCountEqual([as_sent(turn, 1) for turn in range(1, 6)], self.mes.bodies())


if __name__ == "__main__":
    main()

"""`routes drop` is one commit: whoever kills the daemon after it finds nothing delivered, and the rest
of the route gone."""
# labels: quick
# only sqlite: strace delays each commit to state.db

import os
import shutil
import signal
import sys
from pathlib import Path

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main
from processes import Background

NAME = "order-to-mes"


class DropIsFinal(Scenario):
    def setUp(self):
        if shutil.which("strace") is None:
            print(f"SKIPPED: {self.id()} needs strace", file=sys.stderr)
            self.skipTest("needs strace")
        self.mes = self.target()
        self.parts = [SHOP, MES % {"target_port": self.mes.port}, ORDER, EVERY_CHANGE]
        self.millrace = self.broker(*self.parts)

    def kill9_the_traced(self):
        tracer = self.millrace.process
        children = Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children").read_text("ascii").split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        self.millrace.wait_exit()

    def rows_left(self):
        return [self.millrace.state_rows("cursors", f"route/{NAME}"),
                self.millrace.state_rows("parked", NAME),
                self.millrace.state_rows("routes", "life")]

    def test_kill9_after_the_commit(self):
        # Every commit takes long: what follows that of the drop is not reached.
        self.millrace.start(under=["strace", "-f", "-o", "/dev/null", "-e", "trace=fdatasync",
                                   "-e", "inject=fdatasync:delay_enter=250000"])
        self.mes.fault(status=422, body='"S1"')
        self.mes.fault(status=503)
        for record in range(1, 4):
            self.send(self.millrace, order(record, quantity=1, version=1))
        eventually(lambda: len(self.mes.control("requests")["requests"]) > 3, what="it is tried")
        file = self.millrace.config / "objects.yaml"
        file.write_text("---\n".join(self.parts[:-1]), "utf-8")
        self.millrace.cli("reload")
        drop = Background(lambda: self.millrace.cli("routes", "drop", NAME, "--yes", "--reason",
                                                    "the plant is sold", expect=None))
        eventually(lambda: "the plant is sold" in self.millrace.state_values("audit"),
                   what="the drop is durable")
        self.kill9_the_traced()
        drop.join()
        self.assertIn('"dropped":true', self.millrace.state_values("routes"))
        self.mes.heal()
        self.millrace.start()
        self.assertEqual([0, 0, 0], self.rows_left())
        file.write_text("---\n".join(self.parts), "utf-8")
        self.millrace.cli("reload")
        self.send(self.millrace, order(9, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(9, 1)])


if __name__ == "__main__":
    main()

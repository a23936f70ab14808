"""fdatasync and fsync fail for good from the Kth on, by strace: no 2xx after the failed sync of its
batch, the daemon ends with an error, and a restart has everything that was acknowledged."""
# only files: syncs of its segments fail

import re
import shutil
import sys

from configurations import as_sent, order
from millrace_harness import SHOP_TOKEN, Scenario, eventually, main
from processes import request

FAILED_INBOX_SYNC = re.compile(r"f(data)?sync\(\d+<[^>]*/log/inbox/[^>]*>\) += -1 EIO .*INJECTED")
ACKNOWLEDGED = re.compile(r'"HTTP/1\.1 2')
# Where the first failure hits: while it starts, in the first commits, in the log, in between.
FAILING_FROM = (3, 25, 40, 55, 70, 71, 72, 73, 100)


class FailedSync(Scenario):
    def setUp(self):
        if shutil.which("strace") is None:
            print(f"SKIPPED: {self.id()} needs strace", file=sys.stderr)
            self.skipTest("needs strace")
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes)
        self.next = 1
        self.acknowledged = []

    def run_until_it_fails(self, nth):
        """Posts one order after the other until the daemon has ended; its exit code and trace."""
        trace = self.directory / f"trace-{nth}"
        self.millrace.start(ready=False, under=[
            "strace", "-f", "-y", "-s", "16", "-o", str(trace),
            "-e", "trace=fdatasync,fsync,sendmsg,sendto,write,writev",
            "-e", f"inject=fdatasync,fsync:error=EIO:when={nth}+"])
        while self.millrace.process.poll() is None:
            try:
                answer = request(self.millrace.port, "POST", f"/hooks/shop/{SHOP_TOKEN}",
                                 order(self.next, quantity=1, version=1), timeout=20)
            except OSError:
                continue
            if answer.status == 200:
                self.acknowledged.append(self.next)
                self.next += 1
        return self.millrace.wait_exit(), trace.read_text("utf-8", "replace").splitlines()

    def test_no_acknowledgement_after_a_failed_sync(self):
        failed_in_the_inbox = 0
        for nth in FAILING_FROM:
            code, trace = self.run_until_it_fails(nth)
            self.assertNotEqual(0, code, f"K={nth}")
            self.assertTrue(any("INJECTED" in line for line in trace), f"K={nth}")
            failed = next((i for i, line in enumerate(trace) if FAILED_INBOX_SYNC.search(line)), None)
            if failed is not None:
                failed_in_the_inbox += 1
                late = [line for line in trace[failed:] if ACKNOWLEDGED.search(line)]
                self.assertEqual([], late, f"K={nth}")
        self.assertGreater(failed_in_the_inbox, 0, "no K hit the inbox: choose others")
        self.assertGreater(len(self.acknowledged), 10)
        self.millrace.start()
        expected = [as_sent(record, 1) for record in self.acknowledged]
        eventually(lambda: all(body in self.mes.bodies() for body in expected), within=60,
                   what="everything acknowledged arrives")


if __name__ == "__main__":
    main()

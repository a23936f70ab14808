"""A bad configuration changes nothing and says what is wrong; a good one takes over in place."""
# labels: quick
# states: postgresql

import signal

from configurations import as_sent, order
from millrace_harness import Scenario, eventually, main


class Reload(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes).start()
        self.file = self.millrace.config / "objects.yaml"
        self.good = self.file.read_text("utf-8")
        self.next_record = 1

    def write(self, old, new):
        self.assertIn(old, self.good)
        self.file.write_text(self.good.replace(old, new), "utf-8")

    def deliver_one(self, path="/orders"):
        record = self.next_record
        self.next_record += 1
        self.send(self.millrace, order(record, quantity=1, version=1))
        eventually(lambda: as_sent(record, 1) in self.mes.bodies(), what="the order arrives")
        self.assertEqual(path, self.mes.effects()[-1]["target"])

    def test_a_typo_changes_nothing(self):
        self.deliver_one()
        self.write("requests:", "requets:")
        said = self.millrace.cli("reload", expect=None)
        self.assertNotEqual(0, said.returncode)
        text = said.stdout + said.stderr
        for word in ("objects.yaml:", "requets", "requests"):
            self.assertIn(word, text)
        self.deliver_one()

    def test_a_typo_by_signal_changes_nothing_and_is_logged(self):
        self.write("requests:", "requets:")
        self.millrace.signal(signal.SIGHUP)
        eventually(lambda: "requets" in self.millrace.log_text(), what="the log names the typo")
        self.deliver_one()

    def test_a_good_one_takes_over(self):
        self.deliver_one()
        self.write("path: /orders", "path: /v2/orders")
        self.millrace.cli("reload")
        self.deliver_one("/v2/orders")
        self.millrace.kill9()
        self.millrace.start()
        self.deliver_one("/v2/orders")

    def test_a_good_one_by_signal_takes_over(self):
        self.write("path: /orders", "path: /v2/orders")
        self.millrace.signal(signal.SIGHUP)
        number = iter(range(1000, 100_000))

        def taken_over():
            self.send(self.millrace, order(next(number), quantity=1, version=1))
            return any(e["target"] == "/v2/orders" for e in self.mes.effects())

        eventually(taken_over, what="requests go to the new path")

    def test_a_bad_file_does_not_start_again_but_lint_says_why(self):
        self.write("path: /orders", "path: /orders\n    method: POTS")
        said = self.millrace.cli("lint", expect=1)
        self.assertIn("objects.yaml:", said.stdout + said.stderr)
        self.assertNotEqual(0, self.millrace.cli("reload", expect=None).returncode)
        self.deliver_one()


if __name__ == "__main__":
    main()

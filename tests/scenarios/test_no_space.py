"""Below `retention.min_free` nothing is acknowledged, everything else goes on, and what was
acknowledged is delivered."""
# labels: quick
# only files: it is about the disk that the log lies on

from configurations import as_sent, order
from millrace_harness import SHOP_TOKEN, Scenario, eventually, main


class NoSpace(Scenario):
    def limit(self, share):
        installation = self.millrace.config / "millrace.yaml"
        text = installation.read_text("utf-8").split("retention:")[0]
        installation.write_text(f"{text}retention: {{ min_free: {share} }}\n", "utf-8")

    def test_hooks_are_refused_until_there_is_space(self):
        mes = self.target()
        self.millrace = self.order_broker(mes).start()
        self.send(self.millrace, order(1, quantity=1, version=1))
        self.limit("99%")
        self.millrace.cli("reload")
        answer = self.millrace.post(f"/hooks/shop/{SHOP_TOKEN}", order(2, quantity=1, version=1))
        self.assertEqual(503, answer.status)
        self.assertIn("retry-after", {name.lower() for name in answer.headers})
        self.assertIn("disk", self.millrace.cli("status", expect=None).stdout)
        self.await_bodies(mes, [as_sent(1, 1)])
        self.limit("0.1%")
        self.millrace.cli("reload")
        self.send(self.millrace, order(2, quantity=1, version=1))
        eventually(lambda: as_sent(2, 1) in mes.bodies(), what="it goes on by itself")


if __name__ == "__main__":
    main()

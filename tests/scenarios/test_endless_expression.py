"""An expression that does not end, or fails, is its record's trouble and nobody else's."""
# labels: quick

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main

ENDLESS_BODY = EVERY_CHANGE.replace("    body: .data\n", """\
    body: |
      if .data.number == "S13" then last(range(1000000000000)) else .data end
""")
FAILING_MAP = ORDER.replace("quantity: .quantity }", """\
quantity: (if .quantity < 0 then error("negative quantity") else .quantity end) }""")


class EndlessExpression(Scenario):
    def test_an_endless_body_is_a_dead_letter(self):
        mes = self.target()
        millrace = self.order_broker(mes, ENDLESS_BODY).start()
        for record in range(10, 20):
            self.send(millrace, order(record, quantity=1, version=1))
        letters = eventually(lambda: self.dead_letters(millrace), what="the dead letter shows")
        self.assertIn("budget", str(letters[0]))
        eventually(lambda: len(mes.bodies()) == 9, what="the others arrive")
        self.assertNotIn(as_sent(13, 1), mes.bodies())

    def test_a_message_that_cannot_be_mapped_waits_and_holds_back_only_its_record(self):
        mes = self.target()
        millrace = self.broker(SHOP, MES % {"target_port": mes.port}, FAILING_MAP,
                               EVERY_CHANGE).start()
        self.send(millrace, order(1, quantity=-1, version=1))
        self.send(millrace, order(1, quantity=5, version=2))
        self.send(millrace, order(2, quantity=7, version=1))
        self.await_bodies(mes, [as_sent(2, 7)])
        eventually(lambda: len(self.parked(millrace)) == 2, what="both messages wait")
        self.assertIn("negative quantity", str(self.parked(millrace)))
        self.assertIn("cannot be projected", millrace.cli("status", expect=None).stdout)
        objects = millrace.config / "objects.yaml"
        objects.write_text(objects.read_text("utf-8").replace(
            'error("negative quantity")', "0"), "utf-8")
        millrace.cli("reload")
        self.await_bodies(mes, [as_sent(2, 7), as_sent(1, 0), as_sent(1, 5)])
        eventually(lambda: not self.parked(millrace), what="nothing waits")


if __name__ == "__main__":
    main()

"""An old change is not sent by mistake after a newer one went out on this route; what other routes or
the source did with the record does not matter."""
# labels: quick

from configurations import EVERY_CHANGE, as_sent, order
from millrace_harness import Scenario, eventually, main

FEW = EVERY_CHANGE.replace("to: mes\n", "to: mes\nwhen: .data.quantity < 5\n")


class ResubmitSuperseded(Scenario):
    def start(self, route):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes, route).start()
        self.mes.fault(status=422, body='"quantity":1')

    def send_version(self, version, quantity=None):
        self.send(self.millrace, order(1, quantity=quantity or version, version=version))

    def dead_letter(self, number=0):
        letters = eventually(lambda: self.dead_letters(self.millrace)[number:],
                             what="the dead letter shows")
        return str(letters[0]["id"])

    def arrives(self, quantity):
        eventually(lambda: as_sent(1, quantity) in self.mes.bodies(), what=f"{quantity} arrives")

    def delivered_rows(self):
        return self.millrace.state_rows("routes", "delivered")

    def test_a_later_change_went_out_on_this_route(self):
        self.start(EVERY_CHANGE)
        self.send_version(1)
        letter = self.dead_letter()
        self.send_version(2)
        self.arrives(2)
        self.mes.heal()
        for _ in range(2):
            said = self.millrace.cli("dead", "resubmit", letter, expect=1)
            self.assertIn("superseded", said.stderr)
            eventually(lambda: self.delivered_rows() == 1, what="it is remembered")
            self.millrace.kill9()
            self.millrace.start()
        self.millrace.cli("dead", "resubmit", letter, "--history")
        self.arrives(1)
        eventually(lambda: not self.delivered_rows(), what="nothing more needs to be remembered")

    def test_the_route_did_not_send_the_later_change(self):
        self.start(FEW)
        self.send_version(1)
        letter = self.dead_letter()
        self.send_version(2, quantity=9)
        self.send(self.millrace, order(2, quantity=2, version=1))
        eventually(lambda: as_sent(2, 2) in self.mes.bodies(), what="another record arrives")
        self.assertIn("S1", self.millrace.cli("where", "S1").stdout)
        self.mes.heal()
        self.millrace.cli("dead", "resubmit", letter)
        self.arrives(1)

    def test_the_later_change_is_dead_as_well(self):
        self.start(EVERY_CHANGE)
        self.mes.fault(status=422, body='"quantity":2')
        self.send_version(1)
        self.send_version(2)
        first, second = self.dead_letter(), self.dead_letter(1)
        self.mes.heal()
        self.millrace.cli("dead", "resubmit", first)
        self.arrives(1)
        self.millrace.cli("dead", "resubmit", second)
        self.arrives(2)
        self.assertEqual(0, self.delivered_rows())

    def test_records_without_trouble_leave_no_row(self):
        self.start(EVERY_CHANGE)
        self.mes.heal()
        for version in (1, 2, 3):
            self.send_version(version)
        self.arrives(3)
        self.assertEqual(0, self.delivered_rows())


if __name__ == "__main__":
    main()

"""What others choose and keys are made of is taken up to 1,024 bytes and refused beyond; a name of
any length is found. No id stops the daemon, whichever store keeps the keys."""
# labels: quick
# states: postgresql

import secrets

from configurations import EVERY_CHANGE, order
from millrace_harness import Scenario, eventually, main

REMEMBERS = EVERY_CHANGE.replace("    body: .data\n", "    body: .data\n"
                                 "    remember: .answer.body.id\n")


def text(size):
    """Nothing that an index could compress."""
    return secrets.token_hex(size)[:size]


class LongKeys(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes, route=REMEMBERS).start()

    def deliver(self, payload, external):
        before = len(self.mes.bodies())
        self.mes.control("answer", body={"id": external})
        self.send(self.millrace, payload)
        eventually(lambda: len(self.mes.bodies()) > before, what="it is sent")

    def where(self, key):
        return self.millrace.cli("where", key, expect=None).stdout

    def test_the_longest_are_kept_and_longer_ones_wait_for_a_person(self):
        longest = {**order(1, 1, version=1), "id": text(1024), "number": text(5000)}
        external = text(1024)
        self.deliver(longest, external)
        eventually(lambda: external in self.where(longest["number"]), what="the id is known")
        self.assertIn("shop/" + longest["id"], self.where(external))

        self.deliver({**order(2, 1, version=1), "id": text(1024)}, text(1025))
        eventually(lambda: len(self.parked(self.millrace)) == 1, what="a person is asked")
        row = self.parked(self.millrace)[0]
        self.assertEqual("needs_decision", row["state"])
        self.assertIn("at most 1,024 bytes", row["reason"])
        refused = self.millrace.cli("parked", "release", row["id"], "--applied", text(1025),
                                    expect=None)
        self.assertNotEqual(0, refused.returncode)
        self.assertIn("at most 1024 bytes", refused.stderr)
        self.assertEqual(1, len(self.parked(self.millrace)))
        said = text(1024)
        self.millrace.cli("parked", "release", row["id"], "--applied", said)
        eventually(lambda: row["record"] in self.where(said), what="the id is known")

        self.deliver(order(3, 1, version=1), "T3")
        eventually(lambda: "T3" in self.where("S3"), what="all goes on")

    def test_a_record_beyond_is_a_dead_letter(self):
        self.send(self.millrace, {**order(1, 1, version=1), "id": text(1025)})
        eventually(lambda: self.dead_letters(self.millrace), what="a dead letter")
        self.deliver(order(2, 1, version=1), "T2")
        eventually(lambda: "T2" in self.where("S2"), what="all goes on")


if __name__ == "__main__":
    main()

"""A record the target refuses becomes a dead letter; the others flow; mended, it is sent again."""
# labels: quick

from configurations import as_sent, order
from millrace_harness import Scenario, eventually, main

POISONED = 13
RECORDS = range(1, 31)
VERSIONS = (1, 2, 3)


class PoisonedRecordAmongMany(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes).start()
        self.mes.fault(status=422, body=f'"S{POISONED}"', answer={"error": "unknown article"})

    def send_all(self):
        for version in VERSIONS:
            for record in RECORDS:
                if record != POISONED or version == 1:
                    self.send(self.millrace, order(record, quantity=version, version=version))

    def test_the_others_flow_and_the_dead_letter_is_sent_after_mending(self):
        self.send_all()
        good = [record for record in RECORDS if record != POISONED]
        eventually(lambda: len(self.mes.bodies()) >= len(good) * len(VERSIONS),
                   what="all good records arrive")
        for record in good:
            self.assertEqual([as_sent(record, version) for version in VERSIONS],
                             [body for body in self.mes.bodies() if body["number"] == f"S{record}"])
        letters = eventually(lambda: self.dead_letters(self.millrace), what="the dead letter shows")
        self.assertEqual(1, len(letters), letters)
        self.assertIn("422", str(letters[0]))
        self.assertIn(f"shop/{POISONED}", str(letters[0]))
        self.mend_and_resubmit(str(letters[0]["id"]))

    def mend_and_resubmit(self, letter):
        self.mes.heal()
        self.millrace.cli("dead", "resubmit", letter)
        poisoned = as_sent(POISONED, 1)
        eventually(lambda: poisoned in self.mes.bodies(), what="the mended record arrives")
        keys = [dict((name.lower(), value) for name, value in request["headers"])["idempotency-key"]
                for request in self.mes.control("requests")["requests"]
                if f'"S{POISONED}"' in request["body"]]
        self.assertEqual(2, len(keys))
        self.assertNotEqual(keys[0], keys[1], "a refused request is not a repeat of itself")
        eventually(lambda: not self.dead_letters(self.millrace), what="no dead letter is left")

    def test_the_dead_letter_survives_a_crash(self):
        self.send_all()
        before = eventually(lambda: self.dead_letters(self.millrace), what="the dead letter shows")
        self.millrace.kill9()
        self.millrace.start()
        self.assertEqual([letter["id"] for letter in before],
                         [letter["id"] for letter in self.dead_letters(self.millrace)])
        self.mes.heal()
        self.millrace.cli("dead", "resubmit", str(before[0]["id"]))
        eventually(lambda: as_sent(POISONED, 1) in self.mes.bodies(), what="it arrives")


if __name__ == "__main__":
    main()

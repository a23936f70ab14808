"""What must not run side by side: of the events with one value of `exclusive` a single request is in
flight, whatever their records and partitions. The others flow past them, retries let it go between
attempts, also those of parked events, and a crash leaves nobody locked out."""
# labels: quick

import json

from configurations import EVERY_CHANGE, as_sent, order
from millrace_harness import Scenario, eventually, main

ONE_AT_A_TIME = EVERY_CHANGE.replace("requests:\n", "exclusive: .data.quantity\nrequests:\n")
IMPATIENT = ONE_AT_A_TIME.replace("    body: .data\n", "    body: .data\n    timeout: 2m\n")
GROUP = range(1, 17)  # more than the connection takes, on all partitions
OTHERS = range(101, 117)
SHARED = 7  # the quantity that all of the group have
DELAY_MS = 60


class Exclusive(Scenario):
    def start(self, route=ONE_AT_A_TIME):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes, route).start()

    def send_group(self):
        for record in GROUP:
            self.send(self.millrace, order(record, SHARED, version=1))

    def of_group(self):
        return [request for request in self.mes.control("requests")["requests"]
                if request["method"] == "POST"
                and json.loads(request["body"])["quantity"] == SHARED]

    def await_group(self):
        expected = [as_sent(record, SHARED) for record in GROUP]
        eventually(lambda: all(body in self.mes.bodies() for body in expected),
                   what="all of the group arrive")

    def check_never_side_by_side(self):
        times = sorted((request["at"], request["answered_at"]) for request in self.of_group())
        self.assertGreaterEqual(len(times), len(GROUP))
        for (_, answered), (begun, _) in zip(times, times[1:]):
            self.assertLessEqual(answered, begun, "two were in flight together")

    def test_one_at_a_time_over_all_lanes(self):
        self.start()
        self.mes.fault(mode="delay", ms=DELAY_MS)
        self.send_group()
        self.await_group()
        self.check_never_side_by_side()
        self.assertEqual(0, self.mes.counts()["repeats"])

    def test_others_flow_past_one_that_hangs(self):
        self.start(IMPATIENT)
        self.mes.fault(mode="hang", body=f'"quantity":{SHARED}', times=1)
        self.send_group()
        eventually(self.of_group, what="one of the group hangs")
        for record in OTHERS:
            self.send(self.millrace, order(record, record, version=1))
        eventually(lambda: len(self.mes.bodies()) >= len(OTHERS), what="the others arrive")
        self.assertEqual([as_sent(record, record) for record in OTHERS],
                         sorted(self.mes.bodies()[:len(OTHERS)], key=lambda body: body["quantity"]))
        self.assertEqual(1, len(self.of_group()))
        self.mes.control("down")  # cuts what hangs
        self.mes.control("up")
        self.await_group()

    def test_retries_let_it_go_and_take_turns_when_parked(self):
        self.start()
        refused = (1, 2, 3, 4, 5)
        for record in refused:
            self.mes.fault(status=503, body=f'"S{record}"')
        for record in refused:
            self.send(self.millrace, order(record, SHARED, version=1))
        # Probes ask about each in its turn, so the target is found to be up.
        eventually(lambda: "connection is down" in self.millrace.log_text(), what="all fail")
        self.send_group()
        eventually(lambda: len(self.mes.bodies()) == len(GROUP) - len(refused),
                   what="the rest of the group arrives meanwhile")
        eventually(lambda: len(self.parked(self.millrace)) == len(refused), what="they are parked")
        self.mes.heal()
        self.mes.fault(mode="delay", ms=DELAY_MS)
        self.await_group()
        eventually(lambda: not self.parked(self.millrace), what="nothing is parked")
        self.check_never_side_by_side()

    def test_a_crash_leaves_nobody_locked_out(self):
        self.start()
        self.mes.fault(mode="hang", body=f'"quantity":{SHARED}')
        self.send_group()
        eventually(self.of_group, what="one of the group hangs")
        self.millrace.kill9()
        self.mes.heal()
        self.millrace.start()
        self.await_group()

    def test_what_cannot_be_told_apart_is_in_front_of_a_person(self):
        self.start(ONE_AT_A_TIME.replace(
            "exclusive: .data.quantity",
            "exclusive: |\n  if .data.quantity == 7 then error(\"which?\") else null end"))
        self.send(self.millrace, order(1, SHARED, version=1))
        for record in OTHERS:  # null: nothing to wait for
            self.send(self.millrace, order(record, 1, version=1))
        eventually(lambda: len(self.mes.bodies()) == len(OTHERS), what="the others arrive")
        letters = eventually(lambda: self.dead_letters(self.millrace), what="a dead letter shows")
        self.assertIn("which?", str(letters[0]))


if __name__ == "__main__":
    main()

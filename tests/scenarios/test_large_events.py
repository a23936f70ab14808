"""Events that are large: many at once go in several appends, and one that is larger than a log takes
is its record's trouble alone."""
# labels: quick

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, order
from millrace_harness import Scenario, eventually, main
from processes import Background

# A body of 40 KB becomes an event of `times` as much; one that is urgent, nine such events.
URGENT = "".join(f"  urgent_{number}: .state == \"confirmed\"\n" for number in range(8))
LARGE_ORDER = ORDER.replace(
    "{ number: .number, state: .state, quantity: .quantity }",
    "{ number: .number, state: .state, quantity: .quantity, note: (.note * .times) }").replace(
    "schema: schemas/order.v1.json\n", "").replace("events:\n", "events:\n" + URGENT)
NUMBERS = EVERY_CHANGE.replace(
    "body: .data", 'body: "{ number: .data.number, bytes: (.data.note | length) }"')
NOTE = "x" * 40_000
RECORDS = 60


def large(record, times, state="draft"):
    return {**order(record, quantity=1, version=1), "note": NOTE, "times": times, "state": state}


class LargeEvents(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.broker(SHOP, MES % {"target_port": self.mes.port}, LARGE_ORDER,
                                    NUMBERS).start()

    def arrived(self):
        return {body["number"]: body["bytes"] for body in self.mes.bodies()}

    def test_many_at_once(self):
        """60 events of 1 MB: more than an append, or a frame of the log, takes."""
        senders = [Background(lambda record=record: self.send(self.millrace, large(record, 26)))
                   for record in range(RECORDS)]
        for sender in senders:
            sender.join()
        wanted = {f"S{record}": 26 * len(NOTE) for record in range(RECORDS)}
        eventually(lambda: self.arrived() == wanted, 60, lambda: f"all; have {self.arrived()}")

    def test_one_that_no_log_takes(self):
        self.send(self.millrace, large(1, 26, state="confirmed"))  # nine events of 1 MB
        self.send(self.millrace, large(2, 1))
        eventually(lambda: self.arrived() == {"S2": len(NOTE)}, what="the other record's event")
        parked = eventually(lambda: self.parked(self.millrace), what="it is put aside")
        self.assertIn("more than the log takes for one change", str(parked))
        self.millrace.terminate()
        self.millrace.start()
        self.send(self.millrace, large(3, 1))
        eventually(lambda: "S3" in self.arrived(), what="it goes on after a restart")


if __name__ == "__main__":
    main()

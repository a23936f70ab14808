"""Beyond `parked_max` the route takes up nothing more and says so, with what to do; decided, it goes on
and nothing is lost. `--by cause` says what there is to decide."""
# labels: quick

from configurations import EVERY_CHANGE, as_sent, order
from millrace_harness import Scenario, eventually, main

MAX = 10
ROUTE = EVERY_CHANGE + f"parked_max: {MAX}\n"
BAD = range(1, MAX + 1)
GOOD = range(101, 121)


class ParkedMax(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes, ROUTE).start()
        self.mes.fault(status=422, body='"quantity":1')
        self.mes.fault(status=409, body='"quantity":2')
        for record in BAD:
            self.send(self.millrace, order(record, quantity=1 if record < 4 else 2, version=1))
        eventually(lambda: len(self.dead_letters(self.millrace)) == MAX, what="all are dead")

    def test_it_stops_says_so_and_goes_on(self):
        for record in GOOD:
            self.send(self.millrace, order(record, quantity=5, version=1))
        said = self.millrace.cli("status", expect=1).stdout
        self.assertIn("parked_max", said)
        self.assertIn("millrace dead list --route order-to-mes --by cause", said)
        self.millrace.kill9()
        self.millrace.start()
        self.assertIn("parked_max", self.millrace.cli("status", expect=1).stdout)
        self.assertEqual([], self.mes.bodies())
        for letter in self.dead_letters(self.millrace)[:2]:
            self.millrace.cli("dead", "discard", str(letter["id"]), "--reason", "test")
        eventually(lambda: len(self.mes.bodies()) == len(GOOD), what="the others arrive")
        self.assertEqual([as_sent(record, 5) for record in GOOD],
                         sorted(self.mes.bodies(), key=lambda body: body["number"]))
        self.assertNotIn("parked_max", self.millrace.cli("status", expect=1).stdout)

    def test_by_cause(self):
        causes = self.millrace.cli_json("dead", "list", "--by", "cause")["items"]
        self.assertEqual({"rejected 422": 3, "rejected 409": MAX - 3},
                         {cause["cause"]: cause["count"] for cause in causes})
        example = causes[0]["example"]
        self.assertIn(example, self.millrace.cli("dead", "show", example).stdout)
        shown = self.millrace.cli("dead", "list", "--by", "cause", "--route", "order-to-mes").stdout
        self.assertIn("rejected 422", shown)
        self.assertIn("Nothing is there", self.millrace.cli("parked", "list", "--by",
                                                            "cause").stdout)

    def test_a_higher_maximum_by_reload(self):
        self.send(self.millrace, order(101, quantity=5, version=1))
        file = self.millrace.config / "objects.yaml"
        file.write_text(file.read_text("utf-8").replace(f"parked_max: {MAX}", "parked_max: 20"),
                        "utf-8")
        self.millrace.cli("reload")
        self.await_bodies(self.mes, [as_sent(101, 5)])


if __name__ == "__main__":
    main()

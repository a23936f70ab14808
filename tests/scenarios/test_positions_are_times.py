"""Where a time is a position: a new route's `start`, `routes seek`, `replay --from` and `state adopt`
begin with the first event that was appended then or later, and pass over those before it."""
# labels: quick

import datetime
import json
import time

from configurations import EVERY_CHANGE, order
from millrace_harness import Scenario, eventually, main, only_files, only_sqlite

RECORDS = range(1, 11)
NAME = "order-to-mes"
WHY = ("--reason", "the plant lost an hour")


class PositionsAreTimes(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes).start()
        self.deliver(1)
        self.moment = self.moment_between()
        self.deliver(2, 3)
        self.sent_before = len(self.requests())

    def deliver(self, *versions):
        expected = len(self.mes.bodies()) + len(RECORDS) * len(versions)
        for version in versions:
            for record in RECORDS:
                self.send(self.millrace, order(record, quantity=version, version=version))
        eventually(lambda: len(self.mes.bodies()) == expected, what="all arrive")

    @staticmethod
    def moment_between():
        """A time behind all that was appended and before all that will be."""
        moment = time.time_ns() // 1_000_000 + 1
        eventually(lambda: time.time_ns() // 1_000_000 > moment, what="the clock goes on")
        return datetime.datetime.fromtimestamp(moment / 1000, datetime.timezone.utc).isoformat(
            timespec="milliseconds")

    def requests(self, since=0):
        return self.mes.control("requests", since=since)["requests"]

    def check_sent(self, path="/orders"):
        """Of each record what came after the moment, in its order, and nothing else."""
        def sent():
            found = {}
            for request in self.requests(self.sent_before):
                self.assertEqual(path, request["target"])
                body = json.loads(request["body"])
                found.setdefault(body["number"], []).append(body["quantity"])
            return found
        eventually(lambda: len(self.requests(self.sent_before)) >= 2 * len(RECORDS),
                   what=lambda: f"they are sent; there is {sent()}")
        self.assertEqual({f"S{record}": [2, 3] for record in RECORDS}, sent())

    def test_of_a_new_route(self):
        file = self.millrace.config / "objects.yaml"
        late = EVERY_CHANGE.replace(f"route: {NAME}", f"route: late\nstart: {self.moment}")
        file.write_text(file.read_text("utf-8") + "---\n" + late.replace("/orders", "/late"), "utf-8")
        self.millrace.cli("reload")
        self.check_sent("/late")

    def test_of_a_seek(self):
        eventually(lambda: f"{2 * len(RECORDS)} events are sent again" in self.seek().stdout,
                   what="the answers to all are recorded")
        self.seek("--yes", *WHY)
        self.check_sent()

    def seek(self, *arguments):
        return self.millrace.cli("routes", "seek", NAME, "--to", self.moment, *arguments)

    def test_of_a_replay(self):
        self.assertIn(f"would send {2 * len(RECORDS)} events", self.replay().stdout)
        self.replay("--yes", *WHY)
        self.check_sent()

    def replay(self, *arguments):
        return self.millrace.cli("replay", NAME, "--from", self.moment, "--history", *arguments)

    def test_until_a_time(self):
        said = self.millrace.cli("replay", NAME, "--from", "beginning", "--to", self.moment,
                                 "--history").stdout
        self.assertIn(f"would send {len(RECORDS)} events", said)

    @only_files("adoption is of a log on files")
    @only_sqlite("it loses state.db")
    def test_of_an_adoption(self):
        self.millrace.kill9()
        for file in self.millrace.data.glob("state.db*"):
            file.unlink()
        self.millrace.cli("state", "adopt", "--routes-from", self.moment, *WHY)
        self.millrace.start()
        self.check_sent()


if __name__ == "__main__":
    main()

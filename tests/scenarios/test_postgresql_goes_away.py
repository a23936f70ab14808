"""State in PostgreSQL: the server restarts, dies and falls silent under load, the daemon dies in
between. What was acknowledged arrives once and in order; messages are taken in all the while."""

import json
import signal

from configurations import order
from millrace_harness import Scenario, eventually, main, on_kafka, only_files
from postgresql_neighbour import PostgresServer
from processes import request

RECORDS = 20


class PostgresqlGoesAway(Scenario):
    def setUp(self):
        self.server = PostgresServer()
        self.addCleanup(self.server.close)
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes, postgresql=self.server).start()
        self.version = 0

    def send_round(self):
        """A new version of every record; acknowledged whatever the state of the state."""
        self.version += 1
        for record in range(RECORDS):
            self.send(self.millrace, order(record, quantity=self.version, version=self.version))

    def is_away(self):
        status = self.millrace.admin("GET", "/admin/v1/status")
        self.assertEqual(200, status.status, status.body)
        return status.json()["state"]["away_since"] is not None

    def check_effects(self):
        def newest():
            last = {}
            for body in self.mes.bodies():
                last[body["number"]] = body["quantity"]
            return last
        wanted = {f"S{record}": self.version for record in range(RECORDS)}
        eventually(lambda: newest() == wanted, 60, lambda: f"every record's news; have {newest()}")
        seen = {}
        for body in self.mes.bodies():
            seen.setdefault(body["number"], []).append(body["quantity"])
        for number, quantities in seen.items():
            self.assertEqual(list(range(1, self.version + 1)), quantities, number)
        self.assertEqual([], self.dead_letters(self.millrace))
        self.assertEqual([], self.parked(self.millrace))

    def recorded(self):
        rows = self.millrace.state_values("cursors").splitlines()
        return sum(json.loads(row).get("sent", 0) for row in rows)

    def test_nothing_is_lost_repeated_or_overtaken(self):
        for end in (self.server.stop, self.server.kill9, self.server.kill9):
            self.send_round()
            end()
            self.send_round()
            eventually(self.is_away, what="the store is seen to be away")
            self.send_round()
            # It dies while its last transaction may be half way.
            self.millrace.kill9()
            self.server.start(ready=False)
            self.millrace.start()
            self.send_round()
        self.check_effects()

    def test_an_outage_is_waited_for_and_said(self):
        self.send_round()
        self.server.kill9()
        self.send_round()
        eventually(self.is_away, what="the store is seen to be away")
        problems = self.millrace.admin("GET", "/admin/v1/status").json()["problems"]
        away = [problem for problem in problems if problem["object"] == "state"]
        self.assertIn("the state store is away", away[0]["what"])
        self.assertIsNotNone(away[0]["since"])
        ready = request(self.millrace.admin_port, "GET", "/readyz")
        self.assertEqual(200, ready.status, "messages are taken in")
        self.assertIn("away since", ready.body.decode())
        metrics = self.millrace.metrics()
        self.assertEqual(0, metrics["millrace_state_up"])
        self.assertGreaterEqual(metrics["millrace_state_outages_total"], 1)
        # What would be carried out when nobody expects it is refused.
        refused = self.millrace.cli("routes", "pause", "order-to-mes", "--reason", "x", expect=None)
        self.assertIn("away since", refused.stderr)
        self.send_round()
        self.server.start()
        eventually(lambda: not self.is_away(), what="the store is back")
        self.check_effects()
        self.assertEqual(1, self.millrace.metrics()["millrace_state_up"])
        self.assertIn("Nothing is wrong", self.millrace.cli("status").stdout)

    def test_a_stop_does_not_wait_for_it(self):
        self.send_round()
        self.server.kill9()
        self.send_round()
        eventually(self.is_away, what="the store is seen to be away")
        self.assertEqual(0, self.millrace.terminate())
        self.server.start()
        self.millrace.start()
        self.check_effects()

    @only_files("it hits the moment between the last delivery's record and the replay's end")
    def test_a_replay_that_ended_meanwhile_is_over_when_it_is_back(self):
        self.send_round()
        self.check_effects()
        self.millrace.cli("replay", "order-to-mes", "--from", "beginning", "--yes", "--reason", "x")
        # All is sent and recorded; what is left to write is that it is over.
        eventually(lambda: self.recorded() == RECORDS or "replay" not in
                   self.millrace.cli_json("routes", "list")["routes"][0],
                   what="what was sent is recorded")
        self.server.kill9()
        # It is looked for once a second, so it may have been written just before.
        eventually(lambda: "cannot be tended" in self.millrace.log_text()
                   or "replay" not in self.millrace.cli_json("routes", "list")["routes"][0],
                   what="its end could not be written")
        self.server.start()
        eventually(lambda: "replay" not in self.millrace.cli_json("routes", "list")["routes"][0],
                   what="the replay is over")

    def test_a_stop_does_not_wait_for_what_is_asked_of_it(self):
        """A row that a projection needs is not told before the stop."""
        with self.server.locked(f"{self.millrace.state.schema}.projections"):
            self.send_round()
            eventually(lambda: self.server.sql("SELECT pid FROM pg_locks WHERE NOT granted"),
                       what="the projection asks for it")
            self.assertEqual(0, self.millrace.terminate())
        self.millrace.start()
        self.check_effects()

    def test_a_second_daemon_is_refused(self):
        second = self.broker(name="second", postgresql=self.server)
        text = (self.millrace.config / "millrace.yaml").read_text("utf-8")
        theirs = (second.config / "millrace.yaml").read_text("utf-8").splitlines()
        mine = next(line for line in text.splitlines() if line.startswith("state:"))
        (second.config / "millrace.yaml").write_text("\n".join(
            mine if line.startswith("state:") else line for line in theirs) + "\n", "utf-8")
        second.start(ready=False)
        self.assertEqual(2, second.wait_exit())
        self.assertIn("in use by another daemon", second.log_text())
        self.send_round()
        self.check_effects()

    def test_a_newer_schema_is_refused_and_untouched(self):
        self.send_round()
        self.check_effects()
        self.assertEqual(0, self.millrace.terminate())
        schema = self.millrace.state.schema
        self.server.sql(f"UPDATE {schema}.format SET version=3")
        writer = self.server.sql(f"SELECT writer::text FROM {schema}.writer")
        self.millrace.start(ready=False)
        self.assertEqual(2, self.millrace.wait_exit())
        self.assertIn("has format 3, this program knows up to 2", self.millrace.log_text())
        self.assertEqual(writer, self.server.sql(f"SELECT writer::text FROM {schema}.writer"))
        self.server.sql(f"UPDATE {schema}.format SET version=2")
        self.millrace.start()
        self.send_round()
        self.check_effects()

    def test_commands_say_what_to_do(self):
        self.send_round()
        self.check_effects()
        backup = self.millrace.cli("backup", str(self.directory / "backup"), expect=None)
        self.assertIn("pg_dump", backup.stderr)
        if not on_kafka():  # whose records it does not read
            self.assertIn("sound", self.millrace.cli("state", "verify").stdout)
        self.millrace.signal(signal.SIGHUP)
        self.send_round()
        self.check_effects()


if __name__ == "__main__":
    main()

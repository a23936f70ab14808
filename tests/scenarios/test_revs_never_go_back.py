"""No `rev` is given a second time: not by a state that was lost and adopted anew, and not by one that was
restored from a dump of PostgreSQL together with an old log. A receiver that compares revs is right."""

import shutil
import subprocess
import time

from configurations import EVERY_CHANGE, order
from millrace_harness import Scenario, eventually, main, only_files, only_sqlite
from postgresql_neighbour import PROGRAMS, PostgresServer

ROUTE = EVERY_CHANGE.replace("body: .data", "body: '{ number: .data.number, quantity: "
                             ".data.quantity, rev: (.rev | tostring) }'")
RECORDS = (1, 2, 3)


class RevsNeverGoBack(Scenario):
    def setUp(self):
        self.mes = self.target()

    def change_all(self, quantity):
        for record in RECORDS:
            self.send(self.millrace, order(record, quantity=quantity, version=quantity))
        eventually(lambda: all(self.quantities(record)[-1:] == [quantity] for record in RECORDS),
                   what=lambda: f"all have {quantity}: {self.mes.bodies()}")

    def quantities(self, record):
        """What a receiver that takes nothing older keeps of a record, in order."""
        kept, newest = [], -1
        for body in self.mes.bodies():
            if body["number"] == f"S{record}" and int(body["rev"]) > newest:
                newest = int(body["rev"])
                kept.append(body["quantity"])
        return kept

    def newest_incarnation(self):
        return max(int(body["rev"]) >> 32 for body in self.mes.bodies())

    @only_files("adoption is of a log on files")
    @only_sqlite("it loses state.db")
    def test_after_an_adoption(self):
        self.millrace = self.order_broker(self.mes, ROUTE).start()
        for quantity in (1, 2, 3):
            self.change_all(quantity)
        self.assertEqual(0, self.millrace.terminate())
        for file in self.millrace.data.glob("state.db*"):
            file.unlink()
        self.millrace.cli("state", "adopt", "--routes-from", "end", "--reason", "its disk is gone")
        self.millrace.start()
        before = self.newest_incarnation()
        self.change_all(4)
        self.assertEqual([1, 2, 3, 4], self.quantities(1))
        self.assertGreater(self.newest_incarnation(), before)

    @only_files("it puts an old copy of the log back")
    def test_after_a_restore_of_a_dump_and_an_old_log(self):
        server = PostgresServer()
        self.addCleanup(server.close)
        self.millrace = self.order_broker(self.mes, ROUTE, postgresql=server).start()
        state = self.millrace.state
        self.change_all(1)
        made_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.dump(server, state)
        shutil.copytree(self.millrace.data / "log", self.directory / "old-log")
        for quantity in (2, 3, 4):
            self.change_all(quantity)
        self.millrace.kill9()
        shutil.rmtree(self.millrace.data / "log")
        shutil.copytree(self.directory / "old-log", self.millrace.data / "log")
        self.restore(server, state)
        self.millrace.cli("state", "restored", "--backup-at", "tomorrow", "--reason", "x", expect=2)
        self.millrace.cli("state", "restored", "--backup-at", made_at, "--reason", "all is lost")
        self.assertIn("fits its log", self.millrace.cli("state", "verify").stdout)
        self.millrace.start()
        self.change_all(5)
        self.assertEqual([1, 2, 3, 4, 5], self.quantities(1))

    def run_there(self, server, program, *arguments):
        subprocess.run([PROGRAMS / program, "-h", server.directory, "-p", str(server.port), "-U",
                        "postgres", *arguments], check=True, capture_output=True)

    def dump(self, server, state):
        self.run_there(server, "pg_dump", "-Fc", f"--schema={state.schema}", "-f",
                       self.directory / "state.dump", "postgres")

    def restore(self, server, state):
        server.sql(f"DROP SCHEMA {state.schema} CASCADE")
        self.run_there(server, "pg_restore", "-d", "postgres", self.directory / "state.dump")


if __name__ == "__main__":
    main()

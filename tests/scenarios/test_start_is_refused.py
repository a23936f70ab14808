"""What a daemon must not start on, and what it says instead."""
# labels: quick

import shutil
import socket

from configurations import as_sent, order
from millrace_harness import Scenario, eventually, main, only_files, only_sqlite

ADOPT = "`millrace state adopt --routes-from POSITION --reason TEXT`"


class StartIsRefused(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes)

    def check_refused(self, broker, *words):
        broker.start(ready=False)
        self.assertNotEqual(0, broker.wait_exit(30))
        for word in words:
            self.assertIn(str(word), broker.log_text())

    def test_port_taken(self):
        with socket.create_server(("127.0.0.1", self.millrace.port)):
            self.check_refused(self.millrace, self.millrace.port)
        self.millrace.start()

    def test_admin_port_taken(self):
        with socket.create_server(("127.0.0.1", self.millrace.admin_port)):
            self.check_refused(self.millrace, self.millrace.admin_port)
        self.millrace.start()

    def test_two_daemons_on_one_directory(self):
        self.millrace.start()
        second = self.broker(name="second", data=self.millrace.data)
        self.check_refused(second, self.millrace.data)
        self.send(self.millrace, order(1, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1)])

    @only_files("adoption is of a log on files")
    @only_sqlite("it loses state.db")
    def test_state_file_gone(self):
        self.millrace.start()
        self.send(self.millrace, order(1, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1)])
        self.assertEqual(0, self.millrace.terminate())
        files = list(self.millrace.data.glob("state.db*"))
        self.assertTrue(files)
        kept = {file: file.read_bytes() for file in files}
        for file in files:
            file.unlink()
        self.check_refused(self.millrace, ADOPT)
        for file in self.millrace.data.glob("state.db*"):
            file.unlink()
        for file, content in kept.items():
            file.write_bytes(content)
        self.millrace.start()
        self.send(self.millrace, order(2, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(2, 1)])

    @only_files("adoption is of a log on files")
    @only_sqlite("it loses state.db")
    def test_a_lost_state_loses_no_acknowledged_event(self):
        delivered, waiting = range(1, 4), range(3, 13)
        self.millrace.start()
        for record in delivered:
            self.send(self.millrace, order(record, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(record, 1) for record in delivered])
        self.mes.fault(status=503)
        for record in waiting:
            self.send(self.millrace, order(record, quantity=2, version=2))
        # Of this one only the inbox and the lost state know.
        self.send(self.millrace, {"number": "no id"})
        eventually(lambda: self.dead_letters(self.millrace), what="it is a dead letter")
        self.millrace.kill9()
        for file in self.millrace.data.glob("state.db*"):
            file.unlink()
        self.check_refused(self.millrace, ADOPT)
        self.millrace.cli("state", "adopt", "--routes-from", "beginning", "--reason", "disk lost")
        self.millrace.start()
        self.mes.heal()
        # What had arrived is sent again: a new state is a new installation to the target.
        expected = [as_sent(record, 1) for record in delivered] * 2
        expected += [as_sent(record, 2) for record in waiting]
        self.await_bodies(self.mes, expected)
        # An old payload is no news; a new one goes on from what the lost state knew.
        for record in waiting:
            self.send(self.millrace, order(record, quantity=1, version=1))
            self.send(self.millrace, order(record, quantity=3, version=3))
        expected += [as_sent(record, 3) for record in waiting]
        self.await_bodies(self.mes, expected)
        eventually(lambda: len(self.dead_letters(self.millrace)) == 1, what="a dead letter again")

    @only_files("adoption is of a log on files")
    @only_sqlite("it copies state.db")
    def test_the_state_of_another_log(self):
        other = self.order_broker(self.mes, name="other")
        for number, broker in enumerate((self.millrace, other), 1):
            broker.start()
            self.send(broker, order(number, quantity=1, version=1))
            self.await_bodies(self.mes, [as_sent(n, 1) for n in range(1, number + 1)])
            self.assertEqual(0, broker.terminate())
        shutil.copy(self.millrace.data / "state.db", other.data / "state.db")
        self.check_refused(other, "belongs to log", ADOPT)
        # What it names is a way out.
        (other.data / "state.db").rename(other.data / "state-of-another.db")
        other.cli("state", "adopt", "--routes-from", "end", "--reason", "its own is lost")
        other.start()
        self.send(other, order(2, quantity=2, version=2))
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(2, 1), as_sent(2, 2)])

    def test_secret_readable_by_others(self):
        secret = self.millrace.secrets / "mes_token"
        secret.chmod(0o644)
        self.check_refused(self.millrace, "mes_token")
        secret.chmod(0o660)
        self.check_refused(self.millrace, "mes_token")
        secret.chmod(0o600)
        self.millrace.start()

    def test_a_secret_is_never_in_the_log(self):
        self.millrace.start()
        self.millrace.cli("lint")
        self.send(self.millrace, order(1, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1)])
        for secret in self.millrace.secrets.iterdir():
            self.assertNotIn(secret.read_text("utf-8"), self.millrace.log_text())

    def test_another_environment(self):
        self.millrace.start()
        self.assertEqual(0, self.millrace.terminate())
        file = self.millrace.config / "millrace.yaml"
        file.write_text(file.read_text("utf-8").replace("environment: test", "environment: prod"))
        self.check_refused(self.millrace, "prod", "test")

    def test_a_typo_in_the_configuration(self):
        file = self.millrace.config / "objects.yaml"
        file.write_text(file.read_text("utf-8").replace("requests:", "requets:"))
        self.check_refused(self.millrace, "objects.yaml:", "requets", "requests")


if __name__ == "__main__":
    main()

"""What a daemon must not start on, and what it says instead."""
# labels: quick

import socket

from configurations import as_sent, order
from millrace_harness import Scenario, main, only_files, only_sqlite


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
        self.check_refused(self.millrace, "state adopt")
        for file in self.millrace.data.glob("state.db*"):
            file.unlink()
        for file, content in kept.items():
            file.write_bytes(content)
        self.millrace.start()
        self.send(self.millrace, order(2, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(2, 1)])

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

"""Both listeners speak TLS, and a reload takes a new certificate in: new connections get it, open ones
live on, and one that cannot be used changes nothing."""
# labels: quick

import http.client
import json
import signal
import ssl
import subprocess

from configurations import SHOP_TOKEN, as_sent, order
from millrace_harness import Scenario, eventually, main

NAMES = "subjectAltName=DNS:localhost"


def make_certificate(certificate, key, days=60):
    """A certificate that is its own authority."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", str(days), "-subj", "/CN=millrace", "-addext", NAMES,
         "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    key.chmod(0o600)


class TlsListeners(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes)
        self.certificate = self.directory / "plant.pem"
        self.key = self.directory / "plant.key"
        make_certificate(self.certificate, self.key)
        installation = self.millrace.config / "millrace.yaml"
        installation.write_text(
            installation.read_text("utf-8")
            + f"tls: {{ certificate: {self.certificate}, key: {self.key} }}\n", "utf-8")

    def start(self):
        self.millrace.start(ready=False)
        eventually(lambda: "info ready " in self.millrace.log_text(), 60.0, "it is ready")

    def connect(self, port, trusted=None):
        context = ssl.create_default_context(cafile=trusted or self.certificate)
        connection = http.client.HTTPSConnection("localhost", port, timeout=30, context=context)
        self.addCleanup(connection.close)
        connection.connect()
        return connection

    def post_order(self, connection, record):
        connection.request("POST", f"/hooks/shop/{SHOP_TOKEN}",
                           json.dumps(order(record, quantity=1, version=1)),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        self.assertEqual(200, answer.status)

    def shown(self, connection):
        return ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(binary_form=True))

    def test_both_planes_and_the_command_line(self):
        self.start()
        self.post_order(self.connect(self.millrace.port), 1)
        self.await_bodies(self.mes, [as_sent(1, 1)])
        admin = self.connect(self.millrace.admin_port)
        admin.request("GET", "/readyz")
        self.assertEqual(200, admin.getresponse().status)
        with self.assertRaises(OSError):
            self.millrace.post(f"/hooks/shop/{SHOP_TOKEN}", order(2, quantity=1, version=1))
        with self.assertRaises(OSError):
            self.millrace.admin("GET", "/readyz")
        self.assertIn("order-to-mes", self.millrace.cli("routes", "list").stdout)
        self.assertIn("order-to-mes", self.millrace.cli(
            "--admin", f"localhost:{self.millrace.admin_port}", "--ca", str(self.certificate),
            "routes", "list").stdout)
        stranger = self.directory / "stranger.pem"
        make_certificate(stranger, self.directory / "stranger.key")
        said = self.millrace.cli("--ca", str(stranger), "routes", "list", expect=2)
        self.assertIn("is not to be trusted with the token", said.stderr)

    def test_a_reload_takes_a_new_certificate_in(self):
        self.start()
        before = self.connect(self.millrace.port)
        old = self.shown(before)
        make_certificate(self.certificate, self.key)
        self.millrace.cli("reload")
        after = self.connect(self.millrace.port)
        self.assertNotEqual(old, self.shown(after))
        self.assertEqual(self.shown(self.connect(self.millrace.admin_port)), self.shown(after))
        self.post_order(after, 1)
        self.post_order(before, 2)
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(2, 1)])
        self.millrace.cli("routes", "list")

    def test_a_signal_takes_a_new_certificate_in(self):
        self.start()
        old = self.certificate.read_text("ascii")
        make_certificate(self.certificate, self.key)
        self.millrace.signal(signal.SIGHUP)
        eventually(lambda: "reloaded generation=" in self.millrace.log_text(), what="a reload")
        self.assertNotEqual(old, self.shown(self.connect(self.millrace.port)))

    def certificate_problems(self):
        said = self.millrace.cli("status", "--json", expect=None).stdout
        return [problem for problem in json.loads(said)["problems"] if problem["object"] == "tls"]

    def test_its_end_is_an_alarm_two_weeks_before(self):
        self.start()
        self.assertEqual([], self.certificate_problems())
        self.assertNotIn("plant.pem", self.millrace.cli("lint").stdout)
        make_certificate(self.certificate, self.key, days=13)
        self.assertIn("plant.pem ends ", self.millrace.cli("lint").stdout)
        self.millrace.cli("reload")
        (problem,) = self.certificate_problems()
        self.assertIn("the certificate of both listeners ends 20", problem["what"])
        self.assertIn(str(self.certificate), problem["what"])
        self.assertIn("millrace reload", problem["next"])
        ends = self.connect(self.millrace.port).sock.getpeercert()["notAfter"]
        admin = self.connect(self.millrace.admin_port)
        admin.request("GET", "/metrics")
        self.assertIn(f"millrace_certificate_expiry_seconds {int(ssl.cert_time_to_seconds(ends))}\n",
                      admin.getresponse().read().decode())
        make_certificate(self.certificate, self.key)
        self.millrace.cli("reload")
        self.assertEqual([], self.certificate_problems())

    def test_a_key_of_another_certificate_changes_nothing(self):
        self.start()
        old = self.shown(self.connect(self.millrace.port))
        trusted = self.directory / "before.pem"
        trusted.write_text(old, "ascii")
        make_certificate(self.directory / "other.pem", self.key)
        said = self.millrace.cli("reload", expect=1)
        self.assertIn("plant.key", said.stdout + said.stderr)
        self.assertIn("reload refused", self.millrace.log_text())
        self.assertEqual(old, self.shown(self.connect(self.millrace.port, trusted)))
        self.millrace.cli("routes", "list")
        self.assertEqual(0, self.millrace.terminate())
        self.millrace.start(ready=False)
        self.assertEqual(2, self.millrace.wait_exit(30))
        self.assertIn("plant.key", self.millrace.log_tail())

    def test_a_key_that_others_may_read_is_refused(self):
        self.key.chmod(0o644)
        said = self.millrace.cli("lint", expect=1)
        self.assertIn("chmod 0600", said.stdout)

    def test_turning_it_off_is_a_reload_too(self):
        self.start()
        installation = self.millrace.config / "millrace.yaml"
        lines = installation.read_text("utf-8").splitlines(keepends=True)
        installation.write_text("".join(lines[:-1]), "utf-8")
        self.millrace.cli("reload")
        self.millrace.cli("routes", "list")
        self.assertEqual(200, self.millrace.admin("GET", "/readyz").status)

    def test_another_machine_never_reaches_the_admin_plane(self):
        installation = self.millrace.config / "millrace.yaml"
        text = installation.read_text("utf-8")
        port = self.millrace.admin_port
        installation.write_text(text.replace(f"127.0.0.1:{port}", f"0.0.0.0:{port}"), "utf-8")
        said = self.millrace.cli("lint", expect=1)
        self.assertIn("it would need TLS and a login for each operator", said.stdout)


if __name__ == "__main__":
    main()

"""A log on Kafka with SCRAM over TLS and a state in PostgreSQL by TLS: an installation works as any other,
and one that may not, or does not trust who answers, is told why and what to do, without its passwords."""
# kafka: yes
# own stores: servers that ask for a password and show a certificate

import subprocess

import configurations
from configurations import SHOP_TOKEN, as_sent, order
from kafka_neighbour import KafkaServer
from millrace_harness import Scenario, eventually, main, write_secret
from postgresql_neighbour import PostgresServer

KAFKA_PASSWORD, BOB_PASSWORD, STATE_PASSWORD = "alice-secret", "bob-secret", "state-secret"
PASSWORDS = (KAFKA_PASSWORD, BOB_PASSWORD, STATE_PASSWORD, "wrong-secret")


class SecuredServers(Scenario):
    @classmethod
    def setUpClass(cls):
        cls.kafka = KafkaServer()
        cls.addClassCleanup(cls.kafka.close)
        tls = cls.kafka.directory / "tls"
        cls.authority = tls / "ca.crt"
        cls.postgresql = PostgresServer(certificate=(tls / "server.crt", tls / "server.key"))
        cls.addClassCleanup(cls.postgresql.close)

    def setUp(self):
        self.mes = self.target()

    def installation(self, user="alice", kafka_password=KAFKA_PASSWORD,
                     state_password=STATE_PASSWORD, kafka_authority=None, state_authority=None):
        """Not started yet."""
        log = self.kafka.log(
            f", tls: {{ ca: {kafka_authority or self.authority} }}"
            f', sasl: {{ user: {user}, password: "${{secret.kafka_password}}" }}')
        state = self.postgresql.state()
        self.postgresql.sql(f"ALTER ROLE {state.schema} PASSWORD '{STATE_PASSWORD}'")
        where = (f"host=127.0.0.1 port={self.postgresql.port} dbname=postgres user={state.schema} "
                 "password=${secret.state_password} sslmode=verify-full "
                 f"sslrootcert={state_authority or self.authority}")
        state.yaml = f'{{ postgresql: "{where}", schema: {state.schema} }}'
        millrace = self.broker(
            *self.order_documents(self.mes), name=f"config-{self.kafka.logs}",
            stores=(log.yaml.replace(self.kafka.brokers, self.kafka.secured_brokers), state))
        write_secret(millrace.secrets / "kafka_password", kafka_password)
        write_secret(millrace.secrets / "state_password", state_password)
        return millrace

    def refusals(self, *installations):
        """What starts say that are refused, all at once; no password is in it."""
        for millrace in installations:
            millrace.start(ready=False)
        for millrace in installations:
            self.assertNotEqual(0, millrace.wait_exit(60))
            for secret in PASSWORDS:
                self.assertNotIn(secret, millrace.log_text())
        return [millrace.log_text() for millrace in installations]

    def another_authority(self):
        made = self.directory / "another.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                        "-subj", "/CN=another", "-keyout", self.directory / "another.key", "-out",
                        made], check=True, capture_output=True)
        return made

    def sessions(self, millrace):
        """Of each session of the daemon, whether it is encrypted."""
        return self.postgresql.sql("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                                   f"WHERE usename = '{millrace.state.schema}'")

    def test_it_works_and_comes_back_after_a_kill(self):
        millrace = self.installation().start()
        self.send(millrace, order(1, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1)])
        self.assertEqual({"t"}, set(self.sessions(millrace)))
        eventually(lambda: "Nothing is wrong." in millrace.cli("status", expect=None).stdout,
                   what="status has nothing to say")
        self.assertNotIn("Disk:", millrace.cli("status").stdout, "the log takes none")
        millrace.kill9()
        millrace.start()
        self.send(millrace, order(2, quantity=1, version=1))
        self.await_bodies(self.mes, [as_sent(1, 1), as_sent(2, 1)])
        for secret in PASSWORDS:
            self.assertNotIn(secret, millrace.log_text())

    def test_wrong_passwords_and_other_authorities(self):
        another = self.another_authority()
        kafka, state, kafka_tls, state_tls = self.refusals(
            self.installation(kafka_password="wrong-secret"),
            self.installation(state_password="wrong-secret"),
            self.installation(kafka_authority=another),
            self.installation(state_authority=another))
        for said in (kafka, kafka_tls):
            self.assertIn(f"the log is on Kafka, and {self.kafka.secured_brokers} does not answer",
                          said)
        self.assertIn("SASL authentication error: Authentication failed", kafka)
        # librdkafka has two texts for it and says the one or the other.
        self.assertRegex(kafka_tls, "certificate could not be verified|certificate verify failed")
        self.assertIn("password authentication failed", state)
        self.assertIn("certificate verify failed", state_tls)

    def test_a_user_who_may_nothing(self):
        (said,) = self.refusals(self.installation(user="bob", kafka_password=BOB_PASSWORD))
        prefix = self.kafka.prefix()
        for topic in ("inbox", "events.order", "events.dead", "trail"):
            self.assertIn(f"kafka-topics.sh {self.where()} --create --topic {prefix}.{topic} "
                          "--partitions 64", said)
        self.assertIn(self.rights_command(prefix), said)

    def test_a_right_is_missing(self):
        installations = []
        for operations in (("create", "describe", "read"), ("create", "describe", "write")):
            installations.append(self.installation(user="bob", kafka_password=BOB_PASSWORD))
            self.kafka.allow("bob", self.kafka.prefix(), *operations)
        for said in self.refusals(*installations):
            self.assertIn("authorization failed", said)
            self.assertIn("kafka-acls.sh", said)
        self.kafka.allow("bob", self.kafka.prefix(), "read")
        installations[-1].start()

    def where(self):
        return (f"--bootstrap-server {self.kafka.secured_brokers} "
                "--command-config client.properties")

    def rights_command(self, prefix):
        return (f"kafka-acls.sh {self.where()} --add --allow-principal User:bob "
                f"--resource-pattern-type prefixed --topic {prefix}. ")


if __name__ == "__main__":
    main()

"""What a scenario needs: daemons on configurations made for it, neighbours, and time limits.

A scenario is a unittest in a file test_<story>.py that ends with `main()`. It runs against the
build directory in MILLRACE_BUILD (or --build DIR) and fails loudly, with the end of every daemon's
log.
"""

import os
import shutil
import sys
import tempfile
import time
import unittest
from pathlib import Path

import configurations
from configurations import MES_TOKEN, SHOP_TOKEN
from kafka_neighbour import KafkaServer
from postgresql_neighbour import PostgresServer
from processes import Broker, SqliteState, Target, free_port
from waiting import eventually

__all__ = ["Scenario", "eventually", "main", "on_kafka", "on_postgresql", "only_files", "only_sqlite"]


def on_kafka():
    """Whether this run keeps the logs of daemons on Kafka."""
    return os.environ.get("MILLRACE_LOG") == "kafka"


def on_postgresql():
    """Whether this run keeps the state of daemons in PostgreSQL."""
    return os.environ.get("MILLRACE_STATE") == "postgresql"


def only_files(reason):
    """Of a test whose subject is the log on files; of a whole scenario its head says it."""
    return unittest.skipIf(on_kafka(), f"only files: {reason}")


def only_sqlite(reason):
    """Likewise of the state in SQLite."""
    return unittest.skipIf(on_postgresql(), f"only sqlite: {reason}")


INSIST_SECONDS = 60.0
# A disk that takes half a second, and a decision beside a commit: any other 503 is a failure.
BUSY = (b"may still arrive", b"the log cannot keep up", b"say it again")

class Scenario(unittest.TestCase):
    """One temporary directory per test; kept, and named, when the test fails."""

    longMessage = True
    maxDiff = 4000

    def run(self, result=None):
        self.directory = Path(tempfile.mkdtemp(prefix="millrace-scenario-"))
        self.brokers = []
        bad_before = len(result.failures) + len(result.errors)
        super().run(result)
        if os.environ.get("MILLRACE_KAFKA"):
            KafkaServer.shared().delete_logs()  # or a whole run's partitions weigh on every test
        if len(result.failures) + len(result.errors) == bad_before:
            shutil.rmtree(self.directory)
            return result
        for broker in self.brokers:
            print(f"--- the end of {broker.log}\n{broker.log_tail()}", file=sys.stderr)
        print(f"--- {self.id()}: everything is kept in {self.directory}", file=sys.stderr)
        return result

    # -- parts ---------------------------------------------------------------------------------
    def target(self, idempotent=True):
        target = Target(idempotent)
        self.addCleanup(target.close)
        return target

    def broker(self, *documents, name="config", data=None, postgresql=None, kafka=None,
               stores=None):
        """A daemon that is not started yet. Documents are YAML texts; the installation, its ports
        and its secrets are added. Its state lies in SQLite, or in a schema of a server: the one
        given, or with MILLRACE_STATE=postgresql one that all tests of the program share. Its log
        lies in files, or likewise in topics of a Kafka (MILLRACE_LOG=kafka). `stores`: both are
        those of another daemon, as the log's text and the state."""
        config = self.directory / name
        data = data or self.directory / f"{name}-data"
        secrets = self.directory / f"{name}-secrets"
        ports = {"port": free_port(), "admin_port": free_port()}
        (config / "schemas").mkdir(parents=True)
        data.mkdir(exist_ok=True)
        secrets.mkdir(mode=0o700)
        log, state = stores or self.own_stores(data, postgresql, kafka)
        installation = configurations.INSTALLATION.format(
            data=data, secrets=secrets, state=state.yaml, log=log, **ports)
        (config / "millrace.yaml").write_text(installation, "utf-8")
        (config / "objects.yaml").write_text("---\n".join(documents), "utf-8")
        (config / "schemas" / "order.v1.json").write_text(configurations.ORDER_SCHEMA, "utf-8")
        for secret, text in (("shop_hook", SHOP_TOKEN), ("mes_token", MES_TOKEN)):
            write_secret(secrets / secret, text)
        broker = Broker(config, data, state=state, **ports)
        broker.secrets = secrets
        self.brokers.append(broker)
        self.addCleanup(broker.close)
        return broker

    @staticmethod
    def own_stores(data, postgresql, kafka):
        if postgresql is None and on_postgresql():
            postgresql = PostgresServer.shared()
        state = SqliteState(data) if postgresql is None else postgresql.state()
        if kafka is None and on_kafka():
            kafka = KafkaServer.shared()
        log = f"{{ files: {data}/log }}" if kafka is None else kafka.log().yaml
        return log, state

    def order_broker(self, target, route=configurations.EVERY_CHANGE, shop=configurations.SHOP,
                     postgresql=None, kafka=None, name="config"):
        """The usual daemon: a shop's orders go to the target. Not started yet."""
        return self.broker(*self.order_documents(target, route, shop), name=name,
                           postgresql=postgresql, kafka=kafka)

    @staticmethod
    def order_documents(target, route=configurations.EVERY_CHANGE, shop=configurations.SHOP):
        return (shop, configurations.MES % {"target_port": target.port}, configurations.ORDER,
                route)

    def instances(self, names, documents, kafka, postgresql):
        """Daemons that share one log and one state, by name. Not started yet."""
        stores = kafka.log().yaml, postgresql.state()
        found = {}
        for name in names:
            broker = self.broker(*documents, name=name, stores=stores)
            file = broker.config / "millrace.yaml"
            file.write_text(file.read_text("utf-8") + f"instance: {name}\n", "utf-8")
            found[name] = broker
        return found

    # -- steps ---------------------------------------------------------------------------------
    def send(self, broker, payload):
        """Posts a payload of the shop and insists on its acknowledgement."""
        self.insist(200, lambda: broker.post(f"/hooks/shop/{SHOP_TOKEN}", payload, timeout=60))

    def insist(self, status, post):
        """The answer to `post()`. What is not durable within half a second is refused with 503,
        which a busy disk may come to; senders repeat it, and it says nothing twice."""
        give_up_at = time.monotonic() + INSIST_SECONDS

        def is_busy(answer):
            return answer.status == 503 and any(text in answer.body for text in BUSY)
        answer = post()
        while is_busy(answer) and time.monotonic() < give_up_at:
            time.sleep(0.02)
            answer = post()
        self.assertEqual(status, answer.status, answer.body)
        return answer

    def await_bodies(self, target, expected, within=30.0):
        """The target carried out exactly these bodies, those of one record in this order (between
        records none is promised), and keeps it at that."""
        eventually(lambda: len(target.bodies()) >= len(expected), within,
                   lambda: f"{len(expected)} effects at the target; it has {target.bodies()}")
        self.assertEqual(by_record(expected), by_record(target.bodies()))

    def dead_letters(self, broker):
        return self.listing(broker, "/admin/v1/dead")

    def parked(self, broker):
        return self.listing(broker, "/admin/v1/parked")

    def listing(self, broker, path):
        answer = broker.admin("GET", path)
        self.assertEqual(200, answer.status, answer.body)
        return rows(answer.json())


def rows(answer):
    """The rows of a listing: the answer itself, or its only member that is an array."""
    if isinstance(answer, list):
        return answer
    lists = [value for value in answer.values() if isinstance(value, list)]
    assert len(lists) == 1, f"a listing has one array: {answer}"
    return lists[0]


def by_record(bodies):
    """The bodies by their records, each record's in order."""
    records = {}
    for body in bodies:
        records.setdefault(body.get("number"), []).append(body)
    return records


def write_secret(path, text):
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def main():
    """Runs the scenarios of the calling file; --build DIR names the build directory."""
    arguments = list(sys.argv)
    if "--build" in arguments:
        at = arguments.index("--build")
        os.environ["MILLRACE_BUILD"] = str(Path(arguments[at + 1]).resolve())
        del arguments[at:at + 2]
    unittest.main(argv=arguments, verbosity=2)

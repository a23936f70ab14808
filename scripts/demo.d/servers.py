"""A real Kafka and a real PostgreSQL, as the tests start them, for the log and the state."""

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests" / "scenarios"))
from kafka_neighbour import NO_KAFKA, KafkaServer  # noqa: E402
from postgresql_neighbour import PROGRAMS, PostgresServer  # noqa: E402


class CannotRun(Exception):
    """What the demo needs is not on this machine."""


class Servers:
    def __init__(self):
        self.kafka = self.postgresql = self.state = None

    def start(self):
        """The lines of millrace.yaml that name them."""
        resolved = subprocess.run([SOURCE / "tests" / "standin" / "kafka_server.sh", "resolve"],
                                  check=False, stdin=subprocess.DEVNULL)
        if resolved.returncode == NO_KAFKA:
            raise CannotRun("there is no Kafka on this machine, and no way to get it (above)")
        if not (PROGRAMS / "postgres").exists():
            raise CannotRun(f"{PROGRAMS}/postgres is missing: run scripts/install-packages")
        self.kafka, self.postgresql = KafkaServer(), PostgresServer()
        self.state = self.postgresql.state()
        return {"log": f'{{ kafka: {{ brokers: "{self.kafka.brokers}" }} }}',
                "state": self.state.yaml}

    def places(self):
        return [["Kafka", "the log", self.kafka.brokers],
                ["PostgreSQL", "the state", f"127.0.0.1:{self.postgresql.port}"]]

    def kept(self):
        """Topics that have records, and how many rows the state has."""
        segments = (self.kafka.directory / "data").glob("millrace.*/*.log")
        topics = {file.parent.name.rpartition("-")[0] for file in segments if file.stat().st_size}
        return topics, len(self.state.rows("cursors"))

    def close(self):
        for server in (self.kafka, self.postgresql):
            if server:
                server.close()
        self.kafka = self.postgresql = None

"""A real Kafka beside the daemons: one node, started, killed, frozen and started again."""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from processes import STANDINS, build_directory, free_port, freeze
from waiting import eventually

START_WITHIN = 120.0
END_WITHIN = 60.0
NO_KAFKA = 77


class KafkaTopics:
    """Topics of one installation as a daemon's log."""

    def __init__(self, server, prefix, more=""):
        self.server, self.prefix = server, prefix
        self.yaml = f'{{ kafka: {{ brokers: "127.0.0.1:{server.port}", prefix: {prefix}{more} }} }}'


class AckingKafka:
    """A server, for installations that acknowledge as `ack:` says."""

    def __init__(self, server, ack):
        self.server, self.ack = server, ack

    def log(self):
        return self.server.log(f", ack: {self.ack}")


class Kafka:
    """A server that somebody else started: at the port, with its files in the directory."""

    def __init__(self, port, directory):
        self.port, self.directory = port, Path(directory)
        self.brokers = f"127.0.0.1:{port}"
        self.logs = self.deleted = 0

    def log(self, more=""):
        """Topics of a new installation."""
        self.logs += 1
        return KafkaTopics(self, self.prefix(), more)

    def prefix(self):
        """Of the newest installation's topics: of nobody else's, whoever uses the server, too."""
        return f"scenario-{os.getpid()}-{self.logs}"

    def delete_logs(self):
        """The topics of the installations since the last time."""
        data = self.directory / "data"
        topics = {file.name.rpartition("-")[0] for number in range(self.deleted + 1, self.logs + 1)
                  for file in data.glob(f"scenario-{os.getpid()}-{number}.*")}
        self.deleted = self.logs
        if topics:
            self._tool("delete", *sorted(topics))

    def acking(self, ack):
        return AckingKafka(self, ack)

    # -- what others do there (tests/neighbours/kafka_tool.cpp) ------------------------------------
    def _tool(self, *words, lines=()):
        return subprocess.run(
            [build_directory() / "tests" / "neighbours" / "kafka_tool", self.brokers,
             *map(str, words)], input="".join(f"{line}\n" for line in lines), text=True, check=True,
            stdout=subprocess.PIPE, timeout=END_WITHIN).stdout

    def create(self, topic, partitions=3):
        self._tool("create", topic, partitions)

    def allow(self, user, prefix, *operations):
        """Lets the user do this (`describe`, `read`, ...) with topics of the prefix."""
        self._tool("allow", user, prefix, *operations)

    def set(self, topic, setting):
        """As an administrator does, with Kafka's own tool: `retention.ms=4000`."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        subprocess.run(
            ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{cache}/millrace/kafka-3.9.2/jars/*",
             "kafka.admin.ConfigCommand", "--bootstrap-server", self.brokers, "--alter",
             "--entity-type", "topics", "--entity-name", topic, "--add-config", setting],
            check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=END_WITHIN)

    def delete(self, topic):
        self._tool("delete", topic)

    def trim(self, topic, partition, before):
        """Drops the records below the offset."""
        self._tool("trim", topic, partition, before)

    def offsets(self, topic, group):
        """How far the group is in each partition that it has an offset in, and where that ends."""
        lines = self._tool("offsets", topic, group).splitlines()
        return [tuple(map(int, line.split()[1:])) for line in lines]

    def owners(self, topic):
        """Partition, offset and owner (empty: none) of each record of a topic of a log, in order
        within each partition."""
        lines = (line.split(" ") for line in self._tool("owners", topic).splitlines())
        return [(int(partition), int(offset), owner) for partition, offset, owner in lines]

    def produce(self, topic, records, partition=-1, seconds_old=0):
        """Key, value (text) and perhaps a dictionary of headers; returns when they are
        acknowledged."""
        lines = ["\t".join([str(key), value, *(f"{name}={text}" for more in headers
                                         for name, text in more.items())])
                 for key, value, *headers in records]
        self._tool("produce", topic, partition, seconds_old, lines=lines)


class KafkaServer(Kafka):
    """tests/standin/kafka_server.sh; tests skip, and say so, where there is no Java or no way to
    Maven Central."""

    _shared = None

    def __init__(self, *properties, joins=None, node=1, proxy=None):
        self.properties = properties
        self.ports = [free_port() for _ in range(5)]
        super().__init__(self.ports[0], tempfile.mkdtemp(prefix="millrace-kafka-"))
        self.secured_brokers = f"127.0.0.1:{self.ports[4]}"  # SCRAM over TLS
        if proxy is not None:
            self.properties += self._listen_behind(proxy)
        self.process = None
        if joins is not None:
            self.ports[1] = joins.ports[1]
            listener = f"PLAINTEXT://127.0.0.1:{self.port}"
            self.properties += (f"node.id={node}", "process.roles=broker", f"listeners={listener}",
                                f"advertised.listeners={listener}")
        self.start(ready=joins is None)

    @classmethod
    def cluster(cls, brokers):
        """As many as that; the first one leads the others and lives longest."""
        first = cls()
        others = [cls(joins=first, node=node) for node in range(2, brokers + 1)]
        for other in others:
            other.await_ready()
        return [first, *others]

    def _listen_behind(self, proxy):
        """Who comes through the proxy is told to stay with it."""
        proxy.upstream = free_port()
        plain = f"PLAINTEXT://127.0.0.1:{self.port}"
        return (f"listeners={plain},CONTROLLER://127.0.0.1:{self.ports[1]},"
                f"PROXIED://127.0.0.1:{proxy.upstream}",
                f"advertised.listeners={plain},PROXIED://127.0.0.1:{proxy.port}",
                "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
                "PROXIED:PLAINTEXT")

    @classmethod
    def shared(cls):
        """One for all tests of the program, or of a whole run (MILLRACE_KAFKA: PORT:DIRECTORY)."""
        if cls._shared is None:
            running = os.environ.get("MILLRACE_KAFKA")
            if running:
                cls._shared = Kafka(*running.split(":"))
            else:
                cls._shared = cls()
                atexit.register(cls._shared.close)
        return cls._shared

    def start(self, ready=True):
        (self.directory / "server.log").unlink(missing_ok=True)
        with open(self.directory / "output.log", "ab") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [STANDINS / "kafka_server.sh", self.directory, *map(str, self.ports),
                 *self.properties], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)

        if ready:
            self.await_ready()
        return self

    def await_ready(self):
        said = self.directory / "server.log"
        output = self.directory / "output.log"

        def up():
            if self.process.poll() == NO_KAFKA:
                print(output.read_text("utf-8", "replace"), file=sys.stderr)
                raise unittest.SkipTest("there is no Kafka on this machine")
            assert self.process.poll() is None, (
                "Kafka does not run, so nothing was tested:\n"
                + output.read_text("utf-8", "replace")[-3000:])
            return said.exists() and "Kafka Server started" in said.read_text("utf-8", "replace")
        eventually(up, START_WITHIN, "Kafka answers")

    def kill9(self):
        self.process.kill()
        self.process.wait(END_WITHIN)
        self.process = None

    def freeze(self):
        """Its sockets stay open and say nothing."""
        freeze(self.process)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process is not None:
            self.kill9()
        shutil.rmtree(self.directory, ignore_errors=True)

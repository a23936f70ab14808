"""A real PostgreSQL beside the daemons: started, killed, stopped and started again."""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from processes import STANDINS, free_port
from waiting import eventually

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
START_WITHIN = 60.0
END_WITHIN = 60.0


class PostgresState:
    """A schema of a server as a daemon's state store, and what tests read of it."""

    def __init__(self, server, schema, user):
        self.server, self.schema = server, schema
        self.conninfo = (f"host={server.directory} port={server.port} dbname=postgres "
                         f"user={user}")
        self.yaml = f'{{ postgresql: "{self.conninfo}", schema: {schema} }}'

    def rows(self, table):
        """Pairs of key (bytes) and value (text)."""
        lines = self.server.sql("SELECT encode(key,'hex') || ' ' || convert_from(value,'UTF8') "
                                f"FROM {self.schema}.{table}")
        pairs = (line.split(" ", 1) for line in lines)
        return [(bytes.fromhex(key), value) for key, value in pairs]


class Postgres:
    """A server that somebody else started: at the port and in the directory."""

    def __init__(self, port, directory):
        self.port, self.directory = port, Path(directory)
        self.schemas = 0

    def state(self):
        """A new schema as a state store, with a role that owns it and nothing else."""
        self.schemas += 1
        name = f"state_{os.getpid()}_{self.schemas}"
        self.sql(f"CREATE ROLE {name} LOGIN")
        self.sql(f"CREATE SCHEMA {name} AUTHORIZATION {name}")
        return PostgresState(self, name, user=name)

    @contextlib.contextmanager
    def locked(self, table):
        """Nobody reads or writes the table meanwhile."""
        with subprocess.Popen(self._psql(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as session:
            session.stdin.write(f"BEGIN;\nLOCK TABLE {table};\nSELECT 'locked';\n")
            session.stdin.flush()
            assert session.stdout.readline() == "locked\n"
            yield
            session.stdin.close()

    def _psql(self):
        return [PROGRAMS / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.directory, "-p",
                str(self.port), "-U", "postgres"]

    def sql(self, query):
        """The rows of a query's only column, as the superuser."""
        done = subprocess.run([*self._psql(), "-c", query], capture_output=True, text=True,
                              check=True)
        return done.stdout.splitlines()


class PostgresServer(Postgres):
    """tests/standin/postgresql_server.sh; fails loudly where there is no PostgreSQL 15."""

    _shared = None

    def __init__(self, *options, certificate=None):
        """`certificate`: files of it and of its key; then it answers by TLS, too."""
        # A daemon says that all is well only with what the default is anyway.
        self.options = ("-c", "fsync=on", *options)
        # Not in a test's own directory: its path must fit into that of a socket, and the server's
        # user must reach it.
        super().__init__(free_port(), tempfile.mkdtemp(prefix="millrace-pg-"))
        self.directory.chmod(0o755)
        if certificate is not None:
            self.options += self._tls(certificate)
        self.process = None
        self.start()

    @classmethod
    def shared(cls):
        """One for all tests of the program, or of a whole run (MILLRACE_POSTGRESQL:
        PORT:DIRECTORY)."""
        if cls._shared is None:
            running = os.environ.get("MILLRACE_POSTGRESQL")
            if running:
                cls._shared = Postgres(*running.split(":"))
            else:
                cls._shared = cls()
                atexit.register(cls._shared.close)
        return cls._shared

    def _tls(self, certificate):
        # A key of its own user's, which PostgreSQL insists on.
        own = [shutil.copy(file, self.directory) for file in certificate]
        for file in own:
            os.chmod(file, 0o600)
            if os.geteuid() == 0:
                shutil.chown(file, "postgres")
        return ("-c", "ssl=on", "-c", f"ssl_cert_file={own[0]}", "-c", f"ssl_key_file={own[1]}")

    def start(self, ready=True):
        def up():
            if self.process is None or self.process.poll() == 1:
                # After kill -9 the old processes may still be on their way out.
                with open(self.directory / "server.log", "ab") as log:
                    self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                        [STANDINS / "postgresql_server.sh", self.directory, str(self.port),
                         *self.options], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                        start_new_session=True)
            assert self.process.poll() in (None, 1), (
                "PostgreSQL does not run, so nothing was tested:\n"
                + (self.directory / "server.log").read_text("utf-8", "replace")[-3000:])
            return not ready or subprocess.run(
                [PROGRAMS / "pg_isready", "-q", "-h", self.directory, "-p", str(self.port)],
                check=False).returncode == 0
        eventually(up, START_WITHIN, "PostgreSQL answers")
        return self

    def kill9(self):
        self._end(signal.SIGKILL)

    def stop(self):
        """In order, without waiting for sessions to end."""
        self._end(signal.SIGINT)

    def _end(self, number):
        self.process.send_signal(number)
        self.process.wait(END_WITHIN)
        self.process = None

    def close(self):
        if self.process is not None:
            self.kill9()
        shutil.rmtree(self.directory, ignore_errors=True)

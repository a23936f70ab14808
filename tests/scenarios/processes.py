"""The programs under test and their neighbours as child processes."""

import contextlib
import fcntl
import http.client
import json
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from waiting import eventually

SOURCE = Path(__file__).resolve().parents[2]
STANDINS = SOURCE / "tests" / "standin"
READY_WITHIN = 60.0
STOP_WITHIN = 60.0
COMMAND_WITHIN = 60.0
LOG_TAIL_BYTES = 8000
SANITIZER_REPORT = re.compile(
    r"(ERROR|WARNING): (Address|Leak|Thread)Sanitizer|runtime error: |SUMMARY: Undefined")

sys.path.insert(0, str(STANDINS))
from standin_client import Control  # noqa: E402  pylint: disable=wrong-import-position


_PORTS = set()
_PORTS_OF_ALL = Path(tempfile.gettempdir()) / f"millrace-test-ports-{os.getuid()}"
_ports_of_all = open(_PORTS_OF_ALL, "ab")  # pylint: disable=consider-using-with


def _taken(port):
    """Whether the port is this process's alone from now on, among all that run scenarios: a daemon
    may listen much later."""
    if port in _PORTS:
        return False
    try:
        fcntl.lockf(_ports_of_all, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _PORTS.add(port)
    return True


def free_port():
    """A port below the ephemeral range: an outgoing connection of another process, or of a client
    that waits for this very port, never takes it while a daemon restarts."""
    while True:
        port = random.randrange(10_000, 30_000)
        if not _taken(port):
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def build_directory():
    return Path(os.environ.get("MILLRACE_BUILD", SOURCE / "build" / "release"))


def program(name):
    for folder in ("src/daemon", "src/cli", "."):
        found = build_directory() / folder / name
        if found.is_file() and os.access(found, os.X_OK):
            return found
    raise FileNotFoundError(f"{name} is not built in {build_directory()}; set MILLRACE_BUILD")


def sanitized():
    """Whether the build has sanitizers: memory figures mean nothing then."""
    return b"__asan_init" in program("millraced").read_bytes()


class Answer:
    def __init__(self, status, body, headers):
        self.status, self.body, self.headers = status, body, headers

    def json(self):
        return json.loads(self.body)


def request(port, method, path, body=None, headers=None, timeout=30):
    """One request on its own connection. A connection that fails raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        data = json.dumps(body) if isinstance(body, (dict, list)) else body
        connection.request(method, path, data,
                           {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(), dict(answer.getheaders()))
    except http.client.HTTPException as problem:
        raise ConnectionError(f"{type(problem).__name__}: {problem}") from problem
    finally:
        connection.close()


class SqliteState:
    """A state store in a file, and what tests read of it."""

    def __init__(self, data):
        self.path = f"{data}/state.db"
        self.yaml = f"{{ sqlite: {self.path} }}"

    def rows(self, table):
        """Pairs of key (bytes) and value (text)."""
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as state:
            return [(bytes(key), value)
                    for key, value in state.execute(f"SELECT key, value FROM {table}")]


class Broker:
    """millraced on one configuration directory; may be killed and started again and again."""

    def __init__(self, config, data, port, admin_port, state=None):
        self.config, self.data = Path(config), Path(data)
        self.port, self.admin_port = port, admin_port
        self.log = self.config.parent / f"{self.config.name}.millraced.log"
        self.state = state or SqliteState(self.data)
        self.process = None
        self.environment = {}  # more of it, for millraced alone

    # -- life ----------------------------------------------------------------------------------
    def start(self, ready=True, under=()):
        """`under`: a command that runs the daemon, such as strace and its options."""
        assert self.process is None, "already running"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [*under, program("millraced"), "--config", self.config], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env={**os.environ, **self.environment})
        if ready:
            eventually(self.ready, within=READY_WITHIN, what="millraced is ready")
        return self

    def ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"millraced ended with {self.process.returncode} while starting:\n"
                               + self.log_tail())
        return request(self.admin_port, "GET", "/readyz", timeout=5).status == 200

    def kill9(self):
        self.check_alive()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_WITHIN)
        self.process = None

    def terminate(self, within=STOP_WITHIN):
        """SIGTERM; the exit code."""
        self.check_alive()
        self.process.send_signal(signal.SIGTERM)
        return self.wait_exit(within)

    def wait_exit(self, within=STOP_WITHIN):
        """The exit code of a daemon that ends by itself."""
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired as problem:
            raise AssertionError(f"millraced did not end within {within:g} s") from problem
        self.process = None
        return code

    def signal(self, number):
        self.process.send_signal(number)

    def freeze(self):
        freeze(self.process)

    def check_alive(self):
        assert self.process is not None, "millraced was not started"
        code = self.process.poll()
        assert code is None, f"millraced ended by itself with {code}:\n{self.log_tail()}"

    def close(self):
        """Ends whatever runs; called when a scenario is over. Complains about what no scenario may
        see: a daemon that died by itself, and reports of a sanitizer."""
        if self.process is not None:
            code = self.process.poll()
            self.process.kill()
            self.process.wait()
            self.process = None
            assert code is None, f"millraced ended by itself with {code}"
        report = SANITIZER_REPORT.search(self.log_text())
        assert report is None, f"a sanitizer reported: {report.group(0)}"

    # -- what it says --------------------------------------------------------------------------
    def log_text(self):
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def log_tail(self):
        return self.log_text()[-LOG_TAIL_BYTES:]

    def rss_mb(self):
        text = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) / 1000

    # -- what it is asked ----------------------------------------------------------------------
    def post(self, path, body, headers=None, timeout=30):
        return request(self.port, "POST", path, body, headers, timeout)

    def admin(self, method, path, body=None):
        token = (self.data / "admin.token").read_text("ascii").strip()
        return request(self.admin_port, method, path, body, {"Authorization": f"Bearer {token}"})

    def metrics(self):
        """Values by name and labels, as they are written: 'millrace_x_total{a="b"}' -> float."""
        text = request(self.admin_port, "GET", "/metrics").body.decode()
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")
        return {name: float(value) for name, value in pairs}

    def cli(self, *arguments, expect=0, given=""):
        """`millrace ARGUMENTS`, with `given` as its standard input; asserts the exit code (None:
        any); returns the ended process."""
        done = subprocess.run(
            [program("millrace"), "--config", self.config, *arguments], capture_output=True,
            text=True, timeout=COMMAND_WITHIN, check=False, input=given)
        assert expect is None or done.returncode == expect, (
            f"millrace {' '.join(arguments)} ended with {done.returncode}, not {expect}\n"
            f"{done.stdout}{done.stderr}")
        return done

    def state_rows(self, table, first):
        """How many rows of a table of the state store have this first part of their key."""
        return sum(key.startswith(first.encode() + b"\0") for key, _ in self.state.rows(table))

    def state_values(self, table):
        """The values of a table of the state store, a line each."""
        return "\n".join(value for _, value in self.state.rows(table))

    def cli_json(self, *arguments):
        return json.loads(self.cli(*arguments, "--json").stdout)


def freeze(process):
    """SIGSTOP; returns once every thread stands still, which on a busy machine takes a while."""
    process.send_signal(signal.SIGSTOP)

    def stands_still():
        threads = Path(f"/proc/{process.pid}/task").iterdir()
        return all(thread.joinpath("stat").read_text("ascii").rpartition(")")[2].split()[0] in "Tt"
                   for thread in threads)
    eventually(stands_still, what="it stands still")


class Standin:
    """A neighbour (tests/standin) in its own process: ends when our end of its input closes."""

    def __init__(self, script, *arguments):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [sys.executable, "-B", STANDINS / script, *arguments], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.facts = json.loads(self.process.stdout.readline())
        self.port = self.facts["port"]
        self.control = Control(self.facts["control_port"])

    def close(self):
        self.process.stdin.close()
        self.process.wait(STOP_WITHIN)
        self.process.stdout.close()


class Target(Standin):
    """The target stand-in, and what scenarios ask of its record."""

    def __init__(self, idempotent=True):
        options = ["--idempotent"] if idempotent else []
        super().__init__("target_standin.py", "--port", str(free_port()), *options)

    def effects(self):
        """What was carried out, in order: dicts with method, target, key, body (parsed)."""
        effects = self.control("effects")["effects"]
        for effect in effects:
            effect["body"] = json.loads(effect["body"]) if effect["body"] else None
        return effects

    def bodies(self):
        return [effect["body"] for effect in self.effects()]

    def posts(self):
        """(Idempotency-Key, path, body) of each POST that it got, in order, carried out or not."""
        return [(dict((n.lower(), v) for n, v in r["headers"])["idempotency-key"], r["target"],
                 r["body"]) for r in self.control("requests")["requests"] if r["method"] == "POST"]

    def counts(self):
        return self.control("counts")

    def fault(self, mode="status", **members):
        self.control("fault", mode=mode, **members)

    def heal(self):
        self.control("faults_clear")


class Background:
    """Runs a function in a thread; `join` raises what it raised."""

    def __init__(self, function, *arguments):
        self._problem = None
        self._thread = threading.Thread(target=self._run, args=(function, *arguments), daemon=True)
        self._thread.start()

    def _run(self, function, *arguments):
        try:
            function(*arguments)
        except BaseException as problem:  # pylint: disable=broad-except
            self._problem = problem

    def join(self, within=120.0):
        self._thread.join(within)
        assert not self._thread.is_alive(), f"still running after {within:g} s"
        if self._problem is not None:
            raise self._problem

"""Runs the one-instance scenarios on the pairings of log and state that they are not run on anyway,
with one Kafka and one PostgreSQL for all of them: pairings.py [--build DIR] [-j N] [--pairing
LOG+STATE]... [SCENARIO...]. Scenarios are named as their files, without test_ and .py.

Says of each what it did, and of each that it passes over why: a line in its head, `# only files:`,
`# only sqlite:` or `# own stores:` with the reason. Exits with 1 when one failed or nothing ran, with
2 when there is no Kafka or no PostgreSQL here, so nothing was shown.
"""

import argparse
import os
import re
import subprocess
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kafka_neighbour import KafkaServer
from postgresql_neighbour import PostgresServer
from processes import build_directory

HERE = Path(__file__).resolve().parent
PAIRINGS = ["files+postgresql", "kafka+sqlite", "kafka+postgresql"]
WITHIN = 900.0
PASSED_OVER = re.compile(r"^# (only files|only sqlite|own stores): (.+)$", re.MULTILINE)
SKIPPED_TEST = re.compile(r"^(\w+) \(.*\) ?\.\.\. skipped ['\"](.+)['\"]$", re.MULTILINE)
# Deleted logs are gone at once, not after a minute; a busy machine is no reason to lose all leaders.
KAFKA_PROPERTIES = ["log.segment.delete.delay.ms=1000", "broker.session.timeout.ms=30000"]


def reason_against(scenario, log, state):
    """Why a scenario is not run on the pairing; None: it is."""
    for what, reason in PASSED_OVER.findall(scenario.read_text("utf-8")):
        if (what == "own stores" or (what == "only files" and log != "files")
                or (what == "only sqlite" and state != "sqlite")):
            return f"{what}: {reason}"
    return None


def name_of(scenario):
    return scenario.stem.removeprefix("test_")


class Run:
    """All scenarios on some pairings."""

    def __init__(self, scenarios, kafka, postgresql):
        self.scenarios = scenarios
        self.servers = {"MILLRACE_KAFKA": f"{kafka.port}:{kafka.directory}",
                        "MILLRACE_POSTGRESQL": f"{postgresql.port}:{postgresql.directory}"}
        self.passed, self.failed, self.passed_over = [], [], {}

    def on(self, pairing, jobs):
        log, state = pairing.split("+")
        chosen = []
        for scenario in self.scenarios:
            reason = reason_against(scenario, log, state)
            if reason is None:
                chosen.append(scenario)
            else:
                self.passed_over.setdefault((name_of(scenario), reason), []).append(pairing)
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(lambda scenario: self.one(scenario, pairing), chosen))

    def one(self, scenario, pairing):
        log, state = pairing.split("+")
        environment = {**os.environ, **self.servers, "MILLRACE_LOG": log, "MILLRACE_STATE": state,
                       "MILLRACE_BUILD": str(build_directory()), "MILLRACE_KILL_CYCLES": "4"}
        begin = time.monotonic()
        try:
            done = subprocess.run([sys.executable, "-B", scenario], env=environment, text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=WITHIN, check=False)
            output, well = done.stdout, done.returncode == 0
        except subprocess.TimeoutExpired as problem:
            output = (problem.stdout or b"").decode("utf-8", "replace") + f"\nnot within {WITHIN} s"
            well = False
        name = name_of(scenario)
        (self.passed if well else self.failed).append(f"{name} on {pairing}")
        for test, reason in SKIPPED_TEST.findall(output):
            self.passed_over.setdefault((f"{name}.{test}", reason), []).append(pairing)
        print(f"{'' if well else output}{pairing:<17} {name:<40} "
              f"{'ok' if well else 'FAILED':<7} {time.monotonic() - begin:4.0f} s", flush=True)

    def verdict(self):
        for (name, reason), pairings in sorted(self.passed_over.items()):
            print(f"passed over {name} ({', '.join(pairings)}): {reason}")
        print(f"{len(self.passed)} passed, {len(self.failed)} failed"
              + "".join(f"\n  {name}" for name in sorted(self.failed)))
        return 0 if self.passed and not self.failed else 1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path)
    parser.add_argument("-j", type=int, default=3)
    parser.add_argument("--pairing", action="append", choices=["files+sqlite", *PAIRINGS])
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    return parser.parse_args()


def main():
    given = arguments()
    if given.build:
        os.environ["MILLRACE_BUILD"] = str(given.build.resolve())
    scenarios = sorted(HERE.glob("test_*.py"))
    if given.scenarios:
        scenarios = [HERE / f"test_{name}.py" for name in given.scenarios]
    try:
        kafka, postgresql = KafkaServer(*KAFKA_PROPERTIES), PostgresServer()
    except (unittest.SkipTest, AssertionError) as problem:
        print(f"SKIPPED: nothing was run on a pairing: {problem}", file=sys.stderr)
        return 2
    try:
        run = Run(scenarios, kafka, postgresql)
        for pairing in given.pairing or PAIRINGS:
            run.on(pairing, given.j)
        return run.verdict()
    finally:
        kafka.close()
        postgresql.close()


if __name__ == "__main__":
    sys.exit(main())

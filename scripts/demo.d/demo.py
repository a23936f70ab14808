#!/usr/bin/env python3
"""Plays Millrace's story with a stand-in Odoo, MES and WMS, and says what came of it."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from plant import Plant
from report import Paper, Report
from servers import CannotRun
from story import Story

WELL, NOT_WELL, CANNOT_RUN = 0, 1, 2
STOPPING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Stopped(Exception):
    """A signal asks for the end."""


def stop(number, _frame):
    raise Stopped(signal.Signals(number).name)


def introduce(plant, paper):
    paper.heading("Millrace: everything runs on this machine, on loopback")
    paper.table([
        ["Odoo", "stand-in", f"127.0.0.1:{plant.odoo.port}"],
        ["MES", "stand-in", f"127.0.0.1:{plant.mes.port}"],
        ["WMS", "stand-in", f"127.0.0.1:{plant.wms.port}"],
        ["millraced", "data plane", f"127.0.0.1:{plant.port}"],
        ["", "admin plane", f"127.0.0.1:{plant.admin_port}"],
        *(plant.servers.places() if plant.servers else []),
        ["files", "", plant.directory],
    ], ["WHO", "", "WHERE"])


def play(plant, paper):
    """The story, and whether it ended well."""
    began = time.monotonic()

    def say(text):
        paper.line(f"  {time.monotonic() - began:5.1f} s  {text}")

    plant.start_neighbours()
    plant.write_configuration()
    story = Story(plant, say)
    story.write_history()
    introduce(plant, paper)
    paper.heading("The story")
    say(f"millraced starts; Odoo already holds {len(story.history)} records, which are read once "
        "and announced to nobody")
    plant.start_broker()
    story.await_baseline()
    story.play()
    say("The end")
    report = Report(story, paper)
    report.tell()
    return story, report.judge()


def keep_running(plant, story, paper):
    customer = story.number_of("customer Brauhaus Nord")
    order = story.look(story.record_of("the first order"))["name"]
    millrace = " ".join(plant.command())
    mes = f"curl -s 127.0.0.1:{plant.mes.control_port}/control -d"
    odoo = f"curl -s 127.0.0.1:{plant.odoo.control_port}/control -d"
    paper.heading("Everything keeps running. Try, in another terminal:")
    for text in (
            f"alias millrace='{millrace}'",
            "millrace status",
            f"millrace where {order}              # every hop of an order",
            "millrace connections check odoo",
            "millrace routes pause order-to-mes --reason 'trying it out'",
            "millrace routes resume order-to-mes",
            f"$EDITOR {plant.config}/routes/mes.yaml; millrace plan; millrace reload",
            f"{mes} '{{\"cmd\": \"down\"}}'      # the MES is gone; \"up\" brings it back",
            f"{odoo} '{{\"cmd\": \"write\", \"model\": \"res.partner\", \"ids\": [{customer}], "
            "\"values\": {\"name\": \"Brauhaus Kiel\"}}'      # somebody renames the customer",
            f"{mes} '{{\"cmd\": \"effects\"}}'   # what the MES was told"):
        paper.line(f"  {text}")
    paper.line()
    paper.line("Ctrl-C ends everything.")
    while plant.broker.process.poll() is None:
        time.sleep(0.5)
    raise RuntimeError(f"millraced ended by itself with {plant.broker.process.returncode}")


def run(chosen, plant, paper):
    """The exit code. Ends every process; the directory stays when something went wrong."""
    ended_well = stopped = False
    why = "a check failed"
    try:
        story, ended_well = play(plant, paper)
        if ended_well and not chosen.once:
            keep_running(plant, story, paper)
    except Stopped:
        stopped = True
    except CannotRun as problem:
        print(f"demo: {problem}", file=sys.stderr)
        plant.close()
        plant.remove_directory()
        return CANNOT_RUN
    except (AssertionError, OSError, RuntimeError, LookupError) as problem:
        ended_well, why = False, f"{type(problem).__name__}: {problem}"
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)  # the end is short; it is not interrupted again
    code = plant.close()
    if ended_well and code != 0:
        ended_well, why = False, f"millraced ended with {code}"
    paper.line()
    if not ended_well and not stopped:
        paper.line(f"The story did not end well: {why}")
        paper.line(f"The end of {plant.log}:")
        paper.line(plant.log_tail())
        return NOT_WELL
    paper.line("The story ended well." if ended_well else "Stopped before the story's end.")
    if chosen.keep:
        paper.line(f"Its files are in {plant.directory}")
    else:
        plant.remove_directory()
    return WELL if ended_well else NOT_WELL


def main():
    options = argparse.ArgumentParser(prog="demo", description=__doc__)
    options.add_argument("--once", action="store_true", help="end when the story ends")
    options.add_argument("--kafka", action="store_true",
                         help="the log on a real Kafka, the state in a real PostgreSQL")
    options.add_argument("--build", metavar="DIR", help="use this build; build nothing")
    options.add_argument("--keep", action="store_true", help="keep the working directory")
    chosen = options.parse_args()
    if chosen.build:
        os.environ["MILLRACE_BUILD"] = str(Path(chosen.build).resolve())
    for number in STOPPING:
        signal.signal(number, stop)
    try:
        plant = Plant(chosen.kafka)
    except OSError as problem:
        print(f"demo: {problem}", file=sys.stderr)
        return CANNOT_RUN
    with plant:
        return run(chosen, plant, Paper())


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""A target (MES, WMS) that records every request and answers as it is told.

Prints one line of JSON with its ports when ready. Ends on SIGTERM or when standard input closes.
By default it answers 200 {"id": "<generated>"} and counts each request as one effect; with
`idempotent` a repeated Idempotency-Key gets the first answer again and counts as a repeat.
"""

import argparse
import collections
import itertools
import json
import os
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from control import ControlError, Faults, control_handler  # noqa: E402
from http_server import HttpServer, Reply, announce, run_until_told  # noqa: E402

REQUESTS_MAX = 1_000_000
MODES = {"status", "delay", "hang", "close", "close_midway", "oversized", "endless"}


def matches(fault, request):
    return (
        fault.get("path", "") in request.target
        and fault.get("body", "") in request.body.decode("utf-8", "replace")
        and fault.get("method") in (None, request.method)
    )


class Target:
    def __init__(self, idempotent=False):
        self.lock = threading.Lock()
        self.faults = Faults(matches)
        self.numbers = itertools.count(1)
        self.idempotent = idempotent
        self.answers = collections.OrderedDict()  # Idempotency-Key -> (status, body)
        self.requests, self.effects, self.repeats = [], [], 0
        self.answer_body = None
        self.lookup = None

    def handle(self, request):
        fault = self.faults.take(request)
        if fault is not None and fault["mode"] == "delay":
            time.sleep(fault.get("ms", 1000) / 1000)
        applied = fault is None or fault["mode"] == "delay" or fault.get("applied_anyway", False)
        reply = self.apply(request) if applied else None
        if fault is None or fault["mode"] == "delay":
            return self.record(request, reply, "")
        return self.record(request, misbehave(fault, reply), fault["mode"])

    def apply(self, request):
        """Carries the request out once and makes the answer."""
        key = request.header("idempotency-key")
        with self.lock:
            if self.lookup and request.method == "GET":
                return self.look_up(request)
            if self.idempotent and key and key in self.answers:
                self.repeats += 1
                return Reply(200, self.answers[key])
            number = next(self.numbers)
            body = json.dumps(
                self.answer_body if self.answer_body is not None else {"id": f"T{number}"}
            ).encode()
            if key:
                self.answers[key] = body
            if request.method != "GET" and len(self.effects) < REQUESTS_MAX:
                self.effects.append(
                    {
                        "number": number,
                        "method": request.method,
                        "target": request.target,
                        "key": key,
                        "body": request.body.decode("utf-8", "replace"),
                        "at": request.received_at,
                    }
                )
            return Reply(200, body)

    def look_up(self, request):
        """Which effects have this value in the member that is looked up; 404 when none has."""
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.target).query)
        wanted = query.get(self.lookup, [None])[0]
        found = [
            f"T{effect['number']}"
            for effect in self.effects
            if json.loads(effect["body"] or "{}").get(self.lookup) == wanted
        ]
        return Reply(200 if found else 404, json.dumps({"ids": found}).encode())

    def record(self, request, reply, mode):
        with self.lock:
            if len(self.requests) < REQUESTS_MAX:
                self.requests.append(
                    {
                        "method": request.method,
                        "target": request.target,
                        "headers": request.headers,
                        "body": request.body.decode("utf-8", "replace"),
                        "at": request.received_at,
                        "answered_at": time.time(),
                        "status": reply.status if reply.deliver == "whole" else None,
                        "mode": mode,
                    }
                )
        return reply


def misbehave(fault, reply):
    mode = fault["mode"]
    headers = list(fault.get("headers", {}).items())
    if mode == "status":
        body = fault.get("answer", {"error": f"scripted {fault.get('status', 500)}"})
        text = body if isinstance(body, str) else json.dumps(body)
        data = text.encode("utf-8", "surrogateescape")  # "\udcff" is the byte 0xFF
        kind = "text/plain" if isinstance(body, str) else "application/json"
        return Reply(fault.get("status", 500), data, kind, headers)
    if mode == "oversized":
        return Reply(
            200, b"", headers=headers, stream_bytes=fault.get("bytes", 1 << 30), close=True
        )
    if mode == "endless":
        return Reply(200, b"", headers=headers, stream_bytes=1 << 40, chunked=True, close=True)
    whole = reply or Reply(200, b'{"id": "never applied"}')
    whole.deliver = {"close": "never", "close_midway": "part", "hang": "hang"}[mode]
    return whole


class TargetControl:
    def __init__(self, target, server):
        self.target, self.server = target, server

    def commands(self):
        return {name[4:]: getattr(self, name) for name in dir(self) if name.startswith("cmd_")}

    def cmd_fault(self, **fault):
        if fault.get("mode") not in MODES:
            raise ControlError(f"mode is one of {', '.join(sorted(MODES))}")
        return {"fault": self.target.faults.add(fault)}

    def cmd_faults(self):
        return {"faults": self.target.faults.list()}

    def cmd_faults_clear(self, fault=None):
        self.target.faults.clear(fault)

    def cmd_idempotent(self, on=True):
        self.target.idempotent = on

    def cmd_answer(self, body=None):
        """The body of every 200; null goes back to a generated id."""
        self.target.answer_body = body

    def cmd_lookup(self, member=None):
        """GET ...?<member>=<value> tells which effects had that value; null: as any request."""
        self.target.lookup = member

    def cmd_down(self):
        self.server.down()

    def cmd_up(self):
        self.server.up()

    def cmd_effects(self, since=0):
        with self.target.lock:
            return {
                "effects": self.target.effects[since:],
                "count": len(self.target.effects),
                "repeats": self.target.repeats,
            }

    def cmd_requests(self, since=0):
        with self.target.lock:
            return {"requests": self.target.requests[since:], "count": len(self.target.requests)}

    def cmd_counts(self):
        with self.target.lock:
            statuses = collections.Counter(
                str(r["status"] or r["mode"]) for r in self.target.requests
            )
            return {
                "requests": len(self.target.requests),
                "effects": len(self.target.effects),
                "repeats": self.target.repeats,
                "by_status": dict(statuses),
            }

    def cmd_reset(self):
        with self.target.lock:
            self.target.requests.clear()
            self.target.effects.clear()
            self.target.answers.clear()
            self.target.repeats = 0

    def cmd_ping(self):
        return {}


class TargetStandin:
    """The whole of it, for tests that want it in their own process."""

    def __init__(self, port=0, control_port=0, idempotent=False):
        self.target = Target(idempotent)
        self.server = HttpServer(self.target.handle, port, "target")
        self.control = TargetControl(self.target, self.server)
        self.control_server = HttpServer(control_handler(self.control.commands()), control_port)

    def close(self):
        self.server.down()
        self.control_server.down()


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--control-port", type=int, default=0)
    options.add_argument("--idempotent", action="store_true")
    chosen = options.parse_args()
    standin = TargetStandin(chosen.port, chosen.control_port, chosen.idempotent)
    announce(json.dumps({"port": standin.server.port, "control_port": standin.control_server.port}))
    run_until_told()
    os._exit(0)  # threads may hang in sockets on purpose


if __name__ == "__main__":
    main()

"""The control plane every stand-in has: POST /control with one JSON command, answered in JSON.

A command is {"cmd": "<name>", ...}; the answer is {"ok": true, ...}, or {"ok": false, "error":
"..."}.
"""

import itertools
import json
import threading
import traceback

from http_server import Reply


class ControlError(Exception):
    """A command that cannot be carried out; the text goes to the caller."""


class Faults:
    """Scripted misbehaviour. A fault has a `mode`, an optional match, and applies to the next
    `times` matching calls, or until cleared when `times` is absent. The oldest match wins."""

    def __init__(self, matches):
        self._matches = matches
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._faults = []

    def add(self, fault):
        if "mode" not in fault:
            raise ControlError("a fault needs a mode")
        with self._lock:
            number = next(self._numbers)
            self._faults.append({**fault, "number": number, "applied": 0})
            return number

    def clear(self, number=None):
        with self._lock:
            self._faults = [f for f in self._faults if number is not None and f["number"] != number]

    def list(self):
        with self._lock:
            return [dict(f) for f in self._faults]

    def take(self, call):
        """The fault that applies to this call, counted as applied; None when it is spared."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                times = fault.get("times")
                if times is not None and fault["applied"] >= times:
                    continue
                if self._matches(fault, call):
                    fault["applied"] += 1
                    return fault
        return None


def control_handler(commands):
    """A handler for HttpServer: `commands` maps names to functions of the command's members."""

    def handle(request):
        if request.path != "/control" or request.method != "POST":
            return Reply(404, b'{"ok": false, "error": "POST /control"}')
        try:
            command = json.loads(request.body or b"{}")
            name = command.pop("cmd", None)
            if name not in commands:
                raise ControlError(
                    f"unknown command {name!r}; known: {', '.join(sorted(commands))}"
                )
            result = commands[name](**command) or {}
            return Reply(200, json.dumps({"ok": True, **result}).encode())
        except ControlError as problem:
            return failure(str(problem))
        except Exception as problem:  # pylint: disable=broad-except
            return failure(f"{type(problem).__name__}: {problem}", traceback.format_exc())

    return handle


def failure(error, trace=None):
    answer = {"ok": False, "error": error}
    if trace:
        answer["traceback"] = trace
    return Reply(400, json.dumps(answer).encode())

"""The HTTP face of the stand-in: /jsonrpc with Odoo 18's envelopes, and the paths around it."""

import collections
import json
import threading
import time
import urllib.parse

from control import Faults
from http_server import Reply
from odoo_control import perform_all
from odoo_errors import MESSAGES, OdooError, error_body

VERSION = {
    "server_version": "18.0-20250421",
    "server_version_info": [18, 0, 0, "final", 0, ""],
    "server_serie": "18.0",
    "protocol_version": 1,
}
HTML = b"<!doctype html>\n<html lang=en>\n<title>502 Bad Gateway</title>\n<h1>Bad Gateway</h1>\n"
REQUEST_LOG_MAX = 100_000
# Modes that answer an Odoo error, and the exception each one names.
ERROR_MODES = {
    "serialization": "psycopg2.errors.SerializationFailure",
    "lock_not_available": "psycopg2.errors.LockNotAvailable",
    "deadlock": "psycopg2.errors.DeadlockDetected",
    "database_down": "psycopg2.OperationalError",
    "access_denied": "odoo.exceptions.AccessDenied",
    "access_error": "odoo.exceptions.AccessError",
    "session_expired": "odoo.http.SessionExpiredException",
}


class Call:
    """What a fault can match, and what the request log keeps."""

    def __init__(self, service, model="", method="", ids=(), kwargs=None, args=()):
        self.service, self.model, self.method = service, model, method
        self.ids, self.kwargs, self.args = list(ids), kwargs or {}, list(args)


def matches(fault, call):
    return (
        fault.get("model") in (None, call.model)
        and fault.get("method") in (None, call.method)
        and (not fault.get("ids") or bool(set(fault["ids"]) & set(call.ids)))
    )


def reply_json(value, **options):
    body = json.dumps(value, ensure_ascii=False).encode()
    return Reply(
        200,
        body,
        "application/json; charset=utf-8",
        [("X-Content-Type-Options", "nosniff")],
        close=True,
        **options,
    )


class Rpc:
    def __init__(self, site):
        self.site = site
        self.faults = Faults(matches)
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.ids = collections.Counter()
        self.log = []

    def handle(self, request):
        if request.path == "/jsonrpc" and request.method == "POST":
            return self.jsonrpc(request)
        if request.path == "/web/webclient/version_info" and request.method == "POST":
            return reply_json({"jsonrpc": "2.0", "id": None, "result": VERSION})
        if request.path == "/web/health":
            return reply_json({"status": "pass"})
        if request.path.startswith("/json/"):
            return redirect(request.target)
        return Reply(
            404,
            b"<!doctype html>\n<title>404 Not Found</title>\n",
            "text/html; charset=utf-8",
            close=True,
        )

    def jsonrpc(self, request):
        try:
            envelope = json.loads(request.body)
            params = envelope["params"]
            call = describe(params)
        except (ValueError, KeyError, TypeError, IndexError):
            return Reply(400, b"Invalid JSON data", "text/html; charset=utf-8", close=True)
        self.record(call)
        fault = self.faults.take(call)
        if fault is not None and fault["mode"] == "slow":
            time.sleep(fault.get("ms", 1000) / 1000)
            fault = None
        if fault is not None and fault["mode"] == "meanwhile":
            self.site.run(lambda orm: perform_all(orm, fault["operations"]))
            fault = None
        if fault is not None and not fault.get("after"):
            return misbehave(fault, envelope.get("id"))
        reply = self.answer(envelope.get("id"), params)
        if fault is not None:  # the call was carried out; its answer is what goes wrong
            return misbehave(fault, envelope.get("id"), reply)
        return reply

    def answer(self, request_id, params):
        try:
            result = self.dispatch(params["service"], params["method"], params["args"])
        except OdooError as problem:
            return reply_json(error_body(request_id, problem.name, str(problem)))
        except Exception as problem:  # pylint: disable=broad-except
            return reply_json(
                error_body(request_id, f"builtins.{type(problem).__name__}", str(problem))
            )
        answer = {"jsonrpc": "2.0", "id": request_id}
        if result is not None:
            answer["result"] = result
        return reply_json(answer)

    def dispatch(self, service, method, args):
        if service == "common" and method == "version":
            return VERSION
        if service == "common" and method in ("authenticate", "login"):
            return self.site.authenticate(args[0], args[1], args[2])
        if service == "object" and method == "execute_kw":
            database, uid, password, model, name, *rest = args
            self.site.check(database, uid, password)
            return self.site.call(
                uid, model, name, rest[0] if rest else [], rest[1] if len(rest) > 1 else {}
            )
        raise OdooError(f"Method not available {method}", "builtins.NameError")

    def record(self, call):
        with self.lock:
            name = f"{call.model}.{call.method}" if call.model else call.method
            self.counts[name] += 1
            self.ids[name] += len(call.ids)
            if len(self.log) < REQUEST_LOG_MAX:
                self.log.append(
                    {
                        "at": time.time(),
                        "call": name,
                        "model": call.model,
                        "method": call.method,
                        "ids": call.ids,
                        "args": call.args,
                        "kwargs": call.kwargs,
                    }
                )

    def reset_log(self):
        with self.lock:
            self.counts.clear()
            self.ids.clear()
            self.log.clear()


def describe(params):
    args = params["args"]
    if params["service"] != "object":
        return Call(params["service"], "", params["method"])
    positional = args[5] if len(args) > 5 else []
    ids = positional[0] if positional else []
    ids = ids if isinstance(ids, list) else [ids]
    return Call(
        "object",
        args[3],
        args[4],
        [i for i in ids if isinstance(i, int)],
        args[6] if len(args) > 6 else {},
        positional,
    )


def redirect(target):
    location = "/web/login?redirect=" + urllib.parse.quote(target + "?", safe="")
    return Reply(
        303,
        b"<!doctype html>\n<title>Redirecting...</title>\n",
        "text/html; charset=utf-8",
        [("Location", location)],
        close=True,
    )


def misbehave(fault, request_id, reply=None):
    mode = fault["mode"]
    if mode in ERROR_MODES or mode == "error":
        name = fault.get("name") or ERROR_MODES.get(mode)
        return reply_json(
            error_body(request_id, name, fault.get("message") or MESSAGES.get(name, name))
        )
    if mode in ("html", "status"):
        return Reply(
            fault.get("status", 502),
            fault.get("body", HTML.decode()).encode(),
            "text/html; charset=utf-8",
            fault.get("headers", {}).items(),
            close=True,
        )
    if mode == "redirect":
        return redirect("/jsonrpc")
    if mode == "no_result":
        return reply_json({"jsonrpc": "2.0", "id": request_id})
    if mode == "oversized":
        return Reply(
            200,
            b'{"jsonrpc": "2.0", "id": 1, "result": "',
            close=True,
            stream_bytes=fault.get("bytes", 1 << 30),
        )
    if mode == "malformed":
        return Reply(200, b'{"jsonrpc": "2.0", "id": 1, "resul', "application/json", close=True)
    whole = reply or reply_json({"jsonrpc": "2.0", "id": request_id, "result": []})
    whole.deliver = {"close": "never", "close_midway": "part", "hang": "hang"}[mode]
    return whole

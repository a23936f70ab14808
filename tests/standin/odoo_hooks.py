"""Odoo's outgoing webhooks: sent synchronously inside the transaction, before its commit.

One new connection each, one second of patience per socket operation, no retry; what the receiver
answers changes nothing. The body is a snapshot of the record in the middle of the transaction.
"""

import base64
import itertools
import json
import socket
import threading
import time
from urllib.parse import urlsplit, unquote

from control import ControlError

TIMEOUT_SECONDS = 1.0
LOG_MAX = 200_000


def shown(field, value):
    """A value as the hook's body shows it."""
    if value is None:
        return False
    if field.type == "datetime" and value and field.name not in ("write_date", "create_date"):
        return value[:19]
    if field.type == "binary" and value:
        return f"b'{value}'"
    return value


def hook_body(hook, model, record_id, values):
    """The exact bytes: keys sorted, ", " and ": " as separators, pure ASCII."""
    members = {
        "_model": model,
        "_id": record_id,
        "_action": f"{hook['action']}(#{hook['action_id']})",
        **values,
    }
    return json.dumps(members, sort_keys=True, default=str).encode("ascii")


def post(url, body):
    """(status, None), or (None, what went wrong)."""
    parts = urlsplit(url)
    lines = [
        f"POST {parts.path or '/'}{'?' + parts.query if parts.query else ''} HTTP/1.1",
        f"Host: {parts.hostname}" + (f":{parts.port}" if parts.port else ""),
        "User-Agent: python-requests/2.31.0",
        "Accept-Encoding: gzip, deflate",
        "Accept: */*",
        "Connection: keep-alive",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        lines.append("Authorization: Basic " + base64.b64encode(pair).decode())
    try:
        with socket.create_connection(
            (parts.hostname, parts.port or 80), TIMEOUT_SECONDS
        ) as connection:
            connection.settimeout(TIMEOUT_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
            answer = b""
            while b"\r\n" not in answer:
                piece = connection.recv(4096)
                if not piece:
                    return None, "closed without an answer"
                answer += piece
            return int(answer.split(b" ", 2)[1]), None
    except (OSError, ValueError, IndexError) as problem:
        return None, f"{type(problem).__name__}: {problem}"


class Hooks:
    def __init__(self):
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._hooks = []
        self.log = []

    def add(
        self,
        model,
        url,
        fields=(),
        watch=None,
        on=("create", "write"),
        action=None,
        action_id=None,
        values=None,
        stale_write_date=False,
    ):
        """`watch`: fields whose change fires it (default: any save). `values`: fires only when the
        record has them. `stale_write_date`: shows the write_date of the previous transaction, as
        hooks fired by a recomputed state do."""
        if not set(on) <= {"create", "write", "unlink"}:
            raise ControlError("`on` takes create, write, unlink")
        number = next(self._numbers)
        with self._lock:
            self._hooks.append(
                {
                    "number": number,
                    "model": model,
                    "url": url,
                    "fields": list(fields),
                    "watch": watch,
                    "on": list(on),
                    "action": action or "Send Webhook Notification",
                    "action_id": action_id or 500 + number,
                    "values": values or {},
                    "stale_write_date": stale_write_date,
                }
            )
        return number

    def clear(self, number=None):
        with self._lock:
            self._hooks = [h for h in self._hooks if number is not None and h["number"] != number]

    def ring(self, orm, operation, model, record_id, old, changed):
        for hook in list(self._hooks):
            if (
                hook["model"] == model
                and operation in hook["on"]
                and wanted(hook, operation, changed)
            ):
                row = orm.transaction.get(model, record_id)
                if all(row.get(name) == value for name, value in hook["values"].items()):
                    self._send(hook, orm, model, row, old)

    def _send(self, hook, orm, model, row, old):
        values = {}
        if hook["fields"]:
            values["id"] = row["id"]
            for name in hook["fields"]:
                field = orm.field(model, name)
                values[name] = shown(field, orm.value(model, row, field))
            if hook["stale_write_date"] and old and "write_date" in values:
                values["write_date"] = old["write_date"]
        body = hook_body(hook, model, row["id"], values)
        started = time.time()
        status, problem = post(hook["url"], body)
        entry = {
            "hook": hook["number"],
            "model": model,
            "id": row["id"],
            "status": status,
            "error": problem,
            "at": started,
            "seconds": time.time() - started,
            "body": body.decode(),
        }
        orm.hooks_sent.append({k: entry[k] for k in ("hook", "model", "id", "status", "error")})
        with self._lock:
            if len(self.log) < LOG_MAX:
                self.log.append(entry)


def wanted(hook, operation, changed):
    return operation != "write" or hook["watch"] is None or bool(changed & set(hook["watch"]))

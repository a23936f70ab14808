"""The commands that drive the Odoo stand-in (see README.md for their members)."""

import itertools
import random
import threading
import time

import odoo_site
from control import ControlError
from odoo_database import stamp
from odoo_errors import OdooError
from odoo_models import Field
from odoo_orm import Orm


class OdooControl:
    def __init__(self, site, rpc, server):
        self.site, self.rpc, self.server = site, rpc, server
        self.numbers = itertools.count(1)
        self.open = {}  # tx -> Orm
        self.background = []

    def commands(self):
        return {name[4:]: getattr(self, name) for name in dir(self) if name.startswith("cmd_")}

    # -- transactions --------------------------------------------------------------------------
    def cmd_begin(self, start=None, context=None):
        number = next(self.numbers)
        self.open[number] = Orm(self.site, self.site.database.begin(start), context)
        return {"tx": number, "start": self.open[number].transaction.start}

    def in_transaction(self, tx):
        if tx not in self.open:
            raise ControlError(f"transaction {tx} is not open")
        return self.open[tx]

    def operate(self, tx, operation):
        try:
            if tx is not None:
                return {"result": perform(self.in_transaction(tx), operation, [])}
            return {"result": self.site.run(lambda orm: perform(orm, operation, []))}
        except OdooError as problem:
            raise ControlError(f"{problem.name}: {problem}") from problem

    def cmd_create(self, model, values, tx=None):
        return self.operate(tx, ["create", model, values])

    def cmd_write(self, model, ids, values, tx=None):
        return self.operate(tx, ["write", model, ids, values])

    def cmd_unlink(self, model, ids, tx=None):
        return self.operate(tx, ["unlink", model, ids])

    def cmd_call(self, model, method, ids, tx=None):
        return self.operate(tx, ["call", model, method, ids])

    def cmd_commit(self, tx, after_ms=0, wait=True):
        orm = self.in_transaction(tx)
        del self.open[tx]
        self.later(after_ms, wait, orm.transaction.commit)
        return {"write_date": orm.transaction.start, "hooks": orm.hooks_sent}

    def cmd_rollback(self, tx):
        self.in_transaction(tx).transaction.rollback()
        del self.open[tx]

    def cmd_do(
        self,
        operations,
        start=None,
        commit_after_ms=0,
        wait=True,
        rollback=False,
        hook_repeats=1,
        context=None,
    ):
        """One transaction. Rings its hooks `hook_repeats` times, as a transaction does that failed
        to serialize and was run again: every attempt starts anew, with ids and times of its own."""
        sent = []
        for attempt in range(1, hook_repeats + 1):
            orm = Orm(self.site, self.site.database.begin(start), context)
            try:
                results = perform_all(orm, operations)
            except OdooError as problem:
                orm.transaction.rollback()
                raise ControlError(f"{problem.name}: {problem}") from problem
            sent.extend(orm.hooks_sent)
            if attempt < hook_repeats:
                orm.transaction.rollback()
        finish = orm.transaction.rollback if rollback else orm.transaction.commit
        self.later(commit_after_ms, wait, finish)
        return {"results": results, "write_date": orm.transaction.start, "hooks": sent}

    def later(self, after_ms, wait, finish):
        if not after_ms:
            finish()
        elif wait:
            time.sleep(after_ms / 1000)
            finish()
        else:
            timer = threading.Timer(after_ms / 1000, finish)
            timer.daemon = True
            timer.start()

    # -- data ----------------------------------------------------------------------------------
    def cmd_insert(self, model, rows):
        """Committed rows exactly as given, no defaults, no hooks (raw SQL)."""
        ids = []
        with self.site.database.lock:
            transaction = self.site.database.begin()
            orm = Orm(self.site, transaction)
            for values in rows:
                record_id = values.get("id") or self.site.database.next_id(model)
                old = transaction.get(model, record_id)
                row = {**(old or orm.blank_row(model, record_id)), **values, "id": record_id}
                row.setdefault("create_date", transaction.start)
                row.setdefault("write_date", transaction.start)
                transaction.put(model, record_id, row)
                ids.append(record_id)
            transaction.commit()
        return {"ids": ids}

    def cmd_seed(self, model, count, values=None, age_days=365.0, lines=0, seed=1):
        """Old records in bulk, their create_date spread over the past, without hooks."""
        choose = random.Random(seed)
        now = self.site.database.now()
        ages = sorted(
            (choose.uniform(1.0, max(1.001, age_days)) for _ in range(count)), reverse=True
        )
        rows, line_rows = [], []
        for age in ages:
            record_id = self.site.database.next_id(model)
            created = stamp(now - age * 86400)
            rows.append(
                {"id": record_id, "create_date": created, "write_date": created, **(values or {})}
            )
            for number in range(lines):
                line_rows.append(
                    {
                        "order_id": record_id,
                        "name": f"Line {number + 1}",
                        "product_uom_qty": 1.0 + number,
                        "price_unit": 10.0,
                        "create_date": created,
                        "write_date": created,
                    }
                )
        ids = self.cmd_insert(model, rows)["ids"]
        if line_rows:
            self.cmd_insert("sale.order.line", line_rows)
        return {"first": ids[0], "last": ids[-1], "count": len(ids)}

    def cmd_rows(self, model, ids=None, fields=None):
        """Committed rows with microseconds, as the database has them."""
        with self.site.database.lock:
            orm = Orm(self.site, self.site.database.begin(), {"active_test": False})
            found = [orm.transaction.get(model, i) for i in ids or orm.transaction.ids(model)]
            names = fields or list(self.site.database.models[model])
            return {
                "rows": [
                    {
                        "id": row["id"],
                        **{n: orm.value(model, row, orm.field(model, n)) for n in names},
                    }
                    for row in found
                    if row is not None
                ]
            }

    def cmd_translate(self, model, id, field, lang, value):  # pylint: disable=redefined-builtin
        with self.site.database.lock:
            self.site.languages.add(lang)
            self.site.database.tables[model].rows[id][f"{field}@{lang}"] = value

    def cmd_field(self, model, field=None, remove=None):
        """Adds a field ("x_code:char") or removes one: what a module upgrade does."""
        if field:
            made = Field(field)
            self.site.database.models[model][made.name] = made
        if remove:
            self.site.database.models[model].pop(remove, None)

    # -- rules ---------------------------------------------------------------------------------
    def cmd_forbid(self, model, ids):
        self.site.forbidden.update((model, i) for i in ids)

    def cmd_permit(self, model=None, ids=None):
        self.site.forbidden = {
            key
            for key in self.site.forbidden
            if model is not None and not (key[0] == model and (ids is None or key[1] in ids))
        }

    def cmd_deny(self, model, operation="read", allow=False):
        (self.site.denied.discard if allow else self.site.denied.add)((model, operation))

    def cmd_poison(self, model, ids, name="builtins.ValueError", message="Expected singleton"):
        for record_id in ids:
            self.site.poison[(model, record_id)] = (name, message)

    def cmd_heal(self):
        self.site.poison.clear()

    def cmd_wizard(self, model, ids, clear=False):
        for record_id in ids:
            (self.site.wizards.discard if clear else self.site.wizards.add)((model, record_id))

    def cmd_user(self, uid=2, login=None, password=None, company_ids=None):
        user = self.site.users.setdefault(uid, {"login": "", "password": None, "company_ids": [1]})
        for name, value in (("login", login), ("password", password), ("company_ids", company_ids)):
            if value is not None:
                user[name] = value

    # -- hooks, faults, logs -------------------------------------------------------------------
    def cmd_hook(self, **hook):
        return {"hook": self.site.hooks.add(**hook)}

    def cmd_hooks_clear(self, hook=None):
        self.site.hooks.clear(hook)

    def cmd_hooks_sent(self, clear=False):
        sent = list(self.site.hooks.log)
        if clear:
            self.site.hooks.log.clear()
        return {"sent": sent}

    def cmd_fault(self, **fault):
        return {"fault": self.rpc.faults.add(fault)}

    def cmd_faults(self):
        return {"faults": self.rpc.faults.list()}

    def cmd_faults_clear(self, fault=None):
        self.rpc.faults.clear(fault)

    def cmd_down(self):
        self.server.down()

    def cmd_up(self):
        self.server.up()

    def cmd_clock(self, offset_seconds):
        self.site.database.clock_offset = float(offset_seconds)

    def cmd_counts(self):
        with self.rpc.lock:
            return {
                "counts": {
                    name: {"calls": n, "ids": self.rpc.ids[name]}
                    for name, n in self.rpc.counts.items()
                }
            }

    def cmd_log(self, call=None, since=0):
        with self.rpc.lock:
            return {
                "log": [e for e in self.rpc.log[since:] if call in (None, e["call"])],
                "next": len(self.rpc.log),
            }

    def cmd_reset_log(self):
        self.rpc.reset_log()

    def cmd_ping(self):
        return {"now": stamp(self.site.database.now())}


def perform_all(orm, operations):
    results = []
    for operation in operations:
        results.append(perform(orm, operation, results))
    return results


def perform(orm, operation, results):
    """["create", model, values], ["write", model, ids, values], ["unlink", model, ids] or
    ["call", model, method, ids]; "$2" stands for the id that operation 2 (from 0) created."""
    kind, model, *rest = substitute(operation, results)
    if kind == "create":
        values = rest[0]
        return (
            [orm.create(model, v) for v in values]
            if isinstance(values, list)
            else orm.create(model, values)
        )
    if kind == "call":
        return odoo_site.change(orm, model, rest[0], [rest[1]], {})
    if kind in ("write", "unlink"):
        return odoo_site.change(orm, model, kind, rest, {})
    raise ControlError(f"unknown operation {kind!r}: create, write, unlink or call")


def substitute(value, results):
    if isinstance(value, str) and value.startswith("$") and value[1:].isdigit():
        return results[int(value[1:])]
    if isinstance(value, list):
        return [substitute(v, results) for v in value]
    if isinstance(value, dict):
        return {k: substitute(v, results) for k, v in value.items()}
    return value

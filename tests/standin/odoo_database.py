"""An in-memory database with the visibility rules that matter to a broker.

A transaction sees what was committed and its own writes; others see its writes at commit, not
before. All its rows carry its START time as write_date, in microseconds. Two transactions that
write one row: the second waits for the first, then fails to serialize, as PostgreSQL does under
REPEATABLE READ.
Datetimes are text, "2026-11-21 22:05:44.665782", without a fraction when it is zero: text order is
time order.
"""

import bisect
import datetime
import threading
import time

from odoo_errors import LockNotAvailable, SerializationFailure

LOCK_WAIT_SECONDS = 10.0


class Table:
    def __init__(self):
        self.rows = {}
        self.sequences = {}  # id -> number of the commit that wrote the row
        self.last_id = 0
        self._sorted = []

    def sorted_ids(self):
        if self._sorted is None:
            self._sorted = sorted(self.rows)
        return self._sorted

    def apply(self, record_id, row, commit):
        fresh = record_id not in self.rows
        if row is None:
            if not fresh:
                del self.rows[record_id]
                self._sorted = None
        else:
            self.rows[record_id] = row
            if fresh and self._sorted is not None:
                if not self._sorted or self._sorted[-1] < record_id:
                    self._sorted.append(record_id)
                else:
                    self._sorted = None
        self.sequences[record_id] = commit


class Database:
    def __init__(self, models):
        self.models = models
        self.lock = threading.RLock()
        self.released = threading.Condition(self.lock)
        self.tables = {model: Table() for model in models}
        self.reverse = {}  # (model, many2one) -> {target: set of ids}
        self.inverses = {}  # model -> many2ones that some one2many follows back
        for fields in models.values():
            for field in fields.values():
                if field.type == "one2many":
                    self.reverse[(field.relation, field.inverse)] = {}
                    self.inverses.setdefault(field.relation, set()).add(field.inverse)
        self.locks = {}  # (model, id) -> transaction
        self.commits = 0
        self.clock_offset = 0.0

    def now(self):
        return time.time() + self.clock_offset

    def next_id(self, model):
        """Sequences do not roll back, as in PostgreSQL."""
        with self.lock:
            self.tables[model].last_id += 1
            return self.tables[model].last_id

    def begin(self, start=None):
        return Transaction(self, start or stamp(self.now()))

    def apply(self, model, record_id, row):
        table = self.tables[model]
        old = table.rows.get(record_id)
        for inverse in self.inverses.get(model, ()):
            index = self.reverse[(model, inverse)]
            if old and old.get(inverse):
                index.get(old[inverse], set()).discard(record_id)
            if row and row.get(inverse):
                index.setdefault(row[inverse], set()).add(record_id)
        table.apply(record_id, row, self.commits)
        table.last_id = max(table.last_id, record_id)


class Transaction:
    def __init__(self, database, start):
        self.database, self.start = database, start
        self.seen = database.commits
        self.overlay = {}  # model -> {id: row, or None when deleted}
        self.ended = False

    def get(self, model, record_id):
        overlay = self.overlay.get(model)
        if overlay is not None and record_id in overlay:
            return overlay[record_id]
        return self.database.tables[model].rows.get(record_id)

    def ids(self, model, above=0):
        """Ids in order, greater than `above`."""
        with self.database.lock:
            committed = self.database.tables[model].sorted_ids()
            committed = committed[bisect.bisect_right(committed, above) :]
        overlay = self.overlay.get(model)
        if not overlay:
            return committed
        ids = {i for i in committed if i not in overlay}
        ids.update(i for i, row in overlay.items() if row is not None and i > above)
        return sorted(ids)

    def referring(self, model, field, target):
        """Ids of `model` whose many2one `field` is `target`, in id order."""
        with self.database.lock:
            ids = set(self.database.reverse[(model, field)].get(target, ()))
        for record_id, row in self.overlay.get(model, {}).items():
            if row is not None and row.get(field) == target:
                ids.add(record_id)
            else:
                ids.discard(record_id)
        return sorted(ids)

    def put(self, model, record_id, row):
        """Writes or (None) deletes a row. Waits for a transaction that has it locked."""
        key = (model, record_id)
        database = self.database
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        with database.lock:
            while database.locks.get(key, self) is not self:
                left = deadline - time.monotonic()
                if left <= 0 or not database.released.wait(left):
                    raise LockNotAvailable()
            if database.tables[model].sequences.get(record_id, 0) > self.seen:
                raise SerializationFailure()
            database.locks[key] = self
            self.overlay.setdefault(model, {})[record_id] = row

    def commit(self):
        database = self.database
        with database.lock:
            database.commits += 1
            for model, rows in self.overlay.items():
                for record_id, row in rows.items():
                    database.apply(model, record_id, row)
            self._release()

    def rollback(self):
        with self.database.lock:
            self._release()

    def _release(self):
        locks = self.database.locks
        for model, rows in self.overlay.items():
            for record_id in rows:
                locks.pop((model, record_id), None)
        self.overlay = {}
        self.ended = True
        self.database.released.notify_all()


def stamp(moment):
    """Seconds since 1970 as the text PostgreSQL shows in UTC."""
    text = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime(
        "%Y-%m-%d %H:%M:%S.%f"
    )
    return text[:-7] if text.endswith(".000000") else text

"""One Odoo: its database, users, record rules, hooks, and the transactions that calls run in."""

import random
import time

import odoo_business
from odoo_database import Database, stamp
from odoo_errors import (
    AccessDenied,
    AccessError,
    LockNotAvailable,
    OdooError,
    PythonError,
    SerializationFailure,
)
from odoo_hooks import Hooks
from odoo_models import load_models
from odoo_orm import Orm

TRIES_MAX = 5  # as in Odoo's service/model.py
# As the first warehouse of an Odoo has them: 4 vendors, 5 customers, 8 its stock.
LOCATIONS = [
    ("Physical Locations", "Physical Locations", "view"),
    ("Partners", "Partners", "view"),
    ("Virtual Locations", "Virtual Locations", "view"),
    ("Vendors", "Partners/Vendors", "supplier"),
    ("Customers", "Partners/Customers", "customer"),
    ("Inter-company transit", "Physical Locations/Inter-company transit", "transit"),
    ("WH", "WH", "view"),
    ("Stock", "WH/Stock", "internal"),
    ("Production", "Virtual Locations/Production", "production"),
    ("Inventory adjustment", "Virtual Locations/Inventory adjustment", "inventory"),
]
WRITING = {"create", "write", "unlink"}


class Site:
    def __init__(self, database_name="test", login="broker", password="broker-key"):
        self.name = database_name
        self.database = Database(load_models())
        self.hooks = Hooks()
        self.forbidden = set()  # (model, id) hidden by a record rule
        self.denied = set()  # (model, operation) without an access right
        self.poison = {}  # (model, id) -> (exception name, message) raised by any read of it
        self.languages = {"en_US"}  # active ones
        self.wizards = set()  # (model, id) whose business methods answer a wizard
        self.users = {2: {"login": login, "password": password, "company_ids": [1]}}
        self.fill()

    def fill(self):
        for model, rows in {
            "res.currency": [{"name": "EUR", "symbol": "€"}],
            "res.company": [{"name": "Lyon", "currency_id": 1}],
            "res.country": [{"name": "Germany", "code": "DE"}, {"name": "France", "code": "FR"}],
            "uom.uom": [{"name": "Units"}, {"name": "kg"}],
            "product.category": [{"name": "All", "complete_name": "All"}],
            "stock.warehouse": [{"name": "Main", "code": "WH", "company_id": 1}],
            "stock.location": [
                {"name": name, "complete_name": complete, "usage": usage}
                for name, complete, usage in LOCATIONS
            ],
            "stock.picking.type": [
                {"name": "Receipts", "code": "incoming"},
                {"name": "Delivery Orders", "code": "outgoing"},
            ],
            "res.users": [
                {"name": "System", "login": "__system__"},
                {
                    "name": "Broker",
                    "login": self.users[2]["login"],
                    "company_id": 1,
                    "company_ids": [[6, 0, [1]]],
                },
            ],
        }.items():
            self.run(lambda orm, m=model, r=rows: [orm.create(m, values) for values in r])

    def user(self, uid):
        return self.users.get(uid, {"company_ids": [1], "login": "", "password": None})

    def check(self, database, uid, password):
        if database != self.name:
            raise missing_database(database)
        if self.user(uid)["password"] != password:
            raise AccessDenied()

    def authenticate(self, database, login, password):
        """uid, or False. A success is recorded with the database's clock, as res.users.log does."""
        if database != self.name:
            raise missing_database(database)
        for uid, user in self.users.items():
            if user["login"] == login and user["password"] == password:
                with self.database.lock:
                    row = self.database.tables["res.users"].rows[uid]
                    row["login_date"] = stamp(self.database.now())
                return uid
        return False

    def run(self, work, start=None, context=None, user=2):
        """Runs `work` in its own transaction; a concurrency failure repeats it, hooks and all."""
        for attempt in range(1, TRIES_MAX + 1):
            transaction = self.database.begin(start)
            orm = Orm(self, transaction, context, user)
            try:
                result = work(orm)
                transaction.commit()
                return result
            except (SerializationFailure, LockNotAvailable):
                transaction.rollback()
                if attempt == TRIES_MAX:
                    raise
                time.sleep(random.uniform(0, 0.02 * 2**attempt))
            except BaseException:
                transaction.rollback()
                raise

    def call(self, uid, model, method, args, kwargs):
        """execute_kw: one call, one transaction."""
        args, kwargs = list(args), dict(kwargs or {})
        context = kwargs.pop("context", None) or {}
        if model not in self.database.models:
            Orm(self, None).fields(model)
        if method in WRITING or (model, method) in odoo_business.METHODS:
            return self.run(
                lambda orm: change(orm, model, method, args, kwargs), None, context, uid
            )
        if method.startswith("_"):
            raise AccessError(
                f"Private methods (such as '{model}.{method}') cannot be called remotely."
            )
        if method not in READS:
            raise PythonError("AttributeError", f"The method '{model}.{method}' does not exist")
        with self.database.lock:  # one snapshot for the whole call
            orm = Orm(self, self.database.begin(), context, uid)
            try:
                return READS[method](orm, model, *args, **kwargs)
            except TypeError as problem:
                raise PythonError("TypeError", str(problem)) from problem


def missing_database(name):
    return OdooError(
        f'connection to server at "127.0.0.1", port 5432 failed: FATAL:  database "{name}" does '
        "not exist\n",
        "psycopg2.OperationalError",
    )


def change(orm, model, method, args, kwargs):
    if method == "create":
        values = args[0] if args else kwargs["vals_list"]
        if isinstance(values, list):
            return [orm.create(model, one) for one in values]
        return orm.create(model, values)
    ids = args[0] if isinstance(args[0], list) else [args[0]]
    if method == "write":
        return orm.write(model, ids, args[1] if len(args) > 1 else kwargs["vals"])
    if method == "unlink":
        return orm.unlink(model, ids)
    return odoo_business.METHODS[(model, method)](orm, ids)


def over_rpc(field, value):
    """RPC shows whole seconds, truncated, and false for everything empty."""
    if field.type == "datetime" and value:
        return value[:19]
    return False if value is None else value


def read_rows(orm, model, rows, names, load):
    fields = [orm.field(model, n) for n in names] if names else list(orm.fields(model).values())
    orm.check_language(model, fields)
    answer = []
    for row in rows:
        if (model, row["id"]) in orm.site.poison:
            name, message = orm.site.poison[(model, row["id"])]
            raise OdooError(message, name)
        values = {"id": row["id"]}
        for field in fields:
            value = over_rpc(field, orm.value(model, row, field))
            if field.type == "many2one" and value and load == "_classic_read":
                target = orm.transaction.get(field.relation, value)
                value = [value, orm.display_name(field.relation, target) if target else False]
            values[field.name] = value
        answer.append(values)
    return answer


def read(orm, model, ids, fields=None, load="_classic_read"):
    for name in fields or ():
        orm.field(model, name)
    ids = ids if isinstance(ids, list) else [ids]
    if fields == ["id"]:
        return [{"id": i} for i in ids]  # as measured: no column, no look at the table
    return read_rows(orm, model, orm.existing(model, ids), fields, load)


def search(orm, model, domain, offset=0, limit=None, order=None):
    return orm.search(model, domain, offset, limit, order)


def search_count(orm, model, domain, limit=None):
    return len(orm.search(model, domain, 0, limit))


def search_read(
    orm, model, domain=None, fields=None, offset=0, limit=None, order=None, load="_classic_read"
):
    ids = orm.search(model, domain, offset, limit, order)
    return read(orm, model, ids, fields, load)


def fields_get(orm, model, allfields=None, attributes=None):
    answer = {}
    for name, field in orm.fields(model).items():
        if not allfields or name in allfields:
            about = field.description()
            answer[name] = {k: v for k, v in about.items() if not attributes or k in attributes}
    return answer


def check_access_rights(orm, model, operation, raise_exception=True):
    try:
        orm.check_access(model, operation)
    except AccessError:
        if raise_exception:
            raise
        return False
    return True


READS = {
    "read": read,
    "search": search,
    "search_count": search_count,
    "search_read": search_read,
    "fields_get": fields_get,
    "check_access_rights": check_access_rights,
}

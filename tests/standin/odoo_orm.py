"""What a broker can see of Odoo's ORM: read, search, create, write, unlink, in a transaction."""

import odoo_domain
from odoo_errors import AccessError, MissingError, PythonError, UserError
from odoo_models import DEFAULTS, DESCRIPTIONS, EMPTY

# Writing these recomputes stored amounts of the order, so the order is written too.
LINE_AMOUNT_FIELDS = {"product_uom_qty", "price_unit", "discount"}
TEMPLATE_FOLLOWED = {"name", "type", "list_price", "uom_id", "categ_id", "active"}


class Orm:
    """One transaction's view for one user. `site` holds what outlives them (odoo_site)."""

    def __init__(self, site, transaction, context=None, user=2):
        self.site, self.transaction = site, transaction
        self.context, self.user = context or {}, user
        self.hooks_sent = []
        self.creating = set()  # (model, id) whose create is under way: one hook, not one per line

    # -- looking -------------------------------------------------------------------------------
    def fields(self, model):
        try:
            return self.site.database.models[model]
        except KeyError:
            raise UserError(f"Object {model} doesn't exist") from None

    def field(self, model, name):
        field = self.fields(model).get(name)
        if field is None:
            raise PythonError("ValueError", f"Invalid field {name!r} on model {model!r}")
        return field

    def value(self, model, row, field):
        """A field's value in storage form: microseconds, many2one as id, x2many as ids."""
        if field.path:
            relation, name = field.path
            target = row.get(relation) and self.transaction.get(
                self.field(model, relation).relation, row[relation]
            )
            if not target:
                return EMPTY.get(field.type, False)
            comodel = self.field(model, relation).relation
            return self.value(comodel, target, self.field(comodel, name))
        if field.name == "display_name":
            return self.display_name(model, row)
        if field.type == "one2many":
            ids = self.transaction.referring(field.relation, field.inverse, row["id"])
            return self.active_only(field.relation, ids)
        if field.type == "many2many":
            return self.active_only(field.relation, row.get(field.name) or [])
        if field.translate:
            language = self.context.get("lang")
            if language and row.get(f"{field.name}@{language}"):
                return row[f"{field.name}@{language}"]
        return row.get(field.name, EMPTY.get(field.type, False))

    def active_only(self, model, ids):
        if self.context.get("active_test") is False or "active" not in self.fields(model):
            return list(ids)
        return [i for i in ids if (self.transaction.get(model, i) or {}).get("active", True)]

    def display_name(self, model, row):
        if model == "product.product":
            name = self.value(model, row, self.field(model, "name"))
            return f"[{row['default_code']}] {name}" if row.get("default_code") else name
        return row.get("name") or f"{model},{row['id']}"

    def companies(self):
        allowed = self.site.user(self.user)["company_ids"]
        asked = self.context.get("allowed_company_ids")
        if not asked:
            return set(allowed)
        if set(asked) - set(allowed):
            raise AccessError("Access to unauthorized or invalid companies.")
        return set(asked)

    def visible(self, model, row, companies):
        field = self.fields(model).get("company_id")
        if field is not None and model != "res.users":
            company = self.value(model, row, field)
            if company and company not in companies:
                return False
        return (model, row["id"]) not in self.site.forbidden

    def check_access(self, model, operation="read"):
        if (model, operation) in self.site.denied:
            verb = {"read": "access", "write": "modify", "create": "create", "unlink": "delete"}[
                operation
            ]
            raise AccessError(
                f"You are not allowed to {verb} '{DESCRIPTIONS.get(model, model)}' ({model}) "
                "records.\n\n"
                "No group currently allows this operation.\n\n"
                "Contact your administrator to request access if necessary."
            )

    def record_error(self, model, ids, operation="read"):
        """Odoo's refusal of a whole call because a record rule hides some of its records."""
        del ids
        return AccessError(
            "Uh-oh! Looks like you have stumbled upon some top-secret records.\n\n"
            f"Sorry, Broker (id={self.user}) doesn't have '{operation}' access to:\n"
            f"- {DESCRIPTIONS.get(model, model)} ({model})\n\n"
            "If you really, really need access, perhaps you can win over your friendly "
            "administrator with a batch of freshly baked cookies."
        )

    def missing(self, model, record_id):
        return MissingError(
            "Record does not exist or has been deleted.\n"
            f"(Record: {model}({record_id},), User: {self.user})"
        )

    def check_language(self, model, fields):
        """Translated fields, and users and partners, are read in the context's language."""
        language = self.context.get("lang")
        if not language or language in self.site.languages:
            return
        if model in ("res.users", "res.partner") or any(field.translate for field in fields):
            raise UserError(f"Invalid language code: {language}")

    def existing(self, model, ids):
        """(id, row) of those that exist, in the order asked; the rule check is for all of them."""
        self.check_access(model)
        companies = self.companies()
        found, seen = [], set()
        for record_id in ids:
            row = self.transaction.get(model, record_id)
            if row is not None and record_id not in seen:
                seen.add(record_id)
                found.append(row)
        hidden = [row["id"] for row in found if not self.visible(model, row, companies)]
        if hidden:
            raise self.record_error(model, hidden)
        return found

    def search(self, model, domain, offset=0, limit=None, order=None):
        self.check_access(model)
        domain = [list(t) if not isinstance(t, str) else t for t in domain or []]
        test = odoo_domain.compile_domain(domain, self, model)
        companies = self.companies()
        wants_active = (
            "active" in self.fields(model)
            and self.context.get("active_test", True)
            and not odoo_domain.mentions(domain, "active")
        )
        keys = order_keys(order or "id")
        by_id = keys == [("id", False)]
        enough = offset + limit if limit and by_id else None
        rows = []
        for record_id in self.transaction.ids(model, odoo_domain.lower_bound(domain)):
            row = self.transaction.get(model, record_id)
            if row is None or (wants_active and not row.get("active")):
                continue
            if test(row) and self.visible(model, row, companies):
                rows.append(row)
                if enough and len(rows) >= enough:
                    break
        if not by_id:
            for name, descending in reversed(keys):
                field = self.field(model, name)
                rows.sort(
                    key=lambda r, f=field: sortable(self.value(model, r, f)), reverse=descending
                )
        return [row["id"] for row in rows[offset : offset + limit if limit else None]]

    # -- changing ------------------------------------------------------------------------------
    def create(self, model, values):
        self.check_access(model, "create")
        values = dict(values)
        self.check_values(model, values)
        if model == "product.product" and not values.get("product_tmpl_id"):
            template = {k: v for k, v in values.items() if k in TEMPLATE_FOLLOWED}
            values["product_tmpl_id"] = self.create("product.template", template)
        record_id = self.site.database.next_id(model)
        row = self.blank_row(model, record_id)
        if values.get("picking_type_code") == "incoming":
            row["name"] = f"WH/IN/{record_id:05d}"
        commands = self.assign(model, row, values)
        row["create_date"] = row["write_date"] = self.transaction.start
        self.transaction.put(model, record_id, row)
        self.creating.add((model, record_id))
        for field, command in commands:
            self.apply_one2many(field, record_id, command)
        self.creating.discard((model, record_id))
        if model == "purchase.order.line" and row["order_id"]:
            order = self.transaction.get("purchase.order", row["order_id"])
            self.touch(model, record_id, partner_id=order["partner_id"])
        if model == "res.partner" and not row.get("commercial_partner_id"):
            row["commercial_partner_id"] = row["parent_id"] or record_id
        if model == "sale.order.line":
            self.recompute_line(record_id)
        self.ring("create", model, record_id, None, set(values))
        return record_id

    def blank_row(self, model, record_id):
        row = {"id": record_id}
        for field in self.fields(model).values():
            if field.stored and field.name not in ("id", "write_date", "create_date"):
                empty = EMPTY.get(field.type, False)
                row[field.name] = list(empty) if isinstance(empty, list) else empty
        if "active" in row:
            row["active"] = True
        if model == "sale.order":
            row["date_order"] = self.transaction.start[:19]
        for name, value in DEFAULTS.get(model, {}).items():
            row[name] = value.format(id=record_id) if isinstance(value, str) else value
        return row

    def check_values(self, model, values):
        for name in values:
            self.field(model, name)
        if model == "sale.order" and values.get("partner_id") is False:
            raise UserError("A sale order needs a customer.")

    def assign(self, model, row, values):
        """Puts plain values into the row; returns the one2many commands, which need its id."""
        later = []
        for name, value in values.items():
            field = self.field(model, name)
            if field.type == "one2many":
                later.append((field, value))
            elif field.type == "many2many":
                row[name] = many2many(row.get(name) or [], value)
            elif field.path:
                relation, target = field.path
                comodel = self.field(model, relation).relation
                if row.get(relation) and self.value(model, row, field) != value:
                    self.write(comodel, [row[relation]], {target: value})
            elif field.translate and self.context.get("lang", "en_US") != "en_US" and row.get(name):
                row[f"{name}@{self.context['lang']}"] = value
            elif field.type in ("float", "monetary") and value is not False:
                row[name] = float(value)
            elif field.type == "datetime" and name not in ("create_date", "write_date"):
                row[name] = value[:19] if value else False
            elif value == "" and field.type in ("char", "text", "html"):
                row[name] = ""  # stored as it is, and read as ''
            else:
                row[name] = EMPTY.get(field.type, False) if value in (None, "") else value
        return later

    def write(self, model, ids, values):
        self.check_access(model, "write")
        self.check_values(model, values)
        companies = self.companies()
        rung = []
        for record_id in ids:
            old = self.transaction.get(model, record_id)
            if old is None:
                raise self.missing(model, record_id)
            if not self.visible(model, old, companies):
                raise self.record_error(model, [record_id], "write")
            row = dict(old)
            commands = self.assign(model, row, values)
            row["write_date"] = self.transaction.start
            self.transaction.put(model, record_id, row)
            for field, command in commands:
                self.apply_one2many(field, record_id, command)
            if model == "sale.order.line" and LINE_AMOUNT_FIELDS & set(values):
                self.recompute_line(record_id)
            changed = {n for n in values if row.get(n) != old.get(n)}
            rung.append((record_id, old, changed))
        for record_id, old, changed in rung:
            self.ring("write", model, record_id, old, changed)
        if model == "product.template" and TEMPLATE_FOLLOWED & set(values):
            for template in ids:
                for variant in self.transaction.referring(
                    "product.product", "product_tmpl_id", template
                ):
                    self.touch("product.product", variant)
        return True

    def touch(self, model, record_id, **values):
        """A write by recomputation: moves write_date, sends no hook."""
        row = self.transaction.get(model, record_id)
        self.transaction.put(
            model, record_id, {**row, **values, "write_date": self.transaction.start}
        )

    def unlink(self, model, ids):
        self.check_access(model, "unlink")
        for record_id in ids:
            row = self.transaction.get(model, record_id)
            if row is None:
                raise self.missing(model, record_id)
            self.ring("unlink", model, record_id, row, set())
            for field in self.fields(model).values():
                if field.type == "one2many" and field.relation in (
                    "sale.order.line",
                    "mrp.bom.line",
                ):
                    self.unlink(
                        field.relation,
                        self.transaction.referring(field.relation, field.inverse, record_id),
                    )
            self.transaction.put(model, record_id, None)
            if model == "sale.order.line":
                self.recompute_order(row["order_id"])
        return True

    def apply_one2many(self, field, owner, commands):
        for command in commands:
            kind = command[0]
            if kind == 0:
                self.create(field.relation, {**command[2], field.inverse: owner})
            elif kind == 1:
                self.write(field.relation, [command[1]], command[2])
            elif kind == 2:
                self.unlink(field.relation, [command[1]])
            elif kind == 3:
                self.write(field.relation, [command[1]], {field.inverse: False})
            elif kind == 4:
                self.write(field.relation, [command[1]], {field.inverse: owner})
            elif kind == 6:
                for record_id in command[2]:
                    self.write(field.relation, [record_id], {field.inverse: owner})

    def recompute_line(self, line):
        row = dict(self.transaction.get("sale.order.line", line))
        total = round(row["product_uom_qty"] * row["price_unit"] * (1 - row["discount"] / 100), 2)
        row["price_subtotal"] = row["price_total"] = total
        self.transaction.put("sale.order.line", line, row)
        self.recompute_order(row["order_id"])

    def recompute_order(self, order):
        if not order or self.transaction.get("sale.order", order) is None:
            return
        lines = self.transaction.referring("sale.order.line", "order_id", order)
        total = round(
            sum(self.transaction.get("sale.order.line", i)["price_subtotal"] for i in lines), 2
        )
        old = self.transaction.get("sale.order", order)
        self.touch("sale.order", order, amount_untaxed=total, amount_total=total)
        if old["amount_total"] != total:
            self.ring("write", "sale.order", order, old, {"amount_untaxed", "amount_total"})

    def ring(self, operation, model, record_id, old, changed):
        if (model, record_id) in self.creating:
            return
        self.site.hooks.ring(self, operation, model, record_id, old, changed)


def many2many(current, commands):
    ids = list(current)
    for command in commands or []:
        if not isinstance(command, (list, tuple)):
            return list(commands)
        if command[0] == 6:
            ids = list(command[2])
        elif command[0] == 4 and command[1] not in ids:
            ids.append(command[1])
        elif command[0] == 3 and command[1] in ids:
            ids.remove(command[1])
        elif command[0] == 5:
            ids = []
    return ids


def order_keys(order):
    keys = []
    for part in order.split(","):
        words = part.split()
        name = words[0][:-3] if words[0].endswith(".id") else words[0]
        keys.append((name, len(words) > 1 and words[1].lower() == "desc"))
    return keys


def sortable(value):
    return (value is False or value is None, "" if value in (False, None) else value)

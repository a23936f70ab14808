"""Odoo domains over stored values: a list of terms and the prefix operators &, | and !."""

import re

from odoo_errors import PythonError

OPERATORS = {
    "=",
    "!=",
    ">",
    ">=",
    "<",
    "<=",
    "in",
    "not in",
    "like",
    "ilike",
    "not like",
    "not ilike",
    "=like",
    "=ilike",
}


def normal_datetime(value):
    """A domain's datetime as the database compares it: full precision, no empty fraction."""
    if not isinstance(value, str):
        return value
    value = value.replace("T", " ").rstrip("Z")
    if len(value) == 10:
        value += " 00:00:00"
    return re.sub(r"\.(\d*?)0*$", lambda m: "." + m.group(1) if m.group(1) else "", value)


def compare(left, operator, right):
    empty = right is False or right is None
    if operator == "=":
        return not left if empty else left == right
    if operator == "!=":
        return bool(left) if empty else left != right
    if operator in ("in", "not in"):
        values = right if isinstance(right, list) else [right]
        found = left in values if not isinstance(left, list) else any(x in values for x in left)
        if left in (False, None, "") and any(v is False or v is None for v in values):
            found = True
        return found == (operator == "in")
    if operator in (">", ">=", "<", "<="):
        if left is False or left is None or empty:
            return False
        return {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[
            operator
        ]
    return matches_text(left, operator, right)


def matches_text(left, operator, right):
    negative = operator.startswith("not ")
    kind = operator[4:] if negative else operator
    text, pattern = str(left or ""), str(right)
    if "ilike" in kind:
        text, pattern = text.lower(), pattern.lower()
    if kind.startswith("="):
        expression = re.escape(pattern).replace("%", ".*").replace("_", ".")
        found = re.fullmatch(expression, text, re.S) is not None
    else:
        found = pattern in text
    return found != negative


def compile_domain(domain, orm, model):
    """A predicate of a row. Raises what Odoo raises for unknown fields and operators."""
    stack = []
    for term in reversed(domain):
        if term in ("&", "|"):
            first, second = stack.pop(), stack.pop()
            stack.append(both(first, second) if term == "&" else either(first, second))
        elif term == "!":
            stack.append(negation(stack.pop()))
        else:
            stack.append(compile_term(term, orm, model))
    return lambda row: all(test(row) for test in stack)


def both(first, second):
    return lambda row: first(row) and second(row)


def either(first, second):
    return lambda row: first(row) or second(row)


def negation(test):
    return lambda row: not test(row)


def compile_term(term, orm, model):
    name, operator, value = term
    if operator not in OPERATORS:
        raise PythonError(
            "ValueError", f"Invalid operator {operator!r} in domain term {tuple(term)!r}"
        )
    first, _, rest = str(name).partition(".")
    field = orm.fields(model).get(first)
    if field is None:
        raise PythonError("ValueError", f"Invalid field {model}.{first} in leaf {tuple(term)!r}")
    if rest:
        inner = compile_term([rest, operator, value], orm, field.relation)
        return lambda row: any(inner(target) for target in targets(orm, model, row, field))
    if field.type == "many2one" and value == 0:
        value = False  # Odoo takes 0 for "none" here: ["order_id", ">", 0] finds nothing
    if field.type == "datetime":
        value = (
            [normal_datetime(v) for v in value]
            if isinstance(value, list)
            else normal_datetime(value)
        )
    if field.stored and field.type != "many2many":
        if field.name == "id" or not field.translate:
            return lambda row: compare(row.get(first, False), operator, value)
    return lambda row: compare(orm.value(model, row, field), operator, value)


def targets(orm, model, row, field):
    ids = orm.value(model, row, field)
    for target in ids if isinstance(ids, list) else [ids]:
        found = target and orm.transaction.get(field.relation, target)
        if found:
            yield found


def lower_bound(domain):
    """N when the whole domain demands id > N: lets a search start in the middle."""
    bound = 0
    if any(term in ("|", "!") for term in domain if isinstance(term, str)):
        return 0
    for term in domain:
        if not isinstance(term, str) and term[0] == "id" and term[1] == ">":
            bound = max(bound, term[2])
    return bound


def mentions(domain, field):
    return any(not isinstance(term, str) and term[0] == field for term in domain)

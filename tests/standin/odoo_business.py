"""The business methods routes and scenarios call, with Odoo's refusals."""

from odoo_errors import UserError


def rows_of(orm, model, ids):
    return [row for row in (orm.transaction.get(model, i) for i in ids) if row is not None]


def wizard(orm, model, ids):
    """An action dict instead of the work, for records a test marked: HTTP 200 proves nothing."""
    if any((model, i) in orm.site.wizards for i in ids):
        return {
            "type": "ir.actions.act_window",
            "name": "Confirm",
            "res_model": "confirm.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"active_ids": list(ids)},
        }
    return None


def sale_order_confirm(orm, ids):
    for row in rows_of(orm, "sale.order", ids):
        if row["state"] not in ("draft", "sent"):
            raise UserError("Some orders are not in a state requiring confirmation.")
    for record_id in ids:
        orm.write("sale.order", [record_id], {"state": "sale", "date_order": orm.transaction.start})
        make_delivery(orm, record_id)
    return True


def make_delivery(orm, order_id):
    order = orm.transaction.get("sale.order", order_id)
    goods = []
    for line_id in orm.transaction.referring("sale.order.line", "order_id", order_id):
        line = orm.transaction.get("sale.order.line", line_id)
        product = line["product_id"] and orm.transaction.get("product.product", line["product_id"])
        if (
            product
            and orm.value("product.product", product, orm.field("product.product", "type"))
            == "consu"
        ):
            goods.append((line_id, line))
    if not goods:
        return
    origin = order["name"] + (
        f" - {order['client_order_ref']}" if order["client_order_ref"] else ""
    )
    orm.create(
        "stock.picking",
        {
            "partner_id": order["partner_id"],
            "origin": origin,
            "sale_id": order_id,
            "state": "assigned",
            "company_id": order["company_id"],
            "scheduled_date": orm.transaction.start,
            "move_ids": [
                [
                    0,
                    0,
                    {
                        "name": line["name"] or "",
                        "product_id": line["product_id"],
                        "product_uom_qty": line["product_uom_qty"],
                        "product_uom": line["product_uom"],
                        "sale_line_id": line_id,
                        "state": "assigned",
                        "company_id": order["company_id"],
                    },
                ]
                for line_id, line in goods
            ],
        },
    )


def sale_order_cancel(orm, ids):
    for row in rows_of(orm, "sale.order", ids):
        if row["locked"]:
            raise UserError("You cannot cancel a locked order. Please unlock it first.")
    orm.write("sale.order", ids, {"state": "cancel"})
    for record_id in ids:
        for picking in orm.transaction.referring("stock.picking", "sale_id", record_id):
            if orm.transaction.get("stock.picking", picking)["state"] != "done":
                orm.write("stock.picking", [picking], {"state": "cancel"})
    return True


def sale_order_draft(orm, ids):
    orm.write("sale.order", ids, {"state": "draft"})
    return True


def sale_order_lock(orm, ids):
    orm.write("sale.order", ids, {"locked": True})  # and returns None: an answer without `result`


def production_confirm(orm, ids):
    for row in rows_of(orm, "mrp.production", ids):
        moves = []
        if row["bom_id"]:
            for line_id in orm.transaction.referring("mrp.bom.line", "bom_id", row["bom_id"]):
                line = orm.transaction.get("mrp.bom.line", line_id)
                moves.append(
                    [
                        0,
                        0,
                        {
                            "product_id": line["product_id"],
                            "state": "confirmed",
                            "product_uom_qty": line["product_qty"] * row["product_qty"],
                            "product_uom": line["product_uom_id"],
                        },
                    ]
                )
        orm.write("mrp.production", [row["id"]], {"state": "confirmed", "move_raw_ids": moves})
    return True


def production_done(orm, ids):
    for row in rows_of(orm, "mrp.production", ids):
        if row["state"] in ("draft", "cancel", "done"):
            raise UserError("You can only process confirmed manufacturing orders.")
    action = wizard(orm, "mrp.production", ids)
    if action:
        return action
    for row in rows_of(orm, "mrp.production", ids):
        orm.write(
            "mrp.production",
            [row["id"]],
            {
                "state": "done",
                "qty_produced": row["qty_producing"] or row["product_qty"],
                "date_finished": orm.transaction.start,
            },
        )
        for move in orm.transaction.referring(
            "stock.move", "raw_material_production_id", row["id"]
        ):
            quantity = orm.transaction.get("stock.move", move)["product_uom_qty"]
            orm.write("stock.move", [move], {"state": "done", "quantity": quantity})
    return True


def picking_validate(orm, ids):
    for row in rows_of(orm, "stock.picking", ids):
        if row["state"] in ("draft", "cancel", "done"):
            raise UserError("You cannot validate a transfer in this state.")
    action = wizard(orm, "stock.picking", ids)
    if action:
        return action
    for record_id in ids:
        orm.write(
            "stock.picking", [record_id], {"state": "done", "date_done": orm.transaction.start}
        )
        for move in orm.transaction.referring("stock.move", "picking_id", record_id):
            quantity = orm.transaction.get("stock.move", move)["product_uom_qty"]
            orm.write("stock.move", [move], {"state": "done", "quantity": quantity})
    return True


METHODS = {
    ("sale.order", "action_confirm"): sale_order_confirm,
    ("sale.order", "action_cancel"): sale_order_cancel,
    ("sale.order", "action_draft"): sale_order_draft,
    ("sale.order", "action_lock"): sale_order_lock,
    ("mrp.production", "action_confirm"): production_confirm,
    ("mrp.production", "button_mark_done"): production_done,
    ("stock.picking", "button_validate"): picking_validate,
}

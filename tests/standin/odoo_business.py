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
    picking = {
        "partner_id": order["partner_id"],
        "origin": origin,
        "sale_id": order_id,
        "company_id": order["company_id"],
    }
    make_picking(
        orm,
        picking,
        [
            {
                "name": line["name"] or "",
                "product_id": line["product_id"],
                "product_uom_qty": line["product_uom_qty"],
                "product_uom": line["product_uom"],
                "sale_line_id": line_id,
            }
            for line_id, line in goods
        ],
    )


def make_picking(orm, values, moves):
    """A transfer that is ready. `quantity` of a move that is not done is what is reserved."""
    values = {"state": "assigned", "scheduled_date": orm.transaction.start, **values}
    picking = orm.create("stock.picking", values)
    row = orm.transaction.get("stock.picking", picking)
    for move in moves:
        orm.create(
            "stock.move",
            {
                "picking_id": picking,
                "state": "assigned",
                "quantity": move["product_uom_qty"],
                "reference": row["name"],
                "origin": row["origin"],
                "location_id": row["location_id"],
                "location_dest_id": row["location_dest_id"],
                "company_id": row["company_id"],
                "date": orm.transaction.start,
                **move,
            },
        )
    return picking


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
        common = {
            "state": "confirmed",
            "reference": row["name"],
            "origin": row["name"],
            "company_id": row["company_id"],
            "date": orm.transaction.start,
        }
        raw = []
        if row["bom_id"]:
            for line_id in orm.transaction.referring("mrp.bom.line", "bom_id", row["bom_id"]):
                line = orm.transaction.get("mrp.bom.line", line_id)
                move = {
                    **common,
                    "product_id": line["product_id"],
                    "product_uom_qty": line["product_qty"] * row["product_qty"],
                    "product_uom": line["product_uom_id"],
                    "location_id": 8,
                    "location_dest_id": 9,
                }
                raw.append([0, 0, move])
        finished = {
            **common,
            "product_id": row["product_id"],
            "product_uom_qty": row["product_qty"],
            "product_uom": row["product_uom_id"],
            "location_id": 9,
            "location_dest_id": 8,
        }
        values = {
            "state": "confirmed",
            "move_raw_ids": raw,
            "move_finished_ids": [[0, 0, finished]],
        }
        orm.write("mrp.production", [row["id"]], values)
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
        for inverse in ("raw_material_production_id", "production_id"):
            for move in orm.transaction.referring("stock.move", inverse, row["id"]):
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
            row = orm.transaction.get("stock.move", move)
            quantity = row["product_uom_qty"]
            orm.write("stock.move", [move], {"state": "done", "quantity": quantity})
            if row["purchase_line_id"]:
                receive(orm, row["purchase_line_id"], quantity)
    return True


def purchase_confirm(orm, ids):
    for order in rows_of(orm, "purchase.order", ids):
        if order["state"] not in ("draft", "sent"):
            continue  # Odoo skips them without a word
        orm.write(
            "purchase.order",
            [order["id"]],
            {
                "state": "purchase",
                "date_approve": orm.transaction.start,
                "receipt_status": "pending",
            },
        )
        lines = [
            orm.transaction.get("purchase.order.line", line)
            for line in orm.transaction.referring("purchase.order.line", "order_id", order["id"])
        ]
        make_picking(
            orm,
            {
                "partner_id": order["partner_id"],
                "origin": order["name"],
                "purchase_id": order["id"],
                "picking_type_id": 1,
                "picking_type_code": "incoming",
                "location_id": 4,
                "location_dest_id": 8,
                "company_id": order["company_id"],
            },
            [
                {
                    "name": line["name"] or "",
                    "product_id": line["product_id"],
                    "product_uom_qty": line["product_qty"],
                    "product_uom": line["product_uom"],
                    "purchase_line_id": line["id"],
                }
                for line in lines
                if not line["display_type"]
            ],
        )
    return True


def receive(orm, line_id, quantity):
    line = orm.transaction.get("purchase.order.line", line_id)
    orm.write("purchase.order.line", [line_id], {"qty_received": line["qty_received"] + quantity})
    lines = [
        orm.transaction.get("purchase.order.line", other)
        for other in orm.transaction.referring("purchase.order.line", "order_id", line["order_id"])
    ]
    full = all(row["qty_received"] >= row["product_qty"] for row in lines if not row["display_type"])
    orm.write("purchase.order", [line["order_id"]], {"receipt_status": "full" if full else "partial"})


def purchase_cancel(orm, ids):
    orm.write("purchase.order", ids, {"state": "cancel", "receipt_status": False})
    for order in ids:
        for picking in orm.transaction.referring("stock.picking", "purchase_id", order):
            if orm.transaction.get("stock.picking", picking)["state"] != "done":
                orm.write("stock.picking", [picking], {"state": "cancel"})
    return True


def invoice_post(orm, ids):
    """Gives the number and counts the partner's rank up with SQL: no write_date, no hook."""
    for row in rows_of(orm, "account.move", ids):
        if row["state"] != "draft":
            raise UserError(f"The entry {row['name']} (id {row['id']}) must be in draft.")
    for row in rows_of(orm, "account.move", ids):
        sale = row["move_type"].startswith("out_")
        name = f"{'INV' if sale else 'BILL'}/2026/{row['id']:05d}"
        orm.write("account.move", [row["id"]], {"state": "posted", "name": row["name"] or name})
        partner = row["partner_id"] and orm.transaction.get("res.partner", row["partner_id"])
        if partner:
            rank = "customer_rank" if sale else "supplier_rank"
            orm.transaction.put(
                "res.partner", partner["id"], {**partner, rank: partner[rank] + 1}
            )
    return False


def invoice_cancel(orm, ids):
    orm.write("account.move", ids, {"state": "cancel"})


METHODS = {
    ("sale.order", "action_confirm"): sale_order_confirm,
    ("sale.order", "action_cancel"): sale_order_cancel,
    ("sale.order", "action_draft"): sale_order_draft,
    ("sale.order", "action_lock"): sale_order_lock,
    ("mrp.production", "action_confirm"): production_confirm,
    ("mrp.production", "button_mark_done"): production_done,
    ("stock.picking", "button_validate"): picking_validate,
    ("purchase.order", "button_confirm"): purchase_confirm,
    ("purchase.order", "button_cancel"): purchase_cancel,
    ("account.move", "action_post"): invoice_post,
    ("account.move", "button_cancel"): invoice_cancel,
}

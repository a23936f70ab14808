"""What people do in Odoo, one step after the other, and waiting until the broker is done with it.

Every step prints what was done; what came of it is read afterwards (report.py).
"""

import datetime
import subprocess
import time
import urllib.parse

from plant import eventually
from standin_client import post

SETTLED_WITHIN = 60.0
OUTAGE_SECONDS = 4.0
HISTORY_AGE = datetime.timedelta(days=400)
HISTORY = {"customers": 20, "products": 5, "orders": 30}


class Story:
    """Remembers the records it touches, so that the report can ask for them."""

    def __init__(self, plant, say):
        self.plant, self.say = plant, say
        self.records = {}   # record -> what it is, in words
        self.history = []   # records that were there before the broker
        self.posted_twice = None   # the webhook that was delivered a second time
        self.phantoms = []  # records of the rolled back transaction
        self.outage = {}

    # -- asking --------------------------------------------------------------------------------
    def record_of(self, words):
        return next(record for record, known_as in self.records.items() if known_as == words)

    def number_of(self, words):
        return int(self.record_of(words).rsplit("/", 1)[1])

    def look(self, record):
        """What the broker knows of a record: {"hops": [...], "name", ...}, or None."""
        found = self.plant.admin("/admin/v1/where?key=" + urllib.parse.quote(record, safe=""))
        return next(iter(found["records"]), None)

    def hops(self, record, what=None):
        known = self.look(record)
        hops = known["hops"] if known else []
        return [hop for hop in hops if what is None or hop["what"] == what]

    def delivered(self, record, route, times=1):
        return sum(hop["owner"] == route for hop in self.hops(record, "delivered")) >= times

    def await_that(self, condition, what):
        return eventually(condition, within=SETTLED_WITHIN, what=what)

    def await_delivery(self, record, route, times=1):
        self.await_that(lambda: self.delivered(record, route, times),
                        f"{route} delivered {record}; hops: {self.hops(record)}")

    def await_quiet(self):
        """No doorbell waits any more."""
        self.await_that(lambda: self.plant.admin("/admin/v1/status")["doorbells"]["waiting"] == 0,
                        "every doorbell is settled")

    # -- doing ---------------------------------------------------------------------------------
    def odoo(self, *operations, **options):
        return self.plant.odoo.control("do", operations=list(operations), **options)

    def remember(self, model, number, words):
        record = f"odoo/{model}/{number}"
        self.records[record] = words
        return record

    def order_operations(self, customer, product, quantity):
        line = {"product_id": product, "product_uom_qty": quantity, "price_unit": 390.0,
                "product_uom": 1, "name": "Oak table"}
        return [["create", "sale.order", {"partner_id": customer, "order_line": [[0, 0, line]]}],
                ["call", "sale.order", "action_confirm", ["$0"]]]

    def order(self, customer, product, quantity, words, **options):
        """Creates and confirms an order: (order record, its picking's record)."""
        done = self.odoo(*self.order_operations(customer, product, quantity), **options)
        picking = next(hook["id"] for hook in done["hooks"] if hook["model"] == "stock.picking")
        return (self.remember("sale.order", done["results"][0], words),
                self.remember("stock.picking", picking, f"shipment of {words}"))

    # -- before --------------------------------------------------------------------------------
    def write_history(self):
        """What Odoo holds before there is a broker. Nobody wants to be told of it."""
        then = (datetime.datetime.now(datetime.timezone.utc) - HISTORY_AGE).strftime(
            "%Y-%m-%d %H:%M:%S")
        partners, products, orders, pickings = [], [], [], []
        for n in range(HISTORY["customers"]):
            values = {"name": f"Old customer {n}", "ref": f"OLD-{n}", "is_company": True}
            partners += self.odoo(["create", "res.partner", values], start=then)["results"]
        for n in range(HISTORY["products"]):
            done = self.odoo(
                ["create", "product.template", {"name": f"Old product {n}", "list_price": 10.0}],
                ["create", "product.product", {"product_tmpl_id": "$0", "default_code": f"OLD{n}"}],
                start=then)
            products.append(done["results"][1])
        for n in range(HISTORY["orders"]):
            customer = partners[n % len(partners)]
            done = self.odoo(*self.order_operations(customer, products[0], 1), start=then)
            orders.append(done["results"][0])
            pickings += [h["id"] for h in done["hooks"] if h["model"] == "stock.picking"]
        production = self.odoo(["create", "mrp.production", {"product_id": products[0]}],
                               start=then)
        for model, ids in (("res.partner", partners), ("product.product", products),
                           ("sale.order", orders), ("stock.picking", pickings),
                           ("mrp.production", production["results"])):
            self.history += [f"odoo/{model}/{number}" for number in ids]
        self.plant.odoo.control("hooks_sent", clear=True)  # nobody listened yet

    def await_baseline(self):
        """Every record that was there before has been read."""
        for record in self.history:
            self.await_that(lambda r=record: self.look(r), f"{record} was read")

    # -- the story -----------------------------------------------------------------------------
    def play(self):
        customer = self.new_customer("Brauhaus Nord", "CUST-100", "customer Brauhaus Nord")
        product = self.new_product()
        kept, kept_picking = self.confirmed_order(customer, product)
        self.await_quiet()
        self.renamed_old_customer()
        self.rolled_back_order(customer, product)
        self.repeated_webhook(kept)
        self.cancelled_order(customer, product)
        self.production(product)
        self.picking_done(kept_picking)
        self.invoiced(kept, customer, product)
        self.purchase(product)
        self.mes_outage(product)
        self.say("Waiting until every doorbell is settled, the phantom's and the duplicate's too")
        self.await_quiet()

    def new_customer(self, name, code, words, wait=True):
        self.say(f"A customer is created: {name}, {code}")
        done = self.odoo(["create", "res.partner", {"name": name, "ref": code, "is_company": True,
                                                    "country_id": 1}])
        number = done["results"][0]
        record = self.remember("res.partner", number, words)
        if wait:
            self.await_delivery(record, "customer-to-mes")
        return number

    def new_product(self):
        self.say("A product is created: Oak table, OAK-TABLE")
        done = self.odoo(
            ["create", "product.template", {"name": "Oak table", "list_price": 390.0}],
            ["create", "product.product", {"product_tmpl_id": "$0", "default_code": "OAK-TABLE"}])
        number = done["results"][1]
        self.await_delivery(self.remember("product.product", number, "product Oak table"),
                            "product-to-mes")
        return number

    def confirmed_order(self, customer, product):
        self.say("An order over 4 tables is confirmed; Odoo rings before its commit, which comes "
                 "0.8 s later")
        order, picking = self.order(customer, product, 4, "the first order", commit_after_ms=800)
        self.await_delivery(order, "order-to-mes")
        self.await_delivery(picking, "shipment-to-wms")
        return order, picking

    def renamed_old_customer(self):
        self.say("A customer that was there before is renamed")
        record = next(record for record in self.history if "res.partner" in record)
        self.history.remove(record)
        self.records[record] = "the old customer"
        self.odoo(["write", "res.partner", [int(record.rsplit("/", 1)[1])],
                   {"name": "Renamed customer"}])
        self.await_delivery(record, "customer-to-mes")

    def rolled_back_order(self, customer, product):
        self.say("An order is confirmed, Odoo rings, and the transaction is rolled back: a phantom")
        done = self.odoo(*self.order_operations(customer, product, 9), rollback=True)
        for model, number in sorted({(hook["model"], hook["id"]) for hook in done["hooks"]}):
            words = "the order" if model == "sale.order" else "the shipment"
            self.phantoms.append(self.remember(model, number, f"{words} that never was"))

    def repeated_webhook(self, order):
        self.say("The webhook of the first order arrives once more: a duplicate")
        number = int(order.rsplit("/", 1)[1])
        sent = self.plant.odoo.control("hooks_sent")["sent"]
        last = [hook for hook in sent if (hook["model"], hook["id"]) == ("sale.order", number)][-1]
        path = urllib.parse.urlsplit(self.plant.hook_url()).path
        began = time.time()
        status, _, _ = post(self.plant.port, path, last["body"].encode())
        self.posted_twice = {**last, "status": status, "at": began, "repeated": True,
                             "seconds": time.time() - began}

    def cancelled_order(self, customer, product):
        self.say("Another order is confirmed, then cancelled")
        order, picking = self.order(customer, product, 2, "the cancelled order")
        self.await_delivery(order, "order-to-mes")
        self.await_delivery(picking, "shipment-to-wms")
        self.odoo(["call", "sale.order", "action_cancel", [int(order.rsplit("/", 1)[1])]])
        self.await_delivery(order, "order-to-mes", times=2)
        self.await_delivery(picking, "shipment-to-wms", times=2)

    def production(self, product):
        self.say("A production order is released, then done")
        done = self.odoo(["create", "mrp.production", {"product_id": product, "product_qty": 4.0}],
                         ["call", "mrp.production", "action_confirm", ["$0"]])
        number = done["results"][0]
        record = self.remember("mrp.production", number, "the production order")
        self.await_that(lambda: self.hops(record, "production_order.released"),
                        f"{record} was emitted as released")
        self.odoo(["call", "mrp.production", "button_mark_done", [number]])
        self.await_that(lambda: self.hops(record, "production_order.completed"),
                        f"{record} was emitted as completed")

    def picking_done(self, picking):
        self.say("The first order is picked and shipped")
        self.odoo(["call", "stock.picking", "button_validate", [int(picking.rsplit("/", 1)[1])]])
        self.await_that(lambda: self.hops(picking, "shipment.done"), f"{picking} emitted as done")

    def invoiced(self, order, customer, product):
        self.say("The customer is sent an invoice")
        line = {"product_id": product, "name": "Oak table", "quantity": 4.0, "price_unit": 390.0,
                "product_uom_id": 1, "price_subtotal": 1560.0}
        done = self.odoo(
            ["create", "account.move", {
                "move_type": "out_invoice", "partner_id": customer,
                "invoice_origin": f"S{int(order.rsplit('/', 1)[1]):05d}",
                "amount_untaxed": 1560.0, "amount_total": 1560.0, "amount_residual": 1560.0,
                "invoice_line_ids": [[0, 0, line]]}],
            ["call", "account.move", "action_post", ["$0"]])
        record = self.remember("account.move", done["results"][0], "the invoice")
        self.await_that(lambda: self.hops(record, "invoice.posted"), f"{record} emitted as posted")

    def purchase(self, product):
        self.say("Wood is ordered from a supplier, and arrives")
        done = self.odoo(["create", "res.partner", {"name": "Holz AG", "ref": "SUP-1"}])
        supplier = done["results"][0]
        partner = self.remember("res.partner", supplier, "supplier Holz AG")
        line = {"product_id": product, "product_qty": 50.0, "price_unit": 3.5, "name": "Wood"}
        done = self.odoo(["create", "purchase.order", {"partner_id": supplier,
                                                       "order_line": [[0, 0, line]]}],
                         ["call", "purchase.order", "button_confirm", ["$0"]])
        record = self.remember("purchase.order", done["results"][0], "the purchase order")
        self.await_delivery(record, "receipt-to-wms")
        # Nobody touched the partner: its first order is what makes it a supplier.
        self.await_that(lambda: self.hops(partner, "supplier.created"), f"{partner} is a supplier")
        receipt = next(h["id"] for h in done["hooks"] if h["model"] == "stock.picking")
        done = self.odoo(["call", "stock.picking", "button_validate", [receipt]])
        move = next(h["id"] for h in done["hooks"] if h["model"] == "stock.move")
        move = self.remember("stock.move", move, "the goods received")
        self.await_that(lambda: self.hops(move, "stock_move.done"), f"{move} emitted as done")
        self.await_that(lambda: self.hops(record, "purchase_order.received"),
                        f"{record} emitted as received")

    def mes_outage(self, product):
        self.say(f"The MES goes down for {OUTAGE_SECONDS:g} seconds")
        outage = self.outage
        outage["effects_before"] = len(self.plant.mes.effects())
        self.plant.mes.control("down")
        outage["down_at"] = time.time()
        customer = self.new_customer("Gasthof Sued", "CUST-101", "customer Gasthof Sued",
                                     wait=False)
        self.say("... and another order is confirmed meanwhile")
        order, picking = self.order(customer, product, 6, "the order during the outage")
        outage["order"], outage["picking"] = order, picking
        outage["customer"] = f"odoo/res.partner/{customer}"
        self.await_delivery(picking, "shipment-to-wms")
        self.await_that(lambda: self.hops(order, "sales_order.confirmed"), "the order was emitted")
        outage["problems"] = self.await_that(
            lambda: self.plant.admin("/admin/v1/status")["problems"], "status names the outage")
        # `millrace status` is what an operator types; 1 says that something is wrong.
        outage["status"] = subprocess.run(self.plant.command("status"), capture_output=True,
                                          text=True, check=False, timeout=30)
        time.sleep(max(0.0, outage["down_at"] + OUTAGE_SECONDS - time.time()))
        outage["reached_mes"] = len(self.plant.mes.effects()) - outage["effects_before"]
        self.say("The MES is back")
        self.plant.mes.control("up")
        outage["up_at"] = time.time()
        self.await_delivery(order, "order-to-mes")
        self.await_delivery(outage["customer"], "customer-to-mes")

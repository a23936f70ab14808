"""The models the Odoo stand-in knows: names, field types and defaults as an Odoo 18 has them.

A field is written `name:type`; relations name their model (one2many: `model.inverse`), `=path`
reads through a many2one, `!company` marks company-dependent and `!translate` translated fields,
`!depends(path)` computed ones that are not stored.
"""

MAGIC = "id:integer display_name:char create_date:datetime write_date:datetime"

SPECS = {
    "res.partner": """name:char email:char phone:char mobile:char ref:char vat:char
        street:char street2:char city:char zip:char country_id:many2one(res.country)
        parent_id:many2one(res.partner) child_ids:one2many(res.partner.parent_id)
        category_id:many2many(res.partner.category) company_id:many2one(res.company)
        is_company:boolean active:boolean lang:selection type:selection tz:selection
        title:many2one(res.partner.title) comment:html color:integer partner_latitude:float
        image_128:binary user_id:many2one(res.users)
        commercial_partner_id:many2one(res.partner) credit_limit:float!company
        customer_rank:integer supplier_rank:integer
        purchase_line_ids:one2many(purchase.order.line.partner_id)""",
    "res.partner.category": "name:char!translate active:boolean",
    "res.country": "name:char!translate code:char",
    "res.company": "name:char currency_id:many2one(res.currency) active:boolean",
    "res.currency": "name:char symbol:char active:boolean",
    "res.users": """name:char login:char partner_id:many2one(res.partner) active:boolean
        company_id:many2one(res.company) company_ids:many2many(res.company)
        login_date:datetime""",
    "uom.uom": "name:char!translate factor:float rounding:float active:boolean",
    "product.template": """name:char!translate default_code:char type:selection
        list_price:float uom_id:many2one(uom.uom) categ_id:many2one(product.category)
        weight:float active:boolean barcode:char description_sale:text tracking:selection
        standard_price:float!depends(product_variant_ids.standard_price)
        responsible_id:many2one(res.users)!company
        product_variant_ids:one2many(product.product.product_tmpl_id)
        company_id:many2one(res.company)""",
    "product.product": """product_tmpl_id:many2one(product.template) default_code:char
        barcode:char active:boolean weight:float lst_price:float
        name:char=product_tmpl_id.name type:selection=product_tmpl_id.type
        list_price:float=product_tmpl_id.list_price
        uom_id:many2one(uom.uom)=product_tmpl_id.uom_id
        categ_id:many2one(product.category)=product_tmpl_id.categ_id
        tracking:selection=product_tmpl_id.tracking
        company_id:many2one(res.company)=product_tmpl_id.company_id
        responsible_id:many2one(res.users)=product_tmpl_id.responsible_id
        standard_price:float!company""",
    "product.category": "name:char complete_name:char",
    "sale.order": """name:char state:selection partner_id:many2one(res.partner)
        client_order_ref:char date_order:datetime commitment_date:datetime validity_date:date
        company_id:many2one(res.company) currency_id:many2one(res.currency)
        warehouse_id:many2one(stock.warehouse) note:html
        order_line:one2many(sale.order.line.order_id) amount_untaxed:monetary
        amount_tax:monetary amount_total:monetary picking_ids:one2many(stock.picking.sale_id)
        locked:boolean origin:char tag_ids:many2many(crm.tag) user_id:many2one(res.users)""",
    "sale.order.line": """order_id:many2one(sale.order) sequence:integer name:text
        display_type:selection product_id:many2one(product.product) product_uom_qty:float
        product_uom:many2one(uom.uom) price_unit:float discount:float price_subtotal:monetary
        price_total:monetary qty_delivered:float
        company_id:many2one(res.company)=order_id.company_id state:selection=order_id.state""",
    "mrp.bom": """product_tmpl_id:many2one(product.template)
        product_id:many2one(product.product) product_qty:float code:char
        bom_line_ids:one2many(mrp.bom.line.bom_id) active:boolean
        company_id:many2one(res.company) type:selection""",
    "mrp.bom.line": """bom_id:many2one(mrp.bom) product_id:many2one(product.product)
        product_qty:float product_uom_id:many2one(uom.uom) sequence:integer""",
    "mrp.production": """name:char state:selection product_id:many2one(product.product)
        product_qty:float product_uom_id:many2one(uom.uom) qty_producing:float
        qty_produced:float bom_id:many2one(mrp.bom) origin:char date_start:datetime
        date_finished:datetime date_deadline:datetime company_id:many2one(res.company)
        lot_producing_id:many2one(stock.lot)
        move_raw_ids:one2many(stock.move.raw_material_production_id)
        move_finished_ids:one2many(stock.move.production_id) priority:selection""",
    "stock.picking": """name:char state:selection partner_id:many2one(res.partner) origin:char
        picking_type_id:many2one(stock.picking.type) picking_type_code:selection
        location_id:many2one(stock.location) location_dest_id:many2one(stock.location)
        scheduled_date:datetime date_done:datetime move_ids:one2many(stock.move.picking_id)
        sale_id:many2one(sale.order) purchase_id:many2one(purchase.order)
        backorder_id:many2one(stock.picking)
        carrier_tracking_ref:char company_id:many2one(res.company)""",
    "stock.move": """name:char reference:char origin:char state:selection
        product_id:many2one(product.product)
        product_uom_qty:float quantity:float product_uom:many2one(uom.uom)
        location_id:many2one(stock.location) location_dest_id:many2one(stock.location)
        scrapped:boolean move_line_ids:one2many(stock.move.line.move_id)
        picking_id:many2one(stock.picking) sale_line_id:many2one(sale.order.line)
        purchase_line_id:many2one(purchase.order.line)
        raw_material_production_id:many2one(mrp.production)
        production_id:many2one(mrp.production) company_id:many2one(res.company) date:datetime""",
    "stock.move.line": """move_id:many2one(stock.move) quantity:float
        lot_id:many2one(stock.lot) product_id:many2one(product.product)""",
    "purchase.order": """name:char state:selection partner_id:many2one(res.partner)
        partner_ref:char origin:char company_id:many2one(res.company)
        currency_id:many2one(res.currency) date_order:datetime date_planned:datetime
        date_approve:datetime receipt_status:selection invoice_status:selection
        amount_untaxed:monetary amount_tax:monetary amount_total:monetary
        order_line:one2many(purchase.order.line.order_id)
        picking_ids:one2many(stock.picking.purchase_id)""",
    "purchase.order.line": """order_id:many2one(purchase.order) sequence:integer name:text
        display_type:selection product_id:many2one(product.product) product_qty:float
        product_uom:many2one(uom.uom) price_unit:float price_subtotal:monetary
        qty_received:float date_planned:datetime partner_id:many2one(res.partner)""",
    "account.move": """name:char move_type:selection state:selection payment_state:selection
        partner_id:many2one(res.partner) company_id:many2one(res.company) ref:char
        payment_reference:char invoice_origin:char reversed_entry_id:many2one(account.move)
        invoice_date:date invoice_date_due:date currency_id:many2one(res.currency)
        amount_untaxed:monetary amount_tax:monetary amount_total:monetary
        amount_residual:monetary line_ids:one2many(account.move.line.move_id)
        invoice_line_ids:one2many(account.move.line.move_id)""",
    "account.move.line": """move_id:many2one(account.move) sequence:integer name:char
        display_type:selection product_id:many2one(product.product) quantity:float
        product_uom_id:many2one(uom.uom) price_unit:float discount:float
        price_subtotal:monetary""",
    "stock.quant": """product_id:many2one(product.product)
        location_id:many2one(stock.location) lot_id:many2one(stock.lot) quantity:float
        reserved_quantity:float in_date:datetime""",
    "stock.lot": "name:char product_id:many2one(product.product) company_id:many2one(res.company)",
    "stock.location": "name:char complete_name:char usage:selection active:boolean",
    "stock.warehouse": "name:char code:char company_id:many2one(res.company) active:boolean",
    "stock.picking.type": "name:char code:selection active:boolean",
    "crm.lead": """name:char partner_id:many2one(res.partner) email_from:char
        expected_revenue:monetary active:boolean""",
    "crm.tag": "name:char!translate color:integer",
    "res.partner.title": "name:char!translate",
}

DESCRIPTIONS = {
    "res.partner": "Contact",
    "sale.order": "Sales Order",
    "sale.order.line": "Sales Order Line",
    "purchase.order": "Purchase Order",
    "account.move": "Journal Entry",
    "stock.move": "Stock Move",
    "mrp.production": "Manufacturing Order",
    "stock.picking": "Transfer",
    "product.product": "Product Variant",
    "product.template": "Product",
    "res.users": "User",
}

# Values a create does not name; "{id}" is the new id.
DEFAULTS = {
    "res.partner": {"type": "contact", "lang": "en_US"},
    "product.template": {"type": "consu", "uom_id": 1, "categ_id": 1, "tracking": "none"},
    "sale.order": {
        "name": "S{id:05d}",
        "state": "draft",
        "company_id": 1,
        "currency_id": 1,
        "warehouse_id": 1,
    },
    "sale.order.line": {"product_uom_qty": 1.0, "product_uom": 1, "sequence": 10},
    "mrp.bom": {"product_qty": 1.0, "type": "normal"},
    "mrp.bom.line": {"product_qty": 1.0, "product_uom_id": 1},
    "mrp.production": {
        "name": "WH/MO/{id:05d}",
        "state": "draft",
        "company_id": 1,
        "product_qty": 1.0,
        "product_uom_id": 1,
        "priority": "0",
    },
    "stock.picking": {
        "name": "WH/OUT/{id:05d}",
        "state": "draft",
        "company_id": 1,
        "picking_type_id": 2,
        "picking_type_code": "outgoing",
        "location_id": 8,
        "location_dest_id": 5,
    },
    "stock.move": {"state": "draft", "company_id": 1, "product_uom": 1},
    "purchase.order": {
        "name": "P{id:05d}",
        "state": "draft",
        "company_id": 1,
        "currency_id": 1,
        "invoice_status": "no",
    },
    "purchase.order.line": {"product_qty": 1.0, "product_uom": 1, "sequence": 10},
    "account.move": {
        "move_type": "entry",
        "state": "draft",
        "payment_state": "not_paid",
        "company_id": 1,
        "currency_id": 1,
    },
    "account.move.line": {"quantity": 1.0, "display_type": "product", "sequence": 10},
    "uom.uom": {"factor": 1.0, "rounding": 0.01},
}

EMPTY = {"float": 0.0, "monetary": 0.0, "integer": 0, "many2many": []}


class Field:
    __slots__ = (
        "name",
        "type",
        "relation",
        "inverse",
        "path",
        "company_dependent",
        "translate",
        "depends",
    )

    def __init__(self, text):
        self.name, _, rest = text.partition(":")
        rest, *flags = rest.split("!")
        rest, _, path = rest.partition("=")
        kind, _, argument = rest.partition("(")
        self.type, self.relation, self.inverse = kind, argument.rstrip(")") or None, None
        if kind == "one2many":
            self.relation, _, self.inverse = self.relation.rpartition(".")
        self.path = path.split(".") if path else None
        self.company_dependent, self.translate = "company" in flags, "translate" in flags
        self.depends = [f[8:-1] for f in flags if f.startswith("depends(")]
        if path:
            self.depends.append(path)

    @property
    def stored(self):
        return self.path is None and self.type != "one2many" and self.name != "display_name"

    def description(self):
        answer = {
            "type": self.type,
            "string": self.name.replace("_", " ").capitalize(),
            "name": self.name,
            "store": (self.stored and not self.depends) or self.type == "one2many",
            "depends": self.depends,
            "readonly": False,
            "required": False,
            "searchable": True,
            "sortable": self.stored,
            "company_dependent": self.company_dependent,
        }
        if self.type in ("char", "text", "html"):
            answer["translate"] = self.translate
        if self.path:
            answer["related"] = ".".join(self.path)
        if self.relation:
            answer["relation"] = self.relation
        if self.inverse:
            answer["relation_field"] = self.inverse
        return answer


def load_models():
    """{model: {field name: Field}}, a fresh copy: tests add and remove fields."""
    return {
        model: {f.name: f for f in map(Field, (MAGIC + " " + text).split())}
        for model, text in SPECS.items()
    }

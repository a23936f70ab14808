"""A field that has another value in each company is never read by chance: lint knows the standard
ones, and an Odoo that answers tells of all others before they are used."""
# labels: quick
# only files: it adds an entity by a reload

from millrace_harness import eventually, main
from odoo_neighbour import OdooScenario

PRODUCT = """\
---
entity: product
version: 1
from:
  - connection: odoo
    model: product.product
    read: { name: , %s }
    map: "{ name }"
events: { changed: true }
"""


class CompanyDependentFields(OdooScenario):
    def read_also(self, fields):
        path = self.millrace.config / "objects.yaml"
        self.before = getattr(self, "before", path.read_text("utf-8"))
        path.write_text(self.before + PRODUCT % fields, "utf-8")

    def ends_with(self, code, *command):
        ended = self.millrace.cli(*command, expect=None)
        self.assertEqual(code, ended.returncode, ended.stdout + ended.stderr)
        return ended.stdout

    def refused(self, *command):
        return self.ends_with(1, *command)

    def test_standard_ones_need_no_odoo(self):
        self.neighbours()
        self.read_also("standard_price: , categ_id: { property_cost_method: }")
        told = self.refused("lint")
        self.assertIn("`standard_price` has another value in each company", told)
        self.assertIn("`categ_id.property_cost_method` has another value in each company", told)

    def test_a_name_that_only_looks_like_one_is_a_warning(self):
        self.neighbours()
        self.odoo.control("field", model="product.product", field="property_colour:char")
        self.odoo.control("field", model="product.category",
                          field="property_margin:float!company")
        self.start()
        self.read_also("property_colour:")
        said = "read: `property_colour` is named like a field with another value in each company"
        self.assertIn(said, self.ends_with(0, "lint"))
        self.assertIn(said, self.refused("lint", "--strict"))
        self.assertIn(said, self.ends_with(0, "plan"))
        self.millrace.cli("reload")
        # Odoo knows which of them is one.
        self.read_also("categ_id: { property_margin: }")
        self.ends_with(0, "lint")
        self.assertIn("`property_margin` of product.category has another value in each company",
                      self.refused("reload"))

    def test_plan_and_reload_ask_odoo(self):
        self.neighbours()
        # A module's own field, and one that a variant inherits from its template.
        self.odoo.control("field", model="product.template", field="x_margin:float!company")
        self.odoo.control("field", model="product.product",
                          field="x_margin:float=product_tmpl_id.x_margin")
        self.start()
        self.read_also("x_margin:")
        expected = ("`x_margin` of product.product has another value in each company "
                    "(it comes from product.template.x_margin)")
        self.assertIn(expected, self.refused("plan"))
        self.assertIn(expected, self.refused("reload"))
        self.read_also("x_marign:")
        self.assertIn("product.product has no field `x_marign`", self.refused("reload"))
        # What ran goes on; what fits is taken.
        self.odoo.ring_into(self.millrace)
        order = self.odoo.create_order()
        self.await_sent([f"POST /created S{order:05} draft"])
        self.read_also("default_code:")
        self.millrace.cli("reload")

    def test_an_odoo_that_is_down_refuses_no_reload(self):
        self.neighbours()
        self.odoo.control("insert", model="product.product", rows=[{"default_code": "A"}])
        self.start()
        self.odoo.control("down")
        self.read_also("x_margin:")
        told = self.millrace.cli("reload").stdout
        self.assertIn("warning: connection odoo: it could not be asked whether it has the fields",
                      told)
        self.odoo.control("field", model="product.product", field="x_margin:float!company")
        self.odoo.control("up")
        # Nobody could be asked then; the reading is refused now, and the check says why.
        eventually(lambda: "x_margin" in self.refused("connections", "check", "odoo"), 60,
                   "the check names the field")
        eventually(lambda: "x_margin" in self.millrace.cli("status", expect=None).stdout, 60,
                   "status names it")


if __name__ == "__main__":
    main()

"""`missing: park | skip | error`: what a request does whose `xref` finds nothing. Parked, it goes out by
itself as soon as the identity is there, also after a crash, each record in its order."""
# labels: quick

from configurations import MES, SHOP
from millrace_harness import Scenario, eventually, main

CUSTOMERS = range(1, 13)

CRM = SHOP.replace("connection: shop", "connection: crm")

ENTITY = """\
entity: %(name)s
version: 1
key: .number
from:
  - connection: %(connection)s
    map: |
      { number: .number, %(member)s: .%(member)s }
events:
  changed: true
"""
CUSTOMER = ENTITY % {"name": "customer", "connection": "crm", "member": "city"}
ORDER = ENTITY % {"name": "order", "connection": "shop", "member": "customer"}

CUSTOMER_TO_MES = """\
route: customer-to-mes
from: customer
to: mes
requests:
  changed:
    method: POST
    path: /customers
    body: .data
    remember: .answer.body.id
"""

ORDER_TO_MES = """\
route: order-to-mes
from: order
to: mes
requests:
  changed:
    method: POST
    path: /orders
    body: '.data + { customer: xref("customer"; "mes"; .data.customer) }'
    %(missing)s
"""

CITIES = """\
table: city
file: tables/city.csv
key: name
value: code
missing: park
"""


class MissingIdentity(Scenario):
    def start(self, missing):
        self.mes = self.target()
        self.millrace = self.broker(CRM, SHOP, MES % {"target_port": self.mes.port}, CUSTOMER,
                                    ORDER, CUSTOMER_TO_MES, ORDER_TO_MES % {"missing": missing})
        self.millrace.start()

    def post(self, connection, record, **members):
        members = {"id": record, "version": members.pop("version", 1), **members}
        path = f"/hooks/{connection}/shop-hook-token-0123456789"
        self.insist(200, lambda: self.millrace.post(path, members))

    def customer(self, number):
        self.post("crm", number, number=f"C{number}", city="Brno")

    def order(self, number, customer, version=1):
        self.post("shop", number, number=f"S{number}-{version}", customer=f"crm/{customer}",
                  version=version)

    def identities(self):
        """Of the customers: the ids their answers told."""
        rows = [(key.split(b"\0")[2].decode(), value) for key, value
                in self.millrace.state.rows("xref")]
        return {int(record.split("/")[1]): value for record, value in rows}

    def orders(self):
        """What was sent, by order, as pairs of number and customer."""
        sent = {}
        for effect in self.mes.effects():
            if effect["target"] == "/orders":
                body = effect["body"]
                sent.setdefault(body["number"].split("-")[0], []).append(
                    (body["number"], body["customer"]))
        return sent

    def states(self):
        return sorted(row["state"] for row in self.parked(self.millrace))

    def test_park_waits_for_the_identity_and_keeps_the_order(self):
        self.start("")
        self.customer(100)
        for number in CUSTOMERS:
            for version in (1, 2, 3):
                self.order(number, customer=number, version=version)
        self.order(200, customer=100)
        eventually(lambda: "S200" in self.orders(), what="others flow")
        waiting = sorted(["waiting_reference"] * len(CUSTOMERS) + ["behind"] * 2 * len(CUSTOMERS))
        eventually(lambda: self.states() == waiting, what="all wait, in order")
        for number in list(CUSTOMERS)[:6]:
            self.customer(number)
        eventually(lambda: len(self.parked(self.millrace)) == 18, what="half of them go on")
        self.millrace.kill9()
        self.millrace.start()
        self.assertEqual(18, len(self.parked(self.millrace)))
        for number in list(CUSTOMERS)[6:]:
            self.customer(number)
        eventually(lambda: not self.parked(self.millrace), what="all go on")
        known = self.identities()
        self.assertEqual(
            {f"S{n}": [(f"S{n}-{version}", known[n]) for version in (1, 2, 3)]
             for n in CUSTOMERS} | {"S200": [("S200-1", known[100])]}, self.orders())

    def test_skip_sends_nothing_and_the_next_change_does(self):
        self.start("missing: skip")
        self.order(1, customer=1)
        eventually(lambda: self.hops(1).count("skipped") == 1, what="it is passed by")
        self.assertEqual([], self.parked(self.millrace) + self.dead_letters(self.millrace))
        self.customer(1)
        eventually(lambda: 1 in self.identities(), what="the identity is there")
        self.order(1, customer=1, version=2)
        eventually(self.orders, what="the next change is sent")
        self.assertEqual({"S1": [("S1-2", self.identities()[1])]}, self.orders())

    def hops(self, number):
        found = self.millrace.admin("GET", f"/admin/v1/where?key=shop/{number}").json()["records"]
        return [hop["what"] for record in found for hop in record["hops"]]

    def test_a_table_says_itself_what_a_missing_row_means(self):
        self.mes = self.target()
        route = CUSTOMER_TO_MES.replace("body: .data", "body: '{ city: lookup(\"city\"; .data.city) }'"
                                        "\n    missing: skip")
        self.millrace = self.broker(CRM, MES % {"target_port": self.mes.port}, CUSTOMER, route,
                                    CITIES)
        table = self.millrace.config / "tables" / "city.csv"
        table.parent.mkdir()
        table.write_text("name,code\nPraha,1\n", "utf-8")
        self.millrace.start()
        self.customer(1)
        eventually(lambda: self.states() == ["waiting_reference"], what="it waits for the row")
        table.write_text("name,code\nPraha,1\nBrno,2\n", "utf-8")
        self.millrace.cli("reload")
        self.await_bodies(self.mes, [{"city": "2"}])

    def test_error_is_a_dead_letter(self):
        self.start("missing: error")
        self.order(1, customer=1)
        [letter] = eventually(lambda: self.dead_letters(self.millrace), what="it is dead")
        self.assertIn("crm/1 is not known in mes as customer", letter["reason"])
        self.customer(1)
        eventually(lambda: 1 in self.identities(), what="the identity is there")
        self.millrace.cli("dead", "resubmit", letter["id"])
        eventually(self.orders, what="it is sent when a person says so")


if __name__ == "__main__":
    main()

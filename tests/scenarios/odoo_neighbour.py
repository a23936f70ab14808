"""An Odoo beside the daemon, and the configuration that reads orders back from it."""

from millrace_harness import Scenario, eventually, write_secret
from processes import Standin, free_port
import configurations

HOOK_TOKEN = "odoo-hook-token-0123456789"
API_KEY = "broker-key"

# `longest_transaction` is short, so that a scenario sees the end of a doorbell's ladder.
ODOO = """\
connection: odoo
type: odoo
url: "http://127.0.0.1:%(odoo_port)d"
database: test
login: broker
api_key: "${secret.odoo_api_key}"
hook_tokens: [ "${secret.odoo_hook}" ]
companies: { 1: main }
longest_transaction: %(longest_transaction)s
limits: { in_flight: 4 }
"""

SALES_ORDER = """\
entity: order
version: 1
key: .number
from:
  - connection: odoo
    model: sale.order
    touched_by: { sale.order.line: order_id }
    read:
      name:
      state:
      client_order_ref:
      order_line: { product_uom_qty: , name: }
    map: |
      { number: .name, state, reference: .client_order_ref,
        lines: [ .order_line[] | { text: .name, quantity: .product_uom_qty } ] }
%(more)sevents:
  created: $before == null
  confirmed: .state == "sale" and $before.state != "sale"
  changed: true
"""

# Every event of an order, with its type.
ALL_EVENTS = """\
route: order-to-mes
from: order
to: mes
requests:
  deleted:
    method: DELETE
    path: /orders/${ .data.number }
  created:
    method: POST
    path: /created
    body: .data
  changed:
    method: POST
    path: /changed
    body: .data
retry: { initial: 50ms, max_interval: 500ms, give_up_after: 1h }
"""


class Odoo(Standin):
    def __init__(self):
        super().__init__("odoo_standin.py", "--port", str(free_port()))

    def ring_into(self, broker, model="sale.order", **options):
        """Webhooks of the model go to the daemon."""
        self.control("hook", model=model, **{"fields": ["name", "write_date"], **options},
                     url=f"http://127.0.0.1:{broker.port}/hooks/odoo/{HOOK_TOKEN}")

    def create_order(self, **values):
        return self.control("create", model="sale.order", values=values)["result"]

    def write_order(self, record, **values):
        self.control("write", model="sale.order", ids=[record], values=values)

    def do(self, *operations, **options):
        return self.control("do", operations=list(operations), **options)

    def calls(self, name):
        """How often it was called: {"calls": n, "ids": m} of e.g. "sale.order.read"."""
        return self.control("counts")["counts"].get(name, {"calls": 0, "ids": 0})


class OdooScenario(Scenario):
    """A daemon between an Odoo and a MES. Not started yet."""

    def neighbours(self, longest_transaction="3s", more=""):
        self.odoo = Odoo()
        self.addCleanup(self.odoo.close)
        self.mes = self.target()
        ports = {"odoo_port": self.odoo.port, "longest_transaction": longest_transaction}
        self.millrace = self.broker(
            ODOO % ports, configurations.MES % {"target_port": self.mes.port},
            SALES_ORDER % {"more": more}, ALL_EVENTS)
        write_secret(self.millrace.secrets / "odoo_hook", HOOK_TOKEN)
        write_secret(self.millrace.secrets / "odoo_api_key", API_KEY)

    def start(self):
        """Starts the daemon and waits for its first full read."""
        self.millrace.start()
        eventually(lambda: "full read done" in self.millrace.log_text(), 60, "a full read")

    def doorbells(self):
        answer = self.millrace.admin("GET", "/admin/v1/status")
        self.assertEqual(200, answer.status, answer.body)
        return answer.json()["doorbells"]

    def await_settled(self, within=30.0):
        """No doorbell waits any more."""
        eventually(lambda: self.doorbells()["waiting"] == 0, within,
                   lambda: f"no doorbell waits; status says {self.doorbells()}")

    def sent(self):
        """What the MES carried out: "POST /created S00001 draft"."""
        return [told(effect) for effect in self.mes.effects()]

    def await_sent(self, expected, within=30.0):
        eventually(lambda: len(self.sent()) >= len(expected), within,
                   lambda: f"{expected} at the MES; it has {self.sent()}")
        self.assertEqual(expected, self.sent())


def told(effect):
    words = [effect["method"], effect["target"]]
    if effect["body"]:
        words += [effect["body"]["number"], effect["body"]["state"]]
    return " ".join(words)

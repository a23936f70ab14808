"""Configuration texts that scenarios start from, in the language of the product."""

SHOP_TOKEN = "shop-hook-token-0123456789"
MES_TOKEN = "mes-bearer-token-0123456789"

INSTALLATION = """\
name: scenario
environment: test
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin_port}
log: {log}
state: {state}
data: {data}
secrets: {{ directory: {secrets} }}
"""

# A shop posts orders, each payload the whole record.
SHOP = """\
connection: shop
type: hook
hook_tokens: [ "${secret.shop_hook}" ]
record: .id
version: .version
"""

# The same shop, whose payloads say nothing about their age.
SHOP_WITHOUT_VERSION = SHOP.replace("version: .version\n", "")

MES = """\
connection: mes
type: http
url: "http://127.0.0.1:%(target_port)d"
auth: { bearer: "${secret.mes_token}" }
idempotent: true
limits: { in_flight: 8 }
breaker: { opens_after: 5, probes_every: 200ms }
"""

ORDER = """\
entity: order
version: 1
key: .number
from:
  - connection: shop
    map: |
      { number: .number, state: .state, quantity: .quantity }
events:
  confirmed: .state == "confirmed" and $before.state != "confirmed"
  cancelled: .state == "cancelled" and $before.state != "cancelled"
  changed: true
schema: schemas/order.v1.json
"""

ORDER_SCHEMA = """\
{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "additionalProperties": false,
  "required": [ "number", "state", "quantity" ],
  "properties": {
    "number": { "type": "string" },
    "state": { "enum": [ "draft", "confirmed", "cancelled" ] },
    "quantity": { "type": "integer" }
  }
}
"""

# Every change of an order, as it is.
EVERY_CHANGE = """\
route: order-to-mes
from: order
to: mes
requests:
  changed:
    method: POST
    path: /orders
    body: .data
retry: { initial: 50ms, max_interval: 500ms, give_up_after: 1h }
"""

# Confirmed orders are released, cancelled ones withdrawn.
RELEASE_AND_WITHDRAW = """\
route: order-to-mes
from: order
to: mes
requests:
  confirmed:
    method: POST
    path: /work-orders
    body: |
      { orderNo: .data.number, quantity: .data.quantity }
  cancelled:
    method: DELETE
    path: /work-orders/${ .data.number }
retry: { initial: 50ms, max_interval: 500ms, give_up_after: 1h }
"""


def order(record, quantity, state="confirmed", version=None):
    """A payload of the shop."""
    payload = {"id": record, "number": f"S{record}", "state": state, "quantity": quantity}
    return payload if version is None else {**payload, "version": version}


def as_sent(record, quantity, state="confirmed"):
    """What EVERY_CHANGE posts for it."""
    return {"number": f"S{record}", "state": state, "quantity": quantity}

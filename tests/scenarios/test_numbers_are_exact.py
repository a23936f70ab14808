"""Amounts and quantities are JSON numbers: integers are exact from a hook's body to a request's, in
arithmetic too, an overflow is an error, and `3.0` stays `3.0`."""
# labels: quick

import json
from decimal import Decimal

import configurations
from millrace_harness import Scenario, eventually, main

ENTITY = """\
entity: order
version: 1
from:
  - connection: shop
    map: |
      { values: .values,
        sum: ((.add[0] // 0) + (.add[1] // 0)),
        difference: ((.subtract[0] // 0) - (.subtract[1] // 0)),
        product: ((.multiply[0] // 0) * (.multiply[1] // 0)) }
events:
  changed: '$before == null or $before.values != .values'
schema: schemas/values.json
"""
SCHEMA = """\
{ "type": "object",
  "properties": {
    "values": { "items": { "type": "number", "not": { "const": 18446744073709551613 } } },
    "sum": { "type": "integer", "maximum": 9007199254740993 } } }
"""
ROUTE = """\
route: order-to-mes
from: order
to: mes
requests:
  changed:
    path: /orders
    body: '{ data: .data, first: .data.values[0] }'
  deleted: { method: POST, path: /deleted, body: .data }
retry: { initial: 50ms, max_interval: 500ms, give_up_after: 1h }
"""

INTEGERS = [2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 0]


class NumbersAreExact(Scenario):
    def begin(self):
        self.mes = self.target()
        self.millrace = self.broker(
            configurations.SHOP, configurations.MES % {"target_port": self.mes.port},
            ENTITY.replace("    map:", "    only: .gone != true\n    map:"), ROUTE)
        (self.millrace.config / "schemas" / "values.json").write_text(SCHEMA, "utf-8")
        self.millrace.start()

    def bodies(self):
        """The bytes that arrived, in order."""
        return [effect["body"] for effect in self.mes.control("effects")["effects"]]

    def await_count(self, count):
        eventually(lambda: len(self.bodies()) >= count, 30, lambda: f"{count}; {self.bodies()}")

    def post(self, record, values, version=1, **more):
        """`values` as text, because no serializer should stand between the test and the bytes."""
        body = {"id": record, "version": version, **more}
        text = json.dumps(body)[:-1] + f', "values": {values}}}'
        self.send(self.millrace, text)

    def test_integers_at_the_limits(self):
        self.begin()
        text = json.dumps(INTEGERS, separators=(",", ":"))
        self.post(1, text, add=[2**53, 1], subtract=[-(2**63) + 1, 1], multiply=[2**32, 2**31])
        self.await_count(1)
        self.assertEqual(
            f'{{"data":{{"values":{text},"sum":{2**53 + 1},"difference":{-(2**63)},'
            f'"product":{2**63}}},"first":{2**53 + 1}}}', self.bodies()[0])
        # Neighbours beyond 2^53 are one double and two integers: a change, and a newer version.
        self.post(1, str(INTEGERS[:-1] + [1]).replace("9007199254740993", "9007199254740992", 1),
                  version=2**53)
        self.post(1, text, version=2**53 + 1)
        self.post(1, "[5]", version=2**53)  # stale
        self.post(2, "[6]")
        self.await_count(4)
        changed = [json.loads(body)["data"]["values"][0] for body in self.bodies()]
        self.assertEqual([2**53 + 1, 2**53, 2**53 + 1], [one for one in changed if one != 6])

    def test_decimals_keep_what_they_are(self):
        self.begin()
        sent = "[0.1,3.0,1e3,-0.0,1.10,-2.50,123456789012345.67,1e-7,5e-324,1e22]"
        self.post(1, sent)
        self.await_count(1)
        arrived = json.loads(self.bodies()[0], parse_float=Decimal, parse_int=int)["data"]["values"]
        expected = json.loads(sent, parse_float=Decimal, parse_int=int)
        self.assertEqual(expected, arrived)
        # A decimal number is none that became an integer, whatever its value.
        self.assertEqual([Decimal] * len(expected), [type(value) for value in arrived])
        self.assertIn("[0.1,3.0,1000.0,-0.0,1.1,-2.5,", self.bodies()[0])
        # The same values in other words are no change; what is stored is what was emitted.
        self.post(1, sent.replace("3.0", "3"), version=2)
        self.post(1, sent, version=3, gone=True)
        self.await_count(2)
        self.assertIn('"values":[0.1,3.0,1000.0,-0.0,1.1,-2.5,', self.bodies()[1])

    def parked_because(self, count, words):
        eventually(lambda: len(self.parked(self.millrace)) == count, 30,
                   lambda: f"{count} parked; {self.parked(self.millrace)}")
        self.assertIn(words, str(self.parked(self.millrace)))

    def test_an_overflow_parks(self):
        self.begin()
        self.post(1, "[1]", add=[2**64 - 1, 1])
        self.parked_because(1, "integer overflow")
        self.post(2, "[1]", subtract=[-(2**63), 1])
        self.post(3, "[1]", multiply=[2**63, -2])
        self.parked_because(3, "integer overflow")
        # The limits of a schema are exact too.
        self.post(4, "[1]", add=[2**53, 2])
        self.parked_because(4, f"{2**53 + 2} is more than {2**53 + 1}")
        self.post(5, f"[{2**64 - 3}]")
        self.parked_because(5, "values")
        self.post(6, f"[{2**64 - 2}]", add=[2**53, 1])
        self.await_count(1)

    def test_what_no_integer_holds_is_not_rounded(self):
        self.begin()
        for number in (str(2**64), str(-(2**63) - 1), "1e400"):
            self.post(1, f"[{number}]")
        eventually(lambda: len(self.dead_letters(self.millrace)) == 3, 30,
                   lambda: f"three dead letters; {self.dead_letters(self.millrace)}")
        self.post(2, "[1]")
        self.await_count(1)
        self.assertEqual(1, len(self.bodies()))


if __name__ == "__main__":
    main()

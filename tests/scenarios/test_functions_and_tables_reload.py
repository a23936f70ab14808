"""Shared functions and CSV tables: usable in every expression, and a reload that changes one of them
changes what uses it and nothing else."""
# labels: quick

import configurations
from configurations import order
from millrace_harness import Scenario, eventually, main

ROUTE = """\
route: order-to-mes
from: order
to: mes
requests:
  changed:
    path: /orders
    body: |
      { number: (.data.number | padded), unit: lookup("unit"; .data.state) }
retry: { initial: 50ms, max_interval: 500ms, give_up_after: 1h }
"""
OTHER = """\
route: plain
from: order
to: mes
requests: { confirmed: { path: /plain, body: .data } }
"""
TABLE = """\
table: unit
file: tables/unit.csv
key: state
value: code
"""


class FunctionsAndTablesReload(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.broker(
            configurations.SHOP, configurations.MES % {"target_port": self.mes.port},
            configurations.ORDER, ROUTE, OTHER, TABLE)
        for folder in ("functions", "tables"):
            (self.millrace.config / folder).mkdir()
        self.functions = self.millrace.config / "functions" / "text.jq"
        self.functions.write_text('def zeros: "000";\ndef padded: zeros + .;\n', "utf-8")
        self.csv = self.millrace.config / "tables" / "unit.csv"
        self.csv.write_text('\ufeffcode,state\r\n"C,62",draft\r\n', "utf-8")
        self.next_record = 1

    def sends(self, number, unit):
        record = self.next_record
        self.next_record += 1
        self.send(self.millrace, order(record, quantity=1, state="draft", version=1))
        wanted = {"number": number % record, "unit": unit}
        eventually(lambda: wanted in self.mes.bodies(), what=f"{wanted} arrives",
                   within=30.0)

    def planned(self):
        return {(change["kind"], change["object"]) for change in
                self.millrace.cli_json("plan")["changes"]}

    def test_a_changed_function_changes_what_uses_it(self):
        self.millrace.start()
        self.sends("000S%d", "C,62")
        self.functions.write_text('def zeros: "0";\ndef padded: zeros + .;\n', "utf-8")
        self.assertEqual({("route", "order-to-mes")}, self.planned())
        self.millrace.cli("reload")
        self.sends("0S%d", "C,62")

    def test_eval_knows_the_functions(self):
        said = self.millrace.cli("eval", ".number | padded", given='{"number": "S1"}')
        self.assertEqual('"000S1"\n', said.stdout)
        self.functions.write_text("def padded: unheard_of;\n", "utf-8")
        said = self.millrace.cli("eval", ".number | padded", given="{}", expect=2)
        self.assertIn("functions/text.jq:1:13: error: functions:", said.stderr)

    def test_a_changed_csv_changes_what_looks_it_up(self):
        self.millrace.start()
        self.sends("000S%d", "C,62")
        self.csv.write_text("code,state\nHUR,draft\n", "utf-8")
        self.assertEqual({("table", "unit"), ("route", "order-to-mes")}, self.planned())
        self.millrace.cli("reload")
        self.sends("000S%d", "HUR")

    def test_a_mistake_is_shown_in_its_file_and_changes_nothing(self):
        self.millrace.start()
        self.functions.write_text('def padded:\n  if . == "" then padded else . end;\n', "utf-8")
        said = self.millrace.cli("reload", expect=1)
        self.assertIn("functions/text.jq:2:19: error: functions: the recursive function padded/0",
                      said.stdout + said.stderr)
        self.functions.write_text("def padded: .;\n", "utf-8")
        self.csv.write_text("code,state\nC62,draft\nHUR,draft\n", "utf-8")
        said = self.millrace.cli("reload", expect=1)
        self.assertIn("tables/unit.csv:3:1: error: table unit / file: the key `draft` stands in "
                      "line 2 already", said.stdout + said.stderr)
        self.sends("000S%d", "C,62")


if __name__ == "__main__":
    main()

"""A path that can only ever be null is found before anything runs, at its place in the file."""
# labels: quick

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from millrace_harness import main
from processes import SOURCE, program


def lint(directory, *options):
    done = subprocess.run([program("millrace"), "lint", "--without-secrets", *options, directory],
                          capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


class LintChecksPaths(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.directory = Path(folder.name) / "config"
        shutil.copytree(SOURCE / "config", self.directory)

    def change(self, file, old, new):
        path = self.directory / file
        text = path.read_text("utf-8")
        self.assertIn(old, text)
        path.write_text(text.replace(old, new, 1), "utf-8")
        lines = path.read_text("utf-8").split("\n")
        line = next(i for i, text in enumerate(lines) if new in text)
        return f"{file}:{line + 1}:{lines[line].index(new) + 1}: "

    def test_what_ships_is_clean(self):
        self.assertEqual(lint(self.directory, "--strict"),
                         (0, f"{self.directory}: 0 errors, 0 warnings\n"))

    def test_a_route_and_its_entitys_schema(self):
        place = self.change("routes/mes.yaml", ".number, priority", ".nubmer, priority")
        code, text = lint(self.directory)
        self.assertEqual(code, 1)
        self.assertIn(f"{place}error: route order-to-mes / requests / confirmed / body: "
                      "`.data.nubmer`: sales_order has no `nubmer`; did you mean `number`?", text)

    def test_a_map_and_its_field_plan(self):
        place = self.change("entities/sales_order.yaml", ".ref, name: .p", ".rfe, name: .p")
        code, text = lint(self.directory)
        self.assertEqual(code, 1)
        self.assertIn(f"{place}error: entity sales_order / from / [1] / map: `.partner_id.rfe`: "
                      "sale.order.partner_id has no `rfe`; did you mean `ref`?", text)

    def test_inside_a_loop(self):
        place = self.change("routes/mes.yaml", ".quantity.value, unit", ".quantity.valeu, unit")
        code, text = lint(self.directory)
        self.assertEqual(code, 1)
        line, column = place.split(":")[1:3]
        self.assertIn(f"routes/mes.yaml:{line}:{int(column) + len('.quantity')}: error: ", text)
        self.assertIn("sales_order.lines[].quantity has no `valeu`; did you mean `value`?", text)


if __name__ == "__main__":
    main()
# own stores: no daemon runs

#!/usr/bin/env python3
"""Shows on small made-up trees that every check of tidy.py can fail, and where it points."""

import contextlib
import io
import pathlib
import tempfile
import unittest

import tidy

HEADER = "// What it is for.\n#pragma once\n"
CLEAN = {
    "CMakeLists.txt": "foreach(module core config net connectors daemon)\nendforeach()\n",
    "include/millrace/result.hpp": HEADER + "#include <string>\n",
    "src/core/CMakeLists.txt": "millrace_module(core LINK OpenSSL::Crypto)\n",
    "src/core/README.md": "# core\n",
    "src/core/clock.hpp": HEADER,
    "src/core/clock.cpp": '#include "core/clock.hpp"\n\n#include <vector>\n',
    "src/config/CMakeLists.txt": "millrace_module(config LINK millrace_core)\n",
    "src/config/README.md": "# config\n",
    "src/config/spec.hpp": HEADER,
    "src/config/load.hpp": HEADER + '#include "core/clock.hpp"\n#include "millrace/result.hpp"\n',
    "src/net/CMakeLists.txt": "millrace_module(net LINK millrace_core)\n",
    "src/net/README.md": "# net\n",
    "src/net/server.hpp": HEADER + "#include <boost/beast/http.hpp>\n",
    "src/connectors/CMakeLists.txt":
        "millrace_module(connectors LINK millrace_config\n  millrace_net)\n",
    "src/connectors/README.md": "# connectors\n",
    "src/connectors/odoo/odoo.hpp":
        HEADER + '#include "net/server.hpp"\n#include "config/spec.hpp"\n',
    "src/connectors/odoo/odoo.cpp":
        '#include "connectors/odoo/odoo.hpp"\n#include "millrace/result.hpp"\n',
    "src/connectors/http/http.hpp": HEADER,
    "src/daemon/CMakeLists.txt":
        "millrace_module(daemon LINK millrace_connectors)  # and what that links\n",
    "src/daemon/README.md": "# daemon\n",
    "src/daemon/broker.cpp": '#include "core/clock.hpp"\n#include "connectors/odoo/odoo.hpp"\n',
    "tests/unit/core/clock_test.cpp": '#include "core/clock.hpp"\n',
    "docs/reference/paths.md": "https://example.com/home/x ${DATA}/tmp/x /work-orders\n",
}


class Tidy(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.root = pathlib.Path(self.directory.name)
        for name, text in CLEAN.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def findings(self, check):
        return [str(finding) for finding in tidy.CHECKS[check](tidy.Tree(self.root))]

    def run_all(self):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            code = tidy.main(["tidy.py", str(self.root)])
        return code, output.getvalue()

    def assert_only(self, check, place, advice):
        """One finding of one check, at `place`, that says what to do."""
        found = self.findings(check)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(place + ": "), found[0])
        self.assertIn(advice, found[0])
        code, output = self.run_all()
        self.assertEqual(code, 1)
        self.assertIn(found[0], output)
        self.assertIn("tidy: 1 finding by", output)

    def test_a_clean_tree_passes(self):
        code, output = self.run_all()
        self.assertEqual((code, output.count("\n")), (0, 1), output)

    def test_usage(self):
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(tidy.main(["tidy.py", str(self.root / "absent")]), 2)
            self.assertEqual(tidy.main(["tidy.py", str(self.root), "more"]), 2)

    def test_a_link_upwards(self):
        self.write("src/core/CMakeLists.txt",
                   "# comment\nmillrace_module(core LINK OpenSSL::Crypto\n  millrace_net)\n")
        self.assert_only("layers", "src/core/CMakeLists.txt:3", "contract in include/millrace")

    def test_a_link_upwards_beside_millrace_module(self):
        self.write("src/core/CMakeLists.txt", "millrace_module(core)\n"
                   "target_link_libraries(millrace_core PRIVATE millrace_daemon)\n")
        self.assert_only("layers", "src/core/CMakeLists.txt:2", "stands above it")

    def test_a_link_to_no_module(self):
        self.write("src/net/CMakeLists.txt", "millrace_module(net LINK millrace_croe)\n")
        self.assert_only("layers", "src/net/CMakeLists.txt:1", "fix the name")

    def test_a_link_in_a_comment_is_none(self):
        self.write("src/core/CMakeLists.txt", "millrace_module(core)  # LINK millrace_net\n")
        self.assertEqual(self.findings("layers"), [])

    def test_a_module_without_a_layer(self):
        self.write("src/extra/CMakeLists.txt", "millrace_module(extra)\n")
        self.write("src/extra/README.md", "# extra\n")
        self.write("CMakeLists.txt", CLEAN["CMakeLists.txt"].replace("daemon", "daemon extra"))
        self.assert_only("layers", "src/extra/CMakeLists.txt:1", "place it in LAYERS")

    def test_modules_added_in_another_order(self):
        self.write("CMakeLists.txt",
                   "\nforeach(module config core net connectors daemon)\nendforeach()\n")
        self.assert_only("layers", "CMakeLists.txt:2", "write core config net connectors daemon")

    def test_a_module_that_is_not_built(self):
        self.write("CMakeLists.txt", "foreach(module core config net connectors)\nendforeach()\n")
        self.assert_only("layers", "CMakeLists.txt:1", "add daemon")

    def test_the_build_list_is_missing(self):
        self.write("CMakeLists.txt", "add_subdirectory(src/core)\n")
        self.assert_only("layers", "CMakeLists.txt:1", "foreach(module")

    def test_an_include_without_a_link(self):
        self.write("src/net/server.cpp", '#include "net/server.hpp"\n#include "config/load.hpp"\n')
        self.assert_only("includes", "src/net/server.cpp:2", "add millrace_config to LINK")

    def test_an_include_upwards(self):
        self.write("src/core/clock.cpp", '\n#include "daemon/broker.hpp"\n')
        self.assert_only("includes", "src/core/clock.cpp:2", "without linking it")

    def test_an_include_that_climbs(self):
        self.write("src/net/server.cpp", '#include "../core/clock.hpp"\n')
        self.assert_only("includes", "src/net/server.cpp:1", "include it from src")

    def test_a_contract_that_includes_a_module(self):
        self.write("include/millrace/result.hpp", HEADER + '#include "core/clock.hpp"\n')
        self.assert_only("includes", "include/millrace/result.hpp:3", "contracts include millrace/")

    def test_a_connector_that_includes_another(self):
        self.write("src/connectors/odoo/odoo.cpp", '#include "connectors/http/http.hpp"\n')
        self.assert_only("includes", "src/connectors/odoo/odoo.cpp:1", "never see each other")

    def test_a_connector_that_sees_too_much(self):
        self.write("src/connectors/odoo/odoo.cpp", '#include "config/load.hpp"\n')
        self.assert_only("includes", "src/connectors/odoo/odoo.cpp:1", "config/spec*.hpp only")

    def test_beast_outside_net(self):
        for name in ("src/core/clock.cpp", "tests/unit/core/clock_test.cpp"):
            self.setUp()
            self.write(name, "#include <vector>\n#include <boost/beast/core.hpp>\n")
            self.assert_only("beast", name + ":2", "use the plain requests")

    def test_a_benchmark_may_measure_beast(self):
        self.write("tests/bench/yardstick.cpp", "#include <boost/beast/core.hpp>\n")
        self.assertEqual(self.findings("beast"), [])

    def test_a_file_that_is_too_long(self):
        self.write("src/core/clock.cpp", "\n" * tidy.FILE_LINES_MAX)
        self.assertEqual(self.findings("length"), [])
        self.write("src/core/clock.cpp", "\n" * (tidy.FILE_LINES_MAX + 1))
        self.assert_only("length", "src/core/clock.cpp:451", "split the file")

    def test_a_line_that_is_too_long(self):
        for name in ("src/core/clock.cpp", "tests/unit/core/clock_test.cpp"):
            self.setUp()
            self.write(name, "// " + "é" * 97 + "\n")
            self.assertEqual(self.findings("length"), [])
            self.write(name, "\n// " + "é" * 98 + "\n")
            self.assert_only("length", name + ":2", "101 columns")

    def test_work_marks(self):
        for mark in tidy.WORK_MARKS:
            self.setUp()
            self.write("docs/reference/notes.md", f"fine\n{mark}: later\n")
            self.assert_only("words", "docs/reference/notes.md:2", mark)
        self.setUp()
        self.write("src/core/clock.cpp", 'auto name = "' + "X" * 6 + '";\n')
        self.assertEqual(self.findings("words"), [])

    def test_paths_of_one_machine(self):
        for folder in tidy.MACHINE_FOLDERS:
            self.setUp()
            self.write("tests/unit/core/clock_test.cpp", f'\nopen("/{folder}/file");\n')
            self.assert_only("words", "tests/unit/core/clock_test.cpp:2", "path of one machine")

    def test_build_folders_and_binaries_are_left_alone(self):
        self.write("build/release/generated.cpp", tidy.WORK_MARKS[0] + "\n")
        (self.root / "docs/picture.png").write_bytes(b"\x89PNG\xff " +
                                                     tidy.WORK_MARKS[0].encode())
        self.assertEqual(self.run_all()[0], 0)

    def test_a_folder_without_a_readme(self):
        (self.root / "src/net/README.md").unlink()
        self.assert_only("readme", "src/net/README.md:1", "what it promises")

    def test_a_readme_that_is_too_long(self):
        self.write("src/net/README.md", "x\n" * 40)
        self.assertEqual(self.findings("readme"), [])
        self.write("src/net/README.md", "x\n" * 41)
        self.assert_only("readme", "src/net/README.md:41", "move the rest to docs")

    def test_a_header_without_a_comment(self):
        self.write("src/core/clock.hpp", "#pragma once\n")
        self.assert_only("headers", "src/core/clock.hpp:1", "say in its first lines")

    def test_a_header_without_its_guard(self):
        self.write("src/core/clock.hpp", "// A clock.\n#include <vector>\n#pragma once\n")
        self.assert_only("headers", "src/core/clock.hpp:2", "#pragma once right after")
        self.write("src/core/clock.hpp", "// A clock.\n")
        self.assert_only("headers", "src/core/clock.hpp:2", "#pragma once right after")


if __name__ == "__main__":
    unittest.main()

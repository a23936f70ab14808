"""docs/reference/configuration.md lists the keys that the program reads. `--write` writes them anew."""
# labels: quick

import subprocess
import sys
import unittest

from millrace_harness import main
from processes import SOURCE, program

REFERENCE = SOURCE / "docs" / "reference" / "configuration.md"
MARK = "--write` puts it here, and the same test fails when the two differ. -->\n"


def with_generated_part(text):
    """The page: prose as it is, behind the mark what the program prints."""
    printed = subprocess.run([program("millrace"), "docs", "reference"], capture_output=True,
                             text=True, timeout=60, check=True).stdout
    head, found, _ = text.partition(MARK)
    if not found:
        raise ValueError(f"{REFERENCE} has lost its mark: {MARK}")
    return f"{head}{found}\n{printed}"


class ConfigurationReference(unittest.TestCase):
    maxDiff = None

    def test_the_page_says_what_the_program_reads(self):
        page = REFERENCE.read_text("utf-8")
        self.assertEqual(with_generated_part(page), page, "write it anew: "
                         "python3 tests/scenarios/test_configuration_reference.py --write")


if __name__ == "__main__":
    if "--write" in sys.argv:
        REFERENCE.write_text(with_generated_part(REFERENCE.read_text("utf-8")), "utf-8")
    else:
        main()
# own stores: no daemon runs

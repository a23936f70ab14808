"""docs/reference/cli.md says what `millrace --help` says. `--write` writes it anew."""
# own stores: no daemon runs

import re
import subprocess
import sys
import unittest

from millrace_harness import main
from processes import SOURCE, program

REFERENCE = SOURCE / "docs" / "reference" / "cli.md"
HEAD = """\
# Command line

Written from `--help` by `tests/scenarios/test_cli_reference.py --write`; the same test fails when the two
differ.

Exit codes of `millrace`: 0 ok, 1 findings (something is wrong, refused, or not there), 2 usage or cannot
run. `--json` prints the admin API's answer as it is, with the same exit code. `lint`, `test`, `init`, `docs`, `schema`,
`eval`, `restore`, `log` and `state` work without a daemon; all others ask the running one over its admin address, as the user who
may read `admin.token`.

Exit codes of `millraced`: 0 stopped as asked (SIGTERM, SIGINT), 1 the configuration has errors, 2 it cannot
run, 70 a write or sync of the log or the state failed. SIGHUP reloads.
"""


def help_of(*command):
    """The help text without this machine's paths."""
    name, *rest = command
    done = subprocess.run([program(name), *rest, "--help"], capture_output=True, text=True,
                          timeout=60, check=True)
    text = re.sub(r"Usage: \S*?(millraced?)(?= )", r"Usage: \1", done.stdout)
    return text.strip("\n")


def subcommands(text):
    _, _, listing = text.partition("\nSubcommands:\n")
    return re.findall(r"^  (\S+)", listing, re.MULTILINE)


def without_frame(text):
    """Description, usage and options; `--help` itself and empty lines are no news."""
    lines = [line for line in text.splitlines() if line and not line.startswith("  -h,--help")]
    if lines[-1] == "Options:":
        lines.pop()
    return "\n".join(lines)


def reference():
    parts = [HEAD, "## millraced\n", f"```\n{without_frame(help_of('millraced'))}\n```\n",
             "## millrace\n", f"```\n{without_frame(help_of('millrace'))}\n```\n"]
    waiting = [[name] for name in subcommands(help_of("millrace"))]
    while waiting:
        command = waiting.pop(0)
        text = help_of("millrace", *command)
        below = subcommands(text)
        waiting = [[*command, name] for name in below] + waiting
        if not below:
            parts.append(f"### millrace {' '.join(command)}\n")
            parts.append(f"```\n{without_frame(text)}\n```\n")
    return "\n".join(parts)


class CliReference(unittest.TestCase):
    maxDiff = None

    def test_the_reference_says_what_the_commands_say(self):
        self.assertEqual(reference(), REFERENCE.read_text("utf-8"),
                         "write it anew: python3 tests/scenarios/test_cli_reference.py --write")


if __name__ == "__main__":
    if "--write" in sys.argv:
        REFERENCE.write_text(reference(), "utf-8")
    else:
        main()

"""The tutorial does what it says: its commands are run as they stand, on ports of their own."""
# own stores: it is on files and SQLite as it is written

import os
import re
import signal
import subprocess

from millrace_harness import Scenario, main
from processes import SOURCE, free_port, program

TUTORIAL = SOURCE / "docs" / "tutorial" / "first-route.md"
ENDS_WITHIN = 180


def commands(text):
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


class Tutorial(Scenario):
    def run_commands(self):
        text = "\n".join(commands(TUTORIAL.read_text("utf-8")))
        for port in ("8480", "8481", "9090"):
            text = text.replace(port, str(free_port()))
        # A reader's machine is quicker than one that runs all tests at once.
        text = re.sub(r"(?m)^sleep (\d+)$", lambda found: f"sleep {4 * int(found[1])}", text)
        (self.directory / "tests").symlink_to(SOURCE / "tests")
        for folder in ("daemon", "cli"):
            place = self.directory / "build" / "release" / "src" / folder
            place.mkdir(parents=True)
        source = self.directory / "build" / "release" / "src"
        (source / "daemon" / "millraced").symlink_to(program("millraced"))
        (source / "cli" / "millrace").symlink_to(program("millrace"))
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["bash", "-euxo", "pipefail", "-c", text], cwd=self.directory, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True)
        try:
            return process.communicate(timeout=ENDS_WITHIN)[0], process.returncode
        finally:
            # What a failed command left behind; a tutorial that ended well left nothing.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def test_every_command_works_and_says_what_the_tutorial_says(self):
        output, code = self.run_commands()
        for expected in ("0 errors, 0 warnings", "known to mes as T1", "POST /work-orders 200",
                         "DELETE /work-orders/T1 200", "connection mes is down", "held_by_target",
                         "Nothing is wrong.", "changed    route order-to-mes",
                         "Generation 2 runs."):
            self.assertIn(expected, output)
        self.assertEqual(1, output.count("DELETE /work-orders/T1 200"))
        self.assertEqual(0, code, output)


if __name__ == "__main__":
    main()

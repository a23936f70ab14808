"""The demo's story ends well, and whoever ends the demo ends all of it."""
# labels: quick
# logs: kafka

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

from millrace_harness import main
from processes import SOURCE, build_directory

DEMO = [sys.executable, "-B", SOURCE / "scripts" / "demo.d" / "demo.py"]
ON_KAFKA = os.environ.get("MILLRACE_LOG") == "kafka"
STORY_WITHIN = 240
END_WITHIN = 90


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Demo(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="millrace-scenario-")
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name
        os.chmod(self.directory, 0o755)  # PostgreSQL's user reaches its own directory in it

    def start(self, *arguments):
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["env", f"TMPDIR={self.directory}", *DEMO, "--build", build_directory(),
             *(["--kafka"] if ON_KAFKA else []), *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def read_until(self, process, wanted):
        """What it printed up to that line; everything, when it ended before."""
        text = ""
        limit = threading.Timer(STORY_WITHIN, process.kill)
        limit.start()
        try:
            for line in process.stdout:
                text += line
                if wanted in line:
                    break
        finally:
            limit.cancel()
        return text

    def test_it_keeps_running_until_it_is_stopped_and_leaves_nothing_behind(self):
        process = self.start()
        text = self.read_until(process, "Ctrl-C ends everything")
        if "SKIPPED: no Kafka" in text:
            self.assertEqual(2, process.wait(END_WITHIN))
            print(text)
            self.skipTest("there is no Kafka on this machine")
        self.assertIn("Ctrl-C ends everything", text)
        ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)$", text, re.MULTILINE)]
        self.assertEqual(7 if ON_KAFKA else 5, len(ports), text)
        self.assertTrue(all(listens(port) for port in ports))
        process.send_signal(signal.SIGINT)
        rest = self.read_until(process, "The story ended well")
        self.assertEqual(0, process.wait(END_WITHIN), rest)
        self.assertEqual([], [port for port in ports if listens(port)])

    @unittest.skipIf(ON_KAFKA, "tested without a Kafka, which takes long to start")
    def test_once_ends_by_itself(self):
        process = self.start("--once")
        text = self.read_until(process, "no such line")
        self.assertEqual(0, process.wait(END_WITHIN), text)
        self.assertIn("The story ended well", text)


if __name__ == "__main__":
    main()
# own stores: the demo starts its own, with --kafka on Kafka and PostgreSQL

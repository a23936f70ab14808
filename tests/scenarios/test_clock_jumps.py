"""The wall clock jumps a day ahead, a day back and ninety days ahead under load: no burst of retries, no
early dead letter, nobody is paused, repeats are still known, and nothing is let go of by age until the
clocks agree or a person accepts. Signatures are judged by the wall clock."""
# only files: librdkafka waits by a clock that libfaketime changes for the daemon alone

import base64
import hashlib
import hmac
import json
import os
import re
import sys
import time
from pathlib import Path

from configurations import EVERY_CHANGE, SHOP, as_sent, order
from millrace_harness import SHOP_TOKEN, Scenario, eventually, main, write_secret
from processes import sanitized

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
# jemalloc asks for the time before libfaketime is ready, and both wait for ever: what allocates is
# taken from the standard libraries here, which are found first when they stand behind libfaketime.
PRELOAD = f"{LIBRARY} libstdc++.so.6 libc.so.6"
POISONED = (900, 901)  # fewer than the three records that open a breaker
GOOD = range(1, 21)
WINDOW_SECONDS = 2.0
DUPLICATES = 'millrace_ingress_hooks_total{outcome="duplicate"}'
SIGNING_KEY = b"0123456789abcdef0123456789abcdef"

SIGNED = """\
connection: signed
type: hook
verify: { standard_webhooks: "${secret.signing_key}" }
record: .id
"""


class ClockJumps(Scenario):
    def setUp(self):
        reason = ("libfaketime is missing; scripts/install-packages installs it"
                  if not LIBRARY.exists() else
                  "a sanitizer must be loaded first, as libfaketime must" if sanitized() else "")
        if reason:
            print(f"SKIPPED: {reason}", file=sys.stderr)
            self.skipTest(reason)
        self.mes = self.target()
        shop = SHOP.replace("version: .version\n", "version: .version\nid: .event\n")
        self.millrace = self.order_broker(self.mes, EVERY_CHANGE, shop)
        objects = self.millrace.config / "objects.yaml"
        objects.write_text(objects.read_text("utf-8") + "---\n" + SIGNED, "utf-8")
        write_secret(self.millrace.secrets / "signing_key",
                     "whsec_" + base64.b64encode(SIGNING_KEY).decode())
        self.offset = self.directory / "clock"
        self.jump("+0")
        self.millrace.environment = {
            "LD_PRELOAD": PRELOAD, "FAKETIME_TIMESTAMP_FILE": str(self.offset),
            "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}
        self.millrace.start()
        self.version = 0

    def jump(self, offset):
        new = self.directory / "clock.new"
        new.write_text(offset + "\n", "ascii")
        os.replace(new, self.offset)

    def load(self):
        """News of every good record; all of it arrives, in its order."""
        self.version += 1
        for record in GOOD:
            self.send(self.millrace, self.payload(record, self.version))
        for record in GOOD:
            expected = [as_sent(record, version) for version in range(1, self.version + 1)]
            eventually(lambda record=record, expected=expected: expected == self.of(record),
                       what=f"the news of {record} arrive in order")

    def of(self, record):
        return [body for body in self.mes.bodies() if body["number"] == f"S{record}"]

    @staticmethod
    def payload(record, version):
        return {**order(record, quantity=version, version=version), "event": f"{record}-{version}"}

    def attempts(self):
        """Requests for poisoned records in a window of time."""
        def count():
            return sum('"S90' in request["body"]
                       for request in self.mes.control("requests")["requests"])
        before, until = count(), time.monotonic() + WINDOW_SECONDS
        eventually(lambda: time.monotonic() >= until, what="the window is over")
        return count() - before

    def signed(self, seconds):
        """The answer to a message signed at this time."""
        body = json.dumps({"id": 1})
        text = f"m1.{int(seconds)}.{body}"
        signature = base64.b64encode(
            hmac.new(SIGNING_KEY, text.encode(), hashlib.sha256).digest()).decode()
        return self.millrace.post("/hooks/signed", body, {
            "webhook-id": "m1", "webhook-timestamp": str(int(seconds)),
            "webhook-signature": f"v1,{signature}"}).status

    def clock_problems(self):
        return [problem for problem in self.millrace.admin("GET", "/admin/v1/status").json()
                ["problems"] if problem["object"] == "clock"]

    def check_nothing_else_happened(self, usual):
        self.assertLessEqual(self.attempts(), 2 * usual + 10, "a burst of retries")
        self.assertEqual([], self.dead_letters(self.millrace))
        connections = self.millrace.admin("GET", "/admin/v1/connections").json()["connections"]
        self.assertIn(("mes", "up"), [(one["name"], one["state"]) for one in connections])
        duplicates = self.millrace.metrics()[DUPLICATES]
        self.send(self.millrace, self.payload(GOOD[0], 1))
        self.assertEqual(duplicates + 1, self.millrace.metrics()[DUPLICATES], "a repeat is known")

    def test_jumps_under_load(self):
        self.mes.fault(status=503, body='"S90')
        for record in POISONED:
            self.send(self.millrace, self.payload(record, 1))
        self.load()
        eventually(lambda: len(self.parked(self.millrace)) == len(POISONED), what="they park")
        usual = eventually(lambda: (seen := self.attempts()) >= 4 and seen, 60, "retries go on")
        self.assertEqual([], self.clock_problems())
        for offset, days in (("+1d", 1), ("-1d", -1), ("+90d", 90)):
            self.jump(offset)
            self.load()
            self.check_nothing_else_happened(usual)
            problem = self.clock_problems()[0]
            self.assertIn(f"{abs(days) * 24} h", problem["what"])
            self.assertIn("millrace clock accept --reason", problem["next"])
            self.assertEqual(200, self.signed(time.time() + days * 86400))
            self.assertEqual(401, self.signed(time.time()), "signatures go by the wall clock")
        # Parked ninety days ahead; the clock is right again at the next start.
        self.millrace.kill9()
        self.jump("+0")
        self.millrace.start()
        self.assertIn("is back", self.clock_problems()[0]["what"])
        self.load()
        self.mes.heal()
        eventually(lambda: not self.parked(self.millrace), what="what was parked is delivered")
        self.check_the_log()

    def check_the_log(self):
        self.assertEqual(0, self.millrace.terminate())
        self.millrace.cli("log", "verify")
        self.assertIsNone(re.search("(?i)error|critical", self.millrace.log_text()))

    def test_nothing_is_late_because_the_clock_jumped(self):
        self.mes.fault(status=503)
        for record in GOOD:
            self.send(self.millrace, self.payload(record, 1))
        eventually(lambda: self.problems("connection mes is down"), what="the target is down")
        self.jump("+1d")
        eventually(self.clock_problems, what="the jump is a problem")
        self.assertEqual([], self.problems("is late"))

    def problems(self, words):
        return [problem for problem in self.millrace.admin("GET", "/admin/v1/status").json()
                ["problems"] if words in problem["what"]]

    def test_the_audit_keeps_its_order(self):
        def pause(number):
            self.millrace.cli("routes", "pause", "order-to-mes", "--reason", f"pause {number}")

        self.jump("+90d")
        pause(1)
        self.jump("-1d")
        pause(2)
        self.millrace.kill9()
        self.millrace.start()
        pause(3)
        rows = [json.loads(value) for _, value in sorted(self.millrace.state.rows("audit"))]
        self.assertEqual(["pause 1", "pause 2", "pause 3"],
                         [row["reason"] for row in rows if row["what"] == "pause route"])

    def test_a_person_accepts_the_new_time(self):
        refused = self.millrace.cli("clock", "accept", "--reason", "no jump", expect=1)
        self.assertIn("did not jump", refused.stderr)
        self.jump("+90d")
        eventually(self.clock_problems, what="the jump is a problem")
        # It is still one after a restart on the same boot.
        self.millrace.kill9()
        self.millrace.start()
        self.assertTrue(self.clock_problems())
        self.millrace.cli("clock", "accept", "--reason", "the battery was empty until today")
        self.assertEqual([], self.clock_problems())
        eventually(lambda: self.saved_clock()["frozen_at"] is None, what="it is kept")
        self.millrace.kill9()
        self.millrace.start()
        self.assertEqual([], self.clock_problems())

    def saved_clock(self):
        rows = [value for key, value in self.millrace.state.rows("meta") if key == b"clock"]
        return json.loads(rows[0])


if __name__ == "__main__":
    main()

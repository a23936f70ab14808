"""`state verify` and `log verify` find nothing in what is sound, and name each fault: a flipped bit, rows
that cannot be read, cursors and parked rows that do not fit the log, identities that disagree."""
# labels: quick

import contextlib
import shutil
import sqlite3

from configurations import EVERY_CHANGE, order
from millrace_harness import Scenario, eventually, main

REMEMBERED = EVERY_CHANGE.replace("    body: .data\n",
                                  "    body: .data\n    remember: '\"W-\" + .data.number'\n")


class VerifyFindsFaults(Scenario):
    def setUp(self):
        mes = self.target()
        self.millrace = self.order_broker(mes, REMEMBERED)
        self.millrace.start()
        self.send(self.millrace, order(1, quantity=1, version=1))
        eventually(lambda: len(mes.bodies()) == 1, what="one is delivered")
        mes.fault(status=422)
        self.send(self.millrace, order(2, quantity=1, version=1))
        eventually(lambda: len(self.dead_letters(self.millrace)) == 1, what="one is parked")
        self.assertEqual(0, self.millrace.terminate())
        self.state = self.millrace.data / "state.db"
        self.sound = self.directory / "sound.db"
        shutil.copy(self.state, self.sound)
        said = self.millrace.cli("state", "verify").stdout
        self.assertIn("sound and fits its log", said)

    def edit(self, *statement):
        with contextlib.closing(sqlite3.connect(self.state)) as state:
            changed = state.execute(*statement)
            self.assertEqual(1, changed.rowcount, statement)
            state.commit()

    def check_named(self, *words):
        """The fault is named and the exit code is 1; then the state is as it was."""
        said = self.millrace.cli("state", "verify", expect=1).stdout
        for word in words:
            self.assertIn(word, said)
        self.assertEqual(1, len(said.splitlines()), said)
        shutil.copy(self.sound, self.state)

    def key(self, table, first):
        (found,) = [key for key, _ in self.millrace.state.rows(table)
                    if key.startswith(first.encode() + b"\0")][:1]
        return found

    def test_rows_that_cannot_be_read(self):
        for table, first in (("cursors", "route/order-to-mes"), ("parked", "order-to-mes"),
                             ("projections", "order")):
            self.edit(f"UPDATE {table} SET value = '[1, ' WHERE key = ?",
                      (self.key(table, first),))
            self.check_named(f"{table} {first}/", "value is not JSON")
        # JSON, and still not a row.
        for table, first in (("cursors", "route/order-to-mes"), ("parked", "order-to-mes")):
            self.edit(f"UPDATE {table} SET value = '{{}}' WHERE key = ?", (self.key(table, first),))
            self.check_named(f"{table[:-1] if table == 'cursors' else table} {first}/")

    def test_a_cursor_beyond_the_end(self):
        key = self.key("cursors", "route/order-to-mes")
        self.edit("UPDATE cursors SET value = json_set(value, '$.next', 77) WHERE key = ?", (key,))
        self.check_named("cursor route/order-to-mes/", "is at 77, beyond the end of its journal")

    def test_a_parked_row_that_does_not_fit(self):
        key = self.key("parked", "order-to-mes")
        self.edit("UPDATE parked SET value = json_remove(value, '$.payload') WHERE key = ?", (key,))
        self.check_named("parked order-to-mes:", "has no event")
        self.edit("UPDATE parked SET value = json_set(value, '$.offset', 99) WHERE key = ?", (key,))
        self.check_named("parked order-to-mes/", "says that it is")

    def test_identities_that_disagree(self):
        self.edit("DELETE FROM xref_by_id WHERE key = ?", (self.key("xref_by_id", "order"),))
        self.check_named("xref order/mes/shop/1 is W-S1", "does not lead back")
        self.edit("DELETE FROM xref WHERE key = ?", (self.key("xref", "order"),))
        self.check_named("xref_by_id order/mes/W-S1/shop/1", "xref does not know")

    def test_a_flipped_bit(self):
        content = bytearray(self.sound.read_bytes())
        told = 0
        for page in range(4096, len(content), 4096 * (len(content) // 4096 // 12)):
            flipped = bytearray(content)
            flipped[page] ^= 1  # the page's kind
            self.state.write_bytes(flipped)
            done = self.millrace.cli("state", "verify", expect=None)
            self.assertIn(done.returncode, (0, 1), done.stderr)
            told += done.returncode
            if done.returncode == 1:
                self.assertTrue(done.stdout.strip())
        self.assertGreater(told, 2, "free pages alone may be flipped unseen")
        shutil.copy(self.sound, self.state)

    def test_the_log(self):
        self.assertIn("inbox", self.millrace.cli("log", "verify").stdout)
        events = next((self.millrace.data / "log" / "events").glob("*.log"))
        content = events.read_bytes()
        at = content.index(b'"S1"')
        events.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1:])
        said = self.millrace.cli("log", "verify", expect=1).stdout
        frame = content.rindex(b"MRF1", 0, at)
        self.assertIn(f"{events}: damaged frame at byte {frame}", said)
        # The state knows more than the log has: that is the state's finding.
        events.write_bytes(content[:4096] + bytes(len(content) - 4096))
        said = self.millrace.cli("state", "verify", expect=1).stdout
        self.assertIn("acknowledged records are gone", said)
        # Nor is the log of another one taken for its own.
        manifest = self.millrace.data / "log" / "log.json"
        manifest.write_text(manifest.read_text("utf-8").replace('"uuid":"', '"uuid":"0', 1)
                            .replace('"uuid": "', '"uuid": "0', 1), "utf-8")
        self.assertNotEqual(0, self.millrace.cli("state", "verify", expect=None).returncode)


if __name__ == "__main__":
    main()
# only files: it flips a bit of a segment
# only sqlite: it changes rows of state.db by hand

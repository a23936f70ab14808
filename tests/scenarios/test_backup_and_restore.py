"""Backed up while it runs, went on, lost everything, restored: no acknowledged message of the backup is
lost, a target that honours keys has each effect once, and one that does not gets nothing twice without a
person's word."""
# labels: quick

import json
import shutil

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main

PLAIN = MES.replace("idempotent: true\n", "").replace("connection: mes", "connection: plain") \
    .replace("%(target_port)d", "%(plain_port)d")
TO_PLAIN = EVERY_CHANGE.replace("order-to-mes", "order-to-plain").replace("to: mes", "to: plain")


class BackupAndRestore(Scenario):
    def setUp(self):
        self.mes, self.plain = self.target(), self.target(idempotent=False)
        self.millrace = self.broker(SHOP, MES % {"target_port": self.mes.port},
                                    PLAIN % {"plain_port": self.plain.port}, ORDER, EVERY_CHANGE,
                                    TO_PLAIN).start()
        self.backup = self.directory / "backup"

    def numbers(self, target):
        return sorted(body["number"] for body in target.bodies())

    def await_numbers(self, target, records, what):
        expected = sorted(f"S{record}" for record in records)
        eventually(lambda: self.numbers(target) == expected,
                   what=lambda: f"{what}: {expected}; it has {self.numbers(target)}")

    def lose_everything(self):
        self.millrace.kill9()
        shutil.rmtree(self.millrace.data)
        self.millrace.data.mkdir()

    def back_up_with_something_on_the_way(self):
        """1 to 5 are delivered; 6 to 8 wait for targets that refuse them, some of them parked."""
        for record in range(1, 6):
            self.send(self.millrace, order(record, quantity=1, version=1))
        for target in (self.mes, self.plain):
            self.await_numbers(target, range(1, 6), "the first ones arrive")
            for record in (6, 7):
                target.fault(status=503, body=f'"S{record}"')
        for record in (6, 7):
            self.send(self.millrace, order(record, quantity=1, version=1))
        eventually(lambda: len(self.parked(self.millrace)) == 4, what="two park on each route")
        for route in ("order-to-mes", "order-to-plain"):
            self.millrace.cli("routes", "pause", route, "--reason", "so that one is in the log only")
        self.send(self.millrace, order(8, quantity=1, version=1))
        eventually(lambda: all(route["lag"] > 0 for route in self.routes()), what="8 is an event")
        self.millrace.cli("backup", str(self.backup))

    def routes(self):
        return self.millrace.admin("GET", "/admin/v1/routes").json()["routes"]

    def go_on(self):
        """What only the lost instance knew: it delivered the rest, and two more."""
        for target in (self.mes, self.plain):
            target.heal()
        for route in ("order-to-mes", "order-to-plain"):
            self.millrace.cli("routes", "resume", route)
        for record in (9, 10):
            self.send(self.millrace, order(record, quantity=1, version=1))
        for target in (self.mes, self.plain):
            self.await_numbers(target, range(1, 11), "everything arrives")

    def restore(self):
        self.lose_everything()
        self.millrace.cli("restore", str(self.backup))
        self.assertIn("fits its log", self.millrace.cli("state", "verify").stdout)
        self.millrace.start()
        for route in ("order-to-mes", "order-to-plain"):
            self.millrace.cli("routes", "resume", route)

    def asked(self):
        return {row["record"]: row for row in self.parked(self.millrace)
                if row["state"] == "unknown"}

    def test_what_was_sent_after_the_backup_is_not_blindly_repeated(self):
        self.back_up_with_something_on_the_way()
        self.go_on()
        self.restore()
        # Keys are honoured there: 6, 7 and 8 are sent once more with the keys they had.
        eventually(lambda: self.mes.counts()["repeats"] >= 3, what="the three are repeated")
        self.assertEqual(sorted(f"S{record}" for record in range(1, 11)), self.numbers(self.mes))
        # Not there: a person is asked for each of them.
        waiting = eventually(lambda: len(self.asked()) == 3 and self.asked(), what="three wait")
        self.assertEqual({"shop/6", "shop/7", "shop/8"}, set(waiting))
        self.assertEqual({"order-to-plain"}, {row["route"] for row in waiting.values()})
        self.assertIn("backup", waiting["shop/8"]["reason"])
        self.assertEqual(sorted(f"S{record}" for record in range(1, 11)), self.numbers(self.plain))
        self.decide(waiting)
        self.take_up_again()

    def decide(self, waiting):
        """A person looks, and says so. Across a crash nothing is forgotten."""
        self.millrace.kill9()
        self.millrace.start()
        self.assertEqual(3, len(self.asked()))
        for record in ("shop/6", "shop/7"):
            self.millrace.cli("parked", "release", waiting[record]["id"], "--applied")
        self.millrace.cli("parked", "release", waiting["shop/8"]["id"], "--not-applied",
                          "--reason", "it was cancelled there")
        again = [*range(1, 11), 8]
        self.await_numbers(self.plain, again, "only what was said not to be applied is sent")

    def take_up_again(self):
        """Life goes on; revs of the lost instance are not given again."""
        revs = self.incarnations()
        self.send(self.millrace, order(1, quantity=2, version=2))
        for target in (self.mes, self.plain):
            eventually(lambda target=target: as_sent(1, 2) in target.bodies(), what="news arrive")
        eventually(lambda: max(self.incarnations()) > max(revs), what="a later incarnation")
        self.assertEqual([], self.dead_letters(self.millrace))

    def incarnations(self):
        return [int(json.loads(value)["rev"]) >> 32 for _, value in
                self.millrace.state.rows("projections")]

    def test_a_backup_under_load_fits(self):
        """Taken between any two commits, state and log belong together."""
        for record in range(1, 200):
            self.send(self.millrace, order(record, quantity=1, version=1))
            if record in (50, 100, 150):
                self.millrace.cli("backup", str(self.directory / f"backup-{record}"))
        for record in (50, 100, 150):
            self.backup = self.directory / f"backup-{record}"
            if self.millrace.process is None:
                self.millrace.start()
            self.restore()
            # What was acknowledged before the backup is there, whatever has been delivered.
            for number in range(1, record + 1):
                self.assertEqual(0, self.millrace.cli("where", f"shop/{number}").returncode)
            self.assertEqual([], self.dead_letters(self.millrace))

    def test_it_refuses_what_it_must_not_do(self):
        self.send(self.millrace, order(1, quantity=1, version=1))
        self.await_numbers(self.mes, [1], "it arrives")
        self.millrace.cli("backup", str(self.backup))
        again = self.millrace.cli("backup", str(self.backup), expect=1)
        self.assertIn("not empty", again.stderr)
        refused = self.millrace.cli("restore", str(self.backup), expect=2)
        self.assertIn("overwrites nothing", refused.stderr)
        self.lose_everything()
        segment = next((self.backup / "log" / "events").glob("*.log"))
        whole = segment.read_bytes()
        segment.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        damaged = self.millrace.cli("restore", str(self.backup), expect=2)
        self.assertIn(segment.name, damaged.stderr)
        self.assertFalse((self.millrace.data / "state.db").exists())
        segment.write_bytes(whole)
        self.change_environment("other")
        self.assertIn("must not write",
                      self.millrace.cli("restore", str(self.backup), expect=2).stderr)
        self.change_environment("test")
        (self.backup / "backup.json").rename(self.backup / "away.json")
        self.assertIn("not finished",
                      self.millrace.cli("restore", str(self.backup), expect=2).stderr)

    def change_environment(self, name):
        path = self.millrace.config / "millrace.yaml"
        lines = [f"environment: {name}" if line.startswith("environment:") else line
                 for line in path.read_text("utf-8").splitlines()]
        path.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
# only files: `millrace backup` takes segments
# only sqlite: `millrace backup` takes state.db

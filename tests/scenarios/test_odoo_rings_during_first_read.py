"""Odoo rings while the first full read is under way: doorbells wait for its end, what is news is said
then and what is history is not; with `first_seen: emit` everything is said, once."""
# labels: quick

import datetime
import json

from millrace_harness import eventually, main
from odoo_neighbour import OdooScenario

OLD_ORDERS = 1100  # more than one page of the full read
LAST_YEAR = "2025-01-02 03:04:05"


def seconds_ago(count):
    """A transaction's start as Odoo stores it."""
    then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=count)
    return then.strftime("%Y-%m-%d %H:%M:%S.%f")


class OdooRingsDuringFirstRead(OdooScenario):
    def begin(self, **options):
        """A full read that comes no further than its first page."""
        self.neighbours(**options)
        self.odoo.ring_into(self.millrace, on=["create", "write", "unlink"])
        self.odoo.control("seed", model="sale.order", count=OLD_ORDERS, age_days=3650,
                          values={"state": "sale"})
        self.odoo.control("fault", mode="database_down", model="sale.order", method="read",
                          ids=[OLD_ORDERS])
        self.millrace.start()
        eventually(lambda: "full read or sweep waits for its source" in self.millrace.log_text(),
                   60, "the full read is stuck")
        eventually(self.is_page_kept, 30, "a restart does not read the first page again")

    def is_page_kept(self):
        """Each shard keeps how far it is together with what it has read."""
        rows = [json.loads(row) for row in self.millrace.state_values("marks").splitlines()]
        shards = [row["shards"] for row in rows if "shards" in row]
        reached = [row["after_id"] for row in rows if "after_id" in row]
        return [len(reached)] == shards and all(reached)

    def is_known(self, key):
        return self.millrace.cli("where", key, expect=None).returncode == 0

    def finish(self):
        """The full read comes to its end, and whatever waited is read."""
        self.assertNotIn("full read done", self.millrace.log_text())
        self.odoo.control("faults_clear")
        eventually(lambda: "full read done" in self.millrace.log_text(), 60, "the full read's end")

    def await_waiting(self, count):
        eventually(lambda: self.doorbells()["waiting"] == count, 20,
                   lambda: f"{count} doorbells wait; {self.doorbells()}")

    def test_they_wait_for_its_end_also_through_a_crash(self):
        self.begin()
        self.odoo.write_order(1, state="cancel")  # was read before it changed
        self.odoo.write_order(OLD_ORDERS, state="done")  # will be read as it is now
        self.odoo.control("unlink", model="sale.order", ids=[2])
        new = self.odoo.create_order()
        self.await_waiting(4)
        self.millrace.kill9()
        self.millrace.start()
        self.await_waiting(4)
        self.assertEqual([], self.sent())
        self.finish()
        eventually(lambda: len(self.sent()) >= 3, 30, lambda: f"three; {self.sent()}")
        self.await_settled()
        self.assertEqual(["DELETE /orders/S00002", "POST /changed S00001 cancel",
                          f"POST /created S{new:05} draft"], sorted(self.sent()))
        # What was history at its end is known from then on.
        self.odoo.write_order(OLD_ORDERS, state="cancel")
        eventually(lambda: self.sent()[3:] == [f"POST /changed S{OLD_ORDERS:05} cancel"], 30,
                   lambda: f"{self.sent()}")

    def test_nothing_floods(self):
        self.begin()
        ids = list(range(1, 301))
        for note in ("one", "two"):  # no field that the entity reads
            self.odoo.control("write", model="sale.order", ids=ids, values={"note": note})
        self.await_waiting(300)
        self.finish()
        self.await_settled()
        self.assertEqual([], self.sent())

    def test_what_was_open_when_it_began_is_news_and_what_is_older_is_not(self):
        self.begin(longest_transaction="30s")
        # Begun before the full read, committed behind it: its doorbell says so.
        late = self.odoo.control("begin", start=seconds_ago(20))["tx"]
        order = self.odoo.control("create", model="sale.order", values={}, tx=late)["result"]
        self.await_waiting(1)
        self.finish()
        self.odoo.control("commit", tx=late)
        self.await_sent([f"POST /created S{order:05} draft"])
        # Older than any transaction that could have been open: first seen now, and still history.
        old = self.odoo.control("insert", model="sale.order", rows=[
            {"name": "OLD", "state": "draft", "create_date": LAST_YEAR, "write_date": LAST_YEAR}])
        ring = old["ids"][0]
        self.millrace.cli("fetch", "odoo", "sale.order", str(ring))
        eventually(lambda: self.is_known("OLD"), 30, "it is known")
        self.odoo.write_order(ring, state="sale")
        self.await_sent([f"POST /created S{order:05} draft", "POST /changed OLD sale"])

    def test_where_everything_is_asked_for_it_is_said_once(self):
        self.begin(more="    first_seen: emit\n")
        eventually(lambda: len(self.sent()) >= 1000, 60, "what was read is said")
        self.odoo.write_order(1, note="rings")
        self.odoo.write_order(OLD_ORDERS, note="rings")
        self.await_waiting(2)
        self.millrace.kill9()
        self.millrace.start()
        self.finish()
        eventually(lambda: len(self.sent()) >= OLD_ORDERS, 60, lambda: f"all; {len(self.sent())}")
        self.await_settled()
        self.assertEqual([f"POST /created S{number:05} sale" for number in range(1, OLD_ORDERS + 1)],
                         sorted(self.sent()))


if __name__ == "__main__":
    main()

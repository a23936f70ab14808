"""500 routes that take nothing: one row a partition stands for all of them, whatever goes by, and
after kill -9 they go on from there and deliver nothing twice."""

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main
from processes import sanitized

IDLE = 500
RSS_MB_MAX = 60  # of it 25 without them

NEVER = """\
route: never-%(number)03d
from: order
to: mes
when: .data.number == "never"
requests:
  changed:
    method: POST
    path: /never
    body: .data
"""


class IdleRoutes(Scenario):
    def cursors(self):
        """Rows by owner and partition, of the idle routes, of the busy one and of the tail."""
        found = {"idle": {}, "busy": {}, "tail": {}}
        for key, value in self.millrace.state.rows("cursors"):
            owner = key.split(b"\0")[0].decode()
            kind = ("idle" if owner.startswith("route/never") else
                    "busy" if owner.startswith("route/") else owner.split("/")[0])
            if kind in found:
                found[kind][key] = value
        return found

    def send_orders(self, first, count):
        for record in range(first, first + count):
            self.send(self.millrace, order(record, quantity=1, version=1))
        eventually(lambda: len(self.mes.effects()) >= first + count - 1, within=60,
                   what="orders arrive")

    def test_one_row_a_partition_stands_for_all(self):
        self.mes = self.target()
        routes = [NEVER % {"number": number} for number in range(IDLE)]
        self.millrace = self.broker(SHOP, MES % {"target_port": self.mes.port}, ORDER, EVERY_CHANGE,
                                    *routes)
        self.millrace.start()
        self.send_orders(1, 100)
        if not sanitized():
            self.assertLess(self.millrace.rss_mb(), RSS_MB_MAX)
        eventually(lambda: len(self.cursors()["tail"]) > 30, within=40, what="the tail has rows")
        eventually(lambda: sum('"tail":true' in row for row in self.cursors()["idle"].values())
                   > IDLE * 30, within=40, what="idle routes are on it")
        before = self.cursors()
        self.send_orders(101, 300)
        eventually(lambda: self.cursors()["tail"] != before["tail"], within=40, what="it moves")
        after = self.cursors()
        changed = sum(after["idle"][key] != row for key, row in before["idle"].items())
        # Partitions that had no event before let their routes join once; nothing else is written.
        joined = sum('"tail":true' in after["idle"][key] and '"tail":true' not in row
                     for key, row in before["idle"].items())
        self.assertEqual(joined, changed)
        self.millrace.kill9()
        self.millrace.start()
        eventually(lambda: [0] * IDLE == [route["lag"] for route in
                                          self.millrace.cli_json("status")["routes"]
                                          if route["name"].startswith("never")],
                   what="they go on from there")
        self.send_orders(401, 10)
        # The busy route may repeat what was not recorded yet, with the same keys: one effect each.
        bodies = self.mes.bodies()
        self.assertEqual(sorted(str(as_sent(record, 1)) for record in range(1, 411)),
                         sorted(str(body) for body in bodies))


if __name__ == "__main__":
    main()

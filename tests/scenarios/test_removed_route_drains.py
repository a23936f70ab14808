"""A route that is removed delivers what it had and is gone then: across restarts, with its connection
gone too, and when its files went while the daemon was down. A route that is renamed goes on."""
# labels: quick

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main

OTHER = EVERY_CHANGE.replace("route: order-to-mes", "route: order-to-wms").replace("to: mes",
                                                                                   "to: wms")
WMS = MES.replace("connection: mes\n", "connection: wms\n")
RECORDS = range(1, 31)


class RemovedRouteDrains(Scenario):
    def setUp(self):
        self.mes, self.wms = self.target(), self.target()
        self.parts = {"shop": SHOP, "order": ORDER, "mes": MES % {"target_port": self.mes.port},
                      "wms": WMS % {"target_port": self.wms.port}, "to-mes": EVERY_CHANGE,
                      "to-wms": OTHER}
        self.millrace = self.broker(*self.parts.values()).start()
        self.file = self.millrace.config / "objects.yaml"

    def write(self, without=(), **changed):
        parts = {name: text for name, text in self.parts.items() if name not in without} | changed
        self.file.write_text("---\n".join(parts.values()), "utf-8")

    def send_version(self, version):
        for record in RECORDS:
            self.send(self.millrace, order(record, quantity=version, version=version))

    def backlog(self):
        """Two versions of each order that the MES does not take."""
        self.mes.fault(status=503)
        for version in (1, 2):
            self.send_version(version)
        eventually(lambda: self.mes.control("requests")["requests"], what="the MES is asked")
        # What the other route has delivered is in the log.
        eventually(lambda: len(self.wms.bodies()) == 2 * len(RECORDS), what="both are events")

    def route(self, name="order-to-mes"):
        routes = self.millrace.cli_json("routes", "list")["routes"]
        return next((route for route in routes if route["name"] == name), None)

    def assert_drained(self, versions=(1, 2)):
        expected = [as_sent(record, version) for record in RECORDS for version in versions]
        eventually(lambda: len(self.mes.bodies()) >= len(expected), what="what it had arrives")
        eventually(lambda: self.route() is None, what="the route is gone")
        self.assertEqual(expected, sorted(self.mes.bodies(), key=lambda body: (
            int(body["number"][1:]), body["quantity"])))
        for record in RECORDS:
            self.assertEqual([as_sent(record, version) for version in versions],
                             [b for b in self.mes.bodies() if b["number"] == f"S{record}"])
        self.assertEqual(0, self.millrace.state_rows("cursors", "route/order-to-mes"))
        eventually(lambda: self.millrace.state_rows("routes", "text") == 1, what="one text is left")

    def test_by_reload_and_across_a_crash(self):
        self.backlog()
        self.write(without=("to-mes",))
        self.millrace.cli("reload")
        self.assertEqual("draining", self.route()["state"])
        self.send_version(3)
        self.assertIn("order-to-mes", self.millrace.cli("status", expect=None).stdout)
        self.millrace.kill9()
        self.millrace.start()
        self.assertEqual("draining", self.route()["state"])
        self.send_version(4)
        self.mes.heal()
        self.assert_drained()
        eventually(lambda: len(self.wms.bodies()) == 4 * len(RECORDS), what="the other route flows")

    def test_with_its_connection(self):
        self.backlog()
        self.write(without=("to-mes", "mes"))
        self.millrace.cli("reload")
        self.millrace.kill9()
        self.millrace.start()
        self.assertEqual("draining", self.route()["state"])
        self.send_version(3)
        self.mes.heal()
        self.assert_drained()
        self.assertEqual(1, self.millrace.state_rows("routes", "connection"))

    def test_while_the_daemon_is_down(self):
        self.backlog()
        self.millrace.kill9()
        self.write(without=("to-mes", "mes"))
        self.millrace.start()
        self.send_version(3)
        self.mes.heal()
        self.assert_drained()

    def test_its_dead_letters_can_still_be_worked_on(self):
        self.mes.fault(status=422, body='"S1"')
        self.mes.fault(status=422, body='"S2"')
        self.send_version(1)
        eventually(lambda: len(self.dead_letters(self.millrace)) == 2, what="two dead letters")
        self.write(without=("to-mes",))
        self.millrace.cli("reload")
        self.millrace.kill9()
        self.millrace.start()
        self.mes.heal()
        letters = {str(letter["record"]): letter["id"]
                   for letter in self.dead_letters(self.millrace)}
        self.assertEqual({"shop/1", "shop/2"}, set(letters))
        self.millrace.cli("dead", "resubmit", letters["shop/1"])
        eventually(lambda: as_sent(1, 1) in self.mes.bodies(), what="it is sent again")
        self.assertEqual("draining", self.route()["state"])
        self.millrace.cli("dead", "discard", letters["shop/2"], "--reason", "not needed any more")
        eventually(lambda: self.route() is None, what="the route is gone")

    def test_it_comes_back_before_it_is_gone(self):
        self.backlog()
        self.write(without=("to-mes",))
        self.millrace.cli("reload")
        self.send_version(3)
        self.write()
        self.millrace.cli("reload")
        self.assertFalse(self.route()["draining"])
        self.mes.heal()
        eventually(lambda: len(self.mes.bodies()) == 3 * len(RECORDS), what="nothing is left out")
        self.assertEqual([1, 2, 3], [b["quantity"] for b in self.mes.bodies()
                                     if b["number"] == "S7"])

    def test_a_renamed_route_keeps_its_place_and_its_keys(self):
        self.backlog()
        renamed = EVERY_CHANGE.replace("route: order-to-mes\n",
                                       "route: order-to-plant\nwas: order-to-mes\n")
        self.write(**{"to-mes": renamed})
        self.millrace.cli("reload")
        self.assertIsNone(self.route())
        self.assertFalse(self.route("order-to-plant")["draining"])
        self.send_version(3)
        self.millrace.kill9()
        self.millrace.start()
        self.mes.heal()
        eventually(lambda: len(self.mes.bodies()) == 3 * len(RECORDS), what="everything arrives")
        keys = {}
        for request in self.mes.control("requests")["requests"]:
            if request["method"] != "POST":
                continue  # a check
            key = dict((n.lower(), v) for n, v in request["headers"]).get("idempotency-key")
            keys.setdefault(request["body"], set()).add(key)
        self.assertEqual({}, {body: k for body, k in keys.items() if len(k) != 1})
        self.assertEqual(3 * len(RECORDS), len(keys))

    def test_a_second_rename_names_the_first_name(self):
        for name, was in (("order-to-plant", "order-to-mes"), ("order-to-hall", "order-to-plant"),
                          ("order-to-hall", "order-to-mes")):
            self.write(**{"to-mes": EVERY_CHANGE.replace(
                "route: order-to-mes\n", f"route: {name}\nwas: {was}\n")})
            good = was == "order-to-mes"
            said = self.millrace.cli("reload", expect=0 if good else 1)
            self.assertEqual(not good, "write `was: order-to-mes`" in said.stdout)
        self.assertFalse(self.route("order-to-hall")["draining"])
        self.assertEqual(1, self.millrace.state_rows("routes", "life") - 1)


if __name__ == "__main__":
    main()

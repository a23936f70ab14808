"""`routes drain|seek|skip|drop`: only these let go of undelivered events; each says first how many, acts
when told so with a reason, and leaves it in the trail and the audit. Going back repeats no effect."""
# labels: quick

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main

RECORDS = range(1, 11)
NAME = "order-to-mes"
WHY = ("--yes", "--reason", "agreed with the plant")


class RouteIsMovedByHand(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.parts = [SHOP, MES % {"target_port": self.mes.port}, ORDER, EVERY_CHANGE]
        self.millrace = self.broker(*self.parts).start()

    def send_version(self, version):
        for record in RECORDS:
            self.send(self.millrace, order(record, quantity=version, version=version))

    def quantities(self, record):
        return [b["quantity"] for b in self.mes.bodies() if b["number"] == f"S{record}"]

    def route(self):
        routes = self.millrace.cli_json("routes", "list")["routes"]
        return next((route for route in routes if route["name"] == NAME), None)

    def steer(self, verb, *arguments, expect=0):
        return self.millrace.cli("routes", verb, NAME, *arguments, expect=expect)

    def audit(self):
        return self.millrace.state_values("audit")

    def target_is_down(self):
        self.mes.fault(status=503)
        self.send_version(1)
        eventually(lambda: self.route()["waiting"] == len(RECORDS), what="all are taken up")

    def arrives(self, version):
        self.mes.heal()
        self.send_version(version)
        eventually(lambda: all(self.quantities(r)[-1:] == [version] for r in RECORDS),
                   what="news arrives")

    def test_skip_to_the_end(self):
        self.target_is_down()
        said = self.steer("skip", "--to", "end").stdout
        self.assertIn(f"{len(RECORDS)} undelivered events", said)
        self.assertIn("Nothing was done", said)
        self.assertIn("say why", self.steer("skip", "--to", "end", "--yes", expect=2).stderr)
        self.assertEqual(len(RECORDS), self.route()["waiting"])
        self.steer("skip", "--to", "end", *WHY)
        eventually(lambda: "agreed with the plant" in self.millrace.cli("where", "S3").stdout,
                   what="where says who let it go")
        self.millrace.kill9()
        self.millrace.start()
        self.arrives(2)
        self.assertEqual([[2]] * len(RECORDS), [self.quantities(r) for r in RECORDS])
        self.assertIn("10 let go", self.audit())

    def test_skip_one_record(self):
        self.target_is_down()
        self.send(self.millrace, order(3, quantity=2, version=2))
        eventually(lambda: "2 undelivered events" in self.steer("skip", "--record", "shop/3").stdout,
                   what="both events of the record are in the log")
        self.steer("skip", "--record", "shop/3", *WHY)
        self.millrace.kill9()
        self.millrace.start()
        self.arrives(4)
        self.assertEqual([4], self.quantities(3))
        self.assertEqual([1, 4], self.quantities(4))

    def test_skip_one_record_that_is_parked(self):
        self.mes.fault(status=500, body='"S3"')
        self.send_version(1)
        self.send_version(2)
        eventually(lambda: len(self.parked(self.millrace)) == 2, what="both are parked")
        self.steer("skip", "--record", "shop/3", *WHY)
        self.assertEqual([], self.parked(self.millrace))
        self.arrives(3)
        self.assertEqual([3], self.quantities(3))
        self.assertEqual([1, 2, 3], self.quantities(4))

    def test_seek_back_repeats_no_effect(self):
        self.mes.fault(status=422, times=1, body='"S3"')
        self.send_version(1)
        letter = eventually(lambda: self.dead_letters(self.millrace), what="a dead letter")
        self.mes.heal()
        self.millrace.cli("dead", "resubmit", str(letter[0]["id"]))
        eventually(lambda: len(self.mes.bodies()) == len(RECORDS), what="all arrive")
        before = self.mes.counts()
        said = self.steer("seek", "--to", "beginning").stdout
        self.assertIn(f"{len(RECORDS) - 1} events are sent again", said)
        self.steer("seek", "--to", "beginning", *WHY)
        eventually(lambda: self.mes.counts()["repeats"] == before["repeats"] + len(RECORDS) - 1,
                   what="they are sent again, with the keys they had")
        self.send_version(2)
        eventually(lambda: len(self.mes.bodies()) == 2 * len(RECORDS), what="news arrives")
        self.assertEqual([[1, 2]] * len(RECORDS), [self.quantities(r) for r in RECORDS])

    def test_decided_rows_do_not_hold_up_a_seek(self):
        many = 4100  # more than a cursor's row has room for
        self.mes.fault(status=422, body='"S3"')
        for version in range(1, many + 1):
            self.send(self.millrace, order(3, quantity=version, version=version))
        eventually(lambda: self.route()["dead"] == many, within=120.0, what="all are dead letters")
        self.steer("skip", "--record", "shop/3", *WHY)
        self.mes.heal()
        self.assertIn("0 events are sent again", self.steer("seek", "--to", "beginning").stdout)
        self.steer("seek", "--to", "beginning", *WHY)
        self.send(self.millrace, order(3, quantity=many + 1, version=many + 1))
        eventually(lambda: self.quantities(3) == [many + 1], what="news arrives, and it alone")

    def test_seek_refuses_what_is_no_position(self):
        for position in ("yesterday", "99:0", "3:99999"):
            self.assertIn("position", self.steer("seek", "--to", position, expect=2).stderr)

    def test_drain_and_resume(self):
        self.target_is_down()
        self.steer("drain", "--reason", "the plant moves")
        self.send_version(2)
        self.millrace.kill9()
        self.millrace.start()
        self.assertEqual("draining", self.route()["state"])
        self.mes.heal()
        eventually(lambda: len(self.mes.bodies()) == len(RECORDS), what="what it had arrives")
        eventually(lambda: self.route()["state"] == "drained", what="it is drained")
        self.assertIn("the plant moves", self.millrace.cli("status", expect=1).stdout)
        self.assertEqual([[1]] * len(RECORDS), [self.quantities(r) for r in RECORDS])
        self.steer("resume")
        self.arrives(3)
        self.assertEqual([[1, 2, 3]] * len(RECORDS), [self.quantities(r) for r in RECORDS])

    def test_drop_a_route_that_drains(self):
        self.target_is_down()
        self.assertIn("configuration", self.steer("drop", *WHY, expect=1).stderr)
        file = self.millrace.config / "objects.yaml"
        file.write_text("---\n".join(self.parts[:-1]), "utf-8")
        self.millrace.cli("reload")
        self.assertIn(f"{len(RECORDS)} undelivered events", self.steer("drop").stdout)
        self.steer("drop", *WHY)
        self.assertIsNone(self.route())
        self.assertEqual(0, self.millrace.state_rows("cursors", f"route/{NAME}"))
        self.millrace.kill9()
        self.millrace.start()
        self.assertIsNone(self.route())
        file.write_text("---\n".join(self.parts), "utf-8")
        self.millrace.cli("reload")
        self.arrives(2)
        self.assertEqual([[2]] * len(RECORDS), [self.quantities(r) for r in RECORDS])


if __name__ == "__main__":
    main()

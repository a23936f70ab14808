"""`replay`: a second feeder of the same lane. A dry run by default; the keys the requests had unless
`--again`; what a later change superseded only with `--history`; never anything older after newer news;
nothing lost or skipped by kill -9, nor held up by it what is new."""
# labels: quick

import json

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, order
from millrace_harness import Scenario, eventually, main, only_files

RECORDS = range(1, 41)
NAME = "order-to-mes"
IN_FLIGHT = 8
WHY = ("--yes", "--reason", "the plant lost a day")


class Replay(Scenario):
    def begin(self, versions=(1, 2), route=EVERY_CHANGE):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes, route).start()
        for version in versions:
            for record in RECORDS:
                self.send(self.millrace, order(record, quantity=version, version=version))
        self.whole = len(RECORDS) * len(versions)
        eventually(lambda: len(self.mes.bodies()) == self.whole, what="all arrive")
        self.sent_before = len(self.requests())

    def replay(self, *arguments, expect=0):
        return self.millrace.cli("replay", NAME, *arguments, expect=expect)

    def requests(self, since=0):
        return self.mes.control("requests", since=since)["requests"]

    def again(self):
        """Of each record what arrived since the replay, in order."""
        found = {}
        for one in self.requests(self.sent_before):
            body = json.loads(one["body"])
            found.setdefault(int(body["number"][1:]), []).append(body["quantity"])
        return found

    def route(self):
        return self.millrace.cli_json("routes", "list")["routes"][0]

    def is_over(self):
        return "replay" not in self.route()

    def recorded(self):
        """How many the state says were sent; nothing below ten."""
        rows = self.millrace.state_values("cursors").splitlines()
        sent = sum(json.loads(row).get("sent", 0) for row in rows)
        return sent if sent >= 10 else 0

    def audit(self):
        return self.millrace.state_values("audit")

    def test_a_dry_run_sends_nothing(self):
        self.begin()
        said = self.replay("--from", "beginning").stdout
        self.assertIn(f"would send {len(RECORDS)} events", said)
        self.assertIn(f"{len(RECORDS)} passed over: a later change", said)
        self.assertIn("Nothing was done", said)
        said = self.replay("--from", "beginning", "--history").stdout
        self.assertIn(f"would send {self.whole} events", said)
        self.assertIn("would send 1 event ", self.replay("--record", "shop/3").stdout)
        self.assertIn("would send 1 event ", self.replay("--key", "S3").stdout)
        self.assertIn("would send 0 events", self.replay("--from", "2030-01-01T00:00:00Z").stdout)
        self.assertIn("say from where", self.replay(expect=2).stderr)
        self.assertIn("no record", self.replay("--key", "S999", expect=1).stderr)
        self.assertIn("position", self.replay("--from", "yesterday", expect=2).stderr)
        self.assertIn("say why", self.replay("--from", "beginning", "--yes", expect=2).stderr)
        self.assertEqual(self.sent_before, len(self.requests()))
        self.assertTrue(self.is_over())

    def test_the_same_keys_and_the_last_change_alone(self):
        self.begin()
        self.replay("--from", "beginning", *WHY)
        eventually(self.is_over, what="it ends by itself")
        self.assertEqual({record: [2] for record in RECORDS}, self.again())
        self.assertEqual({"effects": self.whole, "repeats": len(RECORDS)},
                         {key: self.mes.counts()[key] for key in ("effects", "repeats")})
        self.assertIn("the plant lost a day", self.audit())
        self.assertIn(f"{len(RECORDS)} sent", self.audit())
        eventually(lambda: "replayed" in self.millrace.cli("where", "S3").stdout,
                   what="it is in the trail")

    def test_history_goes_in_order(self):
        self.begin(versions=(1, 2, 3))
        self.replay("--from", "beginning", "--history", *WHY)
        eventually(self.is_over, what="it ends by itself")
        self.assertEqual({record: [1, 2, 3] for record in RECORDS}, self.again())

    def test_new_keys(self):
        self.begin(versions=(1,))
        said = self.replay("--record", "shop/3", "--again").stdout
        self.assertIn("applies once more", said)
        for effects in (1, 2):
            self.replay("--record", "shop/3", "--again", *WHY)
            eventually(self.is_over, what="it ends by itself")
            self.assertEqual(self.whole + effects, self.mes.counts()["effects"])
        keys = [effect["key"] for effect in self.mes.effects() if effect["body"]["number"] == "S3"]
        self.assertEqual(3, len(set(keys)))

    def test_a_record_with_parked_rows_is_passed_over(self):
        self.begin(versions=(1,))
        self.mes.fault(status=422, body='"S3"')
        self.send(self.millrace, order(3, quantity=2, version=2))
        letter = eventually(lambda: self.dead_letters(self.millrace), what="a dead letter")[0]
        self.mes.heal()
        self.sent_before = len(self.requests())
        self.assertIn("2 passed over: a delivery of the record is parked",
                      self.replay("--from", "beginning", "--history").stdout)
        self.replay("--from", "beginning", *WHY)
        eventually(self.is_over, what="it ends by itself")
        self.assertEqual({record: [1] for record in RECORDS if record != 3}, self.again())
        # Sent again by hand it has another key; a replay goes with that one.
        self.millrace.cli("dead", "resubmit", str(letter["id"]))
        eventually(lambda: self.again().get(3) == [2], what="the letter arrives")
        eventually(lambda: not self.parked(self.millrace), what="its row is gone")
        effects = self.mes.counts()["effects"]
        self.replay("--record", "shop/3", *WHY)
        eventually(lambda: self.again().get(3) == [2, 2], what="it arrives once more")
        self.assertEqual(effects, self.mes.counts()["effects"])

    def test_what_fails_is_parked_as_any_other(self):
        self.begin(versions=(1, 2))
        self.mes.fault(status=422, body='"S3"', times=1)
        self.replay("--from", "beginning", "--history", *WHY)
        eventually(self.is_over, what="it ends by itself")
        letter = self.dead_letters(self.millrace)[0]
        self.assertEqual([1, 2], self.again()[3])
        self.assertIn("1 parked", self.audit())
        self.millrace.cli("dead", "resubmit", str(letter["id"]), "--history")
        eventually(lambda: self.again()[3] == [1, 2, 1], what="it arrives after all")

    def test_kill9_in_the_middle(self):
        self.begin(versions=range(1, 9))
        self.mes.fault("delay", ms=100)
        self.replay("--from", "beginning", "--history", *WHY)
        recorded = eventually(self.recorded, what="it is under way")
        self.millrace.kill9()
        before = len(self.requests(self.sent_before))
        self.millrace.start()
        self.assertEqual(1, self.route()["replay"]["number"])
        eventually(self.is_over, what="it goes on to its end")
        for record in RECORDS:
            self.assertEqual(8, self.again()[record][-1])
            self.assertIn(1, self.again()[record])
        # What was recorded is not sent once more; some were on the wire when it was killed.
        self.assertLessEqual(len(self.requests(self.sent_before)),
                             before + IN_FLIGHT + self.whole - recorded)
        self.assertEqual(self.whole, self.mes.counts()["effects"])
        self.millrace.kill9()
        self.millrace.start()
        self.assertTrue(self.is_over())

    def test_nothing_older_follows_what_is_new(self):
        self.begin(versions=range(1, 10))  # more than a lane takes up at once
        self.mes.fault("delay", ms=50)
        self.replay("--from", "beginning", "--history", *WHY)
        eventually(lambda: len(self.again()) > 3, what="it is under way")
        for record in RECORDS:
            self.send(self.millrace, order(record, quantity=10, version=10))
        eventually(lambda: len(self.mes.bodies()) == self.whole + len(RECORDS), what="news arrives")
        self.mes.heal()
        eventually(self.is_over, what="it ends by itself")
        for record in RECORDS:
            self.assertEqual(sorted(self.again()[record]), self.again()[record])
        self.assertRegex(self.audit(), r"[1-9]\d* overtaken")

    def test_what_is_new_does_not_wait(self):
        self.begin(versions=(1,))
        self.mes.fault("delay", ms=2000)
        self.replay("--from", "beginning", *WHY)
        eventually(lambda: self.again(), what="it is under way")
        self.send(self.millrace, order(99, quantity=1, version=1))
        eventually(lambda: 99 in self.again(), what="a new order arrives")
        self.assertFalse(self.is_over())
        self.assertLess(len(self.again()), len(RECORDS))

    def test_reload_and_restart_in_order(self):
        self.begin(versions=(1,))
        self.mes.fault("delay", ms=2000)
        self.replay("--from", "beginning", *WHY)
        eventually(lambda: self.again(), what="it is under way")
        file = self.millrace.config / "objects.yaml"
        file.write_text(file.read_text("utf-8").replace("initial: 50ms", "initial: 60ms"), "utf-8")
        self.millrace.cli("reload")
        self.assertIn("replay 1 running", self.millrace.cli("routes", "list").stdout)
        self.assertIn("under way", self.replay("--from", "beginning", expect=1).stderr)
        self.assertIn("under way", self.millrace.cli("routes", "seek", NAME, "--to", "end",
                                                     expect=1).stderr)
        self.mes.heal()
        self.assertEqual(0, self.millrace.terminate())
        self.millrace.start()
        eventually(self.is_over, what="it ends by itself")
        self.assertEqual({record: {1} for record in RECORDS},
                         {record: set(got) for record, got in self.again().items()})

    @only_files("each entity's events are counted by themselves on Kafka: test_kafka_log")
    def test_a_route_that_follows_another_entity_replays_nothing_of_it(self):
        self.mes = self.target()
        drafts = ORDER.replace("entity: order", "entity: draft")
        self.millrace = self.broker(SHOP, MES % {"target_port": self.mes.port}, ORDER, drafts,
                                    EVERY_CHANGE).start()
        for record in RECORDS:
            self.send(self.millrace, order(record, quantity=1, version=1))
        eventually(lambda: len(self.mes.bodies()) == len(RECORDS), what="all arrive")
        self.mes.fault("delay", ms=2000)
        self.replay("--from", "beginning", *WHY)
        file = self.millrace.config / "objects.yaml"
        file.write_text(file.read_text("utf-8").replace("from: order\n", "from: draft\n"), "utf-8")
        self.millrace.cli("reload")
        self.assertIn("another entity", self.route()["replay"]["reason"])
        self.millrace.kill9()
        self.mes.heal()
        self.millrace.start()
        self.assertIn("another entity", self.route()["replay"]["reason"])
        self.send(self.millrace, order(99, quantity=1, version=1))
        eventually(lambda: self.mes.counts()["effects"] > len(RECORDS), what="a new draft arrives")
        self.replay("--stop", "--reason", "it cannot go on")
        self.assertEqual(len(RECORDS) + 1, self.mes.counts()["effects"])

    def test_stop(self):
        self.begin(versions=(1,))
        self.mes.fault("delay", ms=2000)
        self.replay("--from", "beginning", *WHY)
        eventually(lambda: self.again(), what="it is under way")
        self.replay("--stop", "--reason", "enough")
        self.assertTrue(self.is_over())
        self.assertIn("enough", self.audit())
        self.mes.heal()
        self.send(self.millrace, order(99, quantity=1, version=1))
        eventually(lambda: 99 in self.again(), what="the route goes on")
        self.assertLess(len(self.again()), len(RECORDS))
        self.assertEqual(0, self.millrace.state_rows("cursors", f"replay/{NAME}"))
        self.assertIn("no replay", self.replay("--stop", expect=1).stderr)

    def test_warns_past_the_memory_of_the_target(self):
        self.begin(versions=(1,))
        self.assertNotIn("warning", self.replay("--from", "beginning").stdout)
        file = self.millrace.config / "objects.yaml"
        text = file.read_text("utf-8")
        honours = "idempotent: true"
        file.write_text(text.replace(honours, honours + "\nremembers_keys: 1s"), "utf-8")
        self.millrace.cli("reload")
        eventually(lambda: "said to remember keys" in self.replay("--from", "beginning").stdout,
                   what="they are older than that")
        file.write_text(text.replace(honours, "idempotent: false"), "utf-8")
        self.millrace.cli("reload")
        self.assertIn("does not honour Idempotency-Key",
                      self.replay("--from", "beginning").stdout)


if __name__ == "__main__":
    main()

"""A site that outgrew its machine: log and state go from files and SQLite to Kafka and PostgreSQL, and
back. Nothing is lost and nothing is sent twice."""
# kafka: yes

import json
import os
import random
import re
import shutil
import subprocess

from configurations import MES, ORDER, SHOP, as_sent, order
from kafka_neighbour import KafkaServer
from millrace_harness import Scenario, eventually, main
from postgresql_neighbour import PostgresServer
from processes import SOURCE, program

HOW_TO = SOURCE / "docs" / "how-to" / "move-to-kafka-and-postgresql.md"

# A second entity, so that offsets differ where topics are counted by themselves.
PARCEL = ORDER.replace("entity: order", "entity: parcel").replace(
    "  - connection: shop\n", "  - connection: shop\n    only: .parcel\n")
RETRY = "retry: { initial: 50ms, max_interval: 500ms, give_up_after: 1h }\n"
TO_MES = """\
route: order-to-mes
from: order
to: mes
requests:
  changed:
    method: POST
    path: /orders
    body: .data
    remember: .answer.body.id
""" + RETRY
TO_ARCHIVE = TO_MES.replace("order-to-mes", "order-to-archive").replace("to: mes", "to: archive")
PARCELS = TO_MES.replace("order-to-mes", "parcel-to-archive").replace(
    "from: order", "from: parcel").replace("to: mes", "to: archive").replace("/orders", "/parcels")
ARCHIVE = MES.replace("connection: mes", "connection: archive")


class TheWayOver(Scenario):
    @classmethod
    def setUpClass(cls):
        cls.kafka = KafkaServer.shared()
        cls.postgresql = PostgresServer.shared()

    def setUp(self):
        self.mes, self.archive = self.target(), self.target()
        self.documents = (SHOP, MES % {"target_port": self.mes.port},
                          ARCHIVE % {"target_port": self.archive.port}, ORDER, PARCEL,
                          TO_MES, TO_ARCHIVE, PARCELS)
        self.here = self.site("here")

    def site(self, name, **stores):
        return self.broker(*self.documents, name=name, **stores)

    def site_over_there(self, name="there"):
        return self.site(name, kafka=self.kafka, postgresql=self.postgresql)

    def carry(self, old, new):
        """What the how-to says, with the daemon stopped."""
        commands = re.findall(r"^    millrace (.* copy) --to /etc/millrace-new$",
                              HOW_TO.read_text("utf-8"), re.MULTILINE)
        self.assertEqual(["log copy", "state copy"], commands)
        for command in commands:
            old.cli(*command.split(), "--to", str(new.config))

    def begin_copy(self, what, old, new):
        """The command, under way."""
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            [program("millrace"), "--config", old.config, what, "copy", "--to", new.config],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        return process

    def killed(self, what, old, new, after):
        """Whether the command was killed before its end."""
        process = self.begin_copy(what, old, new)
        try:
            code = process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return True
        self.assertEqual(0, code, process.stderr.read())
        return False

    def cannot(self, what, old, new, *words):
        """The copy is refused, and says why."""
        said = old.cli(what, "copy", "--to", str(new.config), expect=2).stderr
        for word in words:
            self.assertIn(word, said)

    # -- what the site does --------------------------------------------------------------------
    def orders(self, site, records, version=1, parcel=True):
        for record in records:
            self.send(site, {**order(record, quantity=version, version=version), "parcel": parcel})

    def at(self, target, path="/orders"):
        return [effect["body"] for effect in target.effects() if effect["target"] == path]

    def await_at(self, target, expected, path="/orders"):
        """These, each once; those of one record in this order."""
        eventually(lambda: len(self.at(target, path)) >= len(expected),
                   what=lambda: f"{len(expected)} at {path}: {self.at(target, path)}")
        found = self.at(target, path)
        for number in {body["number"] for body in expected}:
            self.assertEqual([body for body in expected if body["number"] == number],
                             [body for body in found if body["number"] == number], path)
        self.assertEqual(len(expected), len(found))

    def assert_none_repeated(self, target):
        """No request that was answered was sent once more, not even with the same key."""
        answered = sorted((request["target"], request["body"])
                          for request in target.control("requests")["requests"]
                          if request["method"] == "POST" and request["status"] == 200)
        self.assertEqual(sorted(set(answered)), answered)

    def rows(self, site):
        """Parked ones by record and version: state, attempts."""
        parked = [json.loads(value) for _, value in site.state.rows("parked")]
        return sorted((row["record"], row["payload"]["data"]["quantity"], row["state"])
                      for row in parked)

    def hops(self, site, key):
        return site.cli("where", key).stdout

    def begin(self):
        """1 to 5 are everywhere they go; 6 is a dead letter, 7 retries with another one behind it;
        the archive's route was paused, so that its backlog is in the log alone."""
        self.here.start()
        self.here.cli("routes", "pause", "order-to-archive", "--reason", "the archive is moved")
        self.mes.fault(status=422, body='"S6"')
        self.mes.fault(status=503, body='"S7"')
        self.orders(self.here, range(1, 8))
        self.orders(self.here, [7], version=2)
        self.await_at(self.mes, [as_sent(record, 1) for record in range(1, 6)])
        self.await_at(self.archive, [as_sent(record, 1) for record in range(1, 8)]
                      + [as_sent(7, 2)], "/parcels")
        eventually(lambda: self.rows(self.here) == self.PARKED, what=lambda: f"three are parked: "
                   f"{self.rows(self.here)}")

    PARKED = [("shop/6", 1, "dead"), ("shop/7", 1, "retrying"), ("shop/7", 2, "behind")]

    # -- stories -------------------------------------------------------------------------------
    def test_to_kafka_and_postgresql_and_back(self):
        self.begin()
        before = self.hops(self.here, "S3")
        self.assertIn("delivered", before)
        self.assertEqual(0, self.here.terminate())
        there = self.site_over_there()
        self.carry(self.here, there)
        self.assertIn("moved to", self.refused(self.here))
        there.start()
        self.assertEqual(self.PARKED, self.rows(there))
        self.assertEqual(before, self.hops(there, "S3"))
        self.go_on(there)
        back = self.site("back")
        self.cannot("log", there, back, "is in use by")
        self.assertEqual(0, there.terminate())
        self.carry(there, back)
        self.assertIn("moved to", self.refused(there))
        back.start()
        self.come_back(back)

    def refused(self, site):
        """What a daemon that does not start says."""
        site.start(ready=False)
        self.assertEqual(2, site.wait_exit())
        return site.log_tail()

    def go_on(self, site):
        """A person looks after what waited, and there is news."""
        self.orders(site, [8])
        self.orders(site, [3], version=2)
        self.await_at(self.archive, [as_sent(record, 1) for record in range(1, 9)]
                      + [as_sent(7, 2), as_sent(3, 2)], "/parcels")
        self.mes.heal()
        [dead] = self.dead_letters(site)
        site.cli("dead", "resubmit", dead["id"])
        self.await_at(self.mes, [as_sent(record, 1) for record in range(1, 9)]
                      + [as_sent(7, 2), as_sent(3, 2)])
        self.assertEqual([], self.at(self.archive), "its route is still paused")
        self.assert_none_repeated(self.mes)

    def come_back(self, site):
        site.cli("routes", "resume", "order-to-archive")
        self.orders(site, [9])
        self.orders(site, [3], version=3)
        everything = [as_sent(record, 1) for record in range(1, 10)] + [
            as_sent(7, 2), as_sent(3, 2), as_sent(3, 3)]
        for target, path in ((self.mes, "/orders"), (self.archive, "/orders"),
                             (self.archive, "/parcels")):
            self.await_at(target, everything, path)
            self.assert_none_repeated(target)
        self.assertEqual([], self.dead_letters(site))
        self.assertIn("fits its log", site.cli("state", "verify").stdout)

    def test_copies_are_killed_and_kafka_dies(self):
        seed = int(os.environ.get("MILLRACE_SEED", random.randrange(1 << 30)))
        print(f"seed {seed}")
        chance = random.Random(seed)
        self.here.start()
        records = range(100, 400)
        self.mes.fault("delay", ms=20, body="S39")
        self.orders(self.here, records)
        self.here.kill9()
        there = self.site_over_there()
        for _ in range(3):
            self.killed("log", self.here, there, chance.uniform(0.1, 2.5))
        process = self.begin_copy("log", self.here, there)
        try:
            process.wait(chance.uniform(0.1, 2.0))
        except subprocess.TimeoutExpired:
            pass
        self.kafka.kill9()
        self.kafka.start()
        self.assertIn(process.wait(120), (0, 2))
        self.here.cli("log", "copy", "--to", str(there.config))
        for _ in range(3):
            if not self.killed("state", self.here, there, chance.uniform(0.1, 1.5)):
                break
        else:
            self.here.cli("state", "copy", "--to", str(there.config))
        there.start()
        self.orders(there, [400])
        for target, path in ((self.mes, "/orders"), (self.archive, "/orders"),
                             (self.archive, "/parcels")):
            self.await_at(target, [as_sent(record, 1) for record in [*records, 400]], path)
        self.assertEqual([], self.parked(there))

    def test_killed_between_the_last_two_steps(self):
        self.begin()
        self.assertEqual(0, self.here.terminate())
        there = self.site_over_there()
        self.here.cli("log", "copy", "--to", str(there.config))
        schema = there.state.schema
        self.postgresql.sql(
            f"CREATE FUNCTION {schema}.wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.key ="
            " 'installation' THEN PERFORM pg_sleep(600); END IF; RETURN NEW; END $$")
        self.postgresql.sql(f"CREATE TRIGGER wait BEFORE INSERT ON {schema}.meta FOR EACH ROW "
                            f"EXECUTE FUNCTION {schema}.wait()")
        process = self.begin_copy("state", self.here, there)
        eventually(lambda: (b"moved" in [key for key, _ in self.here.state.rows("meta")]),
                   what="the old state is left")
        process.kill()
        process.wait()
        self.postgresql.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            f"WHERE usename = '{schema}'")
        self.postgresql.sql(f"DROP TRIGGER wait ON {schema}.meta")
        self.assertIn("moved to", self.refused(self.here))
        self.assertIn("not complete", self.refused(there))
        self.here.cli("state", "copy", "--to", str(there.config))
        there.start()
        self.go_on(there)

    def test_what_is_refused(self):
        self.begin()
        there = self.site_over_there()
        self.cannot("log", self.here, there, "process")
        self.cannot("state", self.here, there, "process")
        self.assertEqual(0, self.here.terminate())
        self.cannot("state", self.here, there, "`millrace log copy` first")
        self.cannot("log", self.site("nothing"), there, "nothing to copy from")
        other = self.site_over_there("other")
        self.another_name(other)
        self.cannot("log", self.here, other, "one installation")
        self.a_damaged_log(there)
        self.a_log_that_goes_on(there)
        self.another_site(there)

    def another_name(self, site):
        text = (site.config / "millrace.yaml").read_text("utf-8")
        (site.config / "millrace.yaml").write_text(
            text.replace("name: scenario", "name: elsewhere"), "utf-8")

    def a_damaged_log(self, there):
        [segment] = (self.here.data / "log" / "events").glob("*.log")
        whole = segment.read_bytes()
        at = whole.index(b'"S2"')
        segment.write_bytes(whole[:at] + b"X" + whole[at + 1:])
        self.cannot("log", self.here, there, segment.name)
        self.cannot("state", self.here, there, segment.name)
        segment.write_bytes(whole)

    def prefix_of(self, site):
        text = (site.config / "millrace.yaml").read_text("utf-8")
        return text.split("prefix: ")[1].split(" ")[0]

    def a_log_that_goes_on(self, there):
        self.here.cli("log", "copy", "--to", str(there.config))
        self.assertIn("the state store is new", self.refused(there))
        self.here.start()
        self.orders(self.here, [8])
        self.await_at(self.archive, [as_sent(record, 1) for record in range(1, 9)]
                      + [as_sent(7, 2)], "/parcels")
        self.assertEqual(0, self.here.terminate())
        self.cannot("state", self.here, there, "went on")
        self.carry(self.here, there)
        there.start()
        self.assertEqual(self.PARKED, self.rows(there))
        self.assertEqual(0, there.terminate())
        self.cannot("log", self.here, there, "moved to")
        self.cannot("state", self.here, there, "belongs to log")

    def another_site(self, there):
        another = self.site("another")
        another.start()
        backup = self.directory / "backup"
        another.cli("backup", str(backup))
        self.assertEqual(0, another.terminate())
        self.cannot("log", another, there, "belongs to log")
        narrow = self.site_over_there("narrow")
        self.kafka.create(f"{self.prefix_of(narrow)}.inbox", partitions=3)
        self.cannot("log", another, narrow, "partitions")
        self.cannot("log", another, self.site_with_topics_of("beside", there), "another log")
        shutil.rmtree(another.data)
        another.data.mkdir()
        another.cli("restore", str(backup))
        self.cannot("log", another, narrow, "was not started since")
        another.start()
        self.assertEqual(0, another.terminate())
        self.cannot("log", another, narrow, "comes out of a backup")

    def site_with_topics_of(self, name, other):
        """With a state of its own."""
        site = self.site_over_there(name)
        text = (site.config / "millrace.yaml").read_text("utf-8")
        (site.config / "millrace.yaml").write_text(
            text.replace(self.prefix_of(site), self.prefix_of(other)), "utf-8")
        return site

    def test_dead_letters_whose_events_are_gone(self):
        """Rows may name records that retention has dropped: they keep their place before the others."""
        there = self.site_over_there()
        there.start()
        self.mes.fault(status=422, body='"S6"')
        for version in (1, 2):
            self.orders(there, [6], version=version)
            eventually(lambda version=version: len(self.dead_letters(there)) == version,
                       what="it is given up")
        self.await_at(self.archive, [as_sent(6, 1), as_sent(6, 2)])
        self.assertEqual(0, there.terminate())
        row = json.loads(there.state.rows("parked")[0][1])
        for topic, before in (("inbox", 1), ("events.order", 3)):
            self.kafka.trim(f"{self.prefix_of(there)}.{topic}", row["partition"], before)
        sites = [there, self.site("files"), self.site_over_there("kafka"), self.site("again")]
        for number, (old, new) in enumerate(zip(sites, sites[1:]), 3):
            self.carry(old, new)
            if number == 3:
                self.check_causes(new, row["partition"])
            new.start()
            self.orders(new, [6], version=number)
            eventually(lambda site=new, number=number: len(self.dead_letters(site)) == number,
                       what="and so are later ones")
            self.await_at(self.archive, [as_sent(6, version) for version in range(1, number + 1)])
            self.assertEqual(0, new.terminate())
        last = sites[-1]
        self.cannot("log", last, self.site_with_topics_of("taken", there), "hold log")
        last.start()
        self.mes.heal()
        letters = sorted(self.dead_letters(last), key=lambda letter: letter["since"])
        for letter in letters:
            last.cli("dead", "resubmit", letter["id"], "--history")
        self.await_at(self.mes, [as_sent(6, version) for version in range(1, 6)])

    def check_causes(self, site, partition):
        """Of the two parcels' messages the first is gone, the second is now the inbox's first."""
        [segment] = (site.data / "log" / "events").glob("*.log")
        events = segment.read_bytes()
        self.assertEqual(2, events.count(b'"type":"parcel.changed"'))
        self.assertEqual([b'"cause":"%d:0"' % partition], re.findall(rb'"cause":"[0-9:]*"', events))


if __name__ == "__main__":
    main()
# own stores: from files and SQLite to Kafka and PostgreSQL, and back

"""Ids are known within `dedupe.window`, also when their segment was sealed long ago, after a restart
and after kill -9; so are Idempotency-Keys. Nothing of it is read from the log at a start."""

import json
from concurrent.futures import ThreadPoolExecutor

from configurations import EVERY_CHANGE, SHOP, order
from millrace_harness import SHOP_TOKEN, Scenario, eventually, main, only_files

# One segment takes 128 MB; a body 1 MiB.
PADDING = "x" * 950_000
FILLING = 145

NOTE = """\
entity: note
version: 1
events: { written: true }
"""


class RepeatsAreKnown(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes, EVERY_CHANGE,
                                          SHOP.replace("version: .version\n", "id: .event\n"))
        objects = self.millrace.config / "objects.yaml"
        objects.write_text(objects.read_text("utf-8") + "---\n" + NOTE, "utf-8")
        self.millrace.start()
        self.key = self.millrace.cli_json("key", "create", "--source", "lab", "--type",
                                          "note.*", "--note", "test")["key"]

    def event(self, number, data="small"):
        return {"specversion": "1.0", "id": f"e{number}", "source": "lab", "type": "note.written",
                "subject": f"N{number}", "data": {"text": data}}

    def post_events(self, body, key=None, kind="application/cloudevents+json"):
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": kind}
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.millrace.post("/events", json.dumps(body), headers)

    def outcome(self, *arguments):
        answer = self.post_events(*arguments)
        self.assertEqual(202, answer.status, answer.body)
        return answer.json()

    def hook(self, record, event, padding=""):
        payload = {**order(record, quantity=1), "event": event, "padding": padding}
        self.send(self.millrace, payload)

    def side_files(self, journal):
        return list((self.millrace.data / "log" / journal).glob("*.side"))

    def fill_a_segment_of_each(self):
        def both(number):
            self.hook(1000 + number, f"filling-{number}", PADDING)
            self.outcome(self.event(1000 + number, PADDING))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(both, range(FILLING)))
        for journal in ("inbox", "events"):
            eventually(lambda name=journal: self.side_files(name), what=f"a side file of {journal}")

    def check_repeats(self):
        self.assertEqual({"id": "e1", "duplicate": True}, self.outcome(self.event(1)))
        self.assertEqual({"id": "e2", "duplicate": True}, self.outcome(self.event(2), "k2"))
        self.assertEqual(422, self.post_events(self.event(3), "k2").status)
        metric = 'millrace_ingress_hooks_total{outcome="duplicate"}'
        before = self.millrace.metrics()[metric]
        self.hook(1, "h1")
        self.assertEqual(before + 1, self.millrace.metrics()[metric])

    @only_files("it seals segments and damages their side files")
    def test_ids_of_sealed_segments_are_known_after_kill9(self):
        self.assertEqual({"id": "e1", "duplicate": False}, self.outcome(self.event(1)))
        self.assertEqual({"id": "e2", "duplicate": False}, self.outcome(self.event(2), "k2"))
        self.hook(1, "h1")
        self.check_repeats()
        self.millrace.kill9()
        self.millrace.start()
        self.check_repeats()
        self.fill_a_segment_of_each()
        self.check_repeats()
        self.millrace.kill9()
        self.millrace.start()
        self.check_repeats()
        last = 1000 + FILLING - 1
        self.assertTrue(self.outcome(self.event(last, PADDING))["duplicate"], "the active segment")
        # A side file that is lost or damaged is made again, and until then nobody is told "new".
        self.assertEqual(0, self.millrace.terminate())
        self.side_files("inbox")[0].unlink()
        side = self.side_files("events")[0]
        side.write_bytes(side.read_bytes()[:-4000] + b"x" * 4000)
        verified = self.millrace.cli("log", "verify", expect=1).stdout
        self.assertIn(str(side), verified)
        self.millrace.start()
        eventually(lambda: self.post_events(self.event(1)).status == 202, what="it is made again")
        eventually(lambda: self.side_files("inbox"), what="the other, too")
        self.check_repeats()
        self.assertEqual(0, self.millrace.terminate())
        self.millrace.cli("log", "verify")

    def test_a_batch_is_all_or_none(self):
        kind = "application/cloudevents-batch+json"
        bad = {**self.event(2), "type": "note.unknown"}
        answer = self.post_events([self.event(1), bad], None, kind)
        self.assertEqual(422, answer.status, answer.body)
        self.assertEqual(1, answer.json()["index"])
        self.assertEqual([{"id": "e1", "duplicate": False}, {"id": "e2", "duplicate": False}],
                         self.outcome([self.event(1), self.event(2)], "b1", kind))
        self.millrace.kill9()
        self.millrace.start()
        self.assertEqual([{"id": "e2", "duplicate": True}, {"id": "e3", "duplicate": False}],
                         self.outcome([self.event(2), self.event(3)], None, kind))
        self.assertEqual([{"id": "e1", "duplicate": True}, {"id": "e2", "duplicate": True}],
                         self.outcome([self.event(1), self.event(2)], "b1", kind))
        self.assertEqual(422, self.post_events([self.event(9)], "b1", kind).status)

    def test_one_of_many_at_once_is_new(self):
        """Eight senders of each of 200 keys, with a kill in between: one effect a key."""
        def send(number):
            try:
                return number, self.post_events(self.event(number), f"key-{number}")
            except OSError:
                return number, None
        new = [0] * 200
        late = set()  # refused, and perhaps in the log: then nobody is told that it is new
        for round_of_sending in range(3):
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(send, [i % 200 for i in range(800)]))
            for number, answer in answers:
                self.assertIn(answer.status, (202, 409, 503), answer.body)
                if answer.status == 503:
                    late.add(number)
                if answer.status == 202:
                    self.assertEqual(f"e{number}", answer.json()["id"])
                    new[number] += not answer.json()["duplicate"]
            told = [1 if number in late and count == 0 else count
                    for number, count in enumerate(new)]
            self.assertEqual([1] * 200, told, f"round {round_of_sending}")
            self.assertLess(len(late), 100, "hardly any is late")
            self.millrace.kill9()
            self.millrace.start()


if __name__ == "__main__":
    main()

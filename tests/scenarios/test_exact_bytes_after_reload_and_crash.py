"""What was taken up before a reload keeps its bytes and its Idempotency-Key, also when the daemon is
killed in between; what comes later has the new text."""
# labels: quick

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main
from processes import free_port

RECORDS = range(1, 9)  # as many as the connection has in flight
IMPATIENT = EVERY_CHANGE.replace("    body: .data\n", "    body: .data\n    timeout: 1s\n")

TABLE = "table: site\nrows: { code: LYON }\n"
WITH_TABLE = IMPATIENT.replace("body: .data",
                               """body: '.data + { site: lookup("site"; "code") }'""")


class ExactBytes(Scenario):
    route = IMPATIENT
    others = ()

    def setUp(self):
        self.mes = self.target()
        self.millrace = self.broker(SHOP, MES % {"target_port": self.mes.port}, ORDER, self.route,
                                    *self.others)
        self.file = self.millrace.config / "objects.yaml"
        self.good = self.file.read_text("utf-8")
        self.millrace.start()

    def write(self, *changes):
        text = self.good
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        self.file.write_text(text, "utf-8")

    def send_and_leave_unanswered(self):
        """Each order reaches the target, which carries it out and never answers."""
        self.mes.fault(mode="hang", applied_anyway=True)
        for record in RECORDS:
            self.send(self.millrace, order(record, quantity=1, version=1))
        eventually(lambda: len(set(self.mes.posts())) >= len(RECORDS), what="all are on the wire")

    def assert_repeats_are_exact(self, first):
        before = len(self.mes.posts())
        self.mes.heal()
        eventually(lambda: set(first) <= set(self.mes.posts()[before:]), what="all are sent again")
        self.assertEqual(set(first), set(self.mes.posts()))

    def assert_new_text_for_news(self, quantity=2):
        for record in RECORDS:
            self.send(self.millrace, order(record, quantity=quantity, version=quantity))
        news = [as_sent(record, quantity) | {"text": "new"} for record in RECORDS]
        eventually(lambda: all(body in self.mes.bodies() for body in news), what="the news arrives")
        self.assertEqual({"/v2"}, {e["target"] for e in self.mes.effects() if e["body"] in news})
        self.assertEqual(2 * len(RECORDS), len(self.mes.effects()), "nothing happened twice")

    NEW_TEXT = ("path: /orders", "path: /v2"), ("body: .data", """body: '.data + { text: "new" }'""")

    def test_a_reload_and_a_crash(self):
        self.send_and_leave_unanswered()
        first = self.mes.posts()
        self.write(*self.NEW_TEXT)
        self.millrace.cli("reload")
        self.millrace.kill9()
        self.millrace.start()
        self.assert_repeats_are_exact(first)
        self.assert_new_text_for_news()

    def test_two_reloads_a_crash_and_no_files_to_remember_it_by(self):
        self.send_and_leave_unanswered()
        first = self.mes.posts()
        self.write(("path: /orders", "path: /v1"))
        self.millrace.cli("reload")
        self.write(*self.NEW_TEXT)
        self.millrace.cli("reload")
        for _ in range(2):
            self.millrace.kill9()
            self.millrace.start()
        self.assert_repeats_are_exact(first)
        self.assert_new_text_for_news()

    def test_files_that_changed_while_it_was_killed(self):
        self.send_and_leave_unanswered()
        first = self.mes.posts()
        self.millrace.kill9()
        self.write(*self.NEW_TEXT)
        self.millrace.start()
        self.assert_repeats_are_exact(first)
        self.assert_new_text_for_news()

    def test_files_that_changed_while_it_was_stopped(self):
        """After a stop in order the backlog has the new text; what was on the wire has the old."""
        self.send_and_leave_unanswered()
        first = self.mes.posts()
        self.millrace.cli("routes", "pause", "order-to-mes", "--reason", "test")
        for record in RECORDS:
            self.send(self.millrace, order(record, quantity=2, version=2))
        self.assertEqual(0, self.millrace.terminate())
        self.write(*self.NEW_TEXT)
        self.millrace.start()
        before = len(self.mes.posts())
        self.mes.heal()
        self.millrace.cli("routes", "resume", "order-to-mes")
        eventually(lambda: len(self.mes.effects()) == 2 * len(RECORDS), what="the backlog arrives")
        self.assertEqual(set(first), {r for r in self.mes.posts() if r[1] == "/orders"})
        self.assertLessEqual(set(first), set(self.mes.posts()[before:]))
        self.assertEqual(len(RECORDS), len({r for r in self.mes.posts() if r[1] == "/v2"}))

    def test_old_texts_are_forgotten_when_nothing_needs_them(self):
        self.send_and_leave_unanswered()
        self.write(*self.NEW_TEXT)
        self.millrace.cli("reload")
        self.assertEqual(2, self.texts())
        self.mes.heal()
        eventually(lambda: self.texts() == 1, what="the old text is forgotten")

    def texts(self):
        return self.millrace.state_rows("routes", "text")


class ExactBytesOfATable(ExactBytes):
    """What a text looks up is part of it."""
    route = WITH_TABLE
    others = (TABLE,)
    NEW_TEXT = ("path: /orders", "path: /v2"), \
        ("code: LYON", "code: TURIN"), ("{ site:", '{ text: "new", site:')

    def assert_new_text_for_news(self, quantity=2):
        for record in RECORDS:
            self.send(self.millrace, order(record, quantity=quantity, version=quantity))
        news = [as_sent(record, quantity) | {"text": "new", "site": "TURIN"} for record in RECORDS]
        eventually(lambda: all(body in self.mes.bodies() for body in news), what="the news arrives")


class TheOtherTarget(Scenario):
    def test_a_reload_that_also_moves_the_target(self):
        """The bytes stay, the target does not: it goes where the route goes now."""
        nowhere, mes = free_port(), self.target()
        millrace = self.broker(SHOP, MES % {"target_port": nowhere}, ORDER, EVERY_CHANGE)
        millrace.start()
        self.send(millrace, order(1, quantity=1, version=1))
        file = millrace.config / "objects.yaml"
        eventually(lambda: millrace.cli_json("routes", "list")["routes"][0]["waiting"],
                   what="it is taken up")
        text = file.read_text("utf-8").replace(str(nowhere), str(mes.port))
        file.write_text(text.replace("path: /orders", "path: /v2"), "utf-8")
        millrace.cli("reload")
        self.await_bodies(mes, [as_sent(1, 1)])
        self.assertEqual("/orders", mes.effects()[0]["target"])


if __name__ == "__main__":
    main()

"""What a route follows, and what it does after a dead letter, change by a reload: what was taken up
goes its old way, what comes later the new one."""
# labels: quick

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main, only_files

DRAFTS = ORDER.replace("entity: order", "entity: draft").replace(
    "- connection: shop\n", '- connection: shop\n    only: .state == "draft"\n')
HOLD = EVERY_CHANGE + "after_dead_letter: hold\n"


class RouteKeysChangeByReload(Scenario):
    def setUp(self):
        self.mes = self.target()

    def start(self, route):
        self.millrace = self.broker(SHOP, MES % {"target_port": self.mes.port}, ORDER, DRAFTS,
                                    route).start()
        self.file = self.millrace.config / "objects.yaml"

    def reload(self, old, new):
        text = self.file.read_text("utf-8")
        self.assertIn(old, text)
        self.file.write_text(text.replace(old, new), "utf-8")
        self.millrace.cli("reload")

    def of_order_1(self):
        return [body["quantity"] for body in self.mes.bodies() if body["number"] == "S1"]

    @only_files("each entity's events are counted by themselves on Kafka: test_kafka_log")
    def test_what_it_follows(self):
        self.start(EVERY_CHANGE)
        self.mes.fault(status=503)
        self.send(self.millrace, order(1, quantity=1, version=1, state="draft"))
        self.send(self.millrace, order(2, quantity=1, version=1))
        eventually(lambda: self.waiting() == 2, what="both are taken up")
        self.reload("from: order\n", "from: draft\n")
        self.send(self.millrace, order(3, quantity=1, version=1))
        self.send(self.millrace, order(4, quantity=1, version=1, state="draft"))
        self.millrace.kill9()
        self.millrace.start()
        self.mes.heal()
        self.send(self.millrace, order(5, quantity=1, version=1, state="draft"))
        numbers = ["S1", "S2", "S4", "S5"]
        eventually(lambda: len(self.mes.bodies()) >= 4, what="four of five arrive")
        self.assertEqual(numbers, sorted(body["number"] for body in self.mes.bodies()))

    def waiting(self):
        return self.millrace.cli_json("routes", "list")["routes"][0]["waiting"]

    def dead_letter(self):
        self.mes.fault(status=422, body='"quantity":1')
        for version in (1, 2, 3):
            self.send(self.millrace, order(1, quantity=version, version=version))
        self.send(self.millrace, order(2, quantity=9, version=1))
        letter = eventually(lambda: self.dead_letters(self.millrace), what="the dead letter shows")
        eventually(lambda: as_sent(2, 9) in self.mes.bodies(), what="the other record flows")
        return str(letter[0]["id"])

    def held(self):
        return [row["state"] for row in self.parked(self.millrace)]

    def test_hold_holds_that_record_only_and_releases_it_in_order(self):
        self.start(HOLD)
        letter = self.dead_letter()
        eventually(lambda: self.held() == ["held", "held"], what="its news is held")
        self.millrace.kill9()
        self.millrace.start()
        self.mes.heal()
        self.send(self.millrace, order(1, quantity=4, version=4))
        eventually(lambda: len(self.held()) == 3, what="also after a crash")
        self.assertEqual([], self.of_order_1())
        self.millrace.cli("dead", "resubmit", letter)
        eventually(lambda: self.of_order_1() == [1, 2, 3, 4], what="all arrive in their order")
        eventually(lambda: not self.held(), what="nothing is held any more")

    def test_hold_ends_when_the_dead_letter_is_given_up(self):
        self.start(HOLD)
        letter = self.dead_letter()
        eventually(lambda: self.held() == ["held", "held"], what="its news is held")
        self.millrace.cli("dead", "discard", letter, "--reason", "nobody wants it")
        eventually(lambda: self.of_order_1() == [2, 3], what="the rest arrives in its order")

    def test_from_hold_to_continue_and_back(self):
        self.start(HOLD)
        self.dead_letter()
        eventually(lambda: self.held() == ["held", "held"], what="its news is held")
        self.reload("after_dead_letter: hold\n", "after_dead_letter: continue\n")
        eventually(lambda: self.of_order_1() == [2, 3], what="what was held arrives in its order")
        self.reload("after_dead_letter: continue\n", "after_dead_letter: hold\n")
        self.send(self.millrace, order(1, quantity=4, version=4))
        eventually(lambda: self.held() == ["held"], what="it is held again")
        self.assertEqual([2, 3], self.of_order_1())


if __name__ == "__main__":
    main()

"""20 rejections over distinct records and requests, with no delivery between: it is not the records.
The lane pauses until `routes resume`, across kill -9, and what waits is neither sent nor dead."""
# labels: quick

from configurations import EVERY_CHANGE, order
from millrace_harness import Scenario, eventually, main

REJECTIONS = 20
IN_FLIGHT = 8
RECORDS = range(1, 201)

# Every record sends the same bytes.
SAME_BYTES = EVERY_CHANGE.replace("body: .data", "body: '{ state: .data.state }'")


class TwentyRejections(Scenario):
    def mes_state(self):
        connections = self.millrace.admin("GET", "/admin/v1/status").json()["connections"]
        return next(one for one in connections if one["name"] == "mes")["state"]

    def send_all(self, records):
        for record in records:
            self.send(self.millrace, order(record, quantity=record, version=1))

    def check_paused(self):
        eventually(lambda: self.mes_state() == "paused", what="the lane pauses for a person")
        said = self.millrace.cli("status", expect=None).stdout
        self.assertIn("millrace routes resume order-to-mes", said)
        dead = len(self.dead_letters(self.millrace))
        self.assertLessEqual(dead, REJECTIONS + IN_FLIGHT)
        return dead

    def test_it_pauses_until_a_person_resumes(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes).start()
        self.mes.fault(status=422)
        self.send_all(RECORDS)
        eventually(lambda: len(self.dead_letters(self.millrace)) >= REJECTIONS, what="rejections")
        self.check_paused()
        self.mes.heal()
        self.millrace.kill9()
        self.millrace.start()
        dead = self.check_paused()
        self.assertEqual(0, self.mes.counts()["effects"], "a person has not said anything yet")
        self.assertEqual([], self.parked(self.millrace))

        self.millrace.cli("routes", "resume", "order-to-mes")
        eventually(lambda: self.mes.counts()["effects"] >= len(RECORDS) - dead,
                   what="the others arrive")
        self.assertEqual(dead, len(self.dead_letters(self.millrace)))
        self.millrace.terminate()
        self.millrace.start()
        self.send_all([1001])
        eventually(lambda: self.mes.counts()["effects"] == len(RECORDS) - dead + 1,
                   what="resumed once, it stays so")

    def test_a_delivery_between_says_that_it_is_the_records(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes).start()
        for record in range(1, 41):
            if record % 10:
                self.mes.fault(status=422, body=f'"S{record}"')
            self.send_all([record])
            eventually(lambda: self.settled() >= record, what="each is answered before the next")
        self.assertEqual("up", self.mes_state())
        self.assertEqual(36, len(self.dead_letters(self.millrace)))

    def test_the_same_request_over_and_over_counts_once(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes, SAME_BYTES).start()
        self.mes.fault(status=422)
        self.send_all(range(1, 41))
        eventually(lambda: len(self.dead_letters(self.millrace)) == 40, what="all are rejected")
        self.assertEqual("up", self.mes_state())

    def settled(self):
        return self.mes.counts()["effects"] + len(self.dead_letters(self.millrace))


if __name__ == "__main__":
    main()

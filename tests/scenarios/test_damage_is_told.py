"""A route that meets damage of the log while it runs stands still, and only that route: status names
file and byte, since when and what to do, so do /readyz and the metrics. It goes on by itself once the
file is as it was, or when a person lets go of what cannot be read."""
# labels: quick

from configurations import EVERY_CHANGE, MES, ORDER, SHOP, as_sent, order
from millrace_harness import Scenario, eventually, main
from processes import request

# A second reader of what lies in the log already.
COPY = EVERY_CHANGE.replace("order-to-mes", "copy-to-mes").replace("/orders", "/copies").replace(
    "from: order", "from: order\nowner: plant-it@example.com\nstart: beginning")


class DamageIsTold(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.millrace = self.order_broker(self.mes)
        self.millrace.start()
        for record in range(1, 21):
            self.send(self.millrace, order(record, quantity=1, version=1))
        self.await_at("/orders", range(1, 21))
        self.events = next((self.millrace.data / "log" / "events").glob("*.log"))
        self.byte = self.frame_of("S11")

    def at(self, path):
        return sorted(effect["body"]["number"] for effect in self.mes.effects()
                      if effect["target"] == path)

    def await_at(self, path, records):
        expected = sorted(as_sent(record, 1)["number"] for record in records)
        eventually(lambda: self.at(path) == expected, 30, lambda: f"{expected}: {self.at(path)}")

    def frame_of(self, number):
        content = self.events.read_bytes()
        return content.rindex(b"MRF1", 0, content.index(number.encode()))

    def flip(self):
        with open(self.events, "r+b") as file:
            file.seek(self.byte + 50)
            value = file.read(1)[0]
            file.seek(self.byte + 50)
            file.write(bytes([value ^ 4]))

    def add_the_copy(self):
        (self.millrace.config / "objects.yaml").write_text("---\n".join(
            [SHOP, MES % {"target_port": self.mes.port}, ORDER, EVERY_CHANGE, COPY]), "utf-8")
        self.millrace.cli("reload")

    def status(self):
        return self.millrace.admin("GET", "/admin/v1/status").json()

    def readyz(self):
        return request(self.millrace.admin_port, "GET", "/readyz")

    def troubles(self):
        return self.millrace.metrics()["millrace_log_troubles"]

    def state_of_the_copy(self):
        routes = self.status()["routes"]
        return next(route["state"] for route in routes if route["name"] == "copy-to-mes")

    def meet_the_damage(self):
        self.flip()
        self.add_the_copy()
        eventually(lambda: self.state_of_the_copy() == "unreadable", what="the copy stands still")

    def test_it_is_told_first_and_is_over_when_the_file_is_put_back(self):
        self.meet_the_damage()
        log, route = self.status()["problems"][:2]
        where = f"{self.events}: damaged frame at byte {self.byte}"
        for problem in (log, route):
            self.assertIn(where, problem["what"])
            self.assertTrue(problem["since"])
        self.assertIn("backup", log["next"])
        self.assertIn("copy-to-mes", route["what"])
        self.assertEqual("plant-it@example.com", route["owner"])
        self.assertIn("millrace routes skip copy-to-mes --to end", route["next"])
        said = self.millrace.cli("status", expect=1).stdout.splitlines()
        self.assertIn(where, said[1] + said[2])
        ready = self.readyz()
        self.assertEqual(200, ready.status, "messages are taken in all the same")
        self.assertIn(where, ready.body.decode())
        self.assertEqual(1, self.troubles())
        # What lies before it was delivered, and the other route does not read it.
        copied = self.at("/copies")
        self.assertNotIn("S11", copied)
        self.send(self.millrace, order(21, quantity=1, version=1))
        self.await_at("/orders", range(1, 22))
        self.flip()
        self.await_at("/copies", range(1, 22))
        self.assertEqual([], self.status()["problems"])
        self.assertEqual(b"ok\n", self.readyz().body)
        self.assertEqual(0, self.troubles())

    def test_a_person_lets_go_of_what_cannot_be_read(self):
        self.meet_the_damage()
        said = self.millrace.cli("routes", "skip", "copy-to-mes", "--to", "end").stdout
        self.assertIn(f"damaged frame at byte {self.byte}", said)
        self.millrace.cli("routes", "skip", "copy-to-mes", "--to", "end", "--yes", "--reason",
                          "the orders were entered by hand")
        self.send(self.millrace, order(21, quantity=1, version=1))
        self.await_at("/orders", range(1, 22))
        eventually(lambda: "S21" in self.at("/copies"), what="the copy goes on")
        self.assertEqual("running", self.state_of_the_copy())
        # The file is as bad as it was.
        self.assertEqual(1, self.troubles())
        self.assertEqual(0, self.millrace.terminate())
        self.assertIn(f"damaged frame at byte {self.byte}",
                      self.millrace.cli("log", "verify", expect=1).stdout)


if __name__ == "__main__":
    main()
# only files: it damages a segment

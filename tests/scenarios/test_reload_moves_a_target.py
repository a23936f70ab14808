"""A target is down because its address is wrong, or because it moved: a reload with the right one
takes along what waits for it, in its order."""
# labels: quick

from configurations import MES, as_sent, order
from millrace_harness import Scenario, eventually, main
from processes import free_port

RECORDS = range(1, 41)
OTHER = MES.replace("connection: mes\n", "connection: other\n")


class ReloadMovesATarget(Scenario):
    def setUp(self):
        self.mes = self.target()
        self.nowhere = free_port()
        self.millrace = self.order_broker(self.mes)
        self.file = self.millrace.config / "objects.yaml"
        good = self.file.read_text("utf-8")
        self.wrong = good.replace(f":{self.mes.port}", f":{self.nowhere}")
        self.file.write_text(self.wrong, "utf-8")
        self.millrace.start()
        for version in (1, 2):
            for record in RECORDS:
                self.send(self.millrace, order(record, quantity=version, version=version))
        eventually(self.is_down, what="the connection is down")

    def is_down(self):
        status = self.millrace.cli_json("connections", "list")
        return [c for c in status["connections"] if c["name"] == "mes" and c["state"] == "down"]

    def everything_arrives(self):
        eventually(lambda: len(self.mes.bodies()) >= 2 * len(RECORDS), what="everything arrives")
        for record in RECORDS:
            self.assertEqual([as_sent(record, 1), as_sent(record, 2)],
                             [b for b in self.mes.bodies() if b["number"] == f"S{record}"])

    def test_the_address_is_mended(self):
        self.file.write_text(self.wrong.replace(f":{self.nowhere}", f":{self.mes.port}"), "utf-8")
        self.millrace.cli("reload")
        self.everything_arrives()

    def test_the_route_goes_to_another_connection(self):
        self.file.write_text(self.wrong.replace("to: mes", "to: other") + "---\n"
                             + OTHER % {"target_port": self.mes.port}, "utf-8")
        self.millrace.cli("reload")
        self.everything_arrives()


if __name__ == "__main__":
    main()

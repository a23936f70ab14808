"""What came of the story, read from the broker, from Odoo and from the targets, and the verdict."""

import datetime
import json
import re
import sys

BODY_COLUMNS = 76
# The words of the trail for doorbells that led to nothing.
DROPPED = {"phantom": "a phantom: the record never came to be",
           "nothing to do": "nothing to do: the record is as it was",
           "stale": "stale: older than what was applied",
           "skipped": "skipped by the route"}


class Paper:
    """Prints; in colour when a person watches."""

    def __init__(self, out=sys.stdout):
        self.out = out
        self.colour = out.isatty()

    def line(self, text=""):
        print(text, file=self.out, flush=True)

    def heading(self, text):
        self.line()
        self.line(f"\033[1m{text}\033[0m" if self.colour else text)

    def table(self, rows, heads):
        """Columns as wide as their content; the last one as it is."""
        cells = [[str(cell) for cell in row] for row in [heads, *rows]]
        widths = [max(len(row[i]) for row in cells) for i in range(len(heads) - 1)]
        for row in cells:
            padded = [cell.ljust(width) for cell, width in zip(row, widths)]
            self.line(("  " + "  ".join([*padded, row[-1]])).rstrip())


def seconds_of(text):
    """Seconds since 1970 of an RFC 3339 time."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def clock(seconds):
    return datetime.datetime.fromtimestamp(seconds).strftime("%H:%M:%S.%f")[:12]


def shown(body):
    if body is None:
        return ""
    text = json.dumps(body, ensure_ascii=False)
    return text if len(text) <= BODY_COLUMNS else text[:BODY_COLUMNS - 1] + "…"


class Report:
    def __init__(self, story, paper):
        self.story, self.plant, self.paper = story, story.plant, paper
        self.known = {record: story.look(record) for record in story.records}
        hooks = self.plant.odoo.control("hooks_sent")["sent"] + [story.posted_twice]
        self.hooks = sorted(hooks, key=lambda hook: hook["at"])
        self.mes, self.wms = self.plant.mes.effects(), self.plant.wms.effects()
        self.checks = []

    def hops(self, stage, record=None):
        """(record, hop) of a stage, oldest first."""
        found = []
        for name, known in self.known.items():
            if known and record in (None, name):
                found += [(name, hop) for hop in known["hops"] if hop["stage"] == stage]
        return sorted(found, key=lambda pair: pair[1]["at"])

    # -- telling -------------------------------------------------------------------------------
    def tell(self):
        self.tell_what_came_in()
        self.tell_what_was_emitted()
        self.tell_target("What the MES received, in this order", self.mes)
        self.tell_target("What the WMS received, in this order", self.wms)
        self.tell_what_was_dropped()
        self.tell_outage()

    def tell_what_came_in(self):
        self.paper.heading(f"What came in: {len(self.hooks)} webhooks of Odoo")
        rows = []
        for hook in self.hooks:
            record = f"odoo/{hook['model']}/{hook['id']}"
            words = self.story.records.get(record, record)
            rows.append([clock(hook["at"]), hook["status"], f"{hook['seconds'] * 1000:.0f} ms",
                         record, words + (" (once more)" if hook.get("repeated") else "")])
        self.paper.table(rows, ["WHEN", "ANSWER", "AFTER", "RECORD", "WHICH IS"])

    def tell_what_was_emitted(self):
        emitted = self.hops("project")
        self.paper.heading(f"What was emitted: {len(emitted)} events (Odoo was read back after "
                           "each commit)")
        rows = [[clock(seconds_of(hop["at"])), hop["what"], hop.get("detail", ""),
                 self.story.records[record]] for record, hop in emitted]
        self.paper.table(rows, ["WHEN", "EVENT", "KEY", "OF"])
        taken = {hop["owner"] for _, hop in self.hops("deliver")}
        entities = {hop["owner"] for _, hop in emitted}
        self.paper.line(f"  routes that sent something: {', '.join(sorted(taken))}")
        if "production_order" in entities and not any("production" in name for name in taken):
            self.paper.line("  production_order.*: no route of the shipped configuration asks for "
                            "it; it is on the log")

    def tell_target(self, title, effects):
        self.paper.heading(f"{title}: {len(effects)} requests")
        rows = [[clock(effect["at"]), effect["method"], effect["target"], shown(effect["body"])]
                for effect in effects]
        self.paper.table(rows, ["WHEN", "", "PATH", "BODY"])

    def tell_what_was_dropped(self):
        dropped = [(record, hop) for stage in ("collect", "project", "deliver")
                   for record, hop in self.hops(stage) if hop["what"] in DROPPED]
        self.paper.heading(f"What was dropped, and why: {len(dropped)}")
        rows = [[clock(seconds_of(hop["at"])), record, self.story.records[record],
                 DROPPED[hop["what"]]] for record, hop in dropped]
        if rows:
            self.paper.table(rows, ["WHEN", "RECORD", "WHICH IS", "WHY"])

    def tell_outage(self):
        outage = self.story.outage
        self.paper.heading("What happened in the outage of the MES")
        line = self.paper.line
        lasted = outage["up_at"] - outage["down_at"]
        line(f"  down from {clock(outage['down_at'])} to {clock(outage['up_at'])}, {lasted:.1f} s; "
             f"requests that reached the MES in that time: {outage['reached_mes']}")
        line("  `millrace status` said:")
        for text in outage["status"].stdout.splitlines()[:5]:
            line(f"    | {text}")
        for name, record in (("customer", outage["customer"]), ("order", outage["order"]),
                             ("shipment", outage["picking"])):
            for _, hop in self.hops("deliver", record):
                when = seconds_of(hop["at"])
                after = when - outage["up_at"]
                told = f"{after:.1f} s after its return" if after > 0 else "while the MES was down"
                line(f"  {name}: {hop['what']} by {hop['owner']} at {clock(when)}, {told}")

    # -- judging -------------------------------------------------------------------------------
    def check(self, good, text, detail=""):
        self.checks.append((bool(good), text, detail))

    def emitted(self, record):
        return [hop["what"] for _, hop in self.hops("project", record)]

    def judge(self):
        """True when the story ended well; prints every check."""
        self.check_ingress()
        self.check_events()
        self.check_targets()
        self.check_dropped()
        self.check_outage()
        self.check_end()
        self.paper.heading("The verdict")
        for good, text, detail in self.checks:
            self.paper.line(f"  {'ok     ' if good else 'FAILED '}{text}")
            if not good:
                self.paper.line(f"         {detail}")
        return all(good for good, _, _ in self.checks)

    def check_ingress(self):
        refused = [hook for hook in self.hooks if hook["status"] != 200]
        self.check(not refused, "every webhook was acknowledged with 200", f"not: {refused}")
        told = [record for record in self.story.history if self.story.hops(record)]
        self.check(not told, f"{len(self.story.history)} records that were there before stayed "
                   "silent", f"told of: {told}")

    def check_events(self):
        expected = {
            "res.partner": {"customer.created"}, "product.product": {"product.created"},
            "sale.order": {"sales_order.confirmed"}, "stock.picking": {"shipment.ready"},
            "mrp.production": {"production_order.released", "production_order.completed"},
            "purchase.order": {"purchase_order.confirmed", "purchase_order.received"},
            "stock.move": {"stock_move.done"}, "account.move": {"invoice.posted"},
        }
        missing = []
        for record in set(self.story.records) - set(self.story.phantoms):
            wanted = set(expected[record.split("/")[1]])
            if self.story.records[record] == "the old customer":
                wanted = {"customer.changed"}
            if self.story.records[record].startswith("supplier"):
                wanted.add("supplier.created")
            if self.story.records[record].endswith("cancelled order"):
                wanted.add("sales_order.cancelled" if "sale.order" in record
                           else "shipment.cancelled")
            for event in wanted:
                if self.emitted(record).count(event) != 1:
                    missing.append((record, event, self.emitted(record)))
        self.check(not missing, "every change was emitted, once", f"not once: {missing}")

    def check_targets(self):
        for name, effects in (("MES", self.mes), ("WMS", self.wms)):
            keys = [effect["key"] for effect in effects]
            self.check(all(keys) and len(set(keys)) == len(keys),
                       f"the {name} was told nothing twice", f"keys: {keys}")
        self.check_withdrawals("MES", self.mes, "/mes/work-orders", "orderNo", 3)
        self.check_withdrawals("WMS", self.wms, "/wms/shipments", "number", 3)
        paths = [effect["target"] for effect in self.mes if effect["method"] == "PUT"]
        # A supplier is a partner like others, and may buy one day.
        expected = ["/mes/customers/CUST-100", "/mes/customers/CUST-101", "/mes/customers/OLD-0",
                    "/mes/customers/SUP-1", "/mes/products/OAK-TABLE"]
        self.check(sorted(paths) == expected, "the MES got the three new partners, the renamed one "
                   "and the product, each once", f"it got {paths}")

    def check_withdrawals(self, name, effects, path, member, count):
        """So many were announced, and the cancelled one, nothing else, was withdrawn under the id
        that the target gave it, after it had been announced."""
        announced = [e for e in effects if (e["method"], e["target"]) == ("POST", path)]
        numbers = [effect["body"][member] for effect in announced]
        withdrawn = [e for e in effects if e["method"] == "DELETE"]
        given = {f"{path}/T{effect['number']}": effect for effect in announced}
        good = (len(numbers) == len(set(numbers)) == count and len(withdrawn) == 1
                and withdrawn[0]["target"] in given
                and given[withdrawn[0]["target"]]["number"] < withdrawn[0]["number"])
        self.check(good, f"the {name} got {count} of {path}, each once, and the cancelled one "
                   "withdrawn by the id it had given", f"POST {numbers}, DELETE "
                   f"{[e['target'] for e in withdrawn]}")

    def check_dropped(self):
        for record in self.story.phantoms:
            whats = [hop["what"] for hop in self.story.hops(record)]
            self.check(whats == ["phantom"], f"{self.story.records[record]}: dropped as a phantom",
                       f"hops: {whats}")
        twice = self.story.posted_twice
        record = f"odoo/{twice['model']}/{twice['id']}"
        whats = [hop["what"] for hop in self.story.hops(record)]
        self.check(whats.count("nothing to do") == 1, "the duplicate was recognised: nothing to do",
                   f"hops: {whats}")

    def check_outage(self):
        outage = self.story.outage
        named = any(re.match("connection mes is (down|paused)", problem["what"])
                    for problem in outage["problems"])
        self.check(named and outage["reached_mes"] == 0, "the outage was an outage, and status "
                   "said so", f"problems: {outage['problems']}")
        shipped = [seconds_of(hop["at"]) for _, hop in self.hops("deliver", outage["picking"])]
        self.check(shipped and shipped[0] < outage["up_at"], "the WMS was served while the MES was "
                   "down", f"at {shipped}, the MES was back at {outage['up_at']}")
        late = [seconds_of(hop["at"]) for record in (outage["customer"], outage["order"])
                for _, hop in self.hops("deliver", record) if hop["what"] == "delivered"]
        self.check(len(late) == 2 and min(late) > outage["up_at"],
                   "what the MES missed reached it afterwards", f"delivered at {late}")

    def check_end(self):
        status = self.plant.admin("/admin/v1/status")
        self.check(not status["problems"], "at the end status says that nothing is wrong",
                   f"problems: {status['problems']}")
        for name in ("dead", "parked"):
            rows = self.plant.admin(f"/admin/v1/{name}")["items"]
            self.check(not rows, f"nothing is {name}", f"{name}: {rows}")
        if self.plant.servers:
            topics, cursors = self.plant.servers.kept()
            wanted = {f"millrace.plant.{name}" for name in ("inbox", "trail", "events.sales_order")}
            self.check(wanted <= topics and cursors, "the log lies on Kafka, the state in "
                       "PostgreSQL", f"topics: {topics}, cursors: {cursors}")

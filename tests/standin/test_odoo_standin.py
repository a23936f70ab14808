"""The Odoo stand-in behaves as the measured Odoo does."""

import json
import os
import threading
import unittest

from http_server import HttpServer, Reply
from odoo_hooks import hook_body, shown
from odoo_models import load_models
from odoo_standin import OdooStandin
from standin_client import Control, Rpc, RpcError, post

FIXTURES = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "odoo-webhooks"
)


class OdooCase(unittest.TestCase):
    def setUp(self):
        self.odoo = OdooStandin()
        self.control = Control(self.odoo.control_server.port)
        self.rpc = Rpc(self.odoo.server.port)
        self.hooks = []
        self.listener = None

    def tearDown(self):
        self.odoo.close()
        if self.listener:
            self.listener.close()

    def listen(self, on_hook=None):
        def handle(request):
            self.hooks.append(request)
            if on_hook:
                on_hook(request)
            return Reply(200, b"{}")

        self.listener = HttpServer(handle)
        self.listener.close = self.listener.down
        return f"http://127.0.0.1:{self.listener.port}/hooks/odoo/token"

    def order(self, **values):
        return self.control(
            "create",
            model="sale.order",
            values={
                "order_line": [[0, 0, {"name": "Table", "product_uom_qty": 2, "price_unit": 30}]],
                **values,
            },
        )["result"]

    def fails(self, name, *args, **kwargs):
        with self.assertRaises(RpcError) as caught:
            self.rpc.call(*args, **kwargs)
        self.assertEqual(caught.exception.name, name)
        return caught.exception


class Webhooks(OdooCase):
    def test_bodies_equal_the_captured_ones_byte_for_byte(self):
        models = load_models()
        for file in sorted(os.listdir(FIXTURES)):
            with open(os.path.join(FIXTURES, file), encoding="utf-8") as handle:
                body = json.load(handle)["body"]
            values = json.loads(body)
            model, record_id = values.pop("_model"), values.pop("_id")
            action, _, action_id = values.pop("_action").rpartition("(#")
            for name, value in values.items():
                field = models[model][name]
                if field.type == "binary" and value:
                    value = value[2:-1]
                values[name] = shown(field, value)
            made = hook_body(
                {"action": action, "action_id": int(action_id[:-1])}, model, record_id, values
            )
            self.assertEqual(made.decode(), body, file)

    def test_are_sent_before_the_commit_with_microseconds_and_the_measured_headers(self):
        seen = []
        url = self.listen(
            lambda request: seen.append(
                self.rpc.call("res.partner", "read", [json.loads(request.body)["_id"]], ["name"])
            )
        )
        self.control("hook", model="res.partner", url=url, fields=["name", "ref", "write_date"])
        done = self.control("do", operations=[["create", "res.partner", {"name": "Möbel"}]])
        body = json.loads(self.hooks[0].body)
        self.assertEqual(seen, [[]])
        self.assertEqual(body["write_date"], done["write_date"])
        self.assertEqual((body["ref"], body["name"]), (False, "Möbel"))
        self.assertIn(b"M\\u00f6bel", self.hooks[0].body)
        self.assertEqual(
            [name for name, _ in self.hooks[0].headers],
            [
                "Host",
                "User-Agent",
                "Accept-Encoding",
                "Accept",
                "Connection",
                "Content-Type",
                "Content-Length",
            ],
        )

    def test_of_a_rolled_back_transaction_are_phantoms(self):
        self.control("hook", model="res.partner", url=self.listen(), fields=[])
        done = self.control(
            "do", operations=[["create", "res.partner", {"name": "A"}]], rollback=True
        )
        self.assertEqual(len(self.hooks), 1)
        self.assertEqual(self.rpc.call("res.partner", "read", [done["results"][0]], ["name"]), [])

    def test_repeat_when_the_transaction_is_run_again(self):
        partner = self.control("create", model="res.partner", values={"name": "A"})["result"]
        self.control("hook", model="res.partner", url=self.listen(), fields=["write_date"])
        done = self.control(
            "do", operations=[["write", "res.partner", [partner], {"name": "B"}]], hook_repeats=3
        )
        dates = [json.loads(h.body)["write_date"] for h in self.hooks]
        self.assertEqual(len(set(dates)), 3)
        self.assertEqual(dates[-1], done["write_date"])

    def test_fire_on_watched_changes_only_and_before_a_delete(self):
        partner = self.control("create", model="res.partner", values={"name": "A"})["result"]
        self.control(
            "hook",
            model="res.partner",
            url=self.listen(),
            fields=["name"],
            watch=["name"],
            on=["write", "unlink"],
        )
        for values in ({"phone": "1"}, {"name": "A"}, {"name": "B"}):
            self.control("write", model="res.partner", ids=[partner], values=values)
        self.control("unlink", model="res.partner", ids=[partner])
        self.assertEqual([json.loads(h.body)["name"] for h in self.hooks], ["B", "B"])

    def test_ring_once_for_a_create_with_lines(self):
        self.control(
            "hook",
            model="sale.order",
            url=self.listen(),
            fields=["amount_total"],
            watch=["state", "amount_total"],
        )
        self.order()
        self.assertEqual([json.loads(h.body)["amount_total"] for h in self.hooks], [60.0])

    def test_that_fail_change_nothing(self):
        self.control("hook", model="res.partner", url="http://127.0.0.1:1/x", fields=[])
        done = self.control("do", operations=[["create", "res.partner", {"name": "A"}]])
        self.assertIsNone(done["hooks"][0]["status"])
        self.assertEqual(len(self.rpc.call("res.partner", "read", done["results"], ["name"])), 1)


class Transactions(OdooCase):
    def test_show_their_rows_at_commit_with_the_time_of_their_start(self):
        slow = self.control("begin")
        made = self.control("create", tx=slow["tx"], model="res.partner", values={"name": "late"})[
            "result"
        ]
        quick = self.control("do", operations=[["create", "res.partner", {"name": "quick"}]])
        self.assertEqual(self.rpc.call("res.partner", "read", [made], ["name"]), [])
        self.control("commit", tx=slow["tx"])
        row = self.rpc.call("res.partner", "read", [made], ["write_date"])[0]
        self.assertEqual(row["write_date"], slow["start"][:19])
        self.assertLess(slow["start"], quick["write_date"])

    def test_that_write_one_row_wait_and_then_run_again(self):
        partner = self.control("create", model="res.partner", values={"name": "A"})["result"]
        self.control("hook", model="res.partner", url=self.listen(), fields=["name"])
        first = self.control("begin")["tx"]
        self.control("write", tx=first, model="res.partner", ids=[partner], values={"name": "B"})
        other = threading.Thread(
            target=self.rpc.call, args=("res.partner", "write", [partner], {"name": "C"})
        )
        other.start()
        self.control("commit", tx=first)
        other.join()
        self.assertEqual(self.rpc.call("res.partner", "read", [partner], ["name"])[0]["name"], "C")

    def test_compare_full_microseconds_in_domains_but_show_seconds(self):
        self.control(
            "insert",
            model="res.partner",
            rows=[{"id": 900, "name": "x", "write_date": "2026-11-21 22:05:31.803342"}],
        )

        def found(operator, value):
            return self.rpc.call(
                "res.partner", "search", [["write_date", operator, value], ["id", "=", 900]]
            )

        self.assertEqual(found("=", "2026-11-21 22:05:31"), [])
        self.assertEqual(found(">", "2026-11-21 22:05:31"), [900])
        self.assertEqual(found("<=", "2026-11-21 22:05:31"), [])
        self.assertEqual(found("<=", "2026-11-21 22:05:31.803342"), [900])
        row = self.rpc.call("res.partner", "read", [900], ["write_date"])[0]
        self.assertEqual(row["write_date"], "2026-11-21 22:05:31")

    def test_of_a_line_move_the_order_but_its_text_does_not(self):
        order = self.order()
        line = self.rpc.call("sale.order", "read", [order], ["order_line"])[0]["order_line"][0]

        def written():
            return self.control("rows", model="sale.order", ids=[order])["rows"][0]["write_date"]

        before = written()
        self.control("write", model="sale.order.line", ids=[line], values={"name": "new text"})
        self.assertEqual(written(), before)
        self.control("write", model="sale.order.line", ids=[line], values={"product_uom_qty": 5})
        self.assertGreater(written(), before)
        total = self.rpc.call("sale.order", "read", [order], ["amount_total"])[0]["amount_total"]
        self.assertEqual(total, 150.0)


class RpcAnswers(OdooCase):
    def test_authenticate_answers_a_uid_or_false_and_notes_the_login(self):
        self.assertEqual(
            self.rpc.service("common", "authenticate", ["test", "broker", "broker-key", {}]), 2
        )
        self.assertIs(
            self.rpc.service("common", "authenticate", ["test", "broker", "no", {}]), False
        )
        self.assertEqual(
            len(self.rpc.call("res.users", "read", [2], ["login_date"])[0]["login_date"]), 19
        )

    def test_read_skips_missing_ids_and_shows_false_for_empty_values(self):
        partner = self.rpc.call("res.partner", "create", {"name": "A", "country_id": 1})
        rows = self.rpc.call(
            "res.partner", "read", [partner, 9999], ["name", "ref", "country_id", "child_ids"]
        )
        self.assertEqual(
            rows,
            [
                {
                    "id": partner,
                    "name": "A",
                    "ref": False,
                    "country_id": [1, "Germany"],
                    "child_ids": [],
                }
            ],
        )
        rows = self.rpc.call("res.partner", "read", [partner], ["country_id"], load=None)
        self.assertEqual(rows[0]["country_id"], 1)

    def test_id_alone_is_answered_without_a_look_at_the_table(self):
        self.assertEqual(self.rpc.call("res.partner", "read", [9999], ["id"]), [{"id": 9999}])

    def test_archived_records_hide_from_searches_but_not_from_reads(self):
        partner = self.rpc.call("res.partner", "create", {"name": "A", "active": False})
        domain = [["id", "=", partner]]
        self.assertEqual(self.rpc.call("res.partner", "search", domain), [])
        self.assertEqual(
            self.rpc.call("res.partner", "search", domain, context={"active_test": False}),
            [partner],
        )
        self.assertEqual(len(self.rpc.call("res.partner", "read", [partner], ["name"])), 1)

    def test_one_forbidden_id_refuses_the_whole_batch(self):
        ids = [self.rpc.call("res.partner", "create", {"name": n}) for n in "ABC"]
        self.control("forbid", model="res.partner", ids=[ids[1]])
        problem = self.fails("odoo.exceptions.AccessError", "res.partner", "read", ids, ["name"])
        self.assertIn("doesn't have 'read' access", str(problem))
        self.assertEqual(
            self.rpc.call("res.partner", "search", [["id", "in", ids]]), [ids[0], ids[2]]
        )

    def test_companies_outside_the_context_are_hidden(self):
        self.control("user", company_ids=[1, 3])
        self.control(
            "insert", model="sale.order", rows=[{"id": 50, "name": "S50", "company_id": 3}]
        )
        both = {"allowed_company_ids": [1, 3]}
        self.assertEqual(len(self.rpc.call("sale.order", "read", [50], ["name"], context=both)), 1)
        self.fails(
            "odoo.exceptions.AccessError",
            "sale.order",
            "read",
            [50],
            ["name"],
            context={"allowed_company_ids": [1]},
        )
        self.fails(
            "odoo.exceptions.AccessError",
            "sale.order",
            "read",
            [50],
            ["name"],
            context={"allowed_company_ids": [1, 9]},
        )

    def test_errors_come_with_status_200_and_the_name_of_the_exception(self):
        order = self.order()
        status, headers, body = self.rpc.raw(
            "object", "execute_kw", ["test", 2, "wrong", "sale.order", "read", [[order]], {}]
        )
        self.assertEqual((status, headers["Connection"]), (200, "close"))
        self.assertEqual(json.loads(body)["error"]["data"]["name"], "odoo.exceptions.AccessDenied")
        self.fails("builtins.ValueError", "sale.order", "read", [order], ["nmae"])
        self.fails("builtins.ValueError", "sale.order", "search", [["nmae", "=", 1]])
        self.fails("odoo.exceptions.UserError", "sale.odrer", "read", [1], ["name"])
        self.fails("builtins.AttributeError", "sale.order", "no_such_method", [order])
        self.fails("odoo.exceptions.AccessError", "sale.order", "_compute_name", [order])
        self.fails("odoo.exceptions.MissingError", "sale.order", "write", [9999], {"note": "x"})
        self.assertTrue(self.rpc.call("sale.order", "action_confirm", [order]))
        self.fails("odoo.exceptions.UserError", "sale.order", "action_confirm", [order])

    def test_none_answers_without_a_result_member(self):
        order = self.order()
        _, _, body = self.rpc.raw(
            "object",
            "execute_kw",
            ["test", 2, "broker-key", "sale.order", "action_lock", [[order]], {}],
        )
        self.assertEqual(body, b'{"jsonrpc": "2.0", "id": 7}')

    def test_paths_around_rpc(self):
        status, headers, _ = post(self.odoo.server.port, "/json/2/res.partner/read", {})
        self.assertEqual((status, headers["Content-Type"]), (303, "text/html; charset=utf-8"))
        _, _, body = post(self.odoo.server.port, "/web/webclient/version_info", {})
        self.assertEqual(json.loads(body)["result"]["server_serie"], "18.0")
        _, _, body = post(self.odoo.server.port, "/web/health", b"", method="GET")
        self.assertEqual(json.loads(body), {"status": "pass"})
        status, _, _ = post(self.odoo.server.port, "/jsonrpc", b"nonsense")
        self.assertEqual(status, 400)

    def test_translations_follow_the_language(self):
        self.control(
            "translate", model="uom.uom", id=1, field="name", lang="fr_FR", value="Unités"
        )

        def name(**context):
            return self.rpc.call("uom.uom", "read", [1], ["name"], context=context)[0]["name"]

        self.assertEqual(
            (name(lang="fr_FR"), name(lang="en_US"), name()), ("Unités", "Units", "Units")
        )
        with self.assertRaisesRegex(RpcError, "Invalid language code: xx_XX"):
            name(lang="xx_XX")

    def test_what_is_gone_cannot_be_deleted_again(self):
        partner = self.rpc.call("res.partner", "create", {"name": "Gone"})
        self.rpc.call("res.partner", "unlink", [partner])
        with self.assertRaisesRegex(RpcError, "does not exist or has been deleted"):
            self.rpc.call("res.partner", "unlink", [partner])

    def test_domains_combine_with_prefix_operators(self):
        ids = [
            self.rpc.call("res.partner", "create", {"name": n, "color": i})
            for i, n in enumerate(["Ada", "Bob", "Cyd"])
        ]

        def found(*domain):
            return self.rpc.call("res.partner", "search", [["id", "in", ids], *domain])

        self.assertEqual(found("|", ["name", "=", "Ada"], ["color", ">=", 2]), [ids[0], ids[2]])
        self.assertEqual(found("!", ["name", "like", "b"]), [ids[0], ids[2]])
        self.assertEqual(found(["name", "not in", ["Ada"]], ["ref", "=", False]), ids[1:])
        self.assertEqual(found(["color", ">", 0]), ids[1:])
        self.assertEqual(self.rpc.call("res.partner", "search_count", [["id", "in", ids]]), 3)
        rows = self.rpc.call(
            "res.partner", "search_read", [["id", "in", ids]], ["name"], order="name desc", limit=1
        )
        self.assertEqual(rows, [{"id": ids[2], "name": "Cyd"}])

    def test_a_many2one_compared_with_0_finds_nothing_as_measured(self):
        order = self.order()
        line = self.rpc.call("sale.order", "read", [order], ["order_line"])[0]["order_line"]

        def found(operator, value):
            return self.rpc.call("sale.order.line", "search", [["order_id", operator, value]])

        self.assertEqual((found(">", 0), found(">=", 1), found("!=", False)), ([], line, line))

    def test_confirming_an_order_with_goods_makes_its_delivery(self):
        product = self.rpc.call(
            "product.product", "create", {"name": "Table", "default_code": "T1"}
        )
        order = self.rpc.call(
            "sale.order",
            "create",
            {
                "client_order_ref": "PO1",
                "order_line": [
                    [0, 0, {"product_id": product, "product_uom_qty": 1, "price_unit": 5}]
                ],
            },
        )
        self.rpc.call("sale.order", "action_confirm", [order])
        picking = self.rpc.call(
            "stock.picking",
            "search_read",
            [["sale_id", "=", order]],
            ["origin", "state", "move_ids"],
        )[0]
        self.assertEqual(picking["origin"], f"S{order:05d} - PO1")
        self.control("wizard", model="stock.picking", ids=[picking["id"]])
        self.assertIsInstance(
            self.rpc.call("stock.picking", "button_validate", [picking["id"]]), dict
        )
        self.control("wizard", model="stock.picking", ids=[picking["id"]], clear=True)
        self.assertIs(self.rpc.call("stock.picking", "button_validate", [picking["id"]]), True)
        row = self.rpc.call("product.product", "read", [product], ["display_name", "name"])[0]
        self.assertEqual((row["display_name"], row["name"]), ("[T1] Table", "Table"))


class Faults(OdooCase):
    def read(self):
        return self.rpc.raw(
            "object", "execute_kw", ["test", 2, "broker-key", "res.users", "read", [[2]], {}]
        )

    def test_apply_to_the_next_calls_and_then_stop(self):
        self.control("fault", mode="serialization", times=2, model="res.users")
        for _ in range(2):
            self.fails("psycopg2.errors.SerializationFailure", "res.users", "read", [2], ["name"])
        self.assertEqual(self.rpc.call("res.users", "read", [2], ["login"])[0]["login"], "broker")

    def test_break_the_protocol_on_demand(self):
        for mode, status in (("html", 502), ("redirect", 303), ("no_result", 200)):
            self.control("fault", mode=mode, times=1)
            self.assertEqual(self.read()[0], status)
        for mode in ("close", "close_midway"):
            self.control("fault", mode=mode, times=1)
            with self.assertRaises(Exception):
                self.read()
        self.assertEqual(self.read()[0], 200)

    def test_after_carries_the_call_out_and_loses_the_answer(self):
        self.control("fault", mode="close", times=1, method="create", after=True)
        with self.assertRaises(Exception):
            self.rpc.call("res.partner", "create", {"name": "once"})
        self.assertEqual(self.rpc.call("res.partner", "search_count", [["name", "=", "once"]]), 1)

    def test_down_refuses_and_up_comes_back_on_the_same_port(self):
        self.control("down")
        with self.assertRaises(ConnectionRefusedError):
            self.read()
        self.control("up")
        self.assertEqual(self.read()[0], 200)

    def test_counts_say_what_was_called_with_how_many_ids(self):
        self.rpc.call("res.users", "read", [1, 2], ["name"])
        self.assertEqual(self.control("counts")["counts"]["res.users.read"], {"calls": 1, "ids": 2})
        entry = self.control("log", call="res.users.read")["log"][0]
        self.assertEqual(entry["ids"], [1, 2])

    def test_seed_makes_old_records_in_id_order_without_hooks(self):
        self.control("hook", model="sale.order", url=self.listen(), fields=[])
        made = self.control(
            "seed", model="sale.order", count=2000, values={"state": "sale"}, lines=1
        )
        page = self.rpc.call(
            "sale.order",
            "search_read",
            [["id", ">", made["first"] + 99]],
            ["write_date", "order_line"],
            limit=5,
            order="id",
        )
        self.assertEqual(
            [r["id"] for r in page], list(range(made["first"] + 100, made["first"] + 105))
        )
        self.assertEqual(len(page[0]["order_line"]), 1)
        self.assertEqual(self.hooks, [])
        self.assertLess(page[0]["write_date"], self.control("ping")["now"])

    def test_fields_come_and_go(self):
        self.control("field", model="res.partner", field="x_code:char")
        about = self.rpc.call(
            "res.partner", "fields_get", ["x_code", "credit_limit"], ["type", "company_dependent"]
        )
        self.assertEqual(
            about,
            {
                "x_code": {"type": "char", "company_dependent": False},
                "credit_limit": {"type": "float", "company_dependent": True},
            },
        )
        self.control("field", model="res.partner", remove="x_code")
        self.assertEqual(self.rpc.call("res.partner", "fields_get", ["x_code"]), {})


if __name__ == "__main__":
    unittest.main()

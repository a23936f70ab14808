"""The target stand-in records what it gets and misbehaves as told."""

import json
import socket
import subprocess
import sys
import unittest

from standin_client import Control, post
from target_standin import TargetStandin


class Target(unittest.TestCase):
    def setUp(self):
        self.target = TargetStandin()
        self.control = Control(self.target.control_server.port)

    def tearDown(self):
        self.target.close()

    def send(self, body="{}", path="/orders", **headers):
        status, answer_headers, answer = post(self.target.server.port, path, body.encode(), headers)
        return status, answer_headers, answer

    def test_records_every_request_and_counts_effects(self):
        status, _, answer = self.send('{"a": 1}', Authorization="Bearer x")
        self.assertEqual((status, json.loads(answer)), (200, {"id": "T1"}))
        request = self.control("requests")["requests"][0]
        self.assertEqual(
            (request["method"], request["target"], request["body"]), ("POST", "/orders", '{"a": 1}')
        )
        self.assertIn(["Authorization", "Bearer x"], request["headers"])
        self.assertEqual(self.control("effects")["count"], 1)

    def test_repeats_the_first_answer_for_a_known_key_when_idempotent(self):
        self.control("idempotent")
        first = self.send(**{"Idempotency-Key": "k1"})[2]
        self.assertEqual(self.send(**{"Idempotency-Key": "k1"})[2], first)
        self.assertNotEqual(self.send(**{"Idempotency-Key": "k2"})[2], first)
        counts = self.control("counts")
        self.assertEqual((counts["effects"], counts["repeats"], counts["requests"]), (2, 1, 3))

    def test_answers_a_status_for_matching_requests_only(self):
        self.control(
            "fault", mode="status", status=503, headers={"Retry-After": "7"}, body="poison", times=2
        )
        self.assertEqual(self.send("fine")[0], 200)
        status, headers, _ = self.send("poison")
        self.assertEqual((status, headers["Retry-After"]), (503, "7"))
        self.assertEqual([self.send("poison")[0], self.send("poison")[0]], [503, 200])
        self.assertEqual(self.control("effects")["count"], 2)

    def test_closes_without_an_answer_and_may_have_applied(self):
        self.control("fault", mode="close", times=1, applied_anyway=True)
        with self.assertRaises(Exception):
            self.send()
        self.assertEqual(self.control("effects")["count"], 1)
        self.control("fault", mode="close_midway", times=1)
        with self.assertRaises(Exception):
            self.send()
        self.assertEqual(self.control("effects")["count"], 1)

    def test_streams_more_than_anyone_wants(self):
        self.control("fault", mode="oversized", times=1)
        with socket.create_connection(("127.0.0.1", self.target.server.port)) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            got = b""
            while len(got) < 1 << 20:
                got += client.recv(1 << 16)
        self.assertIn(b"Content-Length: 1073741824", got)

    def test_goes_down_and_comes_back_on_the_same_port(self):
        self.control("down")
        with self.assertRaises(ConnectionRefusedError):
            self.send()
        self.control("up")
        self.assertEqual(self.send()[0], 200)

    def test_ends_when_its_standard_input_closes(self):
        for script in ("target_standin.py", "odoo_standin.py"):
            with subprocess.Popen(
                [sys.executable, "-B", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as process:
                self.assertGreater(json.loads(process.stdout.readline())["control_port"], 0)
                process.stdin.close()
                self.assertEqual(process.wait(30), 0)


if __name__ == "__main__":
    unittest.main()

"""Talks to stand-ins from Python: /jsonrpc calls and control commands."""

import http.client
import json


def post(port, path, body, headers=None, method="POST"):
    """(status, headers, bytes) of one request on its own connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(
            method, path, data, {"Content-Type": "application/json", **(headers or {})}
        )
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


class Control:
    def __init__(self, port):
        self.port = port

    def __call__(self, cmd, **members):
        _, _, body = post(self.port, "/control", {"cmd": cmd, **members})
        answer = json.loads(body)
        if not answer["ok"]:
            raise RuntimeError(answer["error"])
        return answer


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(error["data"]["message"])
        self.code, self.name = error["code"], error["data"]["name"]


class Rpc:
    def __init__(self, port, key="broker-key", database="test", uid=2):
        self.port, self.key, self.database, self.uid = port, key, database, uid

    def raw(self, service, method, args):
        status, headers, body = post(
            self.port,
            "/jsonrpc",
            {
                "jsonrpc": "2.0",
                "method": "call",
                "id": 7,
                "params": {"service": service, "method": method, "args": args},
            },
        )
        return status, headers, body

    def service(self, service, method, args):
        _, _, body = self.raw(service, method, args)
        answer = json.loads(body)
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer.get("result")

    def call(self, model, method, *args, **kwargs):
        return self.service(
            "object",
            "execute_kw",
            [self.database, self.uid, self.key, model, method, list(args), kwargs],
        )

#!/usr/bin/env python3
"""An Odoo 18 to test against, without Odoo: RPC, webhooks, late commits and faults on demand.

Prints one line of JSON with its ports when ready. Ends on SIGTERM or when standard input closes.
"""

import argparse
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from control import control_handler  # noqa: E402
from http_server import HttpServer, announce, run_until_told  # noqa: E402
from odoo_control import OdooControl  # noqa: E402
from odoo_rpc import Rpc  # noqa: E402
from odoo_site import Site  # noqa: E402


class OdooStandin:
    """The whole of it, for tests that want it in their own process."""

    def __init__(self, port=0, control_port=0, database="test", login="broker", key="broker-key"):
        self.site = Site(database, login, key)
        self.rpc = Rpc(self.site)
        self.server = HttpServer(
            self.rpc.handle, port, "Werkzeug/2.2.2 Python/3.11.7", self.site.database.now
        )
        self.control = OdooControl(self.site, self.rpc, self.server)
        self.control_server = HttpServer(control_handler(self.control.commands()), control_port)

    def close(self):
        self.server.down()
        self.control_server.down()


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--control-port", type=int, default=0)
    options.add_argument("--database", default="test")
    options.add_argument("--login", default="broker")
    options.add_argument("--key", default="broker-key")
    chosen = options.parse_args()
    standin = OdooStandin(
        chosen.port, chosen.control_port, chosen.database, chosen.login, chosen.key
    )
    announce(
        json.dumps(
            {
                "port": standin.server.port,
                "control_port": standin.control_server.port,
                "database": chosen.database,
                "login": chosen.login,
                "key": chosen.key,
            }
        )
    )
    run_until_told()
    os._exit(0)  # threads may hang in sockets on purpose


if __name__ == "__main__":
    main()

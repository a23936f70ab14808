"""The demo's plant: a stand-in Odoo, MES and WMS, and millraced between them, in one directory."""

import ctypes
import json
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests" / "scenarios"))
sys.path.insert(0, str(SOURCE / "tests" / "standin"))
from processes import free_port, program, request  # noqa: E402
from servers import Servers  # noqa: E402
from standin_client import Control  # noqa: E402
from waiting import eventually  # noqa: E402

READY_WITHIN = 60.0
STOP_WITHIN = 40.0
LOG_TAIL_LINES = 40
LONGEST_TRANSACTION = "5s"
HOOKED_MODELS = {
    "res.partner": ["name", "ref", "write_date"],
    "product.product": ["default_code", "write_date"],
    "sale.order": ["name", "state", "write_date"],
    "mrp.production": ["name", "state", "write_date"],
    "stock.picking": ["name", "state", "write_date"],
    "purchase.order": ["name", "state", "write_date"],
    "stock.move": ["state", "write_date"],
    "account.move": ["state", "write_date"],
}
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def end_with_parent():
    """The kernel ends the child when this program is gone, however it went."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """A process that Ctrl-C does not reach: the plant ends it, in order."""

    def __init__(self, arguments, **options):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
            [str(argument) for argument in arguments], start_new_session=True,
            preexec_fn=end_with_parent, **options)

    def end(self):
        """Its exit code; killed, and None, when it does not end by itself in time."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


class Standin(Child):
    def __init__(self, script, *arguments):
        super().__init__([sys.executable, "-B", SOURCE / "tests" / "standin" / script, *arguments],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        facts = json.loads(self.process.stdout.readline())
        self.port, self.control_port = facts["port"], facts["control_port"]
        self.control = Control(self.control_port)

    def effects(self):
        """What a target carried out, in order; bodies parsed."""
        effects = self.control("effects")["effects"]
        for effect in effects:
            effect["body"] = json.loads(effect["body"]) if effect["body"] else None
        return effects


class Plant:
    """Everything the demo starts. Use as a context: leaving it ends every process."""

    def __init__(self, kafka=False):
        self.directory = Path(tempfile.mkdtemp(prefix="millrace-demo-"))
        self.config, self.data = self.directory / "config", self.directory / "data"
        self.log = self.directory / "millraced.log"
        self.tokens = {name: secrets.token_hex(16)
                       for name in ("odoo_api_key", "odoo_hook", "mes_token", "wms_token")}
        self.port, self.admin_port = free_port(), free_port()
        self.odoo = self.mes = self.wms = self.broker = None
        self.servers = Servers() if kafka else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Exit code of millraced, None when it did not run or had to be killed."""
        broker, self.broker = self.broker, None
        code = broker.end() if broker else None
        for standin in (self.odoo, self.mes, self.wms):
            if standin:
                standin.end()
        self.odoo = self.mes = self.wms = None
        if self.servers:
            self.servers.close()
        return code

    def remove_directory(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    # -- starting ------------------------------------------------------------------------------
    def start_neighbours(self):
        self.odoo = Standin("odoo_standin.py", "--login", "admin", "--database", "odoo",
                            "--key", self.tokens["odoo_api_key"])
        self.mes = Standin("target_standin.py", "--idempotent")
        self.wms = Standin("target_standin.py", "--idempotent")
        for model, fields in HOOKED_MODELS.items():
            self.odoo.control("hook", model=model, fields=fields, url=self.hook_url())

    def hook_url(self):
        return f"http://127.0.0.1:{self.port}/hooks/odoo/{self.tokens['odoo_hook']}"

    def write_configuration(self):
        """The configuration that ships, with the variables and secrets of this machine."""
        shutil.copytree(SOURCE / "config", self.config)
        folder = self.directory / "secrets"
        folder.mkdir(mode=0o700)
        for name, token in self.tokens.items():
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(token, "ascii")
        variables = {
            "listen": f"127.0.0.1:{self.port}", "admin": f"127.0.0.1:{self.admin_port}",
            "data": self.data, "secrets": folder,
            "odoo_url": f"http://127.0.0.1:{self.odoo.port}",
            "odoo_database": "odoo", "odoo_login": "admin",
            "mes_url": f"http://127.0.0.1:{self.mes.port}/mes",
            "wms_url": f"http://127.0.0.1:{self.wms.port}/wms",
        }
        text = "".join(f"{name}: {value}\n" for name, value in variables.items())
        (self.config / "vars" / "dev.yaml").write_text(text, "utf-8")
        self.change_line("connections.yaml", "longest_transaction", LONGEST_TRANSACTION)
        # All that a site changes that goes from files to Kafka and PostgreSQL.
        for key, value in (self.servers.start() if self.servers else {}).items():
            self.change_line("millrace.yaml", key, value)

    def change_line(self, file, key, value):
        path = self.config / file
        text, changed = re.subn(rf"(?m)^{key}: .*$", lambda _: f"{key}: {value}",
                                path.read_text("utf-8"))
        if changed != 1:
            raise RuntimeError(f"{file} has no `{key}:` of its own line")
        path.write_text(text, "utf-8")

    def start_broker(self):
        with open(self.log, "ab") as log:
            self.broker = Child([program("millraced"), "--config", self.config],
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(self.is_ready, within=READY_WITHIN, what="millraced is ready")

    def is_ready(self):
        if self.broker.process.poll() is not None:
            raise RuntimeError(f"millraced ended with {self.broker.process.returncode} at its "
                               "start")
        return request(self.admin_port, "GET", "/readyz", timeout=5).status == 200

    # -- asking the broker ---------------------------------------------------------------------
    def admin(self, path):
        token = (self.data / "admin.token").read_text("ascii").strip()
        answer = request(self.admin_port, "GET", path,
                         headers={"Authorization": f"Bearer {token}"})
        if answer.status != 200:
            raise OSError(f"GET {path} answered {answer.status}: {answer.body!r}")
        return answer.json()

    def command(self, *arguments):
        return [str(program("millrace")), "--config", str(self.config), *arguments]

    def log_tail(self):
        if not self.log.exists():
            return "(millraced wrote nothing)"
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-LOG_TAIL_LINES:])

"""The exceptions an Odoo reports over RPC, told apart by the name in error.data.name."""


class OdooError(Exception):
    name = "odoo.exceptions.UserError"

    def __init__(self, message, name=None):
        super().__init__(message)
        if name:
            self.name = name


class UserError(OdooError):
    pass


class AccessError(OdooError):
    name = "odoo.exceptions.AccessError"


class AccessDenied(OdooError):
    name = "odoo.exceptions.AccessDenied"

    def __init__(self):
        super().__init__("Access Denied")


class MissingError(OdooError):
    name = "odoo.exceptions.MissingError"


class ValidationError(OdooError):
    name = "odoo.exceptions.ValidationError"


class PythonError(OdooError):
    """builtins.ValueError, .AttributeError, .TypeError, .KeyError"""

    def __init__(self, kind, message):
        super().__init__(message, f"builtins.{kind}")


class SerializationFailure(OdooError):
    name = "psycopg2.errors.SerializationFailure"

    def __init__(self):
        super().__init__("could not serialize access due to concurrent update\n")


class LockNotAvailable(OdooError):
    name = "psycopg2.errors.LockNotAvailable"

    def __init__(self):
        super().__init__("could not obtain lock on row in relation\n")


MESSAGES = {
    "psycopg2.errors.SerializationFailure": "could not serialize access due to concurrent update\n",
    "psycopg2.errors.LockNotAvailable": "could not obtain lock on row in relation\n",
    "psycopg2.errors.DeadlockDetected": "deadlock detected\n",
    "psycopg2.OperationalError": 'connection to server at "127.0.0.1", port 5432 failed: '
    "Connection refused\n",
    "odoo.exceptions.AccessDenied": "Access Denied",
    "odoo.http.SessionExpiredException": "Session expired",
}


def error_body(request_id, name, message):
    """The `error` envelope of /jsonrpc; the HTTP status is 200 all the same."""
    code, title = (
        (100, "Odoo Session Expired")
        if name.endswith("SessionExpiredException")
        else (200, "Odoo Server Error")
    )
    short = name.rpartition(".")[2]
    debug = (
        'Traceback (most recent call last):\n  File "odoo/http.py", line 1, in _transactioning\n'
        f"{name if name.startswith('odoo') else short}: {message}\n"
    )
    return {
        "jsonrpc": "2.0",
        "id": request_id,
        "error": {
            "code": code,
            "message": title,
            "data": {
                "name": name,
                "debug": debug,
                "message": message,
                "arguments": [message],
                "context": {},
            },
        },
    }

"""Activates autoxla at interpreter start; `autoxla.start` beside it, for Python 3.15 and later, calls it.

The wheel lays this file next to the package, not into it: importing anything in the package
activates autoxla, and this must be importable without that. Older releases read `autoxla.pth`.
"""

import os
import sys


def start() -> None:
    """Activate autoxla where it is wanted, as `autoxla.pth` does. Nothing escapes from here."""
    # A program under the shim sees the modules that it sees without it, so this one leaves.
    sys.modules.pop(__name__, None)
    markers = map("{}/autoxla.enabled".format, sys.path)
    if os.environ.get("AUTOXLA") == "off":
        return
    if not (os.environ.get("AUTOXLA_ACTIVE") or any(map(os.path.exists, markers))):
        return
    try:
        __import__("autoxla")
    except Exception:  # noqa: BLE001 - the interpreter is starting: nothing may escape or be said
        return

"""Activates autoxla at interpreter start; `autoxla.pth` and `autoxla.start` beside it call it.

The wheel lays this file next to the package, not into it: importing anything in the package
activates autoxla, and this must be importable without that. Python 3.15 and later call `start`
each time, older ones `activate` where `autoxla.pth` found that autoxla is wanted.
"""

import os
import sys


def start() -> None:
    """Activate autoxla where the launcher or the site hook asks for it, as `autoxla.pth` does."""
    markers = map("{}/autoxla.enabled".format, sys.path)
    if os.environ.get("AUTOXLA_ACTIVE") or any(map(os.path.exists, markers)):
        activate()
    sys.modules.pop(__name__, None)


def activate() -> None:
    """Import autoxla unless ``AUTOXLA=off``. Nothing escapes from here, and nothing is printed."""
    # A program under the shim sees the modules that it sees without it, so this one leaves.
    sys.modules.pop(__name__, None)
    if os.environ.get("AUTOXLA") == "off":
        return
    try:
        __import__("autoxla")
    except Exception:  # noqa: BLE001 - the interpreter is starting: nothing may escape or be said
        return

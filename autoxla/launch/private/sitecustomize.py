"""Activates autoxla at interpreter start where no installed ``autoxla.pth`` does it.

The launcher puts this folder in front of ``PYTHONPATH``. Once read, this module takes the folder
off ``sys.path``, imports autoxla from where it lies itself, and gives its own name up to the
``sitecustomize`` that it shadows; without one, the ImportError that ``site`` expects comes out.

Every interpreter below the launcher reads this, of other environments and releases, too: hence
the old syntax, the check of the release, and that nothing is ever printed.
"""

# ruff: noqa: PTH100, PTH118, PTH120 - pathlib would cost more than the rest

import os
import sys

FOLDER = os.path.dirname(__file__)


def _is_wanted():
    # type: () -> bool
    wanted = os.environ.get("AUTOXLA_ACTIVE") and os.environ.get("AUTOXLA") != "off"
    return bool(wanted) and sys.version_info >= (3, 10)


def _leave_path():
    # type: () -> None
    sys.path[:] = [entry for entry in sys.path if entry != FOLDER]
    sys.path_importer_cache.pop(FOLDER, None)


def _activate():
    # type: () -> None
    root = os.path.abspath(os.path.join(FOLDER, "..", "..", ".."))
    importer = sys.path_importer_cache.get(root)
    sys.path.insert(0, root)
    try:
        __import__("autoxla")
    except Exception:  # noqa: BLE001 - the interpreter is starting: nothing may escape or be said
        return
    finally:
        sys.path.remove(root)
        if importer is None:
            sys.path_importer_cache.pop(root, None)


_leave_path()
if _is_wanted():
    _activate()
_self = sys.modules.pop("sitecustomize", None)  # kept: Python 2 empties a module that nobody holds
__import__("sitecustomize")

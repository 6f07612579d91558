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

sys.path[:] = [entry for entry in sys.path if entry != FOLDER]
sys.path_importer_cache.pop(FOLDER, None)
_is_wanted = os.environ.get("AUTOXLA_ACTIVE") and os.environ.get("AUTOXLA") != "off"
if _is_wanted and sys.version_info >= (3, 10):
    _root = os.path.abspath(os.path.join(FOLDER, "..", "..", ".."))
    _importer = sys.path_importer_cache.get(_root)
    sys.path.insert(0, _root)
    try:
        __import__("autoxla")
    except Exception:  # noqa: BLE001, S110 - the interpreter is starting: nothing may escape or be said
        pass
    finally:
        sys.path.remove(_root)
        if _importer is None:
            sys.path_importer_cache.pop(_root, None)
_self = sys.modules.pop("sitecustomize", None)  # kept: Python 2 empties a module that nobody holds
__import__("sitecustomize")

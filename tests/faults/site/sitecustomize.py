"""Loads the switch before anything of autoxla is there, then gives its name up to the next sitecustomize."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:] = [entry for entry in sys.path if entry != str(FOLDER)]
_self = sys.modules.pop("sitecustomize", None)
sys.path.insert(0, str(FOLDER.parents[1]))
try:
    from faults import switch
finally:
    sys.path.remove(str(FOLDER.parents[1]))
switch.current = switch.install()
__import__("sitecustomize")

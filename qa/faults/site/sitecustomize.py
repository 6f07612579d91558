"""Loads the switch before anything of autoxla is there, then gives its name up to the next sitecustomize."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:] = [entry for entry in sys.path if entry != str(FOLDER)]
_self = sys.modules.pop("sitecustomize", None)
_sources = [str(FOLDER.parents[1]), str(FOLDER.parents[2] / "tests")]
sys.path[:0] = _sources
try:
    from faults import switch
finally:
    for _source in _sources:
        sys.path.remove(_source)
switch.current = switch.install()
__import__("sitecustomize")

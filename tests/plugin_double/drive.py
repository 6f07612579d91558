"""Runs the C side of the double in a bare interpreter, one fork for each environment.

``python drive.py LIBRARY FUNCTION WHEN`` reads a JSON list of environments from standard input and writes
one JSON list of results. WHEN is ``before`` where the variables are set before the library is opened, so
that its constructor sees them, and ``after`` where one opening, which is slow for TensorFlow's library,
serves all. FUNCTION takes nothing and returns text, or a C boolean if its name is not the double's.
"""

import ctypes
import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])
from plugin_double import read_c_environment  # noqa: E402

LIBRARY, FUNCTION, WHEN = sys.argv[1:]


def call(library: ctypes.CDLL) -> str:
    """Call the function; return its text, ``"0"`` or ``"1"``."""
    function = library[FUNCTION]
    function.restype = ctypes.c_char_p if FUNCTION == "itex_double_evaluate" else ctypes.c_ubyte
    result = function()
    return result.decode() if isinstance(result, bytes) else str(int(result))


def run_child(environment: dict[str, str], output: int, library: ctypes.CDLL | None) -> None:
    """Call the function under ``environment`` with both streams to ``output``; end the process."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(environment)
    state = call(library or ctypes.CDLL(LIBRARY))
    os.write(output, b"\0" + json.dumps([state, read_c_environment()]).encode())
    os._exit(0)


def observe(environment: dict[str, str], library: ctypes.CDLL | None) -> list[Any]:
    """Return ``[status, printed text, state, variables]`` of one child; its state is "" if it died."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            run_child(environment, output.fileno(), library)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        printed, _, state = output.read().decode().partition("\0")
    return [status, printed, *(json.loads(state) if state else ("", {}))]


resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # hundreds of children abort on purpose
opened = ctypes.CDLL(LIBRARY) if WHEN == "after" else None
json.dump([observe(environment, opened) for environment in json.load(sys.stdin)], sys.stdout)

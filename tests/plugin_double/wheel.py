"""Drives the real plug-in as `drive.py` drives the double: one fork for each environment.

``python wheel.py`` reads a JSON list of pairs ``[environment, code]`` from standard input and writes one
JSON list of results, as `drive.py` does. It begins to import TensorFlow and forks where TensorFlow is about
to look for plug-ins, when nothing has read their variables. So one import serves all. ``code`` runs behind
the import, with ``tensorflow`` and the list ``seen``, whose JSON is the result's state.
"""

import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])
from plugin_double import read_c_environment  # noqa: E402

del sys.path[0]  # the tests' folder has no business there
FOLDER = "tensorflow-plugins"
CASES: list[tuple[dict[str, str], str]] = json.load(sys.stdin)
exists = os.path.exists


def follow(number: int, output: int) -> None:
    """Be the child of one case: leave where TensorFlow looks for plug-ins, with its variables set."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(CASES[number][0])
    os.environ["WHEEL_CASE"] = str(number)


def await_child(child: int, output: Any) -> list[Any]:
    """Return ``[status, printed text, state, variables]`` of one child; its state is "" if it died."""
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    output.seek(0)
    printed, _, state = output.read().decode(errors="replace").partition("\0")
    return [status, printed, *(json.loads(state) if state else ("", {}))]


def fork_there(path: Any) -> bool:
    """Answer as ``os.path.exists``; at the first folder of plug-ins fork for each case, and end."""
    if not str(path).endswith(FOLDER) or not exists(path):
        return exists(path)
    os.path.exists = exists
    results = []
    for number in range(len(CASES)):
        with tempfile.TemporaryFile() as output:
            child = os.fork()
            if child == 0:
                follow(number, output.fileno())
                return True
            results.append(await_child(child, output))
    json.dump(results, sys.stdout)
    sys.stdout.flush()
    os._exit(0)


def tell(seen: list[Any]) -> None:
    """Leave the child's state and its variables as C code sees them, and end it."""
    sys.stdout.flush()
    told = json.dumps([json.dumps(seen), read_c_environment()])
    # A write of its own to a file, whose end both streams share.
    os.write(1, b"\0" + told.encode())
    os._exit(0)


resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # some children abort on purpose
os.path.exists = fork_there
import tensorflow  # noqa: E402

noted: list[Any] = []
exec(CASES[int(os.environ["WHEEL_CASE"])][1], {"tensorflow": tensorflow, "seen": noted})  # noqa: S102
tell(noted)

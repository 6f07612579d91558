"""``python -m autoxla doctor [PROGRAM [ARGUMENTS]]``: what is wrong with this environment, and the remedy.

Looks at what is installed, at the variables, the plug-ins and the folder of the program, for PROGRAM (what
python takes: a script, -m MODULE, -c CODE) or for any program of this environment. Imports no backend, so
that it works where import tensorflow does not. --import-check also imports tensorflow, or what PROGRAM
imports of the backends, in a process of its own with a limit of --timeout SECONDS (60), and explains how that
ends.

Each line has a state: ok, note, warning or error. What is ok is only counted without --verbose; --json
gives all of it. -q, --quiet gives errors only, in JSON, too. Exit status: 0; 1 where a program would not
start or would soon end (a line of state error); 2 on bad arguments.

example: python -m autoxla doctor --import-check train.py
"""

# Only what Python itself loads at its start: a json.py in the current folder is something to report, not
# to import. All else is imported when that folder is off the path.
import os
import sys

USAGE = (
    "usage: python -m autoxla doctor [--json] [--verbose|--quiet] "
    "[--import-check [--timeout SECONDS]] [PROGRAM [ARGUMENTS]]"
)


def main(argv: list[str]) -> int:
    """Examine this environment; return the exit status."""
    here = _find_here()
    sys.path[:] = [entry for entry in sys.path if entry not in ("", here)]
    if "-h" in argv or "--help" in argv:
        from autoxla.commands.terminal import print_help

        print_help(USAGE, __doc__ or "")
        return 0
    if here is None:
        from autoxla.notice import say

        say("AX902 error environment: the current folder is not there any more; go to another one")
        return 2
    from autoxla.commands.diagnosis import examination

    return examination.main(argv, USAGE)


def _find_here() -> "str | None":
    """Return the current folder, None where it was removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib is not there yet
    except OSError:
        return None

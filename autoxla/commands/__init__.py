"""The commands of ``python -m autoxla``: the reserved first words, each a module with a ``main``."""

import importlib
import io
import os
import sys

#: Reserved first words and the modules that answer for them. A program of that name is started
#: with ``python -m autoxla run NAME`` or ``./NAME``.
MODULES = {
    "check": "autoxla.commands.check",
    "doctor": "autoxla.commands.doctor",
    "env": "autoxla.commands.env",
    "explain": "autoxla.commands.explain",
    "migrate": "autoxla.commands.migrate",
    "records": "autoxla.commands.records",
    "rule": "autoxla.commands.rule",
    "site": "autoxla.commands.site",
    "tune": "autoxla.commands.tune",
}


def run(name: str, argv: list[str]) -> int:
    """Run the command ``name`` of `MODULES` with the words after it; return the exit status."""
    # What is not in the terminal's own alphabet, as in a file's name, must not end a command. What
    # env prints is read by programs, which need the very bytes.
    if name != "env" and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status: int = importlib.import_module(MODULES[name]).main(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has had enough; without this the interpreter complains at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status

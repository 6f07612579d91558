"""The commands of ``python -m autoxla``: the reserved first words, each a module with a ``run``.

`autoxla.commands.parser` has their options and help texts.
"""

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
    "heal": "autoxla.commands.heal",
    "migrate": "autoxla.commands.migrate",
    "records": "autoxla.commands.records",
    "rule": "autoxla.commands.rule",
    "site": "autoxla.commands.site",
    "tune": "autoxla.commands.tune",
}


#: The exit status after Ctrl-C.
INTERRUPTED = 130


class CommandError(Exception):
    """What ends a command: the message is its line on stderr, `status` its exit status."""

    status = 2


class BadArgumentsError(CommandError):
    """Arguments that are not understood."""

    def __str__(self) -> str:
        return f"arguments: {super().__str__()}"


def run(name: str, argv: list[str]) -> int:
    """Run the command ``name`` of `MODULES` with the words after it; return the exit status.

    What goes wrong is said in one line here, whichever command it is.
    """
    try:
        here = os.getcwd()  # noqa: PTH109 - pathlib is not there yet
    except OSError:
        here = None
    if name == "doctor":
        # A json.py in the current folder is something to report, not to import: all imports that Python has
        # not made at its start stand behind this line.
        sys.path[:] = [entry for entry in sys.path if entry not in ("", here)]
    # What is not in the terminal's own alphabet, as in a file's name, must not end a command. What
    # env prints is read by programs, which need the very bytes.
    if name != "env" and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    from autoxla.commands.parser import parse
    from autoxla.notice import say
    from autoxla.settings import BadSettingError

    try:
        if here is None and not {"-h", "--help"}.intersection(argv):
            raise CommandError("environment: the current folder is not there any more; go to another one")
        status: int = importlib.import_module(MODULES[name]).run(parse(name, argv))
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        if sys.stderr is not None:
            sys.stderr.write("\n")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read has had enough; without this the interpreter complains at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except BadSettingError as error:
        say(str(error))
        return 2
    except CommandError as error:
        say(f"AX902 error {error}")
        return error.status
    except OSError as error:
        say(f"AX902 error {name}: {error}")
        return 1
    return status

"""The command line: one tree of parsers with all options and help texts, and the program behind them."""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NoReturn

from autoxla.commands import BadArgumentsError
from autoxla.lookahead.program import read_command, search_path

PROG = "python -m autoxla"
#: Commands that run a program: behind it stands no option of the command's own.
_RUNNING = ("heal", "tune")
#: Commands that take a program as python does. `check` takes it in the place of paths.
_WITH_PROGRAM = ("check", "doctor", "env", "explain", *_RUNNING)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` that raises `BadArgumentsError`; its texts are folded already."""

    def __init__(self, **given: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **given)

    def error(self, message: str) -> NoReturn:
        """Raise `BadArgumentsError`."""
        raise BadArgumentsError(f"{message}; {self.format_usage().strip()}")


def parse(name: str, argv: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command ``name``; ``words`` of them are the program and its arguments.

    Raises `BadArgumentsError`, also where there is no such program.
    """
    own, words = split(name, argv)
    parser = make_tree()[1][name]
    options = parser.parse_intermixed_args(own)
    options.words = words
    if name == "tune" and not 3 <= options.steps <= 100_000:
        parser.error(f"--steps {options.steps}: use a number from 3 to 100000")
    if words:
        kind, target, _ = read_command(["python", *words])
        if target is None:
            parser.error(f"{words[0]}: this is no program whose source can be read")
        if kind == "file" and not Path(target).exists():
            parser.error(f"{target}: there is no such file")
        if kind == "m":
            top = target.partition(".")[0]
            # Python's own may be frozen or built in, and then they are on no path.
            is_known = top in sys.modules or PathFinder.find_spec(top, search_path(None)) is not None
            if not is_known and importlib.util.find_spec(top) is None:
                parser.error(f"-m {target}: there is no such module")
    if name in _RUNNING and not words:
        parser.error(f"name the program to {name}")
    if name == "tune" and words[0].endswith(".ipynb"):
        parser.error(f"{words[0]}: make it a script first, with jupyter nbconvert --to script")
    if name == "check":
        if bool(options.paths) == bool(words):
            parser.error("name paths, or one program")
        if missing := [path for path in options.paths if not path.exists()]:
            parser.error(f"{missing[0]}: there is no such file or folder")
    if name == "records":
        if options.action == "show" and len(options.keys) != 1:
            parser.error("show takes one KEY")
        if options.all and (options.keys or options.action != "clear"):
            parser.error("give keys or --all to clear")
        if options.keys and options.action == "list":
            parser.error(f"unrecognized arguments: {' '.join(options.keys)}")
    if name == "site" and (options.json if options.action != "status" else options.user is not None):
        parser.error(f"{options.action} does not take this option")
    return options


def split(name: str, argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split ``argv`` of a command into its own words, and those of the program if it takes one.

    The program is what python takes: a script, a folder or a zip file, ``-m MODULE``, ``-c CODE``; or a
    notebook. The command's own options stand in front of it, or directly behind a script; what follows is the
    program's, and so is all that follows ``--``.
    """
    if name not in _WITH_PROGRAM:
        return list(argv), []
    parser = make_tree()[1][name]
    own, rest = _take_options(parser, list(argv))
    if rest[:1] == ["--"]:
        return own, rest[1:]
    if not rest or rest[0].startswith(("-m", "-c")):
        return own, rest
    if rest[0].startswith("-"):  # argparse says that it does not know this one
        return list(argv), []
    if name in _RUNNING:
        return own, rest
    behind, arguments = _take_options(parser, rest[1:])
    # Of `check`, only an option that is none of its own makes a file the program and not the first path.
    is_path = not (Path(rest[0]).is_file() and arguments and arguments[0].startswith("-"))
    if name == "check" and is_path:
        return list(argv), []
    return [*own, *behind], [rest[0], *arguments]


def _take_options(parser: argparse.ArgumentParser, words: list[str]) -> tuple[list[str], list[str]]:
    """Split the options of ``parser`` with their values off the front of ``words``."""
    taken = 0
    while taken < len(words):
        name, equals, _ = words[taken].partition("=")
        action = parser._option_string_actions.get(name)
        if action is None:
            break
        # Those of the commands take no value (nargs 0) or one.
        taken += 1 if equals or action.nargs == 0 else 2
    return words[:taken], words[taken:]


@cache
def make_tree() -> tuple[Parser, Mapping[str, Parser]]:
    """Return the parser of the whole command line, and those of the commands by name.

    The launcher reads its own words: the first one serves for its help alone.
    """
    root = Parser(
        prog=PROG,
        usage="""python [OPTIONS] -m autoxla [--quiet] PROGRAM [ARGUMENTS]
       python -m autoxla [--quiet] COMMAND [ARGUMENTS]
       autoxla ... for python -m autoxla ..., where autoxla is installed""",
        description="""\
Runs PROGRAM as `python [OPTIONS] PROGRAM` does, and configures TensorFlow and
Keras at their first import. PROGRAM is what python takes: script.py, -m MODULE,
-c CODE, a directory, a zip file, - for standard input; options of python may
stand in front of it.""",
        epilog="""\
environment:
  AUTOXLA=off          do nothing
  AUTOXLA=observe      only report
  AUTOXLA=fix          cure hazards
  AUTOXLA=auto         also choose the fastest path; the default
  AUTOXLA_QUIET=1      the same as --quiet, for a program
  AUTOXLA_REPORT=FILE  write what was done to FILE: a page if it ends in .html,
                       else JSON
  AUTOXLA_DEBUG=1      show the traceback of a fault in autoxla

example: python -m autoxla train.py --epochs 5""",
    )
    root.add_argument("--version", action="store_true", help="show the version of autoxla")
    quiet = "print only errors that nothing cured, in child processes, too; for a command, errors and results"
    root.add_argument("--quiet", action="store_true", help=quiet)
    commands = root.add_subparsers(title="commands", metavar="COMMAND", prog=PROG)

    def add(name: str, **texts: Any) -> Parser:
        parser: Parser = commands.add_parser(name, **texts)
        options = parser if name != "doctor" else parser.add_mutually_exclusive_group()
        options.add_argument("-q", "--quiet", action="store_true", help="print only errors and results")
        if name == "doctor":
            options.add_argument("--verbose", action="store_true", help="show what is ok, too")
        return parser

    check = add(
        "check",
        help="find hazards in programs without running them",
        usage="%(prog)s [OPTIONS] PATH... | [--] PROGRAM [ARGUMENTS]",
        description="""\
Reads files, folders and notebooks, each file as a program of its own, and shows
what would go wrong with them in this environment. -m MODULE, -c CODE,
-- PROGRAM ARGUMENTS, and a file with an option behind it that is none of
check's own (check train.py --epochs 5) look at one program with its modules.
A comment # autoxla: ignore[AX101] silences its line.

Exit status: 0 without a finding of level error, 1 with one, 2 on bad usage and
on flag variables that cannot be parsed.""",
        epilog="example: python -m autoxla check --ignore AX1 src train.py",
    )
    check.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="file, folder or notebook")
    formats = ("text", "json", "github")
    check.add_argument("--format", choices=formats, default="text", help="how findings are written; text")
    check.add_argument("--select", type=_codes, default=(), metavar="CODES", help="only these, as AX101,AX2")
    check.add_argument("--ignore", type=_codes, default=(), metavar="CODES", help="all but these")

    doctor = add(
        "doctor",
        help="find what is wrong with this environment, and the remedy",
        usage="%(prog)s [OPTIONS] [PROGRAM [ARGUMENTS]]",
        description="""\
Looks at what is installed, the variables, the plug-ins and the program's
folder, for PROGRAM or for any program here. Imports no backend, so that it
works where import tensorflow does not.

Exit status: 0; 1 where a program would not start or would soon end; 2 on bad
arguments.""",
        epilog="example: python -m autoxla doctor --import-check train.py",
    )
    doctor.add_argument("--json", action="store_true", help="print all of it as JSON")
    import_check = "also import tensorflow, or what PROGRAM imports of the backends, in another process"
    doctor.add_argument("--import-check", action="store_true", help=import_check)
    timeout = "seconds for that import; 60"
    doctor.add_argument("--timeout", type=parse_budget, default=60.0, metavar="SECONDS", help=timeout)

    env = add(
        "env",
        help="print the settings for a scheduler: sh, dotenv, json, docker",
        usage="%(prog)s [-q] [--format FORMAT] [PROGRAM [ARGUMENTS]]",
        description="""\
Prints the variables that the plan for PROGRAM (what python takes, or a
notebook) sets in this environment, and runs nothing.

sh      export NAME=VALUE and unset NAME, quoted for any POSIX shell:
        eval "$(python -m autoxla env train.py)"
dotenv  NAME="VALUE", as docker compose and python-dotenv read it
json    one object, name to value; null stands for unset
docker  NAME=VALUE, raw, for docker run --env-file

Exit status: 0, or 2 where an argument, a setting, a flag variable or a value is
bad.""",
        epilog="example: python -m autoxla env --format docker train.py",
    )
    written = ("sh", "dotenv", "json", "docker")
    env.add_argument("--format", choices=written, default="sh", help="how the settings are written; sh")

    explain = add(
        "explain",
        help="show what would be configured, and why; runs nothing",
        usage="%(prog)s [OPTIONS] [PROGRAM [ARGUMENTS]]",
        description="""\
Shows the plan for PROGRAM (what python takes, or a notebook), or for any
program here: what would be set and why, and what earlier runs measured. Imports
no backend.

Exit status: 0, or 2 where a setting, a flag variable or an argument is bad.""",
        epilog="example: python -m autoxla explain --html plan.html train.py",
    )
    explain.add_argument("--json", action="store_true", help="print the plan as JSON")
    explain.add_argument("--html", type=Path, metavar="FILE", help="write the plan to FILE, as one page")

    heal = add(
        "heal",
        help="find the setting under which a PROGRAM that dies runs",
        usage="%(prog)s [OPTIONS] PROGRAM [ARGUMENTS]",
        description="""\
Runs PROGRAM (a script, -m MODULE, -c CODE or a notebook) in a child process. If
it dies, runs it again under each setting that may help, and keeps the smallest
cure for the next run. In a notebook it runs the code cells. Each run is real:
the program writes files, downloads data and registers runs as usual.

Exit status: 0 if the program runs, as it is or under the cure; 1 if nothing
helps; 2 on bad usage; 130 after Ctrl-C, SIGTERM or SIGHUP.""",
        epilog="example: python -m autoxla heal --yes --budget 5m train.py --batch 64",
    )
    heal.add_argument("--budget", type=parse_budget, default=600.0, metavar="TIME", help="90s, 10m, 1h; 10m")
    heal.add_argument("--yes", "-y", action="store_true", help="do not ask whether the program may be run")
    heal.add_argument("--json", action="store_true", help="print JSON")

    migrate = add(
        "migrate",
        help="edit programs from one generation of Keras to the other",
        usage="%(prog)s --to legacy|keras3 [--write] PATH...",
        description="""\
--to legacy makes import keras, from tensorflow import keras, tf.keras.X ... use
tf_keras, --to keras3 makes all of them, and tf_keras, use Keras 3. Shows the
changes as a diff. If any line of a file cannot be moved safely, the whole file
stays as it is, and migrate prints each such line. It skips lines with
# autoxla: ignore. It neither runs nor imports what it reads.

Exit status: 0 nothing (left) to do, 1 there are changes to make or something
was refused, 2 a file could not be read or written, or the arguments are not
understood.""",
        epilog="example: python -m autoxla migrate --to keras3 src train.py",
    )
    migrate.add_argument("--to", choices=("legacy", "keras3"), required=True, help="the generation")
    migrate.add_argument("--write", action="store_true", help="make the changes instead of showing them")
    migrate.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files, notebooks, folders")

    records = add(
        "records",
        help="list, show or clear what earlier runs taught",
        usage=f"{PROG} records list|show KEY|clear [KEY...|--all] [--json|-q]",
        description="""\
list   all records: decisions (which execution path won), programs, cures
show   one record in full; the beginning of a key suffices
clear  removes the records that are named, else all of them; with --all also
       what XLA compiled

Exit status: 0; 1 where something cannot be removed; 2 on bad usage or an
unknown key.""",
        epilog="example: python -m autoxla records clear 3f9a",
    )
    records.add_argument("action", choices=("list", "show", "clear"), help=argparse.SUPPRESS)
    records.add_argument("keys", nargs="*", metavar="KEY", help=argparse.SUPPRESS)
    records.add_argument("--json", action="store_true", help="print JSON")
    records.add_argument("--all", action="store_true", help="clear all that autoxla keeps")

    rule = add(
        "rule",
        help="show what a code means, why it matters and what to do",
        usage="%(prog)s [--json] [CODE]",
        description="""\
Without CODE all codes are listed; AX2 lists those that begin so. A page is
formatted on a terminal if rich is installed, and is Markdown elsewhere. Exit
status: 0, or 2 where there is no such code.""",
        epilog="example: python -m autoxla rule AX103",
    )
    rule.add_argument("code", nargs="?", metavar="CODE", help="a code, or how codes begin")
    rule.add_argument("--json", action="store_true", help="print JSON")

    site = add(
        "site",
        help="enable, disable autoxla in each process of this environment",
        usage=f"{PROG} site enable|disable|status [--prefix|--user|--json|-q]",
        description="""\
enable   puts a file autoxla.enabled beside the autoxla.pth that the
         installation brought
disable  takes that file away, if enable wrote it
status   shows whether interpreters of this environment start with autoxla, and
         why

Running interpreters stay as they are. AUTOXLA=off switches autoxla off wherever
it was enabled.

Exit status: 0; 1 where the environment refuses; 2 where an argument is bad.""",
        epilog="example: python -m autoxla site enable --prefix",
    )
    site.add_argument("action", choices=("enable", "disable", "status"), help=argparse.SUPPRESS)
    site.add_argument("--json", action="store_true", help="print the status as JSON")
    places = site.add_mutually_exclusive_group()
    prefix = "in the environment's site-packages; the default"
    places.add_argument("--prefix", dest="user", action="store_false", default=None, help=prefix)
    user = "in the user's own, which virtual environments do not read"
    places.add_argument("--user", dest="user", action="store_true", default=None, help=user)

    tune = add(
        "tune",
        help="run PROGRAM on each execution path and keep the fastest",
        usage="%(prog)s [OPTIONS] PROGRAM [ARGUMENTS]",
        description="""\
Runs PROGRAM (a script, -m MODULE or -c CODE) in child processes, on each
execution path that its usage, your settings and the rules leave open, until one
is clear of the noise or the budget is used up. The fastest one is kept for the
next run with the same arguments, in mode auto.

What is timed are its training steps; without any, the batches that it predicts
or evaluates, or the calls of its longest-running tf.function.

Each child ends after the timed steps. Each run is real up to there: the
program writes files, downloads data and registers runs as usual.

Exit status: 0; 1 where the program fails on its default path; 2 on bad usage;
130 after Ctrl-C, SIGTERM or SIGHUP, which keep what is known.""",
        epilog="example: python -m autoxla tune --budget 5m train.py --batch 64",
    )
    tune.add_argument("--budget", type=parse_budget, default=600.0, metavar="TIME", help="90s, 10m, 1h; 10m")
    tune.add_argument("--steps", type=int, default=20, metavar="N", help="in the first round; 20")
    tune.add_argument("--paths", metavar="NAMES", help="try only these, separated by commas")
    tune.add_argument("--json", action="store_true", help="print JSON")

    commands.add_parser("run", help="run PROGRAM even if its name is that of a command")
    return root, commands.choices


# Values of options


def _codes(text: str) -> tuple[str, ...]:
    codes = tuple(code.strip().upper() for code in text.split(","))
    if all(code.startswith("AX") for code in codes):
        return codes
    raise argparse.ArgumentTypeError(f"{text!r}: codes begin with AX")


def parse_budget(text: str) -> float:
    """Return the seconds that ``text`` names: ``90s``, ``10m``, ``1h``, ``1h30m``, ``90`` (seconds).

    Raises `argparse.ArgumentTypeError` on anything else, and on none at all.
    """
    if re.fullmatch(rf"(?:{_NUMBER}[smh])+|{_NUMBER}", text):
        parts = re.findall(rf"({_NUMBER})([smh]?)", text)
        seconds = sum(float(number) * _UNITS.get(unit, 1.0) for number, unit in parts)
        if seconds > 0:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is no time: write 90s, 10m or 1h")

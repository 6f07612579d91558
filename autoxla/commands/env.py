"""``python -m autoxla env [SCRIPT] [--format sh|dotenv|json|docker]``: the plan's settings, for schedulers.

Prints the variables that the plan for SCRIPT sets in this environment, and runs nothing:

sh      ``export NAME=VALUE`` and ``unset NAME``, quoted for any POSIX shell:
        eval "$(python -m autoxla env train.py)"
dotenv  NAME="VALUE", as docker compose and python-dotenv read it
json    one object, name to value; null stands for unset
docker  NAME=VALUE, raw, for docker run --env-file, which takes quotes for part of the value

`AUTOXLA_APPLIED` is printed with the settings. They are autoxla's choice, not the user's: a program
that runs with autoxla under them is planned anew where it runs, and the next ``env`` in the same
shell takes back what was only for the last program. To a program without autoxla it means nothing.
Leave it out, and the values stand as chosen by the user.

A dotenv or docker file cannot take a variable away; such a one is named in a comment. A value that a
format cannot carry is an error. Warnings and errors of the plan go to stderr as one line. Exit status:
0, or 2 where an argument, a setting, a flag variable or a value is bad.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from autoxla.commands.arguments import BadArgumentsError, HelpFormatter, Parser, add_quiet
from autoxla.commands.programs import BAD_INPUT, folder_of, gather_for, is_left, read_script, with_reading
from autoxla.facts import Plan, Setting, Situation
from autoxla.notice import headline, say
from autoxla.policies import decide
from autoxla.settings import BadSettingError
from autoxla.situation.environment import APPLIED, restore

USAGE = "usage: python -m autoxla env [--quiet] [SCRIPT] [--format sh|dotenv|json|docker]"

#: Variables to set, by name; None takes one away.
Values = Mapping[str, str | None]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOTENV = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r"})


class UnwritableError(ValueError):
    """A variable that a format cannot carry."""


def main(argv: list[str]) -> int:
    """Print the settings for the script in ``argv``; return the exit status."""
    try:
        arguments = _parse(argv)
        situation, plan = plan_for(arguments.script)
        text = FORMATS[arguments.format](changes(os.environ, plan.settings))
    except BadArgumentsError as error:
        return _fail(f"AX902 error arguments: {error}; {USAGE}")
    except BadSettingError as error:
        return _fail(str(error))
    except UnwritableError as error:
        return _fail(f"AX902 error {error}")
    # As bytes: what a variable holds need not be text.
    sys.stdout.buffer.write(os.fsencode(text))
    _warn(situation, plan, arguments)
    return 2 if any(finding.code in BAD_INPUT for finding in plan.findings) else 0


def plan_for(script: Path | None) -> tuple[Situation, Plan]:
    """Return situation and plan of a program that does not run; without one, of the environment.

    Raises `autoxla.settings.BadSettingError`.
    """
    situation = gather_for(Path.cwd() if script is None else folder_of(script))
    if script is not None:
        situation = with_reading(situation, read_script(script))
    return situation, decide(situation)


def changes(environ: Mapping[str, str], settings: Iterable[Setting]) -> dict[str, str | None]:
    """Return what makes ``environ`` the one that the plan wants, and the memory of that.

    What autoxla set in it before, for another program, and does not want any more is put back.
    """
    before, own = restore(environ)
    wanted = {setting.variable: setting.value for setting in settings}
    memory = {name: [before.get(name), value] for name, value in wanted.items()}
    values = {**{name: before.get(name) for name in sorted(own)}, **wanted}
    if memory:
        values[APPLIED] = json.dumps(memory)
    elif APPLIED in environ:
        values[APPLIED] = None
    return values


def as_sh(values: Values) -> str:
    """Return commands for a POSIX shell. Raises `UnwritableError`."""
    lines = []
    for name, value in values.items():
        _require_name(name)
        if value is not None and "\0" in value:
            raise UnwritableError(f"{name}: no variable can hold a NUL")
        lines.append(f"unset {name}\n" if value is None else f"export {name}={shlex.quote(value)}\n")
    return "".join(lines)


def as_dotenv(values: Values) -> str:
    r"""Return the text of a ``.env`` file. Raises `UnwritableError`.

    docker compose and python-dotenv agree on the escapes ``\\ \" \n \r``, but not on how to write a
    dollar sign, nor on a quote or a backslash at the end.
    """
    lines = []
    for name, value in values.items():
        _require_name(name)
        if value is not None and ("$" in value or "\0" in value or value.endswith(("\\", '"'))):
            raise UnwritableError(f"{name}: readers of dotenv do not agree on {value!r}; {_OTHER}")
        _require_text(name, value)
        lines.append(_comment(name) if value is None else f'{name}="{value.translate(_DOTENV)}"\n')
    return "".join(lines)


def as_json(values: Values) -> str:
    """Return one JSON object."""
    return json.dumps(values, indent=2) + "\n"


def as_docker(values: Values) -> str:
    """Return the text of a file for ``docker run --env-file``. Raises `UnwritableError`."""
    lines = []
    for name, value in values.items():
        _require_name(name)
        if value is not None and not {"\n", "\r", "\0"}.isdisjoint(value):
            raise UnwritableError(f"{name}: docker's env-file has no way to write {value!r}; {_OTHER}")
        _require_text(name, value)
        lines.append(_comment(name) if value is None else f"{name}={value}\n")
    return "".join(lines)


FORMATS: Mapping[str, Callable[[Values], str]] = {
    "sh": as_sh,
    "dotenv": as_dotenv,
    "json": as_json,
    "docker": as_docker,
}
_OTHER = "use --format sh or json"


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog="python -m autoxla env",
        description=__doc__,
        formatter_class=HelpFormatter,
        epilog="example: python -m autoxla env --format docker train.py",
        allow_abbrev=False,
    )
    parser.add_argument(
        "script", nargs="?", type=Path, help="a program: a file, notebook, folder or zip file"
    )
    parser.add_argument("--format", choices=FORMATS, default="sh", help="how the settings are written; sh")
    add_quiet(parser, "leave out the line on stderr, unless it is an error")
    arguments = parser.parse_args(argv)
    if arguments.script is not None and not arguments.script.exists():
        raise BadArgumentsError(f"{arguments.script}: there is no such file")
    return arguments


def _fail(line: str) -> int:
    say(line)
    return 2


def _warn(situation: Situation, plan: Plan, arguments: argparse.Namespace) -> None:
    worth = [f for f in plan.findings if f.level != "info" and situation.settings.shows(f.code)]
    told = [f for f in worth if is_left(f)] if arguments.quiet else worth
    if told:
        say(headline(told, str(arguments.script or "")))


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UnwritableError(f"{name!r} cannot be the name of a variable here; use --format json")


def _require_text(name: str, value: str | None) -> None:
    try:
        (value or "").encode()
    except UnicodeEncodeError as error:
        raise UnwritableError(f"{name}: {value!r} is no text; {_OTHER}") from error


def _comment(name: str) -> str:
    return f"# {name} is not set\n"

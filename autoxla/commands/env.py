"""``python -m autoxla env [--format sh|dotenv|json|docker] [PROGRAM [ARGUMENTS]]``: the plan's settings.

Prints the variables that the plan for PROGRAM sets in this environment, and runs nothing. PROGRAM is what
python takes (a script, a folder, a zip file, -m MODULE, -c CODE), or a notebook.

sh      ``export NAME=VALUE`` and ``unset NAME``, quoted for any POSIX shell:
        eval "$(python -m autoxla env train.py)"
dotenv  NAME="VALUE", as docker compose and python-dotenv read it
json    one object, name to value; null stands for unset
docker  NAME=VALUE, raw, for docker run --env-file, which takes quotes for part of the value

`AUTOXLA_APPLIED` is printed with the settings. They are autoxla's choice, not the user's: a program
that runs with autoxla under them is planned anew where it runs, and the next ``env`` in the same
shell takes back what was only for the last program. To a program without autoxla it means nothing.
Leave it out, and the values stand as chosen by the user. The folder of ``xla_cache`` is each process' own and
is not printed.

A dotenv or docker file cannot take a variable away; such a one is named in a comment. A value that a
format cannot carry is an error. Warnings and errors of the plan go to stderr as one line. Exit status:
0, or 2 where an argument, a setting, a flag variable or a value is bad.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping

from autoxla.commands.arguments import BadArgumentsError, HelpFormatter, Parser, add_quiet, parse
from autoxla.commands.programs import is_left
from autoxla.facts import Setting
from autoxla.notice import headline, say
from autoxla.planning import Planned, assemble, name_command, subject_from
from autoxla.settings import BadSettingError
from autoxla.situation.environment import APPLIED, read_environ, restore

USAGE = "usage: python -m autoxla env [--quiet] [--format sh|dotenv|json|docker] [PROGRAM [ARGUMENTS]]"

#: Variables to set, by name; None takes one away.
Values = Mapping[str, str | None]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOTENV = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r"})


class UnwritableError(ValueError):
    """A variable that a format cannot carry."""


def main(argv: list[str]) -> int:
    """Print the settings for the program in ``argv``; return the exit status."""
    try:
        options, words = parse(_parser(), argv)
        subject = subject_from(words)
        planned = assemble(subject, read_environ(), is_one_process=False)
        text = FORMATS[options.format](changes(read_environ(), planned.plan.settings))
    except BadArgumentsError as error:
        return _fail(f"AX902 error arguments: {error}; {USAGE}")
    except BadSettingError as error:
        return _fail(str(error))
    except UnwritableError as error:
        return _fail(f"AX902 error {error}")
    # As bytes: what a variable holds need not be text.
    sys.stdout.buffer.write(os.fsencode(text))
    _warn(planned, name_command(subject.program), quiet=options.quiet)
    return 2 if any(finding.bad_input for finding in planned.findings) else 0


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


def _parser() -> Parser:
    parser = Parser(
        prog="python -m autoxla env",
        usage="%(prog)s [--quiet] [--format FORMAT] [PROGRAM [ARGUMENTS]]",
        description=__doc__,
        formatter_class=HelpFormatter,
        epilog="example: python -m autoxla env --format docker train.py",
        allow_abbrev=False,
    )
    parser.add_argument("--format", choices=FORMATS, default="sh", help="how the settings are written; sh")
    add_quiet(parser, "leave out the line on stderr, unless it is an error")
    return parser


def _fail(line: str) -> int:
    say(line)
    return 2


def _warn(planned: Planned, program: str, *, quiet: bool) -> None:
    settings = planned.situation.settings
    worth = [f for f in planned.findings if f.level != "info" and settings.shows(f.code)]
    told = [f for f in worth if is_left(f)] if quiet else worth
    if told:
        say(headline(told, program))


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

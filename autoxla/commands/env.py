"""``python -m autoxla env``: the plan's settings, as a scheduler takes them."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from autoxla.commands import CommandError
from autoxla.commands.programs import is_left
from autoxla.model import Setting
from autoxla.notice import headline, say
from autoxla.planning import assemble, name_command, subject_from
from autoxla.situation.environment import APPLIED, read_environ, restore

#: Variables to set, by name; None takes one away.
Values = Mapping[str, str | None]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOTENV = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r"})


class UnwritableError(CommandError):
    """A variable that a format cannot carry."""


def run(options: argparse.Namespace) -> int:
    """Print the settings for the program that ``options`` name; return the exit status."""
    subject = subject_from(options.words)
    planned = assemble(subject, read_environ(), is_one_process=False)
    text = FORMATS[options.format](changes(read_environ(), planned.plan.settings))
    # As bytes: what a variable holds need not be text.
    sys.stdout.buffer.write(os.fsencode(text))
    settings = planned.situation.settings
    told = [f for f in planned.findings if f.level != "info" and settings.shows(f.code)]
    told = [f for f in told if is_left(f)] if options.quiet else told
    if told:
        say(headline(told, name_command(subject.program)))
    return 2 if any(finding.bad_input for finding in planned.findings) else 0


def changes(environ: Mapping[str, str], settings: Sequence[Setting]) -> dict[str, str | None]:
    """Return what makes ``environ`` the one that the plan wants, and the memory of that.

    What autoxla set in it before, for another program, and does not want any more is put back.
    """
    before, own = restore(environ)
    wanted = {setting.variable: setting.value for setting in settings}
    # What cured the program stands as a user's choice would: no worker of a job recalls it.
    cured = {setting.variable for setting in settings if "AX911" in setting.because}
    memory = {name: [before.get(name), value] for name, value in wanted.items() if name not in cured}
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
    for name, value in _texts(values):
        if "$" in value or "\0" in value or value.endswith(("\\", '"')):
            raise UnwritableError(f"{name}: readers of dotenv do not agree on {value!r}; {_OTHER}")
        lines.append(f'{name}="{value.translate(_DOTENV)}"\n')
    return "".join([*lines, *_comments(values)])


def as_json(values: Values) -> str:
    """Return one JSON object."""
    return json.dumps(values, indent=2) + "\n"


def as_docker(values: Values) -> str:
    """Return the text of a file for ``docker run --env-file``. Raises `UnwritableError`."""
    lines = []
    for name, value in _texts(values):
        if not {"\n", "\r", "\0"}.isdisjoint(value):
            raise UnwritableError(f"{name}: docker's env-file has no way to write {value!r}; {_OTHER}")
        lines.append(f"{name}={value}\n")
    return "".join([*lines, *_comments(values)])


FORMATS: Mapping[str, Callable[[Values], str]] = {
    "sh": as_sh,
    "dotenv": as_dotenv,
    "json": as_json,
    "docker": as_docker,
}
_OTHER = "use --format sh or json"


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UnwritableError(f"{name!r} cannot be the name of a variable here; use --format json")


def _texts(values: Values) -> Iterator[tuple[str, str]]:
    """Yield the variables that have a value. Raises `UnwritableError` for what is no text."""
    for name, value in values.items():
        _require_name(name)
        if value is None:
            continue
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise UnwritableError(f"{name}: {value!r} is no text; {_OTHER}") from error
        yield name, value


def _comments(values: Values) -> list[str]:
    return [f"# {name} is not set\n" for name, value in values.items() if value is None]

"""``python -m autoxla env``: the plan's settings, as a scheduler takes them."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence

from autoxla.commands import CommandError
from autoxla.commands.terminal import is_left
from autoxla.model import Setting
from autoxla.notice import headline, say
from autoxla.planning import assemble
from autoxla.running import name_command, subject_from
from autoxla.situation.environment import APPLIED, read_environ, restore

#: Variables to set, by name; None takes one away.
Values = Mapping[str, str | None]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: What a format cannot hold: what is no text, and what its readers do not agree on. docker compose and
#: python-dotenv write a dollar sign otherwise, and a quote or a backslash at the end.
_UNFIT = {
    "sh": re.compile("\0"),
    "dotenv": re.compile(r"""[\0$\ud800-\udfff]|[\\"]\Z"""),
    "docker": re.compile(r"[\0\n\r\ud800-\udfff]"),
}
_DOTENV = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r"})


def run(options: argparse.Namespace) -> int:
    """Print the settings for the program that ``options`` name; return the exit status."""
    subject = subject_from(options.words)
    planned = assemble(subject, read_environ(), is_one_process=False)
    text = write(changes(read_environ(), planned.plan.settings), options.format)
    # As bytes: what a variable holds need not be text.
    sys.stdout.buffer.write(os.fsencode(text))
    settings = planned.situation.settings
    told = [f for f in planned.findings if f.level != "info" and settings.shows(f.code)]
    if told := [f for f in told if is_left(f) or not options.quiet]:
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


def write(values: Values, form: str) -> str:
    """Return ``values`` as ``sh``, ``dotenv``, ``docker`` or ``json`` has them. Raises `CommandError`."""
    if form == "json":
        return json.dumps(values, indent=2) + "\n"
    lines = []
    for name, value in values.items():
        if not _NAME.fullmatch(name):
            raise CommandError(f"{name!r} cannot be the name of a variable here; use --format json")
        if value is not None and _UNFIT[form].search(value):
            raise CommandError(f"{name}: this format cannot hold {value!r}; use --format sh or json")
        if form == "sh":
            line = f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"
        elif value is None:
            line = f"# {name} is not set"
        else:
            line = f'{name}="{value.translate(_DOTENV)}"' if form == "dotenv" else f"{name}={value}"
        lines.append(f"{line}\n")
    return "".join(lines)

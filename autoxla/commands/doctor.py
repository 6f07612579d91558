"""``python -m autoxla doctor``: all checks in their order, and what they found as text or JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from autoxla.commands.diagnosis import environment, packages, plugins
from autoxla.commands.diagnosis.packages import Line, Scene, State, take_inventory
from autoxla.commands.terminal import find_width, fold, print_text
from autoxla.model import Settings, Usage
from autoxla.notice import printable
from autoxla.planning import assemble
from autoxla.running import subject_from
from autoxla.settings import BadSettingError, read_settings
from autoxla.situation.environment import read_environ, restore

Check = Callable[[Scene], Iterable[Line]]
#: By subject.
CHECKS: Mapping[str, Check] = {
    "versions": packages.check_versions,
    "installation": packages.check_installation,
    "requirements": packages.check_requirements,
    "shadowing": environment.check_shadowing,
    "keras backend": environment.check_backend,
    "variables": environment.check_variables,
    "plug-ins": plugins.check,
    "devices": environment.check_devices,
    "rules": environment.check_rules,
    "autoxla": environment.check_autoxla,
}
#: The gravest first.
_STATES: tuple[State, ...] = ("error", "warning", "note", "ok")


def run(options: argparse.Namespace) -> int:
    """Examine this environment as ``options`` ask for; return the exit status."""
    lines = []
    subject = subject_from(options.words)
    try:
        declared = read_settings(subject.folder, read_environ())
    except BadSettingError as error:
        declared = (Settings(), Usage())
        text = f"{error.place}: {error.args[0]}; autoxla does nothing until it is corrected"
        lines.append(Line("warning", "AX897", text, "correct it where it stands", "settings"))
    situation = assemble(subject, read_environ(), declared=declared).situation
    path = tuple(dict.fromkeys(sys.path))
    scene = Scene(
        situation,
        environ={**restore(read_environ())[0], **situation.environment},
        path=path,
        folder=Path.cwd() if subject.program is None else subject.program.folder,
        inventory=take_inventory(path),
    )
    lines += examine(scene, CHECKS)
    if options.import_check:
        lines += examine(scene, {"import": lambda scene: plugins.try_import(scene, options.timeout)})
    errors = [line for line in lines if line.state == "error"]
    if options.json:
        names = ("state", "code", "subject", "message", "remedy")
        shown = errors if options.quiet else lines
        print(json.dumps([{name: getattr(line, name) for name in names} for line in shown], indent=2))
    else:
        render(lines, "error" if options.quiet else "ok" if options.verbose else "note")
    return 1 if errors else 0


def examine(scene: Scene, checks: Mapping[str, Check]) -> Iterator[Line]:
    """Yield what all ``checks`` say of ``scene``, in their order."""
    for subject, check in checks.items():
        try:
            for line in check(scene):
                yield replace(line, subject=subject)
        except Exception as error:  # noqa: PERF203 - a check that fails must not hide what the others found
            text = f"this was not looked at: {type(error).__name__}: {error}"
            yield Line("note", "AX898", text, "AUTOXLA_DEBUG=1 shows the traceback", subject)
            if read_environ().get("AUTOXLA_DEBUG") == "1":
                raise


def render(lines: Sequence[Line], least: State) -> None:
    """Print those ``lines`` that are at least as grave as ``least``, the gravest first.

    For ``note`` the releases stand before them, and for all but ``error`` the counts behind.
    """
    width, texts = find_width(), []
    if least == "note":
        releases = ", ".join(line.message for line in lines if line.code == "AX801")
        heads = (releases, *(line.message for line in lines if line.code == "AX803"), "")
        texts += [fold(text, width, "  ") for text in heads]
    shown = [line for line in lines if _STATES.index(line.state) <= _STATES.index(least)]
    column = max((len(line.subject) for line in shown), default=0)
    for line in sorted(shown, key=lambda line: _STATES.index(line.state)):
        head = f"{line.state:<8} {line.code}  {line.subject:<{column}}  "
        texts.append(fold(f"{head}{printable(line.message)}", width, " " * len(head)))
        if line.remedy:
            remedy = f"{'':{len(head)}}-> {printable(line.remedy)}"
            texts.append(fold(remedy, width, " " * (len(head) + 3)))
    counts = Counter(line.state for line in lines)
    told = [f"{counts[state]} {state}{'s' * (counts[state] > 1)}" for state in _STATES[:3] if counts[state]]
    told += [f"{counts['ok']} ok"] if counts["ok"] else []
    rest = "; --verbose shows what is ok" if counts["ok"] and least == "note" else ""
    texts += [] if least == "error" else [", ".join(told) + rest]
    print_text("".join(f"{text}\n" for text in texts))

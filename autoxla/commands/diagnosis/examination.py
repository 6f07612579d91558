"""``python -m autoxla doctor``: all checks in their order."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from autoxla.commands.diagnosis import (
    devices,
    findings,
    installation,
    keras,
    plugins,
    requirements,
    shadowing,
    trial,
    upkeep,
    variables,
    versions,
)
from autoxla.commands.diagnosis.inventory import take_inventory
from autoxla.commands.diagnosis.line import Line, Scene
from autoxla.commands.diagnosis.printing import render, render_rows
from autoxla.facts import Settings, Situation, Usage
from autoxla.planning import Subject, assemble, subject_from, subject_of
from autoxla.settings import BadSettingError, read_settings
from autoxla.situation.environment import read_environ, restore

CHECKS = MappingProxyType(
    {
        versions.SUBJECT: versions.check,
        installation.SUBJECT: installation.check,
        requirements.SUBJECT: requirements.check,
        shadowing.SUBJECT: shadowing.check,
        keras.SUBJECT: keras.check,
        variables.SUBJECT: variables.check,
        plugins.SUBJECT: plugins.check,
        devices.SUBJECT: devices.check,
        findings.SUBJECT: findings.check,
        upkeep.SUBJECT: upkeep.check,
    }
)


def run(options: argparse.Namespace) -> int:
    """Examine this environment as ``options`` ask for; return the exit status."""
    lines = list(_examine(options, subject_from(options.words)))
    errors = [line for line in lines if line.state == "error"]
    if options.json:
        print(json.dumps([asdict(line) for line in (errors if options.quiet else lines)], indent=2))
    elif options.quiet:
        render_rows(errors)
    else:
        render(lines, verbose=options.verbose)
    return 1 if errors else 0


def _examine(options: argparse.Namespace, subject: Subject) -> Iterator[Line]:
    declared, complaints = _read_settings(subject)
    yield from complaints
    scene = make_scene(assemble(subject, read_environ(), declared=declared).situation, subject)
    yield from examine(scene)
    if options.import_check:
        yield from trial.check(scene, trial.choose_names(scene), options.timeout)


def examine(scene: Scene) -> Iterator[Line]:
    """Yield what all checks say of ``scene``, in their order."""
    for subject, check in CHECKS.items():
        yield from _guarded(subject, check, scene)


def _guarded(subject: str, check: Callable[[Scene], Iterable[Line]], scene: Scene) -> Iterator[Line]:
    try:
        yield from check(scene)
    except Exception as error:  # one check that fails must not hide what the others found
        text = f"this was not looked at: {type(error).__name__}: {error}"
        yield Line("note", "AX898", subject, text, "AUTOXLA_DEBUG=1 shows the traceback")
        if read_environ().get("AUTOXLA_DEBUG") == "1":
            raise


def _read_settings(subject: Subject) -> tuple[tuple[Settings, Usage], list[Line]]:
    """Return the settings, and what is wrong with those of autoxla; they are then the defaults."""
    try:
        return read_settings(subject.folder, read_environ()), []
    except BadSettingError as error:
        text = f"{error.place}: {error.args[0]}; autoxla does nothing until it is corrected"
        line = Line("warning", "AX897", "settings", text, "correct it where it stands")
        return (Settings(), Usage()), [line]


def make_scene(situation: Situation, subject: Subject | None = None) -> Scene:
    """Return what is to be examined for ``subject``, None for no special program."""
    subject = subject or subject_of(None, ())
    environ = {**restore(read_environ())[0], **situation.environment}
    path = tuple(dict.fromkeys(sys.path))
    folder = Path.cwd() if subject.program is None else subject.program.folder
    return Scene(situation, environ, path, folder, take_inventory(path), prefix=Path(sys.prefix))

"""The report of a process, for ``AUTOXLA_REPORT`` and ``explain``: as JSON, or as a page of HTML."""

from __future__ import annotations

import functools
import glob
import json
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from autoxla import __version__
from autoxla.cache import make_key
from autoxla.model import Finding, Plan, Situation
from autoxla.notice import notify
from autoxla.situation.env_parsing import tensorflow_bool
from autoxla.situation.environment import MASKS
from autoxla.store import write_whole

#: Endings of files that get a page.
PAGES = (".html", ".htm")
#: Distributions, and variables and flags, in which workers of one job must not, and may well, differ.
_SHARED = ("tensorflow", "keras", "tf-keras", "intel-extension-for-tensorflow", "tensorflow-metal")
_OWN_VARIABLES = frozenset(
    (
        *(*MASKS, "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_CPP_MIN_LOG_LEVEL"),
        *("KERAS_HOME", "ROCM_PATH", "TF_PLUGGABLE_DEVICE_LIBRARY_PATH"),
    )
)
_FLAG_VARIABLES = frozenset({"TF_XLA_FLAGS", "XLA_FLAGS"})
_OWN_FLAGS = ("--xla_dump_", "--xla_gpu_cuda_data_dir", "--tf_xla_persistent_cache_")
_SWITCH = "TF_USE_LEGACY_KERAS"
#: How the reports of other workers end.
_WORKER = re.compile(r"(rank|chief|worker|task)[0-9]+")


class NoTemplateEngineError(ImportError):
    """jinja2 is not installed; the message says what to do."""


def as_data(
    situation: Situation,
    plan: Plan,
    findings: Iterable[Finding],
    compiles: Sequence[Mapping[str, object]] = (),
    faults: Iterable[tuple[str, Exception]] = (),
    trials: Sequence[Mapping[str, object]] = (),
    left_out: Mapping[str, int] | None = None,
) -> dict[str, object]:
    """Return the report as JSON has it. No variable but the watched ones is in it.

    ``left_out`` says of which parts there was more, and how much.
    """
    return {
        "mode": situation.settings.mode,
        "settings": [asdict(setting) for setting in plan.settings],
        "path": asdict(plan.path),
        "fingerprint": fingerprint(situation, plan),
        "findings": [finding_data(finding) for finding in findings],
        "compile": list(compiles),
        "trials": list(trials),
        "errors": [f"{where}: {type(error).__name__}: {error}" for where, error in faults],
        "left_out": {name: count for name, count in (left_out or {}).items() if count},
    }


def fingerprint(situation: Situation, plan: Plan) -> str:
    """Return 16 hexadecimal digits that stand for what the workers of one job must have in common.

    These are Python, autoxla, the backends, the variables that matter and the plan. Which devices a worker
    sees, how much it logs and where its own files are may differ, and so may what it knows of the program's
    source.
    """
    environment = {**situation.environment, **{each.variable: each.value for each in plan.settings}}
    kept = {name: value for name, value in environment.items() if name not in _OWN_VARIABLES}
    for name in _FLAG_VARIABLES & kept.keys():
        # What is no flag is the name of a file, which every worker may have in another place.
        words = [word for word in str(kept[name]).split() if word.startswith("-")]
        kept[name] = " ".join(word for word in words if not word.startswith(_OWN_FLAGS))
    kept[_SWITCH] = "1" if tensorflow_bool(kept.get(_SWITCH)) else ""
    return make_key(
        sys.version_info[:2],
        __version__,
        [(name, situation.versions.get(name)) for name in _SHARED],
        sorted((name, value) for name, value in kept.items() if value),
        [plan.path.step, plan.path.device, plan.path.backend, plan.jit_compile],
        [sorted(plan.alias.items()), plan.import_first],
    )[:16]


def find_differing(file: Path, situation: Situation, plan: Plan, *, since: float) -> list[str]:
    """Return the reports of other workers beside ``file``, of this job by their time, that differ."""
    own, found = fingerprint(situation, plan), []
    for other in sorted(file.parent.glob(f"{glob.escape(file.name)}.*")):
        is_worker = _WORKER.fullmatch(other.name.removeprefix(f"{file.name}.")) is not None
        try:
            is_of_this_job = is_worker and other.stat().st_mtime >= since
            data = json.loads(other.read_bytes()) if is_of_this_job else {}
        except (OSError, ValueError):  # it is being replaced, or somebody else's
            continue
        if isinstance(data, dict) and data.get("fingerprint", own) != own:
            found.append(str(other))
    return found


def page_data(
    situation: Situation, plan: Plan, data: Mapping[str, object], program: str
) -> dict[str, object]:
    """Return ``data``, a report, with what a page tells beside it: the story of the plan, the rules."""
    from autoxla.report import story

    found = data.get("findings")
    codes = {finding["code"] for finding in found} if isinstance(found, list) else set()
    rules = [rule for rule in map(story.find_rule, sorted(codes)) if rule is not None]
    return {
        **data,
        "program": program,
        "made_by": f"autoxla {__version__}",
        "rules": {rule.code: {"title": rule.title, "source": rule.source} for rule in rules},
        "story": {title: [list(row) for row in rows] for title, rows in story.tell(situation, plan)},
    }


def write_report(
    file: Path, situation: Situation, plan: Plan, data: Mapping[str, object], program: str | None
) -> None:
    """Write ``data``, a report, to ``file``, whole or not at all: a page where its name ends in ``.html``.

    Without jinja2 it is JSON in a file beside that, and a line says so. Raises OSError where that cannot be.
    """
    if file.suffix.lower() in PAGES:
        try:
            write_page(file, page_data(situation, plan, data, "notebook" if program is None else program))
            return
        except NoTemplateEngineError as error:
            file = file.with_name(f"{file.name}.json")
            _say_once(f"AX902 warning report: {error}; until then it is JSON: {file}")
    write_whole(file, f"{json.dumps(data, indent=2)}\n".encode())


def write_page(file: Path, data: Mapping[str, object]) -> None:
    """Write the page of ``data``, as `page_data` gives it. Raises OSError or `NoTemplateEngineError`."""
    try:
        from autoxla.report.page import render_page
    except ImportError as error:
        if error.name not in ("jinja2", "markupsafe"):
            raise
        raise NoTemplateEngineError("a page needs jinja2: pip install 'autoxla-runtime[report]'") from None
    write_whole(file, render_page(data, time.strftime("%Y-%m-%d %H:%M:%S %z")).encode())


#: A report is written many times in a process.
_say_once = functools.cache(notify)


def finding_data(finding: Finding) -> dict[str, object]:
    """Return a finding as JSON has it."""
    shown = ("code", "level", "message", "remedy", "grade", "applied")
    return {**{name: getattr(finding, name) for name in shown}, **asdict(finding.place)}

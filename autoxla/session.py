"""The one orchestrator of a process: gather, decide, apply, register callbacks, say, report.

It starts when the first watched module is about to execute. Rules are in `autoxla.policies`,
readers in `autoxla.situation`; this module only carries their results into the process. What it
hangs on Keras' methods is named in `METHOD_HOOKS` and loaded when its target is.
"""

from __future__ import annotations

import importlib
import json
import os
import shlex
import sys
from _thread import RLock
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from time import perf_counter
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

from autoxla.facts import Finding, Place, Plan, Setting, Situation
from autoxla.hooks import boundary, finder
from autoxla.hooks.targets import KERAS_PACKAGES, TARGETS
from autoxla.learned import learn, learned_folder
from autoxla.lookahead import find_program
from autoxla.notice import headline, notify
from autoxla.places import cache_folder
from autoxla.planning import (
    PROBE,
    Planned,
    Start,
    Subject,
    add_reading,
    assemble,
    name_command,
    read_subject,
    shorten,
    subject_of,
    survey,
)
from autoxla.policies import decide
from autoxla.records import Store
from autoxla.report import PAGES, First, write_report
from autoxla.settings import BadSettingError, read_settings
from autoxla.siblings import is_later, is_part
from autoxla.situation.cluster import read_tf_config
from autoxla.situation.environment import APPLIED, remembered, restore
from autoxla.situation.workers import rank, runs_parts

if TYPE_CHECKING:
    from autoxla.compiled import Compiled
    from autoxla.lookahead import Program

#: The module of ours that wraps the targets of a role.
_WRAPPERS = {
    "compile": "autoxla.hooks.compile",
    "predict": "autoxla.hooks.compile",
    "train": "autoxla.trial.hooks",
}
#: Module to wait for, module of ours that hooks it, function in that one.
METHOD_HOOKS = (
    *((target.module, _WRAPPERS[target.role], "hook") for target in TARGETS),
    *((package, "autoxla.hooks.compile", "hook_elsewhere") for package in KERAS_PACKAGES),
    ("tensorflow", "autoxla.hooks.compile", "hook_again"),
    (
        "tensorflow.python.distribute.collective_all_reduce_strategy",
        "autoxla.hooks.distribute",
        "hook_multi_worker",
    ),
)
#: What watches a program for ``python -m autoxla tune``, in the place of a trial.
PROBE_HOOKS = tuple(
    (target.module, "autoxla.trial.probe", "hook") for target in TARGETS if target.role == "train"
)
#: What is said on every worker of a job: how they differ, and that one is not heard.
ABOUT_WORKERS = ("AX601", "AX602")
#: What knows IPython.
_NOTEBOOK = "autoxla.hooks.notebook"
#: What TensorFlow imports at the first use of ``tf.keras``.
_FIRST_USE = ("keras._tf_keras.keras", "tf_keras.api._v2.keras")
#: What is looked for again while the program runs, and what says the same already.
_SEEN_LATER = {"AX404": {"AX118"}, "AX119": {"AX116"}}
#: How many compiles, or trials, of a process a report has: thousands of models may be made in one.
_MOST = 1000
#: How many findings with one code a report has, and how many are said.
_MOST_ALIKE, _MOST_SAID = 100, 20
#: Seconds that writing reports may take in any case while the program runs, and the share of its time.
_FREE, _SHARE = 0.25, 0.02
#: Names the process that planned first; its children keep quiet and report into files of their own.
ROOT = "AUTOXLA_ROOT"


class Session:
    """What one process decided and did. `plan` is empty where autoxla stands aside."""

    def __init__(self) -> None:
        self.situation: Situation | None = None
        self.plan = Plan()
        self.findings: list[Finding] = []
        self.compiles: First[dict[str, object]] = First(_MOST)
        self.trials: First[dict[str, object]] = First(_MOST)
        self.findings_left_out = 0
        #: The models that were compiled without a choice of jit_compile, and what Keras made of that.
        self.left_open: WeakKeyDictionary[object, object] = WeakKeyDictionary()
        self.configured: dict[str, object] = {}
        self.began = False
        self.is_off = False
        self.is_announced = False
        self.complaint = ""
        self.program: str | None = ""
        self.read_values: dict[str, str | None] = {}
        self.imports: list[str] = []
        self.compiled: Compiled | None = None
        self._lock = RLock()
        self._made_at = perf_counter()
        self._seconds_of_reports = 0.0

    def begin(self, name: str | None) -> None:
        """Make the plan, once, because ``name`` is about to execute (None: it was loaded already)."""
        with self._lock:
            is_first, self.began = not self.began, True
            if is_first:
                self._plan(name)
        # Outside: a handler of the program's log may import a backend, in a thread that waits for the lock.
        if is_first:
            # What cannot be told is done all the same, all of it.
            boundary.attempt("notice", self._tell)

    def _tell(self) -> None:
        if self.complaint and ROOT not in os.environ and not _is_follower():
            _put(ROOT, str(os.getpid()))
            notify(f"{self.complaint}; the program runs without autoxla")
        if not self.is_off:
            self._announce()
            self.write_report()

    def _plan(self, name: str | None) -> None:
        # Kept, since the main module's file is gone at exit.
        self.program = program()
        subject = running_subject()
        try:
            declared = read_settings(subject.folder, os.environ, self.configured)
        except BadSettingError as error:
            self.complaint = str(error)
            self._stand_aside()
            return
        if declared[0].mode == "off":
            self._stand_aside()
            return
        planned = assemble(
            subject,
            os.environ,
            declared=declared,
            start=Start(name, _importing_place()),
            restart=find_shell(),
            is_part=_is_worker(),
            open_cache=self._open_cache,
        )
        self.situation, self.plan = planned.situation, planned.plan
        self._carry_out(planned)

    def _open_cache(self, folder: Path) -> None:
        from autoxla.compiled import Compiled

        self.compiled = Compiled(folder)

    def _carry_out(self, planned: Planned) -> None:
        """Do what the plan says, or nothing of it: half of it may be worse than none."""
        environment = dict(os.environ)
        try:
            self.findings = [*planned.findings, *self._list_dropped()]
            self._install_aliases()
            self._apply(planned.situation.environment)
        except Exception:
            self._drop_plan(environment)
            raise
        self._register()

    def _drop_plan(self, environment: Mapping[str, str]) -> None:
        self.plan, self.findings = Plan(), []
        if "autoxla.hooks.alias" in sys.modules:
            sys.modules["autoxla.hooks.alias"].remove_aliases()
        for name in environment.keys() | os.environ.keys():
            _put(name, environment.get(name))

    def _list_dropped(self) -> list[Finding]:
        if self.compiled is None or not self.compiled.dropped:
            return []
        place, number = Place(str(self.compiled.folder.parent)), len(self.compiled.dropped)
        message = f"{number} compiled program(s) were damaged or half written, and dropped"
        return [Finding("AX908", "info", message, "none: XLA compiles them again", place, applied=True)]

    def _stand_aside(self) -> None:
        """Leave this process alone, and put back what a parent process set for its own program."""
        self.is_off = True
        if find_cells() is not None:
            importlib.import_module(_NOTEBOOK).unfollow()
        view, _ = restore(os.environ)
        for name in remembered(os.environ):
            _put(name, view.get(name))
        _put(APPLIED, None)

    def note_read(self, name: str | None) -> None:
        """Note what TensorFlow is about to read for once."""
        if name in ("tensorflow", "tf_keras") and self.situation is not None:
            value = os.environ.get("TF_USE_LEGACY_KERAS")
            self.read_values.setdefault("TF_USE_LEGACY_KERAS", value)

    def _apply(self, before: Mapping[str, str]) -> None:
        """Set the plan's variables, and put back what a parent process set for its own program."""
        inherited = {} if _is_worker() else remembered(os.environ)
        wanted = {name: before.get(name) for name in inherited}
        wanted.update({setting.variable: setting.value for setting in self.plan.settings})
        for name, value in wanted.items():
            _put(name, value)
        if not _is_worker():
            _put(APPLIED, None)
        _remember(self.plan.settings)

    def _install_aliases(self) -> None:
        for alias, target in self.plan.alias.items():
            from autoxla.hooks.alias import install_alias

            install_alias(alias, target)

    def _register(self) -> None:
        # Notes come in front of the import, since that itself may be what fails.
        for deed in (_late("autoxla.hooks.guards", "register"), self._hook_methods, self._look_later):
            boundary.attempt("hooks", deed)

    def _hook_methods(self) -> None:
        if self.situation is not None and self.situation.settings.mode != "observe":
            hooks = METHOD_HOOKS + PROBE_HOOKS if PROBE in os.environ else METHOD_HOOKS
            for module, ours, function in hooks:
                finder.on_import(module, _late(ours, function))

    def _look_later(self) -> None:
        if self.situation is not None and self.situation.restart is not None:
            importlib.import_module(_NOTEBOOK).follow()
        for module in _FIRST_USE:
            finder.on_import(module, lambda _: self.check_again())
        for finding in self.plan.findings:
            if finding.code == "AX114" and finding.about:
                finder.before_import(finding.about, partial(self._now_certain, finding))

    def prepare(self, name: str, module: ModuleType) -> None:
        """Do what the plan wants done right before ``module`` executes."""
        target = self.plan.alias.get(name)
        if target is not None:
            _import_instead(name, module, target)
        elif name == "keras" and self.plan.import_first:
            _import_before(name, module, self.plan.import_first)

    def find_missing(self, name: str) -> ModuleSpec | None:
        """Return a spec for a watched name that nobody has, if the plan makes it an alias."""
        self.begin(name)
        if name not in self.plan.alias:
            return None
        from autoxla.hooks.alias import alias_spec

        return alias_spec(name, self.plan.alias[name])

    def add_finding(self, finding: Finding) -> None:
        """Note what was found after the plan was made, and say it: of many alike the first ones."""
        if finding in self.findings:
            return
        alike = sum(each.code == finding.code for each in self.findings)
        if alike < _MOST_ALIKE:
            self.findings.append(finding)
        else:
            self.findings_left_out += 1
        if self.situation is None or self.situation.settings.shows(finding.code):
            if alike < _MOST_SAID:
                say_findings([finding], self.program)
            elif alike == _MOST_SAID:
                say_findings([_of_many(finding)], self.program)
        self.write_report()

    def _now_certain(self, finding: Finding, _: ModuleType) -> None:
        """Say what was only possible, now that its line runs."""
        self.add_finding(replace(finding, level="warning", grade="certain"))

    def add_setting(self, setting: Setting) -> None:
        """Set a variable after the plan was made, and remember it for child processes."""
        _put(setting.variable, setting.value)
        _remember([setting])
        self.plan = replace(self.plan, settings=(*self.plan.settings, setting))

    def add_compile(self, entry: dict[str, object]) -> None:
        """Note one call of ``Model.compile``; the first is a checkpoint for variables set too late."""
        self.compiles.append(entry)
        if len(self.compiles) == 1:
            self.check_again()
        self.write_report()

    def check_again(self) -> None:
        """Find variables that were set after they had been read."""
        for finding in self._found_again():
            self.add_finding(finding)

    def _found_again(self) -> list[Finding]:
        if self.situation is None:
            return []
        now = self._look_again(self.situation)
        said = {finding.code for finding in self.findings}
        later = [finding for finding in decide(now).findings if finding.code in _SEEN_LATER]
        return [f for f in later if f not in self.findings and not said & _SEEN_LATER[f.code]]

    def _look_again(self, before: Situation) -> Situation:
        path = running_subject().path
        now = survey(before.settings, before.usage, os.environ, path=path, is_part=_is_worker())
        # What the plan set is not put back in this view: it is what TensorFlow read.
        environment = {**now.environment, **self._set_values(os.environ)}
        return replace(now, environment=environment, read_values=self.read_values, restart=before.restart)

    def check_cell(self, label: str) -> None:
        """Say what a cell of a notebook, about to run, needs and what comes too late for it."""
        if self.situation is None:
            return
        subject = running_subject()
        reading = read_subject(subject, os.environ, Store(learned_folder(os.environ)))
        if all(evidence.place.file != label for evidence in reading.evidence):
            return
        findings = decide(add_reading(self._look_again(self.situation), reading, subject.path)).findings
        said = {(finding.code, finding.message) for finding in self.findings}
        for finding in findings:
            is_new = finding.place.file == label and (finding.code, finding.message) not in said
            if is_new and finding.level != "info":
                self.add_finding(replace(finding, applied=False))

    def _is_wanted(self) -> bool:
        """Return whether autoxla is on; also where it never came to read its settings."""
        if self.began:
            return not self.is_off
        try:
            return read_settings(running_subject().folder, os.environ, self.configured)[0].mode != "off"
        except BadSettingError:
            return False

    def _learn(self) -> None:
        # A notebook is another program each time, cell by cell.
        if self.situation is None or self.situation.settings.mode == "observe" or self.situation.restart:
            return
        # A cache that cannot be written is lost, and nothing else.
        with suppress(OSError):
            learn(
                self.situation.reading,
                sys.argv[1:],
                self.imports,
                self.compiles,
                Store(learned_folder(os.environ)),
            )

    def _set_values(self, environ: Mapping[str, str]) -> dict[str, str]:
        names = [setting.variable for setting in self.plan.settings]
        return {name: environ[name] for name in names if name in environ}

    def finish(self, bypassed: Iterable[str]) -> None:
        """Say at exit what went past the finder, and write the report for the last time."""
        for name in bypassed if self._is_wanted() else ():
            self.add_finding(_bypassed(name))
        self._learn()
        if self.compiled is not None:
            self.compiled.finish()
        # Not said at exit any more: it may be meant for a child process.
        self.findings += self._found_again()
        self.write_report(last=True)

    def _announce(self) -> None:
        # By a parent, or by what this process was before an exec.
        if ROOT in os.environ or self.situation is None:
            return
        if self.situation.settings.mode != "observe":
            _put(ROOT, str(os.getpid()))
        if not self.is_announced:
            say_plan(Planned(self.situation, self.plan, ()), self.program)

    def write_report(self, *, last: bool = False) -> None:
        """Write ``AUTOXLA_REPORT`` if it is wanted; where it cannot be written, say so and go on.

        Each one is whole, so that thousands of models would make thousands of long ones: but for the
        ``last``, one is left out where those before it took too much of the program's time.
        """
        begin = perf_counter()
        allowed = _FREE + _SHARE * (begin - self._made_at)
        if last or self._seconds_of_reports < allowed:
            boundary.attempt("report", self._write_report)
            self._seconds_of_reports += perf_counter() - begin

    def _write_report(self) -> None:
        target = os.environ.get("AUTOXLA_REPORT")
        if target and self.situation is not None:
            file, findings, program = _report_file(target), self.findings, self.program
            left_out = {
                "findings": self.findings_left_out,
                "compile": self.compiles.left_out,
                "trials": self.trials.left_out,
                "errors": boundary.FAULTS.left_out,
            }
            about = (self.compiles, boundary.FAULTS.kept, self.trials, left_out)
            write_report(file, self.situation, self.plan, findings, *about, program)


def say_plan(planned: Planned, program: str | None) -> None:
    """Say in one line what was found for ``program``, if that is worth it."""
    plan, settings = planned.plan, planned.situation.settings
    changed = bool(plan.settings or plan.alias)
    worth = [f for f in plan.findings if f.level != "info" or (changed and f.applied)]
    say_findings([f for f in worth if settings.shows(f.code)], program)


def _of_many(finding: Finding) -> Finding:
    """Return what is said in the place of one more finding with a code that was said often enough."""
    message = f"{_MOST_SAID} findings with this code were said; the next ones are not"
    remedy = f"set AUTOXLA_REPORT=FILE, which has the first {_MOST_ALIKE}"
    return replace(finding, level="info", message=message, remedy=remedy, applied=False)


def say_findings(findings: list[Finding], program: str | None) -> None:
    """Say ``findings`` in one line; of the workers of a job, which find the same, the first does.

    Another one says only an error that is left, since that may be its machine's alone, and how the
    workers differ.
    """
    if not findings:
        return
    shown = [f for f in findings if _is_said_by_all(f)] if _is_follower() else findings
    if shown:
        notify(headline(shown, program))


def _is_said_by_all(finding: Finding) -> bool:
    return finding.code in ABOUT_WORKERS or (finding.level == "error" and not finding.applied)


_session = Session()
# A thread of the parent may have been planning; in the child nobody is left to release the lock.
os.register_at_fork(after_in_child=lambda: setattr(_session, "_lock", RLock()))
#: Whether the process of that number leaves the word to another; one made by fork asks anew.
_later_parts: dict[int, bool] = {}


def current() -> Session:
    """Return the session of this process."""
    return _session


def begin(name: str | None, module: ModuleType | None) -> None:
    """Start on the first call; then do what has to be done before ``module`` executes."""
    if name is not None and _is_imported_by_program():
        _session.imports.append(name)
    _session.begin(name)
    boundary.attempt("plan", _session.note_read, name)
    if name is not None and module is not None:
        _session.prepare(name, module)


def find_missing(name: str) -> ModuleSpec | None:
    """See `Session.find_missing`."""
    return _session.find_missing(name)


def finish(bypassed: Iterable[str]) -> None:
    """See `Session.finish`."""
    _session.finish(bypassed)


def configure(**settings: object) -> None:
    """Set ``mode``, ``keras``, ``step``, ``trial`` … for this process, before a backend is imported.

    Takes precedence over the environment and ``pyproject.toml``, except that ``AUTOXLA=off`` stands.
    Raises `autoxla.settings.BadSettingError` on an unknown name or value, and RuntimeError when the
    plan was made already.
    """
    if _session.began:
        raise RuntimeError("autoxla.configure() comes too late: tensorflow or keras is imported already")
    read_settings(None, {}, settings)
    _session.configured.update(settings)


def plan() -> Plan:
    """Return the plan of this process; an empty one before tensorflow or keras was imported."""
    return _session.plan


def program_file() -> Path | None:
    """Return the file of the program that runs, None where there is none (``-c``, a notebook)."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    # In a worker of loky or Ray, theirs is the main module.
    if not isinstance(file, str) or (_is_worker() and _is_installed(file)):
        return None
    return Path(file)


def _is_installed(file: str) -> bool:
    return Path(file).resolve().is_relative_to(Path(sys.prefix).resolve())


def running_subject() -> Subject:
    """Return the program of this process; where it is not known, a worker's main module tells the project."""
    in_ipython = _find_in_ipython()
    if in_ipython is not None and in_ipython.kind == "cells":
        return subject_of(in_ipython, ())
    found = in_ipython or find_program(sys.modules.get("__main__"), sys.argv, sys.orig_argv)
    file = program_file() if found is None else None
    folder = None if file is None or _is_installed(str(file)) else file.resolve().parent
    return subject_of(found, sys.argv[1:], folder)


def plan_anew() -> Planned:
    """Return the plan of this process as it would be made now. Raises `autoxla.settings.BadSettingError`."""
    subject, configured = running_subject(), _session.configured
    return assemble(subject, os.environ, configured=configured, restart=find_shell())


def find_cells() -> Program | None:
    """Return the notebook, or the session of IPython, that runs in this process, None where none does."""
    found = _find_in_ipython()
    return found if found is not None and found.kind == "cells" else None


def _find_in_ipython() -> Program | None:
    # A library may have imported IPython; a shell that runs something is another thing.
    if "IPython" not in sys.modules:
        return None
    found: Program | None = importlib.import_module(_NOTEBOOK).find_program()
    return found


def find_shell() -> Literal["the kernel", "IPython"] | None:
    """Return what runs the program cell by cell, as a user would call it."""
    if find_cells() is None:
        return None
    kernel: bool = importlib.import_module(_NOTEBOOK).has_kernel()
    return "the kernel" if kernel else "IPython"


def program() -> str | None:
    """Return the program as ``python -m autoxla explain`` takes it, empty where there is none.

    None in a notebook, where nobody is at a command line.
    """
    if find_cells() is not None:
        return None
    return name_command(running_subject().program) or _name_main()


def _name_main() -> str:
    file = program_file()
    return "" if file is None else shlex.quote(shorten(str(file)))


def _is_child() -> bool:
    return os.environ.get(ROOT, str(os.getpid())) != str(os.getpid())


def _is_follower() -> bool:
    """Return whether another worker of the job speaks for this one."""
    return bool(_follower()) or _is_later_part()


def _follower() -> str:
    """Return the name of this worker by its rank or by ``TF_CONFIG``, empty for the first one of a job."""
    number = rank(os.environ)
    if number:
        return f"rank{number}"
    cluster = read_tf_config(os.environ)
    return "" if cluster is None or cluster.is_chief else cluster.own.word


def _is_later_part() -> bool:
    """Return whether another worker of the same pool has spoken; asked once in each process."""
    if not is_part(os.environ):
        return False
    number = os.getpid()
    if number not in _later_parts:
        _later_parts[number] = is_later(cache_folder(os.environ))
    return _later_parts[number]


def _is_worker() -> bool:
    """Return whether this process was started to run parts of another one's program."""
    return runs_parts(sys.orig_argv)


def _report_file(target: str) -> Path:
    """Return the file of this process: ``target``, or one beside it for another worker or a child."""
    follower, number = _follower(), str(os.getpid()) if _is_child() or _is_worker() else ""
    # The ending says what a report is written as.
    start, ending = os.path.splitext(target)  # noqa: PTH122
    start, ending = (start, ending) if ending.lower() in PAGES else (target, "")
    return Path(".".join(part for part in (start, follower, number) if part) + ending)


def _remember(settings: Iterable[Setting]) -> None:
    """Leave for child processes what was set here, so that none takes it for the user's choice."""
    changes = {name: list(change) for name, change in remembered(os.environ).items()}
    changes.update({setting.variable: [setting.previous, setting.value] for setting in settings})
    if changes:
        _put(APPLIED, json.dumps(changes))


def _put(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    elif os.environ.get(name) != value:
        os.environ[name] = value


def _importing_place() -> Place | None:
    """Return the line of the program whose import statement is under way."""
    frame = _importing_frame()
    return None if frame is None else place_of(frame)


def _importing_frame() -> FrameType | None:
    """Return the frame of the import statement under way, none of ours or of the import system."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_machinery(frame):
        frame = frame.f_back
    return frame


def place_of(frame: FrameType | None) -> Place:
    """Return where ``frame`` is, as a program's author would name it."""
    if frame is None:
        return Place("program")
    return Place(_name_cell(frame) or shorten(frame.f_code.co_filename), frame.f_lineno)


def _name_cell(frame: FrameType) -> str | None:
    if "IPython" not in sys.modules:
        return None
    name: str | None = importlib.import_module(_NOTEBOOK).name_cell(frame.f_code.co_filename)
    return name


def _is_imported_by_program() -> bool:
    """Return whether the import statement under way is the program's, not a library's."""
    frame = _importing_frame()
    file = "" if frame is None else frame.f_code.co_filename
    standard = os.path.dirname(os.__file__)  # noqa: PTH120
    folders = ("site-packages", "dist-packages", standard)
    return bool(file) and not file.startswith("<") and not any(folder in file for folder in folders)


def _is_machinery(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__", "")
    # IPython's own frames stand between a cell and the import that its ``%load_ext`` makes.
    ours = name == "autoxla" or name.startswith(("autoxla.", "importlib", "IPython."))
    return ours or frame.f_code.co_filename.startswith("<frozen importlib")


def _late(module: str, function: str) -> Callable[..., object]:
    def call(*arguments: ModuleType) -> object:
        return getattr(importlib.import_module(module), function)(*arguments)

    return call


def _import_before(name: str, module: ModuleType, first: tuple[str, ...]) -> None:
    """Import ``first`` while ``module``, not executed yet, is out of the way.

    What ``first`` imports under this name is then a whole module; the finder sees that and does not
    execute ours a second time.
    """
    if any(other in sys.modules for other in first):
        return
    sys.modules.pop(name, None)
    try:
        for other in first:
            importlib.import_module(other)
    finally:
        sys.modules.setdefault(name, module)


def _import_instead(name: str, module: ModuleType, target: str) -> None:
    sys.modules.pop(name, None)
    try:
        sys.modules[name] = importlib.import_module(target)
    finally:
        sys.modules.setdefault(name, module)


def _bypassed(name: str) -> Finding:
    return Finding(
        "AX903",
        "warning",
        f"{name} was imported past autoxla: another finder stands in front of it, or sys.meta_path "
        "was rewritten; nothing was checked or set",
        "import autoxla after whatever changes sys.meta_path",
    )

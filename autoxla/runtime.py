"""The state of a process: its plan, findings, hooks and report. The one place that writes ``os.environ``.

`current` is made with this module, when the first watched module is about to execute. What is hung on Keras
and Python registers here how it is undone, see `Runtime.on_uninstall`; `autoxla.activation` says what that
is.
"""

from __future__ import annotations

import json
import os
import sys
from _thread import RLock
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from autoxla.hooks import boundary, wrapping
from autoxla.hooks.finder import attempt
from autoxla.model import OUTDATED, Finding, Plan, Setting, Situation
from autoxla.planning import Planned, Start, add_reading, assemble, declare, read_subject
from autoxla.policies import decide
from autoxla.running import find_shell, importing_place, is_worker, name_program, running_subject
from autoxla.settings import BadSettingError, read_settings
from autoxla.situation.cluster import is_of_many, name_follower, part_number
from autoxla.situation.environment import APPLIED, ROOT, read_environ, remembered, restore
from autoxla.situation.gathering import gather

if TYPE_CHECKING:
    from autoxla.compiled import Compiled

#: How many compiles, or trials, of a process a report has: thousands of models may be made in one.
_MOST = 1000
#: How many findings with one code are said, and stand in a report.
_MOST_ALIKE = 20
#: Seconds that writing reports may take in any case while the program runs, and the share of its time.
_FREE, _SHARE = 0.25, 0.02
State = TypeVar("State")


class Runtime:
    """What one process decided and did. `plan` is empty where autoxla stands aside.

    `wrapped` has what stood in the place of each method that is wrapped.
    """

    def __init__(self) -> None:
        self.situation: Situation | None = None
        self.plan = Plan()
        self.findings: list[Finding] = []
        self.compiles: list[dict[str, object]] = []
        self.trials: list[dict[str, object]] = []
        #: How many the report has not, for want of room: of ``findings``, ``compile`` and ``trials``.
        self.left_out: Counter[str] = Counter()
        #: The models that were compiled without a choice of jit_compile, and what Keras made of that.
        self.left_open: WeakKeyDictionary[object, object] = WeakKeyDictionary()
        self.configured: dict[str, object] = {}
        self.began = False
        self.is_off = False
        self.is_taken_back = False
        self.is_announced = False
        self.complaint = ""
        self.program: str | None = ""
        self.read_values: dict[str, str | None] = {}
        self.compiled: Compiled | None = None
        self.wrapped: wrapping.Wrapped = {}
        self._undos: list[Callable[[], object]] = []
        self._states: dict[type[Any], Any] = {}
        self._lock = RLock()
        self._made_at = perf_counter()
        self._started_at = time()
        self._seconds_of_reports = 0.0

    # --- The plan

    def begin(self, name: str | None, install: Callable[[Runtime], None]) -> None:
        """Make the plan, once, because ``name`` is about to execute (None: it was loaded already).

        ``install`` hangs in what the plan needs, once more where that was taken back.
        """
        with self._lock:
            is_first, self.began = not self.began, True
            if is_first:
                self._plan(name, install)
            elif self.is_taken_back and not self.is_off:
                self.is_taken_back = False
                install(self)
        # Outside: a handler of the program's log may import a backend, in a thread that waits for the lock.
        if is_first:
            # What cannot be told is done all the same, all of it.
            attempt("notice", self._tell)

    def _plan(self, name: str | None, install: Callable[[Runtime], None]) -> None:
        """Read the settings, make the plan and do what it says; or leave this process alone."""
        # Kept, since the main module's file is gone at exit.
        self.program = name_program()
        subject, is_part = running_subject(), is_worker()
        # What a parent process set for its own program is put back; a worker keeps it.
        inherited = {} if is_part else remembered(read_environ())
        try:
            declared = declare(subject, read_environ(), self.configured, is_part=is_part)
            self.is_off = declared[0].mode == "off"
        except BadSettingError as error:
            self.complaint = str(error)
            self.is_off = True
        if self.is_off:
            if "IPython" in sys.modules:
                from autoxla.hooks import notebook

                notebook.unfollow()
            view, _ = restore(read_environ())
            for variable in remembered(read_environ()):
                put(variable, view.get(variable))
            put(APPLIED, None)
            return

        def open_cache(folder: Path) -> None:
            from autoxla.compiled import Compiled

            self.compiled = Compiled(folder, read_environ())

        planned = assemble(
            subject,
            read_environ(),
            declared=declared,
            start=Start(name, importing_place()),
            restart=find_shell(),
            is_part=is_part,
            open_cache=open_cache,
        )
        self.situation = planned.situation
        environment = dict(read_environ())
        # All that the plan says is done, or nothing of it: half of it may be worse than none.
        try:
            self.plan, self.findings = planned.plan, list(planned.findings)
            self.findings += () if self.compiled is None else self.compiled.findings
            install(self)
            if planned.situation.uncured.startswith(OUTDATED):
                from autoxla import cures

                cures.drop(subject, planned.situation, read_environ())
            for variable in inherited:
                put(variable, planned.situation.environment.get(variable))
            if not is_part:
                put(APPLIED, None)
            set_variables(self.plan.settings)
        except Exception:
            self.is_off = True
            self.plan, self.findings = Plan(), []
            self.uninstall()
            for variable in environment.keys() | read_environ().keys():
                put(variable, environment.get(variable))
            raise

    # --- What is hung in

    def on_uninstall(self, undo: Callable[[], object]) -> None:
        """Have ``undo`` called by `uninstall`, the last one first; the same one is called once."""
        if undo not in self._undos:
            self._undos.append(undo)

    def wrap(self, owner: Any, name: str, wrapper: wrapping.Wrapper) -> bool:
        """Wrap a method until `uninstall`, see `wrapping.wrap`; none where autoxla stands aside."""
        return not self.is_off and wrapping.wrap(owner, name, wrapper, self.wrapped)

    def of(self, kind: type[State]) -> State:
        """Return what a hook keeps in this process, made at its first use."""
        if kind not in self._states:
            self._states[kind] = kind()
        state: State = self._states[kind]
        return state

    def uninstall(self) -> None:
        """Give back everything that was hung into this process; variables that were set stay set."""
        self.is_taken_back = True
        wrapping.unwrap(self.wrapped)
        while self._undos:
            attempt("uninstall", self._undos.pop())
        self._states.clear()

    # --- What is learned later

    def note_read(self, name: str | None) -> None:
        """Note what TensorFlow is about to read for once."""
        if name in ("tensorflow", "tf_keras") and self.situation is not None:
            value = read_environ().get("TF_USE_LEGACY_KERAS")
            self.read_values.setdefault("TF_USE_LEGACY_KERAS", value)

    def add_finding(self, finding: Finding) -> None:
        """Note what was found after the plan was made, and say it: of many alike the first ones."""
        if finding in self.findings:
            return
        if sum(each.code == finding.code for each in self.findings) >= _MOST_ALIKE:
            self.left_out["findings"] += 1
            return
        self.findings.append(finding)
        self._say(finding)
        self.write_report()

    def confirm(self, finding: Finding, _: object = None) -> None:
        """Say what was only possible, now that its line runs."""
        self.add_finding(replace(finding, level="warning", grade="certain"))

    def add_setting(self, setting: Setting) -> None:
        """Set a variable after the plan was made, and remember it for child processes."""
        set_variables([setting])
        self.plan = replace(self.plan, settings=(*self.plan.settings, setting))

    def add_compile(self, entry: dict[str, object]) -> None:
        """Note one call of ``Model.compile``; the first is a checkpoint for variables set too late."""
        is_first = not self.compiles
        self._keep("compile", self.compiles, entry)
        if is_first:
            self.check_again()
        self.write_report()

    def add_trial(self, facts: dict[str, object]) -> None:
        """Note a trial, of which ``facts`` goes on to tell."""
        self._keep("trials", self.trials, facts)

    def _keep(self, name: str, kept: list[dict[str, object]], entry: dict[str, object]) -> None:
        if len(kept) < _MOST:
            kept.append(entry)
        else:
            self.left_out[name] += 1

    def check_again(self) -> None:
        """Find variables that were set after they had been read."""
        for finding in self._found_again():
            self.add_finding(finding)

    def _found_again(self) -> list[Finding]:
        if self.situation is None:
            return []
        found = decide(self._look_again(self.situation)).findings
        # What the source showed beforehand was said then.
        said = {name for finding in self.findings if not finding.checked_again for name in finding.late}
        return [
            f for f in found if f.checked_again and f not in self.findings and not said.intersection(f.late)
        ]

    def _look_again(self, before: Situation) -> Situation:
        path = running_subject().path
        now = gather(before.settings, before.usage, environ=read_environ(), path=path, is_part=is_worker())
        # What the plan set is not put back in this view: it is what TensorFlow read.
        ours = {setting.variable for setting in self.plan.settings}
        kept = {name: value for name, value in read_environ().items() if name in ours}
        environment = {**now.environment, **kept}
        return replace(now, environment=environment, read_values=self.read_values, restart=before.restart)

    def check_cell(self, label: str) -> None:
        """Say what a cell of a notebook, about to run, needs and what comes too late for it."""
        if self.situation is None:
            return
        subject = running_subject()
        reading = read_subject(subject, read_environ())
        if all(evidence.place.file != label for evidence in reading.evidence):
            return
        now = add_reading(self._look_again(self.situation), reading, subject.path)
        said = {(f.code, f.message) for f in self.findings}
        for f in decide(now).findings:
            if f.place.file == label and f.level != "info" and (f.code, f.message) not in said:
                self.add_finding(replace(f, applied=False))

    # --- The end

    def finish(self, bypassed: Iterable[str]) -> None:
        """Say at exit what went past the finder, keep what XLA compiled, and write the last report."""
        if not self.began:
            # What went past the finder may be all, and the settings were never read.
            try:
                self.is_off = declare(running_subject(), read_environ(), self.configured)[0].mode == "off"
            except BadSettingError:
                self.is_off = True
        for name in () if self.is_off else bypassed:
            message = (
                f"{name} was imported past autoxla: another finder stands in front of it, or sys.meta_path "
                "was rewritten; nothing was checked or set"
            )
            remedy = "import autoxla after whatever changes sys.meta_path"
            self.add_finding(Finding("AX903", "warning", message, remedy))
        if self.compiled is not None:
            self.compiled.finish(read_environ())
        # Not said at exit any more: it may be meant for a child process.
        self.findings += self._found_again()
        self.write_report(last=True)
        attempt("reports of other workers", self._compare_workers)

    def _compare_workers(self) -> None:
        """Say in the first worker of a job which others planned differently, as their reports tell."""
        target, environ = read_environ().get("AUTOXLA_REPORT"), read_environ()
        if not target or self.situation is None or name_follower(environ) or not is_of_many(environ):
            return
        from autoxla.report import find_differing

        others = find_differing(Path(target), self.situation, self.plan, since=self._started_at)
        if others:
            message = (
                "workers of this job ran on other plans than the first one: "
                f"{', '.join(others)} against {target}"
            )
            remedy = "give all of them the same packages, variables and settings"
            self.add_finding(Finding("AX601", "warning", message, remedy))

    # --- Saying and reporting

    def _tell(self) -> None:
        """Say what was decided, or why nothing was, unless a parent did, or this process before an exec."""
        if self.complaint and ROOT not in read_environ() and not is_follower():
            from autoxla.notice import notify

            put(ROOT, str(os.getpid()))
            notify(f"{self.complaint}; the program runs without autoxla")
        if self.is_off:
            return
        if ROOT not in read_environ() and self.situation is not None:
            if self.situation.settings.mode != "observe":
                put(ROOT, str(os.getpid()))
            if not self.is_announced:
                say_plan(Planned(self.situation, self.plan, ()), self.program)
        elif cured := [finding for finding in self.findings if finding.code == "AX911"]:
            # A program that another one started is itself what was cured.
            from autoxla import cures

            if cures.is_first(read_environ(), str(self.program)):
                say_findings(cured, self.program)
        self.write_report()

    def _say(self, finding: Finding) -> None:
        if self.situation is None or self.situation.settings.shows(finding.code):
            say_findings([finding], self.program)

    def say_once_a_tree(self, finding: Finding) -> None:
        """Say ``finding`` in the process that planned first, unless the settings leave it out."""
        own = str(os.getpid())
        if read_environ().get(ROOT, own) == own:
            self._say(finding)

    def write_report(self, *, last: bool = False) -> None:
        """Write ``AUTOXLA_REPORT`` if it is wanted; where it cannot be written, say so and go on.

        Each one is whole, so that thousands of models would make thousands of long ones: but for the
        ``last``, one is left out where those before it took too much of the program's time.
        """
        begin = perf_counter()
        if last or self._seconds_of_reports < _FREE + _SHARE * (begin - self._made_at):
            attempt("report", self._write_report)
            self._seconds_of_reports += perf_counter() - begin

    def _write_report(self) -> None:
        target, environ = read_environ().get("AUTOXLA_REPORT"), read_environ()
        if not target or self.situation is None:
            return
        from autoxla import report

        # Another worker or a child has a file beside it. The ending says what a report is written as.
        number = str(os.getpid())
        is_child = environ.get(ROOT, number) != number or is_worker()
        ending = Path(target).suffix if target.lower().endswith(report.PAGES) else ""
        parts = (target.removesuffix(ending), name_follower(environ), number if is_child else "")
        data = report.as_data(
            self.situation,
            self.plan,
            self.findings,
            compiles=self.compiles,
            trials=self.trials,
            faults=boundary.FAULTS.kept,
            left_out={**self.left_out, "errors": boundary.FAULTS.left_out},
        )
        file = Path(".".join(filter(None, parts)) + ending)
        report.write_report(file, self.situation, self.plan, data, self.program)

    def after_fork(self) -> None:
        """Be the runtime of a child made by fork."""
        # A thread of the parent may have been planning; in the child nobody is left to release the lock.
        self._lock = RLock()


_RUNTIME = Runtime()
os.register_at_fork(after_in_child=_RUNTIME.after_fork)


def current() -> Runtime:
    """Return the runtime of this process."""
    return _RUNTIME


def configure(**settings: object) -> None:
    """Set ``mode``, ``keras``, ``step``, ``trial`` … for this process, before a backend is imported.

    Takes precedence over the environment and ``pyproject.toml``, except that ``AUTOXLA=off`` stands.
    Raises `autoxla.settings.BadSettingError` on an unknown name or value, and RuntimeError when the
    plan was made already.
    """
    if _RUNTIME.began:
        raise RuntimeError("autoxla.configure() comes too late: tensorflow or keras is imported already")
    read_settings(None, {}, settings)
    _RUNTIME.configured.update(settings)


def plan() -> Plan:
    """Return the plan of this process; an empty one before tensorflow or keras was imported."""
    return _RUNTIME.plan


def plan_anew() -> Planned:
    """Return the plan of this process as it would be made now. Raises `autoxla.settings.BadSettingError`."""
    subject, environ = running_subject(), read_environ()
    declared = declare(subject, environ, _RUNTIME.configured)
    return assemble(subject, environ, declared=declared, restart=find_shell())


def put(name: str, value: str | None) -> None:
    """Set a variable of this process, or take it away where ``value`` is None."""
    if value is None:
        os.environ.pop(name, None)
    elif os.environ.get(name) != value:
        os.environ[name] = value


def set_variables(settings: Sequence[Setting]) -> None:
    """Set variables, and leave for child processes what was set, so that none takes it for the user's."""
    changes = {name: list(change) for name, change in remembered(read_environ()).items()}
    for setting in settings:
        put(setting.variable, setting.value)
        changes[setting.variable] = [setting.previous, setting.value]
    if changes:
        put(APPLIED, json.dumps(changes))


def say_plan(planned: Planned, program: str | None) -> None:
    """Say in one line what was found for ``program``, if that is worth it."""
    plan, settings = planned.plan, planned.situation.settings
    changed = bool(plan.settings or plan.alias)
    worth = [f for f in plan.findings if f.level != "info" or (changed and f.applied)]
    say_findings([f for f in worth if settings.shows(f.code)], program)


def say_findings(findings: list[Finding], program: str | None) -> None:
    """Say ``findings`` in one line; of the workers of a job or pool, which find the same, the first does.

    Another one says only an error that is left, since that may be its machine's alone.
    """
    shown = [f for f in findings if (f.level == "error" and not f.applied) or not is_follower()]
    if shown:
        from autoxla.notice import headline, notify

        notify(headline(shown, program))


def is_follower() -> bool:
    """Return whether another worker of the job or pool speaks for this one."""
    return bool(name_follower(read_environ())) or (part_number(read_environ()) or 1) > 1

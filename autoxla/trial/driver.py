"""The trial of one model: a callable in the place of its ``train_function`` while the trial goes on.

A trial is in one of a few states, each a class with the data that only it has; `TRANSITIONS` says which
may follow which. The state gets each batch. Every batch trains the model once, whatever happens: one on
which the challenger fails is trained by Keras' own function.

Nothing that fails in here reaches the program: Keras' own function goes on. With the end of the fit the model
gets it back (`autoxla.trial.hooks`).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from statistics import fmean, median
from time import perf_counter, sleep
from typing import Any

import tensorflow as tf

from autoxla.cache import has_records
from autoxla.hooks.boundary import is_of_a_signal
from autoxla.hooks.finder import attempt
from autoxla.runtime import Runtime
from autoxla.situation.environment import read_environ
from autoxla.situation.hardware import count_cores
from autoxla.trial import economics
from autoxla.trial.background import begin_beside
from autoxla.trial.comparison import Pair, judge
from autoxla.trial.compilations import Compilations
from autoxla.trial.dataflow import Refused
from autoxla.trial.decisions import Decision, Decisions, PathName, Signature, decisions_folder
from autoxla.trial.economics import Prior, compile_seconds, is_worth_switching, pays, steps_expected
from autoxla.trial.eligibility import UNSEEDED, find_global_seed, find_obstacle, find_seed
from autoxla.trial.executables import (
    Dispatch,
    Executable,
    find_scope,
    is_supported,
    sign,
    synchronise,
)
from autoxla.trial.guards import Guard, replay
from autoxla.trial.report import Entry, differing, find_name, find_reason, given_up, switched, waiting
from autoxla.trial.steps import find_step
from autoxla.trial.survey import Survey, survey
from autoxla.trial.traces import for_xla, without_xla
from autoxla.trial.waits import Waits, find_remedy

#: Each state, and those that may follow it. From each, a fault leads to Retired.
TRANSITIONS = {
    "Watching": ("Watching", "Surveying", "Fetching", "Retired"),
    "Surveying": ("Watching", "Fetching", "Retired"),
    "Fetching": ("Watching", "Compiling", "Retired"),
    "Compiling": ("Racing", "Switched", "Retired"),
    "Racing": ("Switched", "Retired"),
    "Switched": ("Retired",),
    "Retired": (),
}
_FOLDER = os.path.dirname(__file__)  # noqa: PTH120 - compared with text
#: Steps that are no measure: the trace and what settles after it.
_WARM_UP = 2
#: The first look at the clock.
_FIRST_LOOK = 8
#: Steps whose median is what a step takes.
_WINDOW = 50
#: The last of them, for what lasts a moment.
_RECENT = 8
#: Batches are fetched by hand, to see how long they are waited for, in fits of so many times the shortest
#: training that is worth a trial: ten of them take some tenths of a second.
_LONG = 6
#: Seconds between two looks at whether XLA has compiled.
_POLL = 0.02
#: The outcome where a record has another winner.
_LOST = "an earlier run found the other path no faster"
#: Where so many of the last batches were none for XLA, it is given up: each costs more than a plain step.
_STRANGERS, _LAST = 4, 8


class State:
    """What is done with a batch while a trial is in this state: here, what Keras does."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    def run(self, iterator: Any) -> Any:
        """Train on the next batch of ``iterator``; return the logs."""
        return self.driver.stock(iterator)

    def end_fit(self) -> State:
        """Return the state that the next fit begins in."""
        return self


class Fit:
    """A call of ``fit``: what it was asked for, its steps so far, what they take, and how many are to come.

    `before`: the steps of earlier fits. `waits`: how long its steps wait for data, and `remedy` what helps
    then, empty where nothing does. `driver`: the trial in it, None where there is none; `compilations`
    counts those of a model whose program chose XLA.
    """

    def __init__(self, model: Any = None, arguments: Mapping[str, Any] | None = None) -> None:
        self.model = model
        self.driver: Driver | None = None
        self.compilations: Compilations | None = None
        self.before = self.step = 0
        self.times: deque[float] = deque(maxlen=_WINDOW)
        self.waits = Waits()
        asked = arguments or {}
        self.remedy = find_remedy(asked.get("x"))
        epochs, first = asked.get("epochs"), asked.get("initial_epoch")
        self._epochs = epochs - first if isinstance(epochs, int) and isinstance(first, int) else None
        # Of arrays, Keras takes 32 rows where it is not told.
        size, is_array = asked.get("batch_size"), hasattr(asked.get("x"), "__array__")
        self.batch_size = size if isinstance(size, int) else 32 if is_array else None
        callbacks = asked.get("callbacks")
        listed = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
        # Whatever number of epochs was asked for, it ends when that finds that it is enough.
        self._may_stop = any(type(each).__name__ == "EarlyStopping" for each in listed)

    @property
    def planned(self) -> int | None:
        """The steps that this fit is to have, None where that is not known."""
        history = getattr(self.model, "history", None)
        steps = (getattr(history, "params", None) or {}).get("steps")
        finished = len(getattr(history, "epoch", ()))
        if not isinstance(steps, int) and finished:
            steps = self.step / finished
        if self._may_stop or self._epochs is None or not isinstance(steps, int | float) or steps <= 0:
            return None
        return int(steps * self._epochs)

    @property
    def typical(self) -> float:
        """What a step takes."""
        return median(self.times)

    @property
    def left(self) -> int:
        """The steps still to come; a model that is fitted again and again is expected to be again."""
        return steps_expected(self.step, self.planned, self.before)


class Driver:
    """Calls ``stock``, or what is faster, with the iterators that ``fit`` hands out.

    `takes_seeded`: seeded programs have a trial, too. `seed`: where one was found.
    """

    def __init__(self, model: Any, stock: Any, session: Runtime) -> None:
        self.model, self.stock, self.session = model, stock, session
        self.fit = Fit()
        self.report = Entry(session)
        self.structure: Any = None
        self.incumbent: PathName = "xla" if getattr(model, "jit_compile", None) else "graph"
        self.challenger: PathName = "graph" if self.incumbent == "xla" else "xla"
        self.state: State = Watching(self)
        situation = session.situation
        self.takes_seeded = situation is not None and situation.settings.trial == "seeded"
        self.seed: str | None = None
        self._iterator: Any = None

    def open(self, fit: Fit) -> None:
        """Begin with ``fit``."""
        fit.before = self.fit.before + self.fit.step
        self.fit = fit
        if not isinstance(self.state, Watching) or self.state.known is not None:
            # What may have come since the trial began.
            if not self.takes_seeded and find_global_seed() is not None:
                self.end("nothing is switched in a program that is seeded (tf.random.set_seed)")
            elif (obstacle := find_obstacle(self.model, self.session)) is not None:
                self.end(f"nothing is switched any more: {obstacle}")

    def close(self) -> None:
        """End with the fit. What still compiles does so for the next one."""
        self.entry.update({"steps": self.fit.step} if self.entry else {})
        self._iterator = None
        following = self.state.end_fit()
        if following is not self.state:
            self.go(following)

    @property
    def is_final(self) -> bool:
        """Return whether nothing is left to find out, and Keras' own function is the best there is."""
        return isinstance(self.state, Retired)

    @property
    def entry(self) -> dict[str, object]:
        """What the report says of this trial, empty before it began."""
        return self.report.facts

    def __call__(self, iterator: Any) -> Any:
        """Run one step on the next batch of ``iterator``; return its logs."""
        try:
            is_plain = isinstance(iterator, tf.data.Iterator) and not tf.config.functions_run_eagerly()
            return self.state.run(iterator) if is_plain else self.stock(iterator)
        except BaseException as error:
            # The trial's frames come off the front of a traceback that the program is to see.
            trace = error.__traceback__
            while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_FOLDER):
                trace = trace.tb_next
            error.__traceback__ = trace or error.__traceback__
            raise

    def __getattr__(self, name: str) -> Any:
        """Look like the function whose place this takes, as TensorBoard's callback wants it."""
        if name == "stock":
            raise AttributeError(name)
        return getattr(self.stock, name)

    # What states do

    def go(self, state: State) -> None:
        """Change the state. Raises RuntimeError where `TRANSITIONS` does not have it."""
        old, new = type(self.state).__name__, type(state).__name__
        if new not in TRANSITIONS[old]:
            raise RuntimeError(f"a trial cannot go from {old} to {new}")
        self.state = state

    def guarded(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function of the trial's own; a fault in it ends the trial and nothing else."""
        attempt("trial", function, *arguments, otherwise=self.retire)

    def retire(self) -> None:
        """Be over, whatever the state is. Not by `go`: what failed may be that."""
        self.state = Retired(self)

    def end(self, outcome: str) -> None:
        """End the trial for good, and note why."""
        self.report.begin(model=find_name(self.model), incumbent=self.incumbent, challenger=self.challenger)
        self.entry.update(outcome=outcome, ended_at=self.fit.step)
        if isinstance(self.state, Switched):
            self.session.add_finding(given_up(outcome, self.fit.step))
        self.retire()

    def rest(self, known: Survey | None) -> None:
        """Watch on; for this fit look no more, unless nobody knows how long it will be."""
        self.go(Watching(self, known, 2 * self.fit.step if self.fit.planned is None else inf))

    def run_stock(self, iterator: Any) -> Any:
        """Run Keras' own function, and note the time; of a batch that is due, how long it was waited for."""
        begin, fit = perf_counter(), self.fit
        if begin >= fit.waits.due and fit.step >= fit.waits.due_at:
            return self._run_sample(iterator, begin)
        logs = self.stock(iterator)
        took = perf_counter() - begin
        fit.times.append(took)
        fit.step += 1
        attempt("trial", self.report.sample, fit.step, self.incumbent, took)
        return logs

    def _run_sample(self, iterator: Any, begin: float) -> Any:
        """Train by Keras' own function on a batch that is fetched by hand."""
        batch = self.fetch(iterator)
        waited = perf_counter() - begin
        if batch is None:
            return self.stock(iterator)
        logs = self.replay(iterator, batch)
        attempt("trial", self._note_wait, waited)
        return logs

    def _note_wait(self, seconds: float) -> None:
        """Note that a step waited for so long; say it, once in a process, where that is most of its time."""
        fit = self.fit
        fit.waits.note(seconds, fmean(tuple(fit.times)[-_RECENT:]), fit.step)
        found = fit.waits.find_long(fit.left)
        if found is not None:
            fit.waits.due = inf
            if all(finding.code != "AX707" for finding in self.session.findings):
                self.session.add_finding(waiting(*found, fit.remedy))

    def begin_sampling(self) -> None:
        """Look from now on how long steps wait for data, where a batch can be handed to Keras' function."""
        is_plain = all(isinstance(spec, tf.TensorSpec) for spec in tf.nest.flatten(self.structure))
        is_long = self.fit.typical * self.fit.left >= _LONG * economics.SHORTEST
        if self.fit.remedy and is_plain and is_long:
            self.fit.waits.due = min(self.fit.waits.due, perf_counter())

    def fetch(self, iterator: Any) -> Sequence[Any] | None:
        """Return the tensors of the next batch.

        None where Keras' own function has to take it: ``iterator`` gives other data than was traced, or is at
        its end. There the function does what it does at the end of data, and raises what it raises.
        """
        if iterator is not self._iterator:
            if iterator.element_spec != self.structure:
                return None
            self._iterator = iterator
        try:
            batch: Sequence[Any] = tf.nest.flatten(iterator.get_next())
        except tf.errors.OutOfRangeError:
            return None
        return batch

    def replay(self, iterator: Any, batch: Sequence[Any]) -> Any:
        """Train on ``batch``, which was taken from ``iterator``, by Keras' own function."""
        logs = replay(self.stock, iterator, batch)
        self.fit.step += 1
        return logs

    def keep(self, known: Survey, facts: dict[str, object]) -> None:
        """Write a record, beside training: a cache may lie on a disk that hangs."""
        about = {"program": self.session.program or "", "model": find_name(self.model)}
        facts = {**about, "nodes": known.nodes, **facts}
        begin_beside(partial(self.decisions().keep, known.key, facts))

    def keep_failure(self, known: Survey, error: Exception) -> str:
        """Write a record of what XLA cannot do, unless memory is short only today; return the reason."""
        reason = find_reason(error)
        if not isinstance(error, tf.errors.ResourceExhaustedError | tf.errors.CancelledError):
            self.keep(known, {"failed": reason})
        return reason

    def decisions(self) -> Decisions:
        """Return what this machine knows of steps."""
        situation = self.session.situation
        versions = {} if situation is None else dict(situation.versions)
        return Decisions(decisions_folder(read_environ()), versions)


class Watching(State):
    """Keras' own function trains, and the clock is looked at.

    `known`: what was found out about the step in an earlier state. `look_at`: the step of the next look,
    which is not before `_FIRST_LOOK`.
    """

    def __init__(self, driver: Driver, known: Survey | None = None, look_at: float = 0) -> None:
        super().__init__(driver)
        self.known = known
        self._look_at = max(_FIRST_LOOK, look_at)

    def run(self, iterator: Any) -> Any:
        """Train, and look whether a trial may pay."""
        driver = self.driver
        logs = driver.run_stock(iterator)
        if driver.fit.step <= _WARM_UP:
            driver.fit.times.clear()
            if iterator.element_spec != driver.structure:
                # Other data than in an earlier fit: what was found out is of another trace.
                driver.structure, self.known = iterator.element_spec, None
            if driver.takes_seeded and driver.fit.step == 1:
                driver.guarded(self._follow_record)
        elif driver.fit.step >= self._look_at:
            self._look_at = 2 * driver.fit.step
            driver.guarded(self._look)
        return logs

    def end_fit(self) -> State:
        """Go on watching."""
        return Watching(self.driver, self.known)

    def _look(self) -> None:
        driver = self.driver
        if self.known is not None:
            driver.begin_sampling()
            consider(driver, self.known)
        elif driver.fit.typical * driver.fit.left < economics.SHORTEST:
            driver.rest(None)
        elif find_obstacle(driver.model, driver.session) is not None:
            driver.go(Retired(driver))
        else:
            driver.begin_sampling()
            driver.go(Surveying(driver))

    def _follow_record(self) -> None:
        """Take the path of an earlier run's record at a step that is the same in each run.

        What the clock says of this run has no part in it: all runs with the record are equal.
        """
        driver, fit = self.driver, self.driver.fit
        is_known = has_records(decisions_folder(read_environ()))
        if not is_known or find_obstacle(driver.model, driver.session) is not None:
            return
        try:
            known = self.known = self.known or look_at_step(driver)
        except Refused as refused:
            driver.end(str(refused))
            return
        decision = known.decision
        if decision is None:
            return
        gain = (decision.graph_s or 0.0) - (decision.xla_s or 0.0)
        gain = gain if driver.challenger == "xla" else -gain
        is_winner = decision.winner == driver.challenger
        # By the formula alone: what the compiles of other programs took may change from run to run.
        if is_winner and gain * (fit.planned or inf) < compile_seconds(known.nodes):
            driver.go(Watching(driver, known, inf))
            return
        begin_report(driver, known)
        if is_winner:
            driver.go(Fetching(driver, known, at_once=True))
        else:
            driver.end(_LOST)


class Surveying(State):
    """Keras' own function trains; a thread looks for a seed, then at the step."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        self._job = begin_beside(partial(look_at_step, driver))

    def run(self, iterator: Any) -> Any:
        """Train, and look whether the thread is done."""
        logs = self.driver.run_stock(iterator)
        if self._job.done():
            self.driver.guarded(self._go_on)
        return logs

    def end_fit(self) -> State:
        """Begin anew: the next fit may be of other data."""
        return Watching(self.driver)

    def _go_on(self) -> None:
        try:
            consider(self.driver, self._job.result())
        except Refused as refused:
            self.driver.end(str(refused))


class Fetching(State):
    """One batch is fetched by hand, for the shapes of which the challenger is to be made.

    ``at_once``: training waits for the challenger, which a record says is faster.
    """

    def __init__(self, driver: Driver, known: Survey, *, at_once: bool = False) -> None:
        super().__init__(driver)
        self._known = known
        self._at_once = at_once

    def run(self, iterator: Any) -> Any:
        """Train on one batch. What hangs on shapes alone is checked by that for all batches of them."""
        batch = self.driver.fetch(iterator)
        if batch is None:
            return self.driver.stock(iterator)
        logs = self.driver.replay(iterator, batch)
        self.driver.guarded(self._go_on, batch)
        return logs

    def end_fit(self) -> State:
        """Wait for another fit that is long enough."""
        return Watching(self.driver, self._known)

    def _go_on(self, batch: Sequence[Any]) -> None:
        driver, known = self.driver, self._known
        if not known.guard.is_within(batch):
            driver.end("TensorFlow has to check the first batch")
        elif not self._at_once:
            driver.go(Compiling(driver, known, batch))
        elif known.decision is None or known.decision.batch != sign(batch):
            driver.end("the batches of an earlier run were of another shape")
        else:
            compiling = Compiling(driver, known, batch)
            driver.go(compiling)
            compiling.wait()


@dataclass
class Challenger:
    """What the race is run with.

    `compiled` runs the step on the challenger's path, `usual` on the incumbent's, both for batches of
    `signature`; `guard` tells whether the challenger may have a batch.
    """

    compiled: Executable
    usual: Executable
    guard: Guard
    signature: Signature


class Compiling(State):
    """Keras' own function trains. A thread makes the challenger, one of TensorFlow's own compiles it.

    It does so on copies of the variables.
    """

    def __init__(self, driver: Driver, known: Survey, batch: Sequence[Any]) -> None:
        super().__init__(driver)
        self._known = known
        signature, decision = sign(batch), known.decision
        #: What an earlier run found for batches like these.
        self._decision = decision if decision is not None and decision.batch == signature else None
        self._poll_at = 0.0
        self._job = begin_beside(partial(self._make_challenger, batch, signature, find_scope()))

    def run(self, iterator: Any) -> Any:
        """Train, and look now and then whether XLA is done."""
        driver = self.driver
        logs = driver.run_stock(iterator)
        now = perf_counter()
        if self._job.done() and now >= self._poll_at and driver.fit.step > _WARM_UP:
            self._poll_at = now + _POLL
            driver.guarded(self._poll)
        return logs

    def wait(self) -> None:
        """Wait until XLA is done, or has failed."""
        while self.driver.state is self:
            self._poll()
            sleep(_POLL)

    def end_fit(self) -> State:
        """Compile on."""
        self.driver.entry["outcome"] = "the fit ended before XLA had compiled the step"
        return self

    def _make_challenger(
        self, batch: Sequence[Any], signature: Signature, scope: Any
    ) -> tuple[Challenger, list[Dispatch]]:
        concrete, is_for_xla = self._known.concrete, self.driver.challenger == "xla"
        with scope:
            made = for_xla(concrete, batch) if is_for_xla else without_xla(concrete, len(batch))
            if not is_supported(made):
                raise Refused("XLA's function captures what cannot be copied")
            compiled, usual = (Executable(each, each.captured_inputs) for each in (made, concrete))
            # The first run of the incumbent by hand is slow, too; not needed where no race is to come.
            first = [made] if self._decision is not None or not is_for_xla else [made, concrete]
            challenger = Challenger(compiled, usual, self._known.guard, signature)
            return challenger, [Dispatch(each, batch) for each in first]

    def _poll(self) -> None:
        driver = self.driver
        try:
            challenger, waiting = self._job.result()
            is_done = all(dispatch.poll() for dispatch in waiting)
        except Refused as refused:
            driver.end(str(refused))
            return
        except (tf.errors.OpError, ValueError) as error:  # ValueError: what TensorFlow raises as it traces
            if is_of_a_signal(error):
                raise
            driver.end(f"XLA cannot compile the step: {driver.keep_failure(self._known, error)}")
            return
        if is_done:
            driver.entry.update(compile_s=round(waiting[0].seconds or 0.0, 4), compiled_at=driver.fit.step)
            if self._decision is not None:
                switch(driver, self._known, challenger, "AX704", self._decision)
            else:
                driver.go(Racing(driver, self._known, challenger))
                if driver.seed is not None:
                    driver.session.add_finding(differing(driver.seed))


class ByHand(State):
    """Batches are fetched by hand, for executables that are not Keras' own function."""

    def __init__(self, driver: Driver, known: Survey, challenger: Challenger) -> None:
        super().__init__(driver)
        self._known = known
        self._challenger = challenger
        self._were_strangers: deque[bool] = deque(maxlen=_LAST)

    def run(self, iterator: Any) -> Any:
        """Train on the next batch, by Keras where it is not for others."""
        batch = self.driver.fetch(iterator)
        if batch is None:
            self.driver.guarded(self._challenger.guard.forget)
            return self.driver.stock(iterator)
        # A batch of another shape is looked at, too: a NaN in it stays in the weights.
        passes = attempt("trial", self._challenger.guard, batch)
        is_stranger = not passes or attempt("trial", sign, batch) != self._challenger.signature
        self._were_strangers.append(is_stranger)
        if not is_stranger:
            return self._train(iterator, batch)
        if sum(self._were_strangers) >= _STRANGERS:
            outcome = "too many batches are of another shape, or TensorFlow has to check them"
            self.driver.guarded(self.driver.end, outcome)
        return self.driver.replay(iterator, batch)

    def end_fit(self) -> State:
        """Go on in the next fit."""
        self.driver.guarded(self._challenger.guard.forget)
        return self.driver.state

    def _train(self, iterator: Any, batch: Sequence[Any]) -> Any:
        """Train by the challenger; where it fails, by Keras' own function on the same batch, for good."""
        try:
            logs = self._challenger.compiled(batch)
        except Exception as error:
            if is_of_a_signal(error):
                raise
            failure = error  # where it is the step's own, Keras raises it, too
        else:
            self.driver.fit.step += 1
            return logs
        logs = self.driver.replay(iterator, batch)
        told = attempt("trial", self.driver.keep_failure, self._known, failure)
        self.driver.guarded(self.driver.end, f"the step failed under XLA: {told}")
        return logs


class Racing(ByHand):
    """The two paths take turns at real batches. The order changes from pair to pair."""

    def __init__(self, driver: Driver, known: Survey, challenger: Challenger) -> None:
        super().__init__(driver, known, challenger)
        self._pairs: list[Pair] = []
        self._half: float | None = None
        self._turn = -2  # the first turn of each is no measure

    def end_fit(self) -> State:
        """Race on: half a pair does not count."""
        self._half = None
        self._turn += self._turn % 2
        return super().end_fit()

    def _train(self, iterator: Any, batch: Sequence[Any]) -> Any:
        driver = self.driver
        is_challenger = self._turn % 4 in (0, 3)
        begin = perf_counter()
        if is_challenger:
            logs = super()._train(iterator, batch)
        else:
            logs = self._challenger.usual(batch)
            driver.fit.step += 1
        driver.guarded(synchronise, logs)
        driver.guarded(self._note, is_challenger, perf_counter() - begin)
        return logs

    def _note(self, is_challenger: bool, took: float) -> None:
        driver = self.driver
        self._turn += 1
        driver.report.sample(driver.fit.step, driver.challenger if is_challenger else driver.incumbent, took)
        if driver.is_final or self._turn <= 0:
            return
        if self._half is None:
            self._half = took
            return
        self._pairs.append((self._half, took) if is_challenger else (took, self._half))
        self._half = None
        verdict, entry = judge(self._pairs), driver.entry
        if verdict.winner is None:
            return
        incumbent, challenger = (median(side) for side in zip(*self._pairs, strict=True))
        graph, xla = (incumbent, challenger) if driver.challenger == "xla" else (challenger, incumbent)
        winner = driver.challenger if verdict.winner == "challenger" else driver.incumbent
        facts = {
            "winner": winner, "graph_ms": round(graph * 1e3, 4), "xla_ms": round(xla * 1e3, 4),
            "ratio": round(verdict.ratio, 4), "pairs": verdict.pairs,
            "interval": [round(verdict.low, 4), round(verdict.high, 4)] if verdict.low > 0 else None,
        }  # fmt: skip
        entry.update(facts, decided_at=driver.fit.step)
        batch = [list(shape) for shape in self._challenger.signature]
        driver.keep(self._known, {**facts, "compile_s": entry.get("compile_s"), "batch": batch})
        if winner == driver.challenger and is_worth_switching(incumbent, challenger, driver.fit.left):
            switch(driver, self._known, self._challenger, "AX701", Decision(winner, graph, xla))
        else:
            driver.end(f"{driver.incumbent} kept")


class Switched(ByHand):
    """The challenger trains."""


class Retired(State):
    """Keras' own function trains, for good."""

    def run(self, iterator: Any) -> Any:
        """Train; the clock is needed only while it is looked how long steps wait for data."""
        driver = self.driver
        return driver.run_stock(iterator) if driver.fit.waits.due < inf else driver.stock(iterator)


# What several states do


def look_at_step(driver: Driver) -> Survey:
    """Return what is known of the step before anything is compiled. Raises Refused where it stays so."""
    driver.seed = find_seed(driver.model, driver.session)
    if driver.seed is not None and not driver.takes_seeded:
        raise Refused(f"nothing is switched in a program that is seeded ({driver.seed})")
    concrete = find_step(driver.stock, driver.structure)
    if concrete is None:
        raise Refused("the traced step is not found, or takes more than plain tensors")
    shapes = [str(spec.shape) for spec in tf.nest.flatten(driver.structure)]
    known = survey(concrete, shapes, driver.fit.batch_size, driver.decisions())
    unseeded = sorted(UNSEEDED & known.operations)
    if driver.seed is not None and unseeded:
        raise Refused(f"XLA takes no seed for {unseeded[0]} in this seeded program")
    return known


def consider(driver: Driver, known: Survey) -> None:
    """Begin the trial proper, end it, or leave it for this fit, by what is known of the step."""
    decision, fit, prior = known.decision, driver.fit, known.prior
    if decision is not None and decision.graph_s and decision.xla_s:
        prior = Prior(1.0, min(1.0, decision.xla_s / decision.graph_s))
    has_lost = decision is not None and decision.winner != driver.challenger
    if decision is not None and driver.takes_seeded:
        # It was followed in front of the second step, or is not worth it.
        driver.rest(known)
        return
    if driver.challenger == "graph":
        is_worth = fit.typical * fit.left >= economics.SHORTEST
    else:
        is_worth = pays(fit.typical, fit.left, known.compile_s, prior, count_cores())
    if not has_lost and not is_worth:
        driver.rest(known)
        return
    begin_report(driver, known, observed_ms=round(fit.typical * 1e3, 4))
    if has_lost:
        driver.end(_LOST)
    else:
        driver.go(Fetching(driver, known))


def begin_report(driver: Driver, known: Survey, **facts: object) -> None:
    """Put the trial into the report, now that one begins."""
    driver.report.begin(
        model=find_name(driver.model), incumbent=driver.incumbent, challenger=driver.challenger,
        nodes=known.nodes, key=known.key, began_at=driver.fit.step,
        expected_compile_s=round(known.compile_s, 3), **facts,
    )  # fmt: skip


def switch(driver: Driver, known: Survey, challenger: Challenger, code: str, decision: Decision) -> None:
    """Let the challenger train from now on, and say so."""
    driver.go(Switched(driver, known, challenger))
    driver.entry.setdefault("winner", driver.challenger)
    outcome = f"switched to {driver.challenger}"
    driver.entry.update(outcome=outcome, switched_at=driver.fit.step)
    driver.session.add_finding(switched(code, driver.challenger, decision, driver.fit.step))

"""The trial of one model: a callable in the place of its ``train_function`` while the trial goes on.

Until something is worth trying it calls Keras' own function and looks at the clock. Then, with training
going on as before: a survey of the traced step beside training; one batch fetched by hand; the compile
beside training; a race on real batches; and the winner. Every batch trains the model once, whatever
happens: a challenger that fails is replayed on the incumbent.

Nothing that fails in here reaches the program: the model gets its own function back.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

from autoxla.facts import Finding, Place
from autoxla.hooks import finder
from autoxla.session import Session
from autoxla.situation.machine import count_cores
from autoxla.trial import economics
from autoxla.trial.background import Background, free_memory
from autoxla.trial.comparison import Pair, Verdict, judge
from autoxla.trial.dataflow import Refused
from autoxla.trial.decisions import Decision, Decisions, PathName, decisions_folder, measured
from autoxla.trial.economics import (
    CostModel,
    Prior,
    expect,
    fit_costs,
    is_worth_switching,
    pays,
    steps_expected,
)
from autoxla.trial.eligibility import find_global_seed, find_obstacle, find_seed
from autoxla.trial.executables import (
    Copies,
    Dispatch,
    Executable,
    Signature,
    bytes_captured,
    compile_trace,
    is_supported,
    sign,
    synchronise,
)
from autoxla.trial.forward import Forward
from autoxla.trial.graph import Graph, describe
from autoxla.trial.guards import Guards, examine, replay
from autoxla.trial.steps import Step, find_step, needs_trace, trace_compiled, trace_plain

#: Why there is no trial where the step would be traced again.
_RETRACE = "{} needs another trace of the step, which would read the program's Python state a second time"
#: How lines of TensorFlow's messages begin that give no reason.
_NO_REASONS = ("File ", "Stack trace", "Exception originated", "[[", "Encountered when", "tf2xla conversion")
_FOLDER = os.path.dirname(__file__)  # noqa: PTH120 - compared with text
#: Steps that are no measure: the trace and what settles after it.
_WARM_UP = 2
#: The first look at the clock.
_FIRST_LOOK = 8
#: Steps that a change of load is judged by, by how much it must differ, and how often it counts.
_WINDOW, _DRIFT, _LOOKS = 50, 1.3, 3
#: A challenger whose steps take this much longer has lost, give or take what a first run costs.
_HOPELESS, _SETTLING = 3.0, 0.05
#: So many of them end the race. One alone may be a hiccup of the machine.
_HOPELESS_STEPS = 2
#: Seconds between two looks at whether XLA has compiled.
_POLL = 0.02
#: Runs on copies where only these are allowed.
_SHADOWS = 3
#: Shapes beyond the compiled one in a fit before XLA is given up for it.
_STRANGERS = 4
#: A graph that won by less than this may lose under another load.
_NEAR = 1.1
#: What is expected of a step that is not traced yet.
_UNKNOWN = Prior(0.6, 0.75)
#: How many trials of a process keep the times of single steps for the report, and how many each.
_SAMPLED, _SAMPLES = 50, 2000
#: Copies may take this share of the memory that is free, of which a compile wants so many bytes besides:
#: XLA ends the process where it gets none.
_SHARE, _ROOM = 0.25, 1 << 30


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of a step before anything is compiled. `guards` is a text where XLA must not run it."""

    graph: Graph
    guards: Guards | str
    key: str
    decision: Decision | None
    prior: Prior
    compile_s: float
    fits: bool


class Driver:
    """Calls ``stock``, or what is faster, with the iterators that ``fit`` hands out.

    `planned` gives the steps that the fit under way is to have, None where unknown.
    """

    def __init__(self, model: Any, stock: Any, session: Session) -> None:
        import tensorflow as tf

        self.stock = stock
        self.entry: dict[str, object] = {}
        self._model = model
        self._session = session
        self._iterators = tf.data.Iterator
        self._flatten = tf.nest.flatten
        self._incumbent: PathName = "xla" if getattr(model, "jit_compile", None) else "graph"
        self._challenger: PathName = "graph" if self._incumbent == "xla" else "xla"
        self._run: Callable[[Any], Any] = self._watch
        self._is_final = False
        self._structure: Any = None
        self._iterator: Any = None
        self._planned: Callable[[int], int | None] = lambda _: None
        self._batch_size: int | None = None
        self._before = 0
        self._first_s = 0.0
        self._seed: str | None = None
        self._poll_at = 0.0
        self._batch: Sequence[Any] = ()
        self._signature: Signature = ()
        self._half: float | None = None
        self._survey: Survey | None = None
        self._tried_forward = self._forward_first = False
        self._awaited: list[tuple[Any, Callable[[Any], None], Callable[[Exception], None]]] = []
        self._reference: float | None = None
        self._begin()

    def _begin(self) -> None:
        self.step = 0
        self._look_at = _FIRST_LOOK
        self._times: deque[float] = deque(maxlen=_WINDOW)
        self._job: tuple[Background[Any], Callable[[Background[Any]], None]] | None = None
        self._strangers: set[Signature] = set()
        self._looks = 0

    # The fit

    def open(self, planned: Callable[[int], int | None], batch_size: int | None) -> None:
        """Begin with a fit. ``planned`` is called with the steps done so far."""
        self._planned, self._batch_size = planned, batch_size
        self._before += self.step
        self._begin()
        if self._survey is not None and self._seed is None and find_global_seed() is not None:
            # Set since the trial began: from now on the program is one that is to repeat.
            self._seed, self._is_final = "tf.random.set_seed", True

    @property
    def is_final(self) -> bool:
        """Return whether nothing is left to find out, and Keras' own function is the best there is."""
        return self._is_final

    def close(self) -> None:
        """End with the fit. What still compiles does so for the next one."""
        if self.entry:
            self.entry["steps"] = self.step
            if self._run == self._watch_compile:
                self.entry["outcome"] = "the fit ended before XLA had compiled the step"
        if self._run in (self._watch_job, self._fetch):
            self._run = self._watch
        if self._run == self._race:
            self._half = None
        self._job = self._iterator = None

    def __call__(self, iterator: Any) -> Any:
        """Run one step on the next batch of ``iterator``; return its logs."""
        try:
            if not isinstance(iterator, self._iterators):
                return self.stock(iterator)
            return self._run(iterator)
        except BaseException as error:
            _leave_no_frames(error)
            raise

    def __getattr__(self, name: str) -> Any:
        """Look like the function whose place this takes, as TensorBoard's callback wants it."""
        if name == "stock":
            raise AttributeError(name)
        return getattr(self.stock, name)

    # Looking at the clock

    def _run_stock(self, iterator: Any) -> Any:
        begin = perf_counter()
        logs = self.stock(iterator)
        self._times.append(perf_counter() - begin)
        self.step += 1
        return logs

    def _watch(self, iterator: Any) -> Any:
        logs = self._run_stock(iterator)
        if self.step <= _WARM_UP:
            self._warm_up(iterator)
        elif self.step >= self._look_at:
            self._guarded(self._look)
        return logs

    def _warm_up(self, iterator: Any) -> None:
        if iterator.element_spec != self._structure:
            # Other data than in an earlier fit: what was found out is of another trace.
            self._survey, self._tried_forward = None, False
            self._structure = iterator.element_spec
        self._first_s = max(self._first_s, self._times[-1])
        self._times.clear()

    def _watch_job(self, iterator: Any) -> Any:
        logs = self._run_stock(iterator)
        self._sample_time(self._incumbent, self._times[-1])
        if self._job is not None and self._job[0].done:
            (job, then), self._job = self._job, None
            self._run = self._watch
            self._guarded(then, job)
        return logs

    def _watch_compile(self, iterator: Any) -> Any:
        logs = self._run_stock(iterator)
        self._sample_time(self._incumbent, self._times[-1])
        now = perf_counter()
        if now >= self._poll_at and self.step > _WARM_UP:
            self._guarded(self._poll)
            self._poll_at = now + _POLL
        return logs

    def _poll(self) -> None:
        (dispatch, then, otherwise), is_done = self._awaited[0], False
        try:
            is_done = dispatch.poll()
        except Exception as error:  # noqa: BLE001 - XLA has many ways to say no
            self._stop_waiting()
            otherwise(error)
        if is_done:
            self._stop_waiting()
            then(dispatch)

    def _stop_waiting(self) -> None:
        # What was waited for holds copies of the variables.
        self._awaited.clear()
        self._run = self._watch

    def _wait_for(
        self, dispatch: Any, then: Callable[[Any], None], otherwise: Callable[[Exception], None]
    ) -> None:
        """Train on until ``dispatch`` has run, then call ``then`` with it, or ``otherwise`` if it failed."""
        self._awaited = [(dispatch, then, otherwise)]
        self._poll_at = 0.0
        self._run = self._watch_compile

    def _start(self, work: Callable[[], Any], then: Callable[[Background[Any]], None]) -> None:
        self._job, self._run = (Background(work), then), self._watch_job

    def _look(self) -> None:
        if self._is_final:
            return
        self._look_at = 2 * self.step
        planned = self._planned(self.step)
        if self._survey is not None:
            self._consider()
            return
        if self._typical() * self._left() < economics.SHORTEST:
            if planned is not None:
                self._rest()
            return
        obstacle = find_obstacle(self._model, self._session)
        if obstacle is not None:
            self._retire()
            return
        self._start(partial(find_seed, self._model, self._session), self._check_seed)

    def _typical(self) -> float:
        return median(self._times)

    def _left(self) -> int:
        """Return the steps still to come; a model that is fitted again and again is expected to be again."""
        return steps_expected(self.step, self._planned(self.step), self._before)

    # Before anything is compiled

    def _check_seed(self, job: Background[str | None]) -> None:
        self._seed = "unknown" if job.error is not None else job.result
        if needs_trace(self._model) or self._challenger == "graph":
            self._enter()
            self._end(_RETRACE.format("Keras 2" if needs_trace(self._model) else "the plain graph"))
            return
        step = find_step(self._model, self.stock, self._structure)
        if step is None:
            self._retire()
            return
        self._traced = step
        self._usual = Executable(step.concrete)
        self._usual.check()
        self._decisions = Decisions(decisions_folder(os.environ), _versions(self._session))
        definition = step.concrete.graph.as_graph_def()
        rows = str(self._batch_size)
        work = partial(survey, step, definition, self._decisions, [_device(step), rows])
        self._start(work, self._weigh)

    def _weigh(self, job: Background[Survey]) -> None:
        if job.result is None:
            raise job.error or RuntimeError("no survey")
        self._survey = job.result
        self._consider()

    def _consider(self) -> None:
        known = self._known()
        if isinstance(known.guards, str):
            self._begin_entry()
            self._end(known.guards)
        elif self._seed is not None:
            self._consider_shadow(known)
        elif _is_lost(known.decision, self._challenger):
            self._begin_entry()
            self._end("an earlier run found the other path no faster")
        elif not known.fits:
            self._begin_entry()
            self._end("the memory that is free is too little for copies of the variables")
        elif (wants := self._wants_forward()) or self._is_worth_it():
            self._forward_first = wants
            self._begin_entry()
            self._run = self._fetch
        elif self._planned(self.step) is not None:
            self._rest()

    def _consider_shadow(self, known: Survey) -> None:
        """Time XLA beside a program that must not change: on copies, on a batch of zeros, if it is cheap."""
        batch = zeros(self._structure, self._batch_size)
        cheap = economics.is_cheap(self._typical(), self._left(), known.compile_s, count_cores())
        if known.decision is not None:
            self._begin_entry()
            self._say_what_could_be(known.decision)
        elif self._challenger == "xla" and batch and cheap and known.fits and _is_traced_for_xla(known.graph):
            self._begin_entry()
            self._compile(lambda: compile_trace(self._traced.concrete, batch), batch)
        elif self._planned(self.step) is not None:
            self._rest()

    # The forward half

    def _wants_forward(self) -> bool:
        """Return whether to try the forward half first: once, on a step that XLA takes as it is traced."""
        known, typical, left = self._known(), self._typical(), self._left()
        if self._tried_forward or self._challenger == "graph" or known.decision is not None:
            return False
        if known.graph.grows:
            return False
        return economics.pays_forward(typical, left, known.compile_s, known.prior, count_cores())

    def _try_forward(self, batch: Sequence[Any]) -> None:
        self._tried_forward, self._signature = True, sign(batch)
        try:
            forward = Forward(self._traced.concrete, batch)
        except ValueError:  # there is none to be cut out
            self._go_on(batch)
            return
        self._batch = batch
        self._wait_for(forward, self._weigh_forward, lambda _: self._go_on(batch))

    def _weigh_forward(self, forward: Forward) -> None:
        pairs = forward.race()
        plain, xla = (round(median(side) * 1e3, 4) for side in zip(*pairs, strict=True))
        self.entry.update(forward_ms={"graph": plain, "xla": xla}, forward_s=round(forward.seconds, 4))
        forward.release()
        prior = economics.expect_by_forward(pairs, self._known().prior)
        if prior is None:
            self._keep({"winner": self._incumbent, "forward_ms": self.entry["forward_ms"]})
            self._end(f"graph kept: the forward pass takes {xla:.3g} ms under XLA and {plain:.3g} ms without")
            return
        self._survey = replace(self._known(), prior=prior)
        self._go_on(self._batch)

    def _go_on(self, batch: Sequence[Any]) -> None:
        """Compile the whole step, if that still pays."""
        self._batch = ()
        if self._is_worth_it():
            self._make_challenger(batch)
            return
        self.entry["outcome"] = "XLA would not make up for its compile in the steps that are left"
        if self._planned(self.step) is not None:
            self._rest()

    # The shadow of a seeded program

    def _time_shadow(self, batch: Sequence[Any]) -> None:
        """Run the compiled step on copies a few times; training waits that long."""
        shadow = Executable(self._compiled.concrete, Copies(self._compiled.concrete).captured)
        times = []
        for _ in range(_SHADOWS):
            begin = perf_counter()
            synchronise(shadow(batch))
            times.append(perf_counter() - begin)
        typical, fastest = self._typical(), min(times)
        winner: PathName = "xla" if fastest < typical else "graph"
        self._keep({**self._milliseconds(typical, fastest), "winner": winner, "shadow": True})
        self._say_what_could_be(Decision(winner, typical, fastest))

    def _say_what_could_be(self, decision: Decision) -> None:
        self._end(f"nothing is switched in a program that is seeded ({self._seed})")
        graph, xla = decision.graph_s, decision.xla_s
        if graph and xla and is_worth_switching(graph, xla, self._left()):
            self._session.add_finding(_could_be(graph, xla, str(self._seed), self._session.program))

    def _is_worth_it(self) -> bool:
        known = self._known()
        if self._challenger == "graph":
            return self._typical() * self._left() >= economics.SHORTEST
        prior = known.prior
        if known.decision is not None and known.decision.graph_s and known.decision.xla_s:
            prior = Prior(1.0, min(1.0, known.decision.xla_s / known.decision.graph_s), measured=True)
        retrace_s = economics.RETRACE * self._first_s if known.graph.grows else 0.0
        return self._pays(known.compile_s + retrace_s, prior)

    def _pays(self, compile_s: float, prior: Prior) -> bool:
        return pays(self._typical(), self._left(), compile_s, prior, count_cores())

    def _known_guards(self) -> Guards:
        guards = self._known().guards
        if isinstance(guards, str):
            raise TypeError(guards)
        return guards

    def _known(self) -> Survey:
        if self._survey is None:
            raise RuntimeError("the step was not surveyed")
        return self._survey

    # The challenger

    def _fetch(self, iterator: Any) -> Any:
        """Fetch one batch by hand, train on it, and let the challenger be made for its shape."""
        batch = self._next(iterator)
        if batch is None:
            return self.stock(iterator)
        logs = self._usual(batch)
        self.step += 1
        self._guarded(self._try_forward if self._forward_first else self._make_challenger, batch)
        return logs

    def _make_challenger(self, batch: Sequence[Any]) -> None:
        self._signature = sign(batch)
        known = self._known().decision
        if self._challenger == "graph":
            begin = perf_counter()
            self._compiled = Executable(trace_plain(self._traced))
            self.entry["retrace_s"] = round(perf_counter() - begin, 4)
            self._begin_race()
        elif self._known().graph.grows or (known is not None and known.retraced):
            self._compile_again(batch)
        else:
            self._compile(lambda: compile_trace(self._traced.concrete, batch), batch)

    def _compile_again(self, batch: Sequence[Any]) -> None:
        begin = perf_counter()
        self._compile(lambda: trace_compiled(self._traced), batch)
        self.entry["retrace_s"] = round(perf_counter() - begin, 4)

    def _compile(self, trace: Callable[[], Any], batch: Sequence[Any]) -> None:
        concrete = trace()
        if not is_supported(concrete):
            self._end("XLA's own trace captures what cannot be copied")
            return
        try:
            self._passes = self._known_guards().prepare(batch)
        except Refused as reason:
            self._end(str(reason))
            return
        self._compiled = Executable(concrete)
        self._batch = batch
        self._wait_for(Dispatch(concrete, batch), self._take_up, self._check_failure)

    def _check_failure(self, error: Exception) -> None:
        reason = _reason(error)
        self._keep_failure(error, reason)
        self._end(f"XLA cannot compile the step: {reason}")

    def _take_up(self, dispatch: Dispatch) -> None:
        known = self._known().decision
        self.entry["compile_s"] = round(dispatch.seconds or 0.0, 4)
        self.entry["compiled_at"] = self.step
        batch, self._batch = self._batch, ()
        if self._seed is not None:
            self._time_shadow(batch)
        elif known is not None and not known.shadow and known.batch == self._signature:
            self._reference = None
            self._pin("AX704", known)
        else:
            self._begin_race()

    # The race

    def _begin_race(self) -> None:
        self._compiled.check()
        self._usual_s = self._typical()
        self._slow = 0
        self._pairs: list[Pair] = []
        self._half = None
        self._turn = -2
        self._run = self._race

    def _race(self, iterator: Any) -> Any:
        batch = self._next(iterator)
        if batch is None:
            return self.stock(iterator)
        if not self._is_compiled_for(batch):
            return self._run_stranger(batch)
        # The order changes from pair to pair; the first turn of each is no measure.
        is_challenger = self._turn % 4 in (0, 3)
        begin = perf_counter()
        logs = self._challenge(batch) if is_challenger else self._usual(batch)
        self._guarded(synchronise, logs)
        took = perf_counter() - begin
        self.step += 1
        self._guarded(self._note_turn, is_challenger, took)
        return logs

    def _note_turn(self, is_challenger: bool, took: float) -> None:
        self._turn += 1
        self._sample_time(self._challenger if is_challenger else self._incumbent, took)
        if self._run != self._race:
            return
        if is_challenger and took > _HOPELESS * self._usual_s + _SETTLING:
            self._slow += 1
        if self._slow >= _HOPELESS_STEPS:
            self._keep({"winner": self._incumbent, **self._milliseconds(self._usual_s, took)})
            self._end(f"{self._incumbent} kept: steps of {self._challenger} take {took * 1e3:.3g} ms")
            return
        if self._turn <= 0:
            return
        if self._half is None:
            self._half = took
            return
        self._pairs.append((self._half, took) if is_challenger else (took, self._half))
        self._half = None
        verdict = judge(self._pairs)
        if verdict.winner is not None:
            self._decide(verdict)

    def _decide(self, verdict: Verdict) -> None:
        incumbent, challenger = (median(side) for side in zip(*self._pairs, strict=True))
        graph, xla = (incumbent, challenger) if self._challenger == "xla" else (challenger, incumbent)
        winner = self._challenger if verdict.winner == "challenger" else self._incumbent
        was_pinned = self.entry.pop("switched_at", None) if verdict.winner == "incumbent" else None
        facts = {"winner": winner, **measured(verdict, graph, xla)}
        self.entry.update(facts, decided_at=self.step)
        self._keep({**facts, "nodes": self._known().graph.nodes, "compile_s": self.entry.get("compile_s")})
        self._reference = challenger
        is_paid = "switched_at" in self.entry
        worth = is_paid or is_worth_switching(incumbent, challenger, self._left())
        if winner == self._challenger and worth:
            self._pin("AX701", Decision(winner, graph, xla))
        elif verdict.winner == "incumbent" and verdict.ratio < _NEAR:
            self.entry["outcome"] = f"{self._incumbent} kept"
            # Steps of Keras' own wait for data, too: their usual time is learned anew.
            self._reference = None
            self._run = self._settled
            self._times.clear()
        else:
            self._end(f"{self._incumbent} kept")
        if was_pinned is not None:
            self._session.add_finding(
                _switch("AX701", self._incumbent, Decision(winner, graph, xla), self.step)
            )

    # The winner

    def _pin(self, code: str, decision: Decision) -> None:
        self._compiled.check()
        self._times.clear()
        self._run = self._pinned
        if self.entry.get("switched_at") is not None:
            return  # a second look that found the same
        self.entry.setdefault("winner", self._challenger)
        self.entry.update(outcome=f"switched to {self._challenger}", switched_at=self.step)
        self._session.add_finding(_switch(code, self._challenger, decision, self.step))

    def _pinned(self, iterator: Any) -> Any:
        batch = self._next(iterator)
        if batch is None:
            return self.stock(iterator)
        if not self._is_compiled_for(batch):
            return self._run_stranger(batch)
        begin = perf_counter()
        logs = self._challenge(batch)
        self._times.append(perf_counter() - begin)
        self.step += 1
        if self.step >= self._look_at:
            self._guarded(self._look_again)
        return logs

    def _settled(self, iterator: Any) -> Any:
        logs = self._run_stock(iterator)
        if self.step >= self._look_at:
            self._guarded(self._look_again)
        return logs

    def _look_again(self) -> None:
        """Race anew when steps take another time than they did: the load may have changed the winner."""
        self._look_at = self.step + _WINDOW
        if len(self._times) < _WINDOW:
            return
        now = self._typical()
        path = self._challenger if self._run == self._pinned else self._incumbent
        self._sample_time(path, now)
        self._reference = self._reference or now
        drift = max(now, self._reference) / min(now, self._reference)
        if drift > _DRIFT and self._looks < _LOOKS and now * self._left() >= economics.SHORTEST:
            self._looks += 1
            self.entry["looks"] = self._looks
            self._begin_race()

    def _challenge(self, batch: Sequence[Any]) -> Any:
        """Run the challenger; where it fails, the incumbent on the same batch, and no challenger any more.

        A batch for which TensorFlow raises an error, and XLA would not, goes to Keras' own function.
        """
        if not self._passes(batch):
            return replay(self.stock, self._iterator, batch)
        try:
            return self._compiled(batch)
        except Exception as error:  # noqa: BLE001 - if it is the program's own, the incumbent raises it, too
            logs = self._usual(batch)
            self._guarded(self._give_up, error)
            return logs

    def _give_up(self, error: Exception) -> None:
        reason = _reason(error)
        self._keep_failure(error, reason)
        self._end(f"the step failed under XLA: {reason}")

    def _run_stranger(self, batch: Sequence[Any]) -> Any:
        """Run a batch of another shape on the incumbent, which takes any."""
        logs = self._usual(batch)
        self.step += 1
        self._guarded(self._note_stranger, batch)
        return logs

    def _is_compiled_for(self, batch: Sequence[Any]) -> bool:
        return finder.attempt("trial", sign, batch) == self._signature

    def _note_stranger(self, batch: Sequence[Any]) -> None:
        signature = sign(batch)
        if signature in self._strangers:
            return
        self._strangers.add(signature)
        if len(self._strangers) < _STRANGERS:
            return
        was_pinned = self._run == self._pinned
        self._end(f"{len(self._strangers) + 1} shapes of batches, each of which XLA would compile anew")
        if was_pinned:
            self._session.add_finding(_given_up(str(self.entry["outcome"]), self.step))

    def _next(self, iterator: Any) -> Sequence[Any] | None:
        """Return the tensors of the next batch, None where ``iterator`` gives other data than traced."""
        if iterator is not self._iterator:
            if iterator.element_spec != self._structure:
                return None
            self._iterator = iterator
        batch: Sequence[Any] = self._flatten(iterator.get_next())
        return batch

    # Ends and notes

    def _rest(self) -> None:
        """Give the model its own function back, for this fit at least."""
        self._run = self._watch
        if getattr(self._model, "train_function", None) is self:
            self._model.train_function = self.stock

    def _retire(self) -> None:
        """Give the model its own function back, for all its fits."""
        self._is_final = True
        self._rest()

    def _end(self, outcome: str) -> None:
        """Retire, and note why."""
        self.entry.update(outcome=outcome, ended_at=self.step)
        self._batch = ()
        self._retire()

    def _begin_entry(self) -> None:
        known = self._known()
        self.entry.update(
            nodes=known.graph.nodes, key=known.key, expected_compile_s=round(known.compile_s, 3)
        )
        self._enter()

    def _enter(self) -> None:
        self.entry.update(
            model=getattr(self._model, "name", type(self._model).__name__),
            incumbent=self._incumbent,
            challenger=self._challenger,
            began_at=self.step,
            observed_ms=round(self._typical() * 1e3, 4),
            # Not of all: thousands of models may be trained in one process.
            samples=[] if len(self._session.trials) < _SAMPLED else None,
        )
        if not any(entry is self.entry for entry in self._session.trials):
            self._session.trials.append(self.entry)

    def _sample_time(self, path: PathName, seconds: float) -> None:
        samples = self.entry.get("samples")
        if isinstance(samples, list) and len(samples) < _SAMPLES:
            samples.append([self.step, path, round(seconds * 1e3, 4)])

    def _milliseconds(self, incumbent: float, challenger: float) -> dict[str, object]:
        names = {"graph": "graph_ms", "xla": "xla_ms"}
        facts: dict[str, object] = {
            names[self._incumbent]: round(incumbent * 1e3, 4),
            names[self._challenger]: round(challenger * 1e3, 4),
            "nodes": self._known().graph.nodes,
            "compile_s": self.entry.get("compile_s"),
        }
        self.entry.update(facts, winner=self._incumbent)
        return facts

    def _keep(self, facts: dict[str, object]) -> None:
        """Write a record, beside training: a cache may lie on a disk that hangs."""
        about = {"program": self._session.program or "", "model": self.entry.get("model", "")}
        retraced = {"retraced": True} if "retrace_s" in self.entry else {}
        batch = {"batch": [list(shape) for shape in self._signature]}
        Background(partial(self._decisions.keep, self._known().key, {**about, **facts, **retraced, **batch}))

    def _keep_failure(self, error: Exception, reason: str) -> None:
        import tensorflow as tf

        # What was short today need not be tomorrow.
        if not isinstance(error, tf.errors.ResourceExhaustedError | tf.errors.CancelledError):
            self._keep({"failed": reason, "nodes": self._known().graph.nodes})

    def _guarded(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function of the trial's own; a fault in it ends the trial and nothing else."""
        finder.attempt("trial", function, *arguments, otherwise=self._retire)


def survey(step: Step, definition: Any, decisions: Decisions, circumstances: Sequence[str]) -> Survey:
    """Return what is known of ``step`` before anything is compiled: for a thread beside training.

    ``circumstances`` are the device and the rows of a batch, as far as the call of ``fit`` tells them.
    """
    graph = describe(step.concrete, definition)
    # The graph knows its variables by their handles only; they come in no particular order.
    variables = sorted(f"{v.dtype.name}{v.shape}" for v in step.concrete.variables)
    shapes = [str(spec.shape) for spec in _flat(step.structure)] + variables
    key = decisions.key(graph.digest, shapes, circumstances)
    costs: CostModel = fit_costs(decisions.compiles())
    free = free_memory()
    fits = free is None or (free > _ROOM and bytes_captured(step.concrete) < _SHARE * free)
    return Survey(
        graph,
        _find_guards(step, graph, definition),
        key,
        decisions.find(key),
        expect(graph.operations),
        costs.compile_seconds(graph.nodes),
        fits,
    )


def _find_guards(step: Step, graph: Graph, definition: Any) -> Guards | str:
    if graph.foreign is not None:
        return f"XLA has no code for {graph.foreign}"
    guards = examine(step.concrete, definition)
    if graph.grows and not isinstance(guards, str):
        return _RETRACE.format("a loop that keeps lists")
    return guards


def _flat(structure: Any) -> list[Any]:
    import tensorflow as tf

    flat: list[Any] = tf.nest.flatten(structure)
    return flat


def zeros(structure: Any, rows: int | None) -> list[Any] | None:
    """Return zeros for ``structure``, with ``rows`` where a batch's size is open; None if more is open."""
    import tensorflow as tf

    shapes = [[rows if n is None and i == 0 else n for i, n in enumerate(s.shape)] for s in _flat(structure)]
    if any(size is None for shape in shapes for size in shape):
        return None
    return [tf.zeros(shape, spec.dtype) for shape, spec in zip(shapes, _flat(structure), strict=True)]


def _device(step: Step) -> str:
    variables = step.concrete.variables
    return str(variables[0].device).rpartition("/")[2] if variables else ""


def _versions(session: Session) -> dict[str, tuple[int, ...]]:
    return {} if session.situation is None else dict(session.situation.versions)


def _switch(code: str, path: PathName, decision: Decision, step: int) -> Finding:
    times = ""
    if decision.graph_s and decision.xla_s:
        new, old = decision.xla_s, decision.graph_s
        if path == "graph":
            new, old = old, new
        times = f" in {new * 1e3:.3g} ms instead of {old * 1e3:.3g} ms"
    name = {"xla": "XLA runs", "graph": "the plain graph runs"}[path]
    known = ", by the record of an earlier run" if code == "AX704" else ""
    return Finding(
        code,
        "info",
        f"{name} a training step{times}{known}",
        f"switched to {path} at step {step}",
        Place("fit"),
        applied=True,
    )


def _could_be(graph_s: float, xla_s: float, seed: str, program: str | None) -> Finding:
    return Finding(
        "AX702",
        "info",
        f"XLA would run a training step in about {xla_s * 1e3:.3g} ms instead of {graph_s * 1e3:.3g} ms; a "
        f"program that is seeded ({seed}) is not switched while it runs",
        f"python -m autoxla tune {program or 'SCRIPT'}, or compile(jit_compile=True)",
        Place("fit"),
    )


def _given_up(outcome: str, step: int) -> Finding:
    return Finding(
        "AX703",
        "info",
        f"{outcome}",
        f"went back to the plain graph at step {step}",
        Place("fit"),
        applied=True,
    )


def _is_lost(decision: Decision | None, challenger: PathName) -> bool:
    # What was seen in a shadow decides nothing.
    return decision is not None and not decision.shadow and decision.winner != challenger


def _is_traced_for_xla(graph: Graph) -> bool:
    return graph.foreign is None and not graph.grows


def _reason(error: Exception) -> str:
    """Return what of TensorFlow's message is no stack trace, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if not line.startswith("  ")]
    kept = [line for line in lines if line and not line.startswith(_NO_REASONS)]
    return " ".join(kept or [type(error).__name__])[:300]


def _leave_no_frames(error: BaseException) -> None:
    """Take the trial's frames off the front of a traceback that the program is to see."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_FOLDER):
        trace = trace.tb_next
    if trace is not None:
        error.__traceback__ = trace

"""Workers of one ``tf.distribute`` job run on the same plan.

When ``MultiWorkerMirroredStrategy`` has connected its cluster, each worker publishes what it is and
what it planned in the key-value store of TensorFlow's coordination service. The chief compares and
publishes the verdict: all follow its ``jit_compile``, and who differs is named on every worker before the
first step. Where a setting says ``strict``, on any worker, the difference is an error on all of them.

No worker waits for long (`LIMIT`). One that hears nothing goes on with its own plan, and only says so:
an error that depends on timing would leave the other workers hanging.

There is no exchange by a collective operation where the coordination service is missing: a worker
without autoxla would take it for the first one of the program itself.

The store's methods are private ones of TensorFlow's; a release without them is left alone.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from types import ModuleType
from typing import Any

from autoxla.facts import Finding
from autoxla.hooks.boundary import attempt
from autoxla.hooks.wrapping import Wrapped, leave_no_frame, unwrap, wrap
from autoxla.session import Session, current
from autoxla.situation.agreement import (
    Verdict,
    Word,
    as_text,
    describe,
    judge,
    parse_verdict,
    parse_word,
)
from autoxla.situation.cluster import Cluster, Task, as_cluster

#: Seconds that the chief waits for all the others together, and another worker for the chief's verdict.
LIMIT = 10.0
PATIENCE = 15.0
#: Seconds for a read when the time is over: who spoke in time is heard, though another one did not.
SHORTEST = 0.1
#: Seconds after which nobody is read any more.
GRACE = 3.0
#: What a fault is said to be in.
_AGREEMENT = "agreement of the workers"
_CONTEXT = "tensorflow.python.eager.context"
_METHODS = ("set_config_key_value", "get_config_key_value", "delete_config_key_value")

_wrapped: Wrapped = {}
_agreed: set[Task] = set()


def hook_multi_worker(module: ModuleType) -> None:
    """Wrap the construction of ``MultiWorkerMirroredStrategy``, which connects the cluster."""
    wrap(getattr(module, "CollectiveAllReduceStrategy", None), "__init__", _init, _wrapped)


def unhook() -> None:
    """Put the constructor back, unless somebody else wrapped it since."""
    unwrap(_wrapped)


def in_strategy(model: object) -> bool:
    """Return whether ``model``, or the code that runs, is under a ``tf.distribute`` strategy.

    True also where that cannot be found out: nothing is to be tried there.
    """
    module = sys.modules.get("tensorflow.python.distribute.distribute_lib")
    if module is None:
        return False
    # A model may be made of anything.
    return bool(attempt("search for a strategy", _has_strategy, module, model, otherwise=lambda: True))


def _has_strategy(module: Any, model: object) -> bool:
    return bool(module.has_strategy()) or not _is_default(getattr(model, "distribute_strategy", None))


def without_xla() -> Finding:
    """Return the finding that the wanted XLA is left off under a strategy."""
    return Finding(
        "AX603",
        "warning",
        "step = 'xla' in the settings, and the model is under a tf.distribute strategy, where XLA fails "
        "on most devices: it stays off",
        "compile(jit_compile=True) if these devices can do it",
    )


def _is_default(strategy: object) -> bool:
    return strategy is None or type(strategy).__name__.startswith("_DefaultDistribution")


def _init(wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    try:
        result = wrapped(*args, **kwargs)
    except Exception as error:
        attempt(_AGREEMENT, leave_no_frame, error)
        raise
    text = attempt(_AGREEMENT, _agree, args[0])
    if text is not None:
        raise RuntimeError(text)
    return result


def _agree(strategy: Any) -> str | None:
    """Exchange words, once a process, and follow the chief; return the error of a strict job."""
    cluster = _cluster_of(strategy)
    if cluster is None or len(cluster.training) < 2 or cluster.own not in cluster.training:
        return None
    if cluster.own in _agreed:
        return None
    _agreed.add(cluster.own)
    exchange = _open_exchange(cluster)
    if exchange is None:
        current().add_finding(_no_exchange())
        return None
    return _follow(exchange, current())


def _cluster_of(strategy: Any) -> Cluster | None:
    resolver = strategy.cluster_resolver
    return as_cluster(resolver.cluster_spec().as_dict(), resolver.task_type, resolver.task_id)


def _follow(exchange: Exchange, session: Session) -> str | None:
    if session.situation is None:
        return None
    verdict = exchange.agree(describe(session.situation, session.plan, os.environ))
    if verdict is None:
        session.add_finding(_silent(str(exchange.cluster.training[0]), PATIENCE))
        return None
    if verdict.jit_compile != session.plan.jit_compile:
        session.plan = replace(session.plan, jit_compile=verdict.jit_compile, jit_because=("AX601",))
    if verdict.missing:
        session.add_finding(_silent(verdict.missing, LIMIT))
    return _say_differences(exchange, verdict, session) if verdict.differences else None


def _say_differences(exchange: Exchange, verdict: Verdict, session: Session) -> str | None:
    finding = _differing(verdict.differences)
    if not verdict.strict:
        session.add_finding(finding)
        return None
    finding = replace(finding, level="error")
    session.add_finding(finding)
    exchange.wait_until_read()
    return f"autoxla: {finding.code} {finding.message}; {finding.remedy}"


@dataclass(frozen=True)
class Exchange:
    """The key-value store of a job's coordination service, as ``store`` (TensorFlow's context) has it."""

    store: Any
    cluster: Cluster

    def agree(self, own: Word) -> Verdict | None:
        """Return the verdict that all workers get, None where the chief gives none in time."""
        if self.cluster.is_chief:
            verdict = judge({**self._collect(), self.cluster.own: own}, self.cluster.training)
            self._publish("verdict", as_text(verdict))
            return verdict
        self._publish("word", as_text(own))
        text = self._get("verdict", self.cluster.training[0], PATIENCE)
        self._publish("read", "1")
        return None if text is None else parse_verdict(text)

    def wait_until_read(self) -> None:
        """Keep the chief until all others have read the verdict: the store ends with its process."""
        if self.cluster.is_chief:
            self._read("read")

    def _collect(self) -> dict[Task, Word]:
        words = {task: parse_word(text) for task, text in self._read("word").items()}
        return {task: word for task, word in words.items() if word is not None}

    def _publish(self, kind: str, text: str) -> None:
        key = _key(kind, self.cluster.own)
        try:
            self.store.set_config_key_value(key, text)
        except Exception as error:
            if type(error).__name__ != "AlreadyExistsError":
                raise
            # A worker that was started again finds the word of its former life.
            self.store.delete_config_key_value(key)
            self.store.set_config_key_value(key, text)

    def _read(self, kind: str) -> dict[Task, str]:
        end = monotonic() + LIMIT
        others = [task for task in self.cluster.training if task != self.cluster.own]
        texts = {task: self._get(kind, task, end - monotonic()) for task in others}
        return {task: text for task, text in texts.items() if text is not None}

    def _get(self, kind: str, task: Task, seconds: float) -> str | None:
        if seconds < -GRACE:
            return None
        limit = int(max(SHORTEST, seconds) * 1000)
        try:
            return str(self.store.get_config_key_value(_key(kind, task), timeout_in_ms=limit))
        except Exception as error:
            if type(error).__name__ != "DeadlineExceededError":
                raise
            return None


def _open_exchange(cluster: Cluster) -> Exchange | None:
    module = sys.modules.get(_CONTEXT)
    store: Any = module.context() if module is not None else None
    if getattr(store, "coordination_service", None) is None:
        return None
    if not all(callable(getattr(store, name, None)) for name in _METHODS):
        return None
    limited = "timeout_in_ms" in inspect.signature(store.get_config_key_value).parameters
    return Exchange(store, cluster) if limited else None


def _key(kind: str, task: Task) -> str:
    return f"autoxla/{kind}/{task.job}/{task.index}"


def _differing(text: str) -> Finding:
    return Finding(
        "AX601",
        "warning",
        text,
        "give all of them the same packages, variables and settings",
    )


def _silent(workers: str, seconds: float) -> Finding:
    return Finding(
        "AX602",
        "warning",
        f"no word within {seconds:g} s from {workers}: it is not known whether all workers of this job "
        "run alike",
        "run all of them with autoxla, in the same release",
    )


def _no_exchange() -> Finding:
    return Finding(
        "AX604",
        "info",
        "this TensorFlow has no coordination service that autoxla knows: whether all workers of this job "
        "run alike is not known",
        "give all of them the same packages, variables and settings",
    )

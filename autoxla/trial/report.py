"""The entry of a trial in the report, and what is said of it."""

from __future__ import annotations

from typing import Any

from autoxla.model import Finding, Place
from autoxla.runtime import Runtime
from autoxla.trial.decisions import Decision, PathName

#: How many trials of a process keep the times of single steps for the report, and how many each.
_SAMPLED, _SAMPLES = 50, 2000
#: How lines of TensorFlow's messages begin that give no reason.
_NO_REASONS = ("File ", "Stack trace", "Exception originated", "[[", "Encountered when", "tf2xla conversion")
_NAMES = {"xla": "XLA runs", "graph": "the plain graph runs"}


class Entry:
    """What the report says of one trial: `facts`, in the report from `begin` on."""

    def __init__(self, session: Runtime) -> None:
        self.facts: dict[str, object] = {}
        self._session = session

    def begin(self, **facts: object) -> None:
        """Put the trial into the report, once."""
        # Not of all: thousands of models may be trained in one process.
        self.facts.setdefault("samples", [] if len(self._session.trials) < _SAMPLED else None)
        self.facts.update(facts)
        if not any(facts is self.facts for facts in self._session.trials):
            self._session.add_trial(self.facts)

    def sample(self, step: int, path: PathName, seconds: float) -> None:
        """Keep the time of one step."""
        samples = self.facts.get("samples")
        if isinstance(samples, list) and len(samples) < _SAMPLES:
            samples.append([step, path, round(seconds * 1e3, 4)])


def switched(code: str, path: PathName, decision: Decision, step: int) -> Finding:
    """Return the line that says that ``path`` runs from now on."""
    times = ""
    if decision.graph_s and decision.xla_s:
        new, old = decision.xla_s, decision.graph_s
        if path == "graph":
            new, old = old, new
        times = f" in {new * 1e3:.3g} ms instead of {old * 1e3:.3g} ms"
    known = ", by the record of an earlier run" if code == "AX704" else ""
    message = f"{_NAMES[path]} a training step{times}{known}"
    return Finding(code, "info", message, f"switched to {path} at step {step}", Place("fit"), applied=True)


def given_up(outcome: str, step: int) -> Finding:
    """Return the line that says that the plain graph runs again."""
    return Finding(
        "AX703", "info", outcome, f"went back to the plain graph at step {step}", Place("fit"), applied=True
    )


def differing(seed: str) -> Finding:
    """Return the line that says that a seeded program does not repeat itself this time."""
    message = (
        f"this program is seeded ({seed}), and XLA has some of its batches now: the numbers of this run are "
        "not those of another one"
    )
    remedy = "run it again: the runs from the record of this one are equal"
    return Finding("AX708", "info", message, remedy, Place("fit"))


def waiting(wait: float, step: float, remedy: str) -> Finding:
    """Return the line that says that a step of ``step`` seconds waits for data for ``wait`` of them."""
    share = f"{min(1.0, wait / step):.0%} of the time"
    figures = f"{wait * 1e3:.3g} of the {step * 1e3:.3g} ms of a step"
    message = f"training waits for its data {share}: {figures}"
    return Finding("AX707", "info", message, remedy, Place("fit"))


def find_reason(error: Exception) -> str:
    """Return what of TensorFlow's message is no stack trace, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if not line.startswith("  ")]
    kept = [line for line in lines if line and not line.startswith(_NO_REASONS)]
    return " ".join(kept or [type(error).__name__])[:300]


def find_name(model: Any) -> str:
    """Return the name of ``model`` for the report."""
    return str(getattr(model, "name", type(model).__name__))

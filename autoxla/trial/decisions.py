"""What a trial decided, kept for the next run of the same step on the same machine.

The key is made of the traced graph, the shapes of the batch, the releases of TensorFlow and Keras, the
machine and the flags that change how a step is executed. A record says which path won and what was
measured; a failed compile is a record, too, so that it is not paid again.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from autoxla.cache import cache_dir, make_key
from autoxla.model import Version
from autoxla.situation.environment import read_environ
from autoxla.situation.hardware import digest, identity
from autoxla.store import Store

PathName = Literal["graph", "xla"]
#: The shapes of a batch's tensors.
Signature = tuple[tuple[int, ...], ...]

#: Variables that change how fast a step is, besides the machine.
_FLAGS = (
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
    "TF_ENABLE_ONEDNN_OPTS",
    "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
_VERSIONS = ("tensorflow", "tensorflow-cpu", "keras", "tf-keras")


@dataclass(frozen=True, slots=True)
class Decision:
    """What is known of a step: the path that won, None where XLA failed to compile it.

    `graph_s`, `xla_s`: seconds of a step, None where not measured. `batch`: the shapes that were measured.
    """

    winner: PathName | None
    graph_s: float | None = None
    xla_s: float | None = None
    batch: Signature = ()


class Decisions:
    """The decisions of this machine, in a folder of their own."""

    def __init__(self, folder: Path, versions: Mapping[str, Version]) -> None:
        self._store = Store(folder)
        self._versions = {name: versions[name] for name in _VERSIONS if name in versions}
        self._machine = identity()

    def key(self, graph_digest: str, shapes: Sequence[str], circumstances: Sequence[str]) -> str:
        """Return the key of a step.

        ``shapes`` are those of its batch, as the data set declares them, and of its variables,
        ``circumstances`` what else matters, such as the device.
        """
        flags = []
        for name in _FLAGS:
            # The place of the XLA cache is another one in each process.
            words = read_environ().get(name, "").split()
            flags.append(" ".join(word for word in words if "persistent_cache" not in word))
        return make_key(
            graph_digest,
            list(shapes),
            list(circumstances),
            sorted(self._versions.items()),
            digest(self._machine),
            flags,
        )

    def find(self, key: str) -> Decision | None:
        """Return what is known of the step, None where nothing is that makes sense."""
        record = self._store.read(key)
        winner: Any = None if record is None else record.get("winner")
        if record is None or not (winner in ("graph", "xla") or "failed" in record):
            return None
        measured = (record.get(name) for name in ("graph_ms", "xla_ms"))
        graph, xla = (ms / 1e3 if isinstance(ms, float) and 0 < ms < 1e9 else None for ms in measured)
        shapes = record.get("batch")
        if not isinstance(shapes, list) or not all(isinstance(shape, list) for shape in shapes):
            shapes = []
        batch = tuple(tuple(size for size in shape if isinstance(size, int)) for shape in shapes)
        return Decision(winner, graph, xla, batch)

    def compiles(self) -> Iterator[tuple[int, float]]:
        """Yield nodes and seconds of the XLA compiles that this machine has done."""
        here = digest(self._machine)
        for record in self._store.list():
            nodes, seconds = record.data.get("nodes"), record.data.get("compile_s")
            is_here = record.data.get("machine_digest") == here
            if is_here and isinstance(nodes, int) and isinstance(seconds, float):
                yield nodes, seconds

    def keep(self, key: str, facts: Mapping[str, object]) -> None:
        """Keep ``facts`` of a decision. Raises OSError where the folder cannot be written."""
        about = {
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "versions": {name: ".".join(map(str, version)) for name, version in self._versions.items()},
            "machine": self._machine,
            "machine_digest": digest(self._machine),
        }
        self._store.write(key, {**facts, **about})


def decisions_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of the decisions."""
    return cache_dir(environ) / "decisions"

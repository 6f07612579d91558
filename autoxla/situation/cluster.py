"""The cluster that a process belongs to, as ``TF_CONFIG`` or TensorFlow's resolvers describe it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from autoxla.situation.workers import counts_many, rank

#: The jobs whose tasks train together; the first that there is leads.
TRAINING = ("chief", "worker")
#: Characters of somebody's text that a message shows.
LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Task:
    """One process of a cluster. `address` is ``host:port``, empty where the cluster does not list it."""

    job: str
    index: int
    address: str = ""

    def __str__(self) -> str:
        name = f"{shown(self.job)} {self.index}"
        return f"{name} ({shown(self.address)})" if self.address else name

    @property
    def word(self) -> str:
        """The task as a part of a file's name."""
        return f"{self.job if self.job.isidentifier() else 'task'}{self.index}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The tasks of a job of many processes. `own` is the one that this process is."""

    tasks: tuple[Task, ...]
    own: Task

    @property
    def training(self) -> tuple[Task, ...]:
        """The tasks that train together, the chief first; parameter servers and evaluators do not."""
        return tuple(task for task in sorted(self.tasks, key=order) if task.job in TRAINING)

    @property
    def is_chief(self) -> bool:
        """Whether this process leads: it is the chief, or where the cluster has none, worker 0."""
        return not self.tasks or self.own == next(iter(self.training), self.own)


def read_tf_config(environ: Mapping[str, str]) -> Cluster | None:
    """Return the cluster in ``TF_CONFIG``; None where there is none, or nothing that makes sense."""
    try:
        config = json.loads(environ.get("TF_CONFIG") or "null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(config, dict) or not isinstance(config.get("task"), dict):
        return None
    return as_cluster(config.get("cluster"), config["task"].get("type"), config["task"].get("index"))


def is_of_many(environ: Mapping[str, str]) -> bool:
    """Return whether a process is one of several workers of a job, which have to do the same."""
    cluster = read_tf_config(environ)
    return counts_many(environ) or (cluster is not None and len(cluster.training) > 1)


def name_follower(environ: Mapping[str, str]) -> str:
    """Return the name of this worker by its rank or by ``TF_CONFIG``, empty for the first one of a job."""
    number = rank(environ)
    if number:
        return f"rank{number}"
    cluster = read_tf_config(environ)
    return "" if cluster is None or cluster.is_chief else cluster.own.word


def as_cluster(jobs: object, job: object, index: object) -> Cluster | None:
    """Return the cluster whose addresses ``jobs`` has by job, as a list or by index; None for nonsense."""
    number = _as_index(index)
    if not isinstance(jobs, dict) or not isinstance(job, str) or number is None:
        return None
    tasks = tuple(Task(*entry) for name in jobs for entry in _entries(name, jobs[name]))
    own = next((task for task in tasks if (task.job, task.index) == (job, number)), Task(job, number))
    return Cluster(tasks, own)


def shown(text: str, longest: int = LONGEST_SHOWN) -> str:
    """Return ``text``, which anybody may have written, as a part of one line."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in text[: longest + 1])
    return printable if len(printable) <= longest else f"{printable[:longest]}…"


def order(task: Task) -> tuple[int, str, int]:
    """Return the key that sorts tasks, the chief first."""
    return (TRAINING.index(task.job) if task.job in TRAINING else len(TRAINING), task.job, task.index)


def _entries(job: object, addresses: object) -> Iterator[tuple[str, int, str]]:
    listed = enumerate(addresses) if isinstance(addresses, list | tuple) else ()
    pairs = addresses.items() if isinstance(addresses, dict) else listed
    for key, address in pairs:
        index = _as_index(key)
        if isinstance(job, str) and isinstance(address, str) and index is not None:
            yield job, index, address


def _as_index(value: object) -> int | None:
    try:
        index = int(value) if isinstance(value, int | str) else -1
    except ValueError:
        return None
    return index if index >= 0 else None

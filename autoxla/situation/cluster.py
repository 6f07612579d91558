"""The job or pool that a process belongs to, and which of its workers it is.

``TF_CONFIG`` describes a cluster; of other jobs and pools, what started them tells.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise

#: The jobs whose tasks train together; the first that there is leads.
_TRAINING = ("chief", "worker")
#: The variables in which launchers tell a process its number. The innermost launcher comes first, since a
#: process keeps what an outer one set: srun starts one torchrun a node, and mpirun in a batch script is below
#: Slurm.
_RANKS = ("RANK", "HOROVOD_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID")
#: The variables in which they tell how many workers there are.
_SIZES = ("WORLD_SIZE", "HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS")
#: What the command lines of multiprocessing's processes begin with, after ``-c``.
_PARTS = tuple(f"from multiprocessing.{name} import" for name in ("spawn", "forkserver", "resource_tracker"))
_RAY_WORKER = "ray/_private/workers/default_worker.py"


#: The job of a task, and its index in it.
_Task = tuple[str, int]


def is_of_many(environ: Mapping[str, str]) -> bool:
    """Return whether a process is one of several workers of a job, which have to do the same."""
    counts = [_as_index(environ.get(name)) or 0 for name in _SIZES]
    return max(counts) > 1 or len(_read_tf_config(environ)[1]) > 1


def name_follower(environ: Mapping[str, str]) -> str:
    """Return the name of this worker by its rank or by ``TF_CONFIG``, empty for the first one of a job.

    It is a part of a file's name.
    """
    if number := rank(environ):
        return f"rank{number}"
    own, training = _read_tf_config(environ)
    # Without a chief or workers every task stands for itself.
    if own is None or own in (training or [own])[:1]:
        return ""
    job, index = own
    return f"{job if job.isidentifier() else 'task'}{index}"


def rank(environ: Mapping[str, str]) -> int | None:
    """Return the number of this process among the workers of its job, from 0; None for no worker.

    As torchrun, horovodrun, mpirun (Open MPI, MPICH, Intel MPI) and srun give it. What is no number
    counts as not there.
    """
    # Alone it is anybody's.
    is_torchrun = {"LOCAL_RANK", "WORLD_SIZE"} <= environ.keys()
    numbers = (_as_index(environ.get(name)) for name in _RANKS if name != "RANK" or is_torchrun)
    return next((number for number in numbers if number is not None), None)


def _read_tf_config(environ: Mapping[str, str]) -> tuple[_Task | None, list[_Task]]:
    """Return this process' task by ``TF_CONFIG``, and those that train together, the leading one first.

    Parameter servers and evaluators do not train. None, and nothing, where the text makes no sense.
    """
    try:
        config = json.loads(environ.get("TF_CONFIG") or "null")
        task, jobs = config["task"], config["cluster"]
        job, index = task["type"], _as_index(task["index"])
        trained = [(name, number) for name in _TRAINING for number in range(len(jobs.get(name, ())))]
    except (ValueError, RecursionError, TypeError, LookupError, AttributeError):
        return None, []
    return ((job, index), trained) if isinstance(job, str) and index is not None else (None, [])


def _as_index(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    return value if isinstance(value, int) and value >= 0 else None


def runs_parts(words: Sequence[str]) -> bool:
    """Tell by its command line whether a process runs parts of another one's program.

    Such are started by multiprocessing, loky and Ray.
    """
    modules = [word for flag, word in pairwise(words) if flag == "-m"]
    return (
        "--multiprocessing-fork" in words
        or any(word.startswith(_PARTS) or word.endswith(_RAY_WORKER) for word in words)
        or any("loky.backend" in module for module in modules)
    )


def part_number(environ: Mapping[str, str]) -> int | None:
    """Return the number of this process, from 1, among those that run parts of one program; None for no such.

    They are numbered by multiprocessing, loky and pytest-xdist. One without a number counts as the first.
    """
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and (runs_parts(sys.orig_argv) or processes.parent_process() is not None):
        number = re.search(r"-(\d+)$", processes.current_process().name)
        return int(number[1]) if number else 1
    # What a test starts inherits the variable, but not the module through which the worker is led.
    worker = re.fullmatch(r"gw(\d+)", environ.get("PYTEST_XDIST_WORKER", ""))
    return int(worker[1]) + 1 if worker and "execnet" in sys.modules else None

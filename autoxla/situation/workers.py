"""Which worker of a job or of a pool a process is, by what started it."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise

#: The variables in which launchers tell a process its number, each with those that must stand beside
#: it: ``RANK`` alone is anybody's. The innermost launcher comes first, since a process keeps what an
#: outer one set: srun starts one torchrun a node, and mpirun in a batch script is below Slurm.
_RANKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("RANK", ("LOCAL_RANK", "WORLD_SIZE")),
    ("HOROVOD_RANK", ()),
    ("OMPI_COMM_WORLD_RANK", ()),
    ("PMIX_RANK", ()),
    ("PMI_RANK", ()),
    ("SLURM_PROCID", ()),
)
#: The variables in which they tell how many workers there are.
_SIZES = ("WORLD_SIZE", "HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS")
#: What the command lines of multiprocessing's processes begin with, after ``-c``.
_PARTS = tuple(f"from multiprocessing.{name} import" for name in ("spawn", "forkserver", "resource_tracker"))
_RAY_WORKER = "ray/_private/workers/default_worker.py"


def rank(environ: Mapping[str, str]) -> int | None:
    """Return the number of this process among the workers of its job, from 0; None for no worker.

    As torchrun, horovodrun, mpirun (Open MPI, MPICH, Intel MPI) and srun give it. What is no number
    counts as not there.
    """
    for name, beside in _RANKS:
        value = environ.get(name, "")
        if value.isascii() and value.isdigit() and all(other in environ for other in beside):
            return int(value)
    return None


def counts_many(environ: Mapping[str, str]) -> bool:
    """Return whether a launcher started more than one worker of this process' job."""
    values = (environ.get(name, "") for name in _SIZES)
    return any(value.isascii() and value.isdigit() and int(value[:9]) > 1 for value in values)


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

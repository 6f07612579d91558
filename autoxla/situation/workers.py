"""Which worker of a job a process is, by what started it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def runs_parts(words: Sequence[str]) -> bool:
    """Tell by its command line whether a process runs parts of another one's program.

    Such are started by multiprocessing, loky and Ray.
    """
    return "--multiprocessing-fork" in words or any(
        word.startswith("from multiprocessing.") or "loky.backend" in word or word.endswith(_RAY_WORKER)
        for word in words
    )

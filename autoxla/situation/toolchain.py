"""Where CUDA's file libdevice is, which XLA needs to compile for a GPU.

XLA's own list is that of ``CandidateCudaRoots``: the directory of ``--xla_gpu_cuda_data_dir``, the
usual places of the toolkit, the CUDA wheels beside TensorFlow, a copy inside of it, and the current
directory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from autoxla.model import Version
from autoxla.situation.distributions import locate
from autoxla.situation.env_parsing import parse_version, parse_xla_flags
from autoxla.situation.files import is_file, list_names

_LIBDEVICE = Path("nvvm", "libdevice", "libdevice.10.bc")
_CUDA_VARIABLES = ("CUDA_HOME", "CUDA_PATH", "CUDA_DIR", "CONDA_PREFIX")
# From this release on XLA looks in /opt/cuda and in the prefix of a conda environment, too.
_LONGER_LIST: Version = (2, 20)


def find_libdevice(
    environ: Mapping[str, str], path: Sequence[str], versions: Mapping[str, Version], *, root: Path
) -> str | None:
    """Return a folder that has the file and is not on XLA's list, None for none, empty where XLA finds it.

    `root` is ``/``.
    """
    data_dir = parse_xla_flags(environ.get("XLA_FLAGS")).get("xla_gpu_cuda_data_dir")
    longer = versions.get("tensorflow", ()) >= _LONGER_LIST
    searched = [Path(data_dir or "./cuda_sdk_lib"), Path(), root / "usr/local/cuda"]
    searched += [root / "opt/cuda"] if longer else []
    if package := locate("tensorflow", path):
        parents = package.parent.parents
        searched += [package.parent / "cuda", *(up / "nvidia/cuda_nvcc" for up in parents[:2])]
        searched += parents[3:5] if longer else ()
    # Where it may be besides: what the user named first, the newest of a row first.
    others = [Path(environ[name]) for name in _CUDA_VARIABLES if environ.get(name)] + [root / "opt/cuda"]
    others += (each for entry in path for each in _newest(Path(entry, "nvidia"), "*"))
    others += (*_newest(root / "usr/local", "cuda-*"), root / "usr/lib/cuda")
    if is_file("libdevice.10.bc") or any(is_file(folder / _LIBDEVICE) for folder in searched):
        return ""
    return next((str(folder) for folder in others if is_file(folder / _LIBDEVICE)), None)


def _newest(folder: Path, pattern: str) -> list[Path]:
    """Return what matches in a folder, the newest release first."""
    names = list_names(folder, pattern)
    newest = sorted(names, key=lambda name: (parse_version(name.rpartition("-")[2]), name), reverse=True)
    return [folder / name for name in newest]

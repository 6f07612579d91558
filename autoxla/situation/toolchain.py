"""Where the files are that XLA needs to compile for a GPU: libdevice for CUDA, bitcode for ROCm.

XLA's own list is that of ``CandidateCudaRoots``: the directory of ``--xla_gpu_cuda_data_dir``, the
usual places of the toolkit, the CUDA wheels beside TensorFlow, a copy inside of it, and the current
directory. For ROCm it is ``ROCM_PATH``, else a directory that was fixed when TensorFlow was built.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from autoxla.model import Hardware, Toolchain, Version
from autoxla.situation.distributions import locate
from autoxla.situation.env_parsing import parse_version, parse_xla_flags
from autoxla.situation.files import is_file, is_folder, list_names

_LIBDEVICE = Path("nvvm", "libdevice", "libdevice.10.bc")
_BITCODE = Path("amdgcn", "bitcode")
_CUDA_VARIABLES = ("CUDA_HOME", "CUDA_PATH", "CUDA_DIR", "CONDA_PREFIX")
# From this release on XLA looks in /opt/cuda and in the prefix of a conda environment, too.
_LONGER_LIST: Version = (2, 20)


def find_toolchain(
    hardware: Hardware,
    environ: Mapping[str, str],
    path: Sequence[str],
    versions: Mapping[str, Version],
    *,
    root: Path = Path("/"),
) -> Toolchain:
    """Return where the helper files are, for the kinds of GPU that are there; `root` is ``/``."""
    cuda_seen = rocm_seen = False
    cuda_found = rocm_found = None
    if "cuda" in hardware.kinds:
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
        cuda_seen = is_file("libdevice.10.bc") or _first(searched, _LIBDEVICE) is not None
        cuda_found = None if cuda_seen else _first(others, _LIBDEVICE)
    if "rocm" in hardware.kinds:
        rocm_seen = "ROCM_PATH" in environ and is_folder(Path(environ["ROCM_PATH"], _BITCODE))
        usual = [root / "opt/rocm", *_newest(root / "opt", "rocm-*")]
        rocm_found = None if rocm_seen else _first(usual, _BITCODE)
    return Toolchain(cuda_seen, cuda_found, rocm_seen, rocm_found)


def _newest(folder: Path, pattern: str) -> list[Path]:
    """Return what matches in a folder, the newest release first."""
    names = list_names(folder, pattern)
    newest = sorted(names, key=lambda name: (parse_version(name.rpartition("-")[2]), name), reverse=True)
    return [folder / name for name in newest]


def _first(folders: Iterable[Path], wanted: Path) -> str | None:
    there = (folder for folder in folders if is_file(folder / wanted) or is_folder(folder / wanted))
    return next((str(folder) for folder in there), None)

"""Where the files are that XLA needs to compile for a GPU: libdevice for CUDA, bitcode for ROCm.

XLA's own list is that of ``CandidateCudaRoots``: the directory of ``--xla_gpu_cuda_data_dir``, the
usual places of the toolkit, the CUDA wheels beside TensorFlow, a copy inside of it, and the current
directory. For ROCm it is ``ROCM_PATH``, else a directory that was fixed when TensorFlow was built.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    flag_file: str | None = None,
    root: Path = Path("/"),
) -> Toolchain:
    """Return where the helper files are, for the kinds of GPU that are there; `root` is ``/``.

    `flag_file` is the text of the file that ``XLA_FLAGS`` names, if it does.
    """
    cuda_seen = rocm_seen = False
    cuda_found = rocm_found = None
    if "cuda" in hardware.kinds:
        flags = parse_xla_flags(environ.get("XLA_FLAGS"), lambda _: flag_file)
        searched = _list_searched(flags.get("xla_gpu_cuda_data_dir"), path, versions, root)
        cuda_seen = is_file("libdevice.10.bc") or _first(searched, _LIBDEVICE) is not None
        cuda_found = None if cuda_seen else _first(_list_others(environ, path, root), _LIBDEVICE)
    if "rocm" in hardware.kinds:
        rocm_seen = is_folder(Path(environ["ROCM_PATH"], _BITCODE)) if "ROCM_PATH" in environ else False
        usual = [root / "opt/rocm", *_list_releases(root / "opt", "rocm-*")]
        rocm_found = None if rocm_seen else _first(usual, _BITCODE)
    return Toolchain(cuda_seen, cuda_found, rocm_seen, rocm_found)


def _list_searched(
    data_dir: str | None, path: Sequence[str], versions: Mapping[str, Version], root: Path
) -> Iterator[Path]:
    """Yield XLA's own list."""
    longer = versions.get("tensorflow", ()) >= _LONGER_LIST
    yield from (Path(data_dir or "./cuda_sdk_lib"), Path())
    yield root / "usr/local/cuda"
    if longer:
        yield root / "opt/cuda"
    package = locate("tensorflow", path)
    if package is None:
        return
    libraries = package.parent
    yield libraries / "cuda"
    yield from (libraries.parents[up] / "nvidia" / "cuda_nvcc" for up in (0, 1))
    if longer:
        yield from libraries.parents[3:5]


def _list_others(environ: Mapping[str, str], path: Sequence[str], root: Path) -> Iterator[Path]:
    """Yield where the toolkit may be besides: what the user named first, the newest of a row first."""
    for name in _CUDA_VARIABLES:
        if environ.get(name):
            yield Path(environ[name])
    yield root / "opt/cuda"
    for entry in path:
        yield from _list_releases(Path(entry, "nvidia"), "*")
    yield from _list_releases(root / "usr/local", "cuda-*")
    yield root / "usr/lib/cuda"


def _list_releases(folder: Path, pattern: str) -> list[Path]:
    """Return what matches in a folder, the newest release first."""
    names = list_names(folder, pattern)
    newest = sorted(names, key=lambda name: (parse_version(name.rpartition("-")[2]), name), reverse=True)
    return [folder / name for name in newest]


def _first(folders: Iterable[Path], wanted: Path) -> str | None:
    there = (folder for folder in folders if is_file(folder / wanted) or is_folder(folder / wanted))
    return next((str(folder) for folder in there), None)

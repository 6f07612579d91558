"""What TensorFlow needs for an NVIDIA GPU: cuDNN, and CUDA's file libdevice for XLA.

XLA's own list is that of ``CandidateCudaRoots``: the directory of ``--xla_gpu_cuda_data_dir``, the
usual places of the toolkit, the CUDA wheels beside TensorFlow, a copy inside of it, and the current
directory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from autoxla.model import Version
from autoxla.situation.distributions import locate
from autoxla.situation.env_parsing import parse_version, parse_xla_flags
from autoxla.situation.files import UnreadableError, is_file, list_names, read_bytes

_LIBDEVICE = Path("nvvm", "libdevice", "libdevice.10.bc")
_CUDA_VARIABLES = ("CUDA_HOME", "CUDA_PATH", "CUDA_DIR", "CONDA_PREFIX")
# From this release on XLA looks in /opt/cuda and in the prefix of a conda environment, too.
_LONGER_LIST: Version = (2, 20)
#: What TensorFlow writes down of its own build, and the folders of the system's libraries.
_BUILD = Path("python", "platform", "build_info.py")
_IS_CUDA = re.compile(rb"'is_cuda_build', (True|False)")
_CUDNN = re.compile(rb"'cudnn_version', '(\d+)'")
_LIBRARIES = ("lib", "lib64", "usr/lib", "usr/lib64", "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu")


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


def find_lacking(environ: Mapping[str, str], path: Sequence[str], *, root: Path) -> str:
    """Return what keeps TensorFlow from using a GPU: ``CUDA`` for a build without, or a library's name.

    Empty where nothing is known to. TensorFlow opens CUDA's libraries by name when it lists its devices, and
    goes on without the GPU if one is missing. cuDNN stands for all: no driver brings it, and every way to
    install it brings the others. `root` is ``/``.
    """
    package = locate("tensorflow", path)
    if package is None:
        return ""
    try:
        build = read_bytes(package.parent / _BUILD) or b""
        cache = read_bytes(root / "etc/ld.so.cache", 1 << 24) or b""
    except UnreadableError:
        return ""
    is_cuda, cudnn = _IS_CUDA.search(build), _CUDNN.search(build)
    if is_cuda is None or b"'is_rocm_build', True" in build:
        return ""
    if is_cuda[1] == b"False":
        return "CUDA"
    if cudnn is None:
        return ""
    name, above = f"libcudnn.so.{cudnn[1].decode()}", package.parent.parents
    folders = [Path(entry) for entry in environ.get("LD_LIBRARY_PATH", "").split(":") if entry]
    folders += (Path(entry, "nvidia/cudnn/lib") for entry in (*path, str(above[0])))
    # The libraries of a conda environment are two folders above its packages.
    folders += (*above[2:3], *(root / folder for folder in _LIBRARIES))
    # With a NUL behind it: the name itself, which is no part of a longer one.
    is_there = f"{name}\0".encode() in cache or any(is_file(folder / name) for folder in folders)
    return "" if is_there else name


def _newest(folder: Path, pattern: str) -> list[Path]:
    """Return what matches in a folder, the newest release first."""
    names = list_names(folder, pattern)
    newest = sorted(names, key=lambda name: (parse_version(name.rpartition("-")[2]), name), reverse=True)
    return [folder / name for name in newest]

"""Plug-ins of TensorFlow whose own libraries cannot be found: ``import tensorflow`` then fails.

The search is that of glibc's ``ld.so``, on files: RPATH, LD_LIBRARY_PATH, RUNPATH, ``ld.so.cache``,
the default folders. What TensorFlow has loaded before its plug-ins counts as found.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoxla.commands.diagnosis.elf import (
    Needs,
    NoReaderError,
    UnreadableElfError,
    has_magic,
    read_needs,
)
from autoxla.commands.diagnosis.line import Line, Scene
from autoxla.situation.files import is_file

SUBJECT = "plug-ins"
_DEFAULT = ("lib64", "usr/lib64", "lib", "usr/lib", "usr/local/lib")
_MULTIARCH = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu")
#: In the process already when plug-ins are loaded: TensorFlow's own, the interpreter's, the C library's.
_LOADED = (
    *(
        "libtensorflow",
        "_pywrap_tensorflow",
        "libpython",
        "ld-linux",
        "linux-vdso",
        "libstdc++.",
        "libgcc_s.",
    ),
    *("libc.so.", "libm.so.", "libdl.so.", "libpthread.so.", "librt.so.", "libutil.so."),
)
#: Libraries that are followed; ITEX needs some sixty.
_MOST = 400
_CACHE_LIMIT = 16 << 20

#: By how a library's name begins: the distribution that brings it. The longer beginning comes first.
WHEELS = {
    "libimf.": "intel-cmplr-lib-rt",
    "libintlc.": "intel-cmplr-lib-rt",
    "libirc.": "intel-cmplr-lib-rt",
    "libirng.": "intel-cmplr-lib-rt",
    "libsvml.": "intel-cmplr-lib-rt",
    "libiomp5.": "intel-openmp",
    "libsycl.": "intel-sycl-rt",
    "libOpenCL.": "intel-opencl-rt",
    "libur_": "intel-cmplr-lib-ur",
    "libumf.": "umf",
    "libtcm.": "tcmlib",
    "libtbb": "tbb",
    "libmkl_sycl_blas.": "onemkl-sycl-blas",
    "libmkl_sycl_dft.": "onemkl-sycl-dft",
    "libmkl_sycl_lapack.": "onemkl-sycl-lapack",
    "libmkl_": "mkl",
    "libdnnl.": "onednn",
    "libcudart.": "nvidia-cuda-runtime-cu12",
    "libcudnn": "nvidia-cudnn-cu12",
    "libcublas": "nvidia-cublas-cu12",
}
#: The same for packages of the system.
_SYSTEM = {"libze_loader.": "level-zero (libze1 on Debian)", "libcuda.": "the NVIDIA driver"}


@dataclass(frozen=True, slots=True)
class _Missing:
    name: str
    needed_by: Path


def check(scene: Scene) -> Iterator[Line]:
    """Judge each plug-in of TensorFlow's."""
    for plugin in scene.situation.plugins:
        if plugin.file is not None and sys.platform == "linux":
            yield from _judge(Path(plugin.file), scene)
    if not scene.situation.plugins:
        yield Line("ok", "AX870", SUBJECT, "TensorFlow will load no plug-in")


def _judge(file: Path, scene: Scene) -> Iterator[Line]:
    if not has_magic(file):
        text = f"{file} is no shared library: import tensorflow fails with it"
        yield Line("error", "AX872", SUBJECT, text, f"reinstall what it belongs to, or remove {file}")
        return
    try:
        missing = _find_missing(file, scene)
    except NoReaderError:
        text = f"what {file} needs was not looked for: pyelftools is not installed"
        yield Line("note", "AX874", SUBJECT, text, "pip install 'autoxla-runtime[cli]'")
    except UnreadableElfError as error:
        text = f"{file} cannot be read as a shared library: {error}"
        yield Line("note", "AX873", SUBJECT, text, "reinstall what it belongs to if import tensorflow fails")
    else:
        if missing:
            yield _say_missing(missing, file, scene)
        else:
            yield Line("ok", "AX870", SUBJECT, f"{file} finds all the libraries that it needs")


def _say_missing(missing: Sequence[_Missing], plugin: Path, scene: Scene) -> Line:
    ways = dict.fromkeys(each.needed_by for each in missing if each.needed_by != plugin)
    via = f" (by way of {', '.join(map(str, ways))})" if ways else ""
    names = [each.name for each in missing]
    are = "is" if len(names) == 1 else "are"
    text = f"{', '.join(names)}, which {plugin} needs{via}, {are} not found: import tensorflow fails"
    return Line("error", "AX871", SUBJECT, text, propose(names, scene))


def propose(names: Sequence[str], scene: Scene) -> str:
    """Return how to come by the shared libraries ``names``."""
    folder = scene.prefix / "lib"
    absent = [name for name in names if not is_file(folder / name)]
    export = f"export LD_LIBRARY_PATH={folder}:$LD_LIBRARY_PATH before Python starts"
    if not absent:
        return export
    wheels = [_look_up(WHEELS, name) for name in absent]
    script = _find_setvars(scene)
    if script is not None and any(wheel and not wheel.startswith("nvidia") for wheel in wheels):
        return f"source {script} before Python starts"
    steps = [f"find what provides {name}" for name in absent if not _is_known(name)]
    packages = dict.fromkeys(_look_up(_SYSTEM, name) for name in absent)
    steps += [f"install {package}" for package in packages if package]
    chosen = " ".join(dict.fromkeys(filter(None, wheels)))
    if chosen:
        steps += [f"pip install {chosen} in releases with these files", export]
    return f"{'; '.join(steps)}; or uninstall the plug-in"


def _look_up(table: Mapping[str, str], name: str) -> str:
    return next((found for prefix, found in table.items() if name.startswith(prefix)), "")


def _is_known(name: str) -> bool:
    return bool(_look_up(WHEELS, name) or _look_up(_SYSTEM, name))


def _find_setvars(scene: Scene) -> Path | None:
    named, home = scene.environ.get("ONEAPI_ROOT"), scene.environ.get("HOME")
    folders = [Path(named)] if named else []
    folders += [scene.root / "opt/intel/oneapi", *([Path(home, "intel/oneapi")] if home else [])]
    return next((folder / "setvars.sh" for folder in folders if is_file(folder / "setvars.sh")), None)


def _find_missing(plugin: Path, scene: Scene) -> list[_Missing]:
    """Return what ``plugin`` and all that it needs do not find. Raises `UnreadableElfError`."""
    search = _Search(scene)
    waiting: list[tuple[Path, tuple[str, ...]]] = [(plugin, ())]
    seen: set[str] = set()
    missing: list[_Missing] = []
    needs = read_needs(plugin)
    while waiting and len(seen) < _MOST:
        file, above = waiting.pop(0)
        needs = read_needs(file) if file == plugin else _read_quietly(file)
        rpath = () if needs.runpath else (*_expand(needs.rpath, file), *above)
        for name in (name for name in needs.names if name not in seen):
            seen.add(name)
            found = search.find(name, rpath, _expand(needs.runpath, file))
            if found is None:
                missing.append(_Missing(name, file))
            elif not search.is_system(found):
                waiting.append((found, rpath))
    return missing


def _read_quietly(file: Path) -> Needs:
    try:
        return read_needs(file)
    except UnreadableElfError:
        return Needs()


class _Search:
    """Where ``ld.so`` looks."""

    def __init__(self, scene: Scene) -> None:
        self._root = scene.root
        self._named = [entry for entry in scene.environ.get("LD_LIBRARY_PATH", "").split(":") if entry]
        self._defaults = [str(scene.root / folder) for folder in (*_MULTIARCH, *_DEFAULT)]
        self._cache = _read_cache(scene.root / "etc/ld.so.cache")

    def find(self, name: str, rpath: Sequence[str], runpath: Sequence[str]) -> Path | None:
        """Return the file of a library; its bare name where it is loaded already; None for none."""
        if name.startswith(_LOADED):
            return Path(name)
        if "/" in name:
            return Path(name) if is_file(name) else None
        folders = [*rpath, *self._named, *runpath]
        found = next((Path(folder, name) for folder in folders if is_file(Path(folder, name))), None)
        return found or self._find_in_cache(name) or self._find_in(self._defaults, name)

    def is_system(self, file: Path) -> bool:
        """Return whether a package of the system brought ``file``, with all that it needs."""
        return str(file.parent) in (".", *self._defaults)

    def _find_in(self, folders: Sequence[str], name: str) -> Path | None:
        return next((Path(folder, name) for folder in folders if is_file(Path(folder, name))), None)

    def _find_in_cache(self, name: str) -> Path | None:
        # An entry is the file's full name as a string; whatever else is there does not matter.
        at = self._cache.find(f"/{name}\0".encode())
        while at >= 0:
            start = self._cache.rfind(b"\0", 0, at) + 1
            file = Path(os.fsdecode(self._cache[start : at + 1]), name)
            if is_file(file):
                return file
            at = self._cache.find(f"/{name}\0".encode(), at + 1)
        return None


def _read_cache(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_CACHE_LIMIT)
    except OSError:
        return b""


def _expand(folders: Sequence[str], file: Path) -> tuple[str, ...]:
    origin = str(file.resolve().parent)
    spelt = [each.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for each in folders]
    return tuple(
        each.replace("${LIB}", lib).replace("$LIB", lib)
        for each in spelt
        for lib in (("lib64", "lib/x86_64-linux-gnu") if "LIB" in each else ("lib",))
    )

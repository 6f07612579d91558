"""Names of flags against those that the installed TensorFlow knows; an unknown one ends the process.

The names stand in the library as strings that end in NUL. Only its read-only data is searched, by
bytes; the library is not loaded. That a name is *not* there says something only where others that
every release has are found in the same way: else the build keeps them differently.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from autoxla.commands.diagnosis.elf import NoReaderError, UnreadableElfError, find_read_only_data
from autoxla.commands.diagnosis.keras import find_backend
from autoxla.commands.diagnosis.line import Line, Scene
from autoxla.readers import KNOWN_TF_XLA_FLAGS, XlaFlags, parse_xla_flags
from autoxla.situation.backends import locate
from autoxla.situation.files import list_names

SUBJECT = "flags"
#: By variable: how the names of its flags begin, and the other variable's for which it may be taken.
_PREFIXES = {"TF_XLA_FLAGS": "tf_", "XLA_FLAGS": "xla_"}
_OTHER = {"TF_XLA_FLAGS": "XLA_FLAGS", "XLA_FLAGS": "TF_XLA_FLAGS"}
#: Names that every release has: found where the search works at all.
_PROOF = {
    "TF_XLA_FLAGS": ("tf_xla_auto_jit", "tf_xla_min_cluster_size", "tf_xla_max_cluster_size"),
    "XLA_FLAGS": ("xla_dump_to", "xla_gpu_cuda_data_dir", "xla_backend_optimization_level"),
}
_XLA_NAME = re.compile(rb"\0(xla_[a-z0-9_]{3,80})(?=\0)")
#: The smaller one first: it has all of XLA's own flags.
_LIBRARIES = ("libtensorflow_framework", "libtensorflow_cc", "libtensorflow.", "_pywrap_tensorflow_internal")


def check(scene: Scene) -> Iterator[Line]:
    """Judge the names in ``TF_XLA_FLAGS`` and ``XLA_FLAGS``."""
    for variable in _PREFIXES:
        flags = _parse(scene, variable)
        names = sorted({token[2:].partition("=")[0] for token in flags.tokens if token.startswith("--")})
        misplaced = [name for name in names if name.startswith(_PREFIXES[_OTHER[variable]])]
        yield from (_say_misplaced(name, variable) for name in misplaced)
        own = [name for name in names if name not in misplaced]
        yield from _judge(own, variable, scene) if own else ()


def _parse(scene: Scene, variable: str) -> XlaFlags:
    files = scene.situation.flag_files
    read = files.get if variable in files else None
    return parse_xla_flags(scene.environ.get(variable), None if read is None else lambda _: read(variable))


def _say_misplaced(name: str, variable: str) -> Line:
    text = f"{variable} does not take --{name}: the process ends where the variable is read"
    return Line("error", "AX853", SUBJECT, text, f"move --{name} to {_OTHER[variable]}")


def _judge(names: Sequence[str], variable: str, scene: Scene) -> Iterator[Line]:
    libraries = find_libraries(scene.path)
    if not libraries:
        return
    try:
        missing = find_missing((*names, *_PROOF[variable]), libraries)
    except UnreadableElfError as error:
        text = f"the names in {variable} were not checked: {error}"
        remedy = "pip install 'autoxla-runtime[cli]'" if isinstance(error, NoReaderError) else ""
        yield Line("note", "AX852", SUBJECT, text, remedy)
        return
    unknown = [name for name in names if name in missing]
    describe = _say_missing if missing.intersection(_PROOF[variable]) else _say_unknown
    if variable == "XLA_FLAGS" and find_backend(scene)[0] != "tensorflow":
        # Another backend may have an XLA of its own, with flags of its own.
        describe = _say_missing
    yield from (describe(name, variable, libraries) for name in unknown)
    known = ", ".join(name for name in names if name not in missing)
    if known:
        yield Line("ok", "AX850", SUBJECT, f"this build knows {known} of {variable}")


def _say_unknown(name: str, variable: str, libraries: Sequence[Path]) -> Line:
    text = f"--{name} is not known to this TensorFlow: the process ends where {variable} is read"
    return Line("error", "AX851", SUBJECT, text, _propose(name, variable, libraries))


def _say_missing(name: str, variable: str, libraries: Sequence[Path]) -> Line:
    text = f"--{name} was not found in this TensorFlow, which may not be all that reads {variable}"
    return Line("note", "AX852", SUBJECT, text, _propose(name, variable, libraries))


def _propose(name: str, variable: str, libraries: Sequence[Path]) -> str:
    close = get_close_matches(name, _list_known(variable, libraries), n=1, cutoff=0.8)
    return f"write --{close[0]}" if close else f"take --{name} out of {variable}"


def find_libraries(path: Sequence[str]) -> list[Path]:
    """Return TensorFlow's own libraries, the smaller first; none where it is not installed."""
    package = locate("tensorflow", path)
    if package is None:
        return []
    folders = (package.parent, package.parent / "python")
    files = [folder / name for folder in folders for name in list_names(folder, "*.so*")]
    chosen = [file for prefix in _LIBRARIES for file in files if file.name.startswith(prefix)]
    return list({file.resolve(): file for file in chosen}.values())


def find_missing(names: Sequence[str], libraries: Sequence[Path]) -> set[str]:
    """Return those of ``names`` that stand in none of ``libraries``. Raises `UnreadableElfError`."""
    missing = set(names)
    for library in libraries:
        if missing:
            missing -= _find_in(library, missing)
    return missing


def _find_in(library: Path, names: set[str]) -> set[str]:
    start, end = find_read_only_data(library)
    try:
        with library.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return {name for name in names if content.find(name.encode() + b"\0", start, end) >= 0}
    except (OSError, ValueError) as error:
        raise UnreadableElfError(f"{library}: {error}") from error


@lru_cache(maxsize=1)
def _list_xla_names(library: Path) -> tuple[str, ...]:
    start, end = find_read_only_data(library)
    with library.open("rb") as stream:
        stream.seek(start)
        return tuple({name.decode() for name in _XLA_NAME.findall(stream.read(min(end - start, 1 << 26)))})


def _list_known(variable: str, libraries: Sequence[Path]) -> list[str]:
    """Return names for proposals."""
    if variable == "TF_XLA_FLAGS":
        return sorted(KNOWN_TF_XLA_FLAGS)
    return sorted(_list_xla_names(libraries[0]))

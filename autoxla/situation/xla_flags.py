"""Which flags of XLA the installed TensorFlow has, found without loading it.

A name that is not known in ``XLA_FLAGS`` or ``TF_XLA_FLAGS`` ends the process, without an exception, when the
variable is read. The names stand among the constants of TensorFlow's libraries, each between two zero bytes.
All flags of a variable come from one source file: the library with some that every release has, has them all.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from autoxla.model import FlagNames
from autoxla.situation.distributions import locate
from autoxla.situation.env_parsing import parse_xla_flags
from autoxla.situation.files import list_names

#: By variable: how the names of its flags begin.
PREFIXES = {"TF_XLA_FLAGS": "tf_", "XLA_FLAGS": "xla_"}
#: By variable: names that every release has.
_ALWAYS = {
    "TF_XLA_FLAGS": ("tf_xla_auto_jit", "tf_xla_min_cluster_size", "tf_xla_max_cluster_size"),
    "XLA_FLAGS": ("xla_dump_to", "xla_gpu_cuda_data_dir", "xla_backend_optimization_level"),
}
#: The beginnings of the libraries' names, the smaller one first.
_LIBRARIES = ("libtensorflow_framework", "libtensorflow_cc", "libtensorflow.", "_pywrap_tensorflow_internal")
_ELF_64 = b"\x7fELF\x02\x01"
#: A string that may be a flag of XLA.
_NAME = re.compile(rb"\0((?:tf_)?xla_[a-z0-9_]{3,80})(?=\0)")
#: Words that turn the meaning of a flag around.
_TURNING = re.compile(
    r"enable|disable|(?<![a-z])(?:no|not|non|without|skip|allow|forbid|only|never|always)(?![a-z])"
)


class _Constants(NamedTuple):
    """The part of a library that holds its constants."""

    content: mmap.mmap
    start: int
    end: int

    def has(self, name: str) -> bool:
        """Return whether ``name`` is a string of its own, not a part of another."""
        text = name.encode() + b"\0"
        is_first = self.content[self.start : self.start + len(text)] == text
        return is_first or self.content.find(b"\0" + text, self.start, self.end) >= 0


def judge_flags(environ: Mapping[str, str], path: Sequence[str]) -> dict[str, FlagNames]:
    """Return, by variable that is set, what the TensorFlow on ``path`` makes of the names in it."""
    judged = {}
    for variable in PREFIXES:
        flags = parse_xla_flags(environ.get(variable))
        names = dict.fromkeys(t[2:].partition("=")[0] for t in flags.tokens if t.startswith("--"))
        if names:
            judged[variable] = _judge(variable, list(names), find_libraries(path))
    return judged


def find_libraries(path: Sequence[str]) -> list[Path]:
    """Return TensorFlow's own libraries, the smaller first; none where it is not installed."""
    package = locate("tensorflow", path)
    folders = (package.parent, package.parent / "python") if package else ()
    files = [folder / name for folder in folders for name in list_names(folder)]
    chosen = [file for beginning in _LIBRARIES for file in files if file.name.startswith(beginning)]
    return list({file.resolve(): file for file in chosen if re.search(r"\.(so|dylib)", file.name)}.values())


def propose(name: str, known: Iterable[str]) -> str:
    """Return the one of ``known`` for which ``name`` may be a slip, empty for none.

    None whose words would turn its meaning around: a slip in ``enable_x`` is not answered with ``disable_x``.
    """
    same = [each for each in known if _TURNING.findall(each) == _TURNING.findall(name)]
    return next(iter(get_close_matches(name, sorted(same), n=1, cutoff=0.8)), "")


def _judge(variable: str, names: Sequence[str], libraries: Sequence[Path]) -> FlagNames:
    foreign = tuple(prefix for other, prefix in PREFIXES.items() if other != variable)
    misplaced = tuple(name for name in names if name.startswith(foreign))
    own = tuple(name for name in names if name not in misplaced)
    for library in libraries:
        with suppress(OSError, ValueError), _read_constants(library) as constants:
            known = tuple(name for name in own if constants.has(name))
            if len(known) == len(own):
                return FlagNames(known, misplaced=misplaced)
            if all(map(constants.has, _ALWAYS[variable])):
                names_there = (found[1].decode() for found in _NAME.finditer(*constants))
                candidates = {name for name in names_there if name.startswith(PREFIXES[variable])}
                unknown = {name: propose(name, candidates) for name in own if name not in known}
                return FlagNames(known, unknown, misplaced)
    return FlagNames(misplaced=misplaced, unchecked=own)


@contextmanager
def _read_constants(library: Path) -> Iterator[_Constants]:
    """Map the constants of a library into memory: a tenth of a library of Linux, all of any other file.

    Raises OSError or ValueError where that cannot be done.
    """
    with (
        library.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        begin, end = 0, len(content)
        with suppress(struct.error, IndexError, OverflowError):
            if content[:6] == _ELF_64:
                table = struct.unpack_from("<Q", content, 40)[0]
                size, count, of_names = struct.unpack_from("<HHH", content, 58)
                # Of each section: where its name begins, kind, flags, address, where it begins, length.
                sections = [struct.unpack_from("<IIQQQQ", content, table + at * size) for at in range(count)]
                names = sections[of_names][4]
                for name, _, _, _, start, length in sections:
                    if content[names + name : names + name + 8] == b".rodata\0":
                        begin, end = start, min(start + length, len(content))
                        break
        yield _Constants(content, begin, end)

"""The machine and its file systems: full, read-only, broken, silent, and clocks that jump."""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from surroundings import mounts
from surroundings.double import YEAR, clock, trouble
from surroundings.running import Pair, environment, lay, run_both


@dataclass(frozen=True)
class Place:
    """Where a program runs: its folder, the folder of the cache, and the library that makes trouble."""

    folder: Path
    library: Path

    @property
    def cache(self) -> Path:
        """The folder with autoxla's cache and its report in it."""
        return self.folder / "kept" / "cache"


#: Gives the pair that came of a case.
Case = Callable[[Place], Pair]


def _run(place: Place, prepare: Callable[[], None] | None = None, **variables: str) -> Pair:
    report = {"AUTOXLA_REPORT": str(place.cache.with_name("report.json"))}
    return run_both(lay(place.folder), environment(place.cache, **{**report, **variables}), prepare)


def _warm(place: Place) -> None:
    """Run once without trouble, so that there is something in the cache."""
    place.cache.parent.mkdir(exist_ok=True)
    _run(place)


def _in_trouble(kind: str, *, warm: bool, after: int = 0) -> Case:
    def case(place: Place) -> Pair:
        if warm:
            _warm(place)
        place.cache.parent.mkdir(exist_ok=True)
        told: Mapping[str, str] = trouble(place.library, kind, place.cache.parent, after)
        return _run(place, None, **told)

    return case


def _silent(warm: bool) -> Case:
    def case(place: Place) -> Pair:
        if warm:
            _warm(place)
        told = trouble(place.library, "silent", place.cache)
        # Nothing else to say, so that the one line is about the cache.
        return run_both(lay(place.folder), environment(place.cache, TF_USE_LEGACY_KERAS="", **told))

    return case


def _mounted(mount: Callable[[Path], AbstractContextManager[Path]], *, warm: bool) -> Case:
    def case(place: Place) -> Pair:
        if warm:
            _warm(place)
        place.cache.parent.mkdir(exist_ok=True)
        with mount(place.cache.parent):
            return _run(place)

    return case


def _silent_mount(place: Place) -> Pair:
    place.cache.mkdir(parents=True)
    with mounts.silent(place.cache):
        return run_both(lay(place.folder), environment(place.cache, TF_USE_LEGACY_KERAS=""))


@contextmanager
def _full_mount(folder: Path) -> Iterator[Path]:
    with mounts.small(folder, "16k"):
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as stream:
            try:
                while stream.write(b"\0" * 1024):
                    pass
            except OSError:
                pass
        yield folder


def _limit_files(default: bool) -> Callable[[], None]:
    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        if default:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)

    return prepare


def _no_sizes(place: Place) -> Pair:
    return _run(place, _limit_files(default=False), PYTHONDONTWRITEBYTECODE="1")


def _no_sizes_and_the_signal(place: Place) -> Pair:
    """Python ignores the signal; a program that embeds it, or takes that back, is ended by it."""
    back = "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_DFL)"
    variables = environment(place.cache, PYTHONDONTWRITEBYTECODE="1")
    return run_both(lay(place.folder, back), variables, _limit_files(default=True))


def _unwritable_home(mode: int) -> Case:
    def case(place: Place) -> Pair:
        home = place.folder / "home"
        home.mkdir()
        home.chmod(mode)
        try:
            return run_both(lay(place.folder), _without_cache(HOME=str(home)), _heed_modes)
        finally:
            home.chmod(0o700)

    return case


def _heed_modes() -> None:
    """Take from root what makes it pass over the modes of files, for what is executed next."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def _without_cache(**variables: str) -> dict[str, str]:
    dropped = {"AUTOXLA_CACHE", "XDG_CACHE_HOME", "HOME"} - variables.keys()
    every = environment(Path(), **variables)
    return {name: text for name, text in every.items() if name not in dropped}


def _home(**variables: str) -> Case:
    def case(place: Place) -> Pair:
        # A test writes nothing into the home of who runs it.
        kept = trouble(place.library, "readonly", Path(pwd.getpwuid(os.getuid()).pw_dir, ".cache"))
        return run_both(lay(place.folder), _without_cache(**variables, **kept))

    return case


def _cache_is(make: Callable[[Path], None]) -> Case:
    def case(place: Place) -> Pair:
        place.cache.parent.mkdir(exist_ok=True)
        make(place.cache)
        return _run(place)

    return case


def _loop(cache: Path) -> None:
    cache.symlink_to(cache.name)


def _in_a_file(cache: Path) -> None:
    cache.write_text("a file", encoding="utf-8")


def _as_a_pipe(cache: Path) -> None:
    os.mkfifo(cache)


def _too_long(place: Place) -> Pair:
    return _run(place, AUTOXLA_CACHE=str(place.folder / ("x" * 300)))


def _shifted(seconds: int, calls: int) -> Case:
    def case(place: Place) -> Pair:
        _warm(place)
        return _run(place, None, **clock(place.library, seconds, calls))

    return case


def _records_from(seconds: int) -> Case:
    """Let the records be from another time than the clock's."""

    def case(place: Place) -> Pair:
        _warm(place)
        for file in place.cache.rglob("*.json"):
            os.utime(file, (file.stat().st_atime, file.stat().st_mtime + seconds))
        return _run(place)

    return case


def _closed_streams(place: Place) -> Pair:
    def close() -> None:
        os.close(2)

    return _run(place, close)


def _full_stderr(place: Place) -> Pair:
    def fill() -> None:
        os.dup2(os.open("/dev/full", os.O_WRONLY), 2)

    return _run(place, fill)


def _broken_pipe(place: Place) -> Pair:
    def break_it() -> None:
        read, write = os.pipe()
        os.close(read)
        os.dup2(write, 2)

    return _run(place, break_it)


def _address_space(place: Place) -> Pair:
    """Little memory: 400 MiB of addresses, in which the program itself has room."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (400 << 20, resource.getrlimit(resource.RLIMIT_AS)[1]))

    return _run(place, limit)


#: By LD_PRELOAD or by nothing but the system itself.
CASES: dict[str, Case] = {
    "disk full (double), nothing kept yet": _in_trouble("full", warm=False),
    "disk full (double), a cache from before": _in_trouble("full", warm=True),
    "no room for files (double)": _in_trouble("crowded", warm=False),
    "no room for files (double), a cache from before": _in_trouble("crowded", warm=True),
    "read-only file system (double)": _in_trouble("readonly", warm=False),
    "read-only file system (double), a cache from before": _in_trouble("readonly", warm=True),
    "reading and writing fail (double)": _in_trouble("broken", warm=True),
    "the disk fills up in the middle (double)": _in_trouble("full", warm=False, after=12),
    "the cache never answers (double), nothing kept yet": _silent(warm=False),
    "the cache never answers (double), a cache from before": _silent(warm=True),
    "files of 0 bytes at most": _no_sizes,
    "files of 0 bytes at most, and the signal ends": _no_sizes_and_the_signal,
    "HOME does not exist": _home(HOME="/nonexistent/home"),
    "HOME is empty (double)": _home(HOME=""),
    "no HOME (double)": _home(),
    "HOME is relative (double)": _home(HOME="home"),
    "HOME cannot be written": _unwritable_home(0o500),
    "HOME cannot even be looked into": _unwritable_home(0),
    "the cache is a link to itself": _cache_is(_loop),
    "the cache is a file": _cache_is(_in_a_file),
    "the cache is a pipe": _cache_is(_as_a_pipe),
    "the cache has too long a name": _too_long,
    "the clock is a year ahead": _shifted(YEAR, 0),
    "the clock is a year behind": _shifted(-YEAR, 0),
    "the clock jumps a year ahead in the middle": _shifted(YEAR, 30),
    "the clock jumps a year back in the middle": _shifted(-YEAR, 30),
    "records from a year ahead": _records_from(YEAR),
    "records from a year ago": _records_from(-YEAR),
    "standard error is closed": _closed_streams,
    "standard error is full": _full_stderr,
    "standard error is a pipe that nobody reads": _broken_pipe,
    "400 MiB of addresses": _address_space,
}
#: Only for root.
ROOTS: dict[str, Case] = {
    "disk full (tmpfs)": _mounted(_full_mount, warm=False),
    "read-only mount, nothing kept yet": _mounted(mounts.read_only, warm=False),
    "read-only mount, a cache from before": _mounted(mounts.read_only, warm=True),
}
#: Where there is FUSE, too.
FUSE: dict[str, Case] = {"the cache never answers (FUSE)": _silent_mount}
DOUBLES = frozenset(name for name in CASES if "(double)" in name or "clock" in name)

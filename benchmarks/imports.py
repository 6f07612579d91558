"""What the finder adds to every import that is not its own, beside a trivial finder and wrapt's.

``python -m benchmarks.imports [--rounds 25] [--json FILE]`` times ``find_spec`` for a name that
nobody watches, in nanoseconds. It needs autoxla and wrapt where it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from timeit import Timer
from typing import Protocol

from benchmarks import interleave, read_arguments, show, summarise, write_json

CALLS = 20_000


class Finder(Protocol):
    """Whatever can stand on ``sys.meta_path``."""

    @property
    def find_spec(self) -> Callable[..., object]:
        """Return a spec or None."""


class TrivialFinder:
    """The least that a finder in Python can do."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Find nothing."""


def main() -> None:
    """Measure, print a table, keep the raw figures."""
    arguments = read_arguments("Measure the cost of a finder for imports that it does not watch.")
    finders = {"trivial finder": TrivialFinder(), "autoxla": make_ours(), "wrapt": make_wrapt()}
    measured = interleave(
        {name: partial(time_miss, finder) for name, finder in finders.items()}, arguments.rounds
    )
    summary = summarise(measured)
    show(summary, "ns", digits=1)
    data = {"unit": "ns", "rounds": arguments.rounds, "calls": CALLS, "summary": summary}
    versions = {"autoxla": _own_version(), "wrapt": version("wrapt")}
    write_json(arguments.json, data | {"measured": measured}, versions)


def make_ours() -> Finder:
    """Return a finder that watches what autoxla watches."""
    from autoxla import WATCHED
    from autoxla.hooks import AutoxlaFinder

    finder = AutoxlaFinder()
    for name in WATCHED:
        finder.watch(name)
    return finder


def make_wrapt() -> Finder:
    """Return wrapt's finder, waiting for as many modules as ours."""
    from wrapt.importer import ImportHookFinder, register_post_import_hook

    from autoxla import WATCHED

    for name in WATCHED:
        register_post_import_hook(print, name)
    finder: Finder = ImportHookFinder()
    return finder


def time_miss(finder: Finder) -> float:
    """Return the nanoseconds of one search for a name that ``finder`` does not watch."""
    timer = Timer("find_spec('numpy.linalg', None, None)", globals={"find_spec": finder.find_spec})
    return timer.timeit(CALLS) / CALLS * 1e9


def _own_version() -> str:
    import autoxla

    return autoxla.__version__


if __name__ == "__main__":
    main()

"""The import finder: names and callbacks, nothing else.

It answers for watched names only, and answers with the very spec that the finders behind it
found. How it learns when the module executes is in `autoxla.hooks.execution`, which loads with
the first watched import.

Known limits: a finder that somebody puts in front of this one and that finds a watched module
hides the import from it (noticed by `AutoxlaFinder.bypassed`); a loader that offers only the
deprecated ``load_module`` is left alone, and so is code that runs a module without its loader's
``exec_module`` (``runpy``). A deep copy of a spec that was found but not executed has no callbacks.
Where Python 3.10 shows importlib's frames in a traceback (after ``importlib.import_module``), it
shows one more. Under a watched module's body the stack is one frame deeper.

Loaded at interpreter start, so it imports ``sys`` only, and is short: ``typing``, ``functools`` or
``importlib.machinery`` would each cost more than all the rest, and so would what it leaves for later.
"""

import sys

from autoxla.hooks.boundary import attempt, note_fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import TypeVar

    Argument = TypeVar("Argument")
    Result = TypeVar("Result")
    Callback = Callable[[ModuleType], object]
    MissingCallback = Callable[[str], "ModuleSpec | None"]


# By no import: that would wait for a thread that is only just importing autoxla and may wait for this one.
Unlocked = sys.modules["autoxla"].Unlocked


class Watch:
    """The callbacks of one watched name, and how often those after its import were due."""

    __slots__ = ("after", "before", "ended", "missing")

    def __init__(self) -> None:
        self.before: list[Callback] = []
        self.after: list[Callback] = []
        self.missing: list[MissingCallback] = []
        self.ended = 0


class AutoxlaFinder:
    """A ``sys.meta_path`` finder that calls back before and after watched modules execute.

    It never finds anything by itself: it asks the finders behind it, with the same arguments,
    and hands on what they found.
    """

    def __init__(self) -> None:
        self.watched: dict[str, Watch] = {}
        self.seen: set[str] = set()
        self.searching: set[tuple[str, int]] = set()

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Return the spec that the finders behind this one have for a watched name, else None."""
        if fullname not in self.watched:
            return None
        try:
            execution = _load_execution()
        except Exception as error:  # noqa: BLE001  the package was taken away, say; the program runs on
            note_fault(f"search for {fullname}", error)
            return None
        try:
            spec: ModuleSpec | None = execution.find(self, fullname, path, target)
        except BaseException as error:
            attempt(f"search for {fullname}", execution.drop_own_frames, error)
            raise
        return spec

    def invalidate_caches(self) -> None:
        """Do nothing: there is no cache. ``importlib.invalidate_caches`` calls it."""

    def watch(self, name: str) -> Watch:
        """Return the callbacks of ``name``, watching it from now on."""
        if name not in self.watched:
            self.watched[name] = Watch()
            if name in sys.modules:
                attempt(f"hook on {name}", _load_execution().attach_unloaded, self, name, sys.modules[name])
        return self.watched[name]

    def bypassed(self, names: "Iterable[str]") -> "tuple[str, ...]":
        """Return those of ``names`` that were loaded from a file without this finder's doing."""
        present = [name for name in names if name not in self.seen and name in sys.modules]
        return tuple(name for name in present if _load_execution().is_loaded(sys.modules[name], name))

    def call(
        self, callback: "Callable[[Argument], Result]", name: str, argument: "Argument"
    ) -> "Result | None":
        """Return ``callback(argument)``; keep an exception from the program that imports ``name``."""
        return attempt(f"callback for {name}", callback, argument)


def _load_execution() -> "ModuleType":
    with Unlocked():
        from autoxla.hooks import execution
    return execution


# CPython leaves frames of files with such names out of tracebacks and of ``stacklevel`` in warnings.
AutoxlaFinder.find_spec.__code__ = AutoxlaFinder.find_spec.__code__.replace(
    co_filename="<frozen importlib._bootstrap_external>"
)

_finder = AutoxlaFinder()


def install(index: int = 0) -> AutoxlaFinder:
    """Put the finder on ``sys.meta_path`` unless it is there; return it."""
    if _finder not in sys.meta_path:
        sys.meta_path.insert(index, _finder)
    return _finder


def current() -> AutoxlaFinder:
    """Return the finder of this process."""
    return _finder


def uninstall() -> None:
    """Take the finder off ``sys.meta_path`` and forget all callbacks."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    _finder.watched.clear()


def on_import(name: str, callback: "Callback") -> None:
    """Call ``callback(module)`` each time ``name`` was imported; at once if it is already.

    Fires again after ``importlib.reload`` and after a re-import. Runs while the import system
    still holds the module's lock: no thread sees the module before the callback has seen it.
    An exception in it is reported and does not reach the importing program.
    """
    watch = _finder.watch(name)
    watch.after.append(callback)
    module = sys.modules.get(name)
    if module is not None and not _load_execution().is_yet_to_end(module):
        _finder.call(callback, name, module)


def before_import(name: str, callback: "Callback") -> None:
    """Call ``callback(module)`` when ``name`` is about to execute; never on a bare ``find_spec``.

    ``module`` is created but empty. See `autoxla.hooks.execution.begin` for what the callback may do.
    """
    _finder.watch(name).before.append(callback)


def when_missing(name: str, callback: "MissingCallback") -> None:
    """Call ``callback(name)`` when no finder has ``name``; it may return a spec."""
    _finder.watch(name).missing.append(callback)


def mark_loaded(names: "Iterable[str]") -> bool:
    """Note which of ``names`` began to load before the finder came; return whether any did."""
    present = [name for name in names if name in sys.modules]
    loaded = [name for name in present if _load_execution().has_begun(sys.modules[name])]
    _finder.seen.update(loaded)
    return bool(loaded)


def bypassed(names: "Iterable[str]") -> "tuple[str, ...]":
    """Return those of ``names`` that were loaded past the finder."""
    return _finder.bypassed(names)

"""Threads that import TensorFlow and Keras at once take turns.

Both import each other, or parts of each other: a thread in the midst of the one and a thread in the midst
of the other end with an import system that finds a deadlock, or with half a module (an
``AttributeError`` of a partially initialized one). So, where a process has several threads when such a
package is searched for, no other thread begins one until that one is imported:

* at an ``import`` statement a thread waits before it takes any lock of the import system;
* one that came a moment earlier waits in its own search, and gives up its locks of the package for that
  time. If the package was imported meanwhile, that is its module, too.

A thread that the running one waits for goes on, and nobody waits longer than `PATIENCE`.

Known limits: ``importlib.import_module`` of a part, begun while its package executes, does not wait;
``builtins.__import__`` is another function meanwhile, and in the traceback of an import that fails one
line more.
"""

import builtins
import os
import sys
from _thread import RLock, get_ident
from functools import partial
from time import monotonic, sleep

from autoxla.hooks import finder
from autoxla.hooks.execution import ORDERED, spec_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

#: Seconds after which a thread no longer waits, and the first and the longest pause between two looks.
PATIENCE, SHORT, LONG = 60.0, 0.001, 0.02
#: Seconds for those that came a moment earlier.
MOST = 1.0

_bootstrap = sys.modules["_frozen_importlib"]


class Turn:
    """The import of one package by one thread."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.owner = get_ident()
        #: Whether its thread is letting others through, or waits to have its locks again.
        self.is_aside = False
        #: Whether the package executes.
        self.executes = False

    def end(self) -> None:
        """Let the next one begin."""
        _drop([self])


class Order:
    """The turns of this process, the innermost last, and ``builtins.__import__`` while there are any."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.is_off = False
        self.forget()

    def forget(self) -> None:
        """Begin anew: a forked child has none of the other threads."""
        self.lock = RLock()
        self.turns.clear()
        self.close()

    def open(self) -> None:
        """Have threads wait at their ``import`` statements."""
        original = vars(builtins).get("__import__")
        if self._gated is None and callable(original):
            self._original, self._gated = original, _make_import(original)
            vars(builtins)["__import__"] = self._gated

    def close(self) -> None:
        """Put back what was there, unless the program has put something over it."""
        if self._gated is not None and vars(builtins).get("__import__") is self._gated:
            vars(builtins)["__import__"] = self._original
        self._original = self._gated = None

    _original: "Callable[..., object] | None" = None
    _gated: "Callable[..., object] | None" = None


def search(name: str) -> "ModuleSpec | None":
    """Wait until this thread may import ``name``; return its spec if another thread has imported it by then.

    Otherwise this thread has a turn, which `end_search` or the end of the module's execution ends. To be
    called in a search for an import, without the interpreter's import lock.
    """
    if _order.is_off or name in sys.modules:
        return None
    turn = _announce(name)
    if not _take(turn):
        with Aside(turn):
            _await(turn)
    limit = monotonic() + MOST
    # Who came a moment earlier, with locks of parts or about to take them, comes to where it gives them up.
    is_held = True
    while name not in sys.modules and is_held and monotonic() < limit:
        with Aside(turn):
            sleep(SHORT)
        is_held = _is_held_by_others(turn)
    if name not in sys.modules:
        return None
    spec = _reuse(sys.modules[name])
    finder.attempt("turns of threads", turn.end)
    # A time slice of its own: the import system takes the module out of `sys.modules` for a moment.
    sleep(SHORT)
    return spec


def _reuse(module: "ModuleType") -> "ModuleSpec | None":
    """Return the spec of ``module``, None where that cannot be; its loader hands it out, once.

    A thread was in the midst of its search when another one imported the module. The import system then
    loads by the spec of what it finds in ``sys.modules``, a second time, while it holds the module's lock.
    """
    # By hand, as `spec_of` does: whatever failed here would have the module executed twice.
    spec: ModuleSpec | None = object.__getattribute__(module, "__dict__").get("__spec__")
    if spec is not None and hasattr(spec.loader, "__dict__"):
        _shadow(spec, spec.loader, module)
        return spec
    return None


def _shadow(spec: "ModuleSpec", loader: "Any", module: "ModuleType") -> None:
    own = {name: vars(loader).get(name) for name in ("create_module", "exec_module")}
    create, execute = loader.create_module, loader.exec_module

    def create_module(asked: "ModuleSpec") -> object:
        return module if asked is spec else create(asked)

    def exec_module(asked: object) -> None:
        if asked is not module:
            execute(asked)
            return
        for name, method in own.items():
            vars(loader).pop(name, None)
            if method is not None:
                vars(loader)[name] = method

    vars(loader).update(create_module=create_module, exec_module=exec_module)


def end_search(name: str) -> None:
    """End the turn of this thread with ``name``: nothing was found."""
    turn = _find(name)
    if turn is not None:
        turn.end()


def begin(name: str) -> Turn | None:
    """Return the turn of this thread with ``name``, which executes now; without a search it waits for one."""
    if _order.is_off:
        return None
    turn = _find(name)
    if turn is None:
        turn = _announce(name)
        _await(turn)
    turn.executes = True
    return turn


def _announce(name: str) -> Turn:
    """Return a turn that is still to be taken; threads that come from now on wait at their statements."""
    turn = Turn(name)
    with _order.lock:
        _order.open()
    return turn


def _await(turn: Turn) -> None:
    if not _wait(partial(_take, turn)):
        _take(turn, anyway=True)


def _find(name: str) -> Turn | None:
    searching = [turn for turn in list(_order.turns) if turn.name == name and not turn.executes]
    own = [turn for turn in searching if turn.owner == get_ident()]
    return own[-1] if own else None


class Aside:
    """Gives up this thread's locks of the import system for a package, for the time of a ``with``.

    Of that package alone, which has not begun: a module that executes just now must keep its own.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._locks: list[Any] = []

    def __enter__(self) -> None:
        self._turn.is_aside = True
        for lock in _locks(self._turn.name):
            while _owner(lock) == self._turn.owner:
                self._locks.append(lock)
                lock.release()

    def __exit__(self, *_: object) -> None:
        for lock in self._locks:
            _acquire(lock)
        self._turn.is_aside = False


def _acquire(lock: "Any") -> None:
    """Acquire ``lock``, which its thread will release. Raises RuntimeError where that would be a deadlock."""
    if not _wait(partial(_try, lock)):
        lock.acquire()


def _try(lock: "Any") -> bool:
    try:
        lock.acquire()
    except RuntimeError:  # a deadlock, in the eyes of the import system
        return False
    return True


def _is_held_by_others(turn: Turn) -> bool:
    return any(_owner(lock) not in (None, turn.owner) for lock in _locks(turn.name))


def _locks(package: str) -> "list[Any]":
    """Return the import system's locks of ``package`` and its parts, by name."""
    known = getattr(_bootstrap, "_module_locks", {})
    names = sorted(name for name in list(known) if name.partition(".")[0] == package)
    references = (known.get(name) for name in names)
    return [reference() for reference in references if reference is not None]


def stop(*, for_good: bool = False) -> None:
    """End all turns, and have no others where that is ``for_good``: each thread goes its own way."""
    with _order.lock:
        _order.is_off = for_good
        _order.turns.clear()
        _order.close()


def _take(turn: Turn, *, anyway: bool = False) -> bool:
    with _order.lock:
        if not anyway and not _is_free(turn.owner):
            return False
        _order.turns.append(turn)
        return True


def _is_free(thread: int) -> bool:
    """Return whether ``thread`` may go on: nobody has a turn, it has one itself, or who has waits for it."""
    _drop([turn for turn in list(_order.turns) if not _is_alive(turn)])
    turns = list(_order.turns)
    if not turns or any(turn.owner == thread for turn in turns):
        return True
    return not turns[-1].is_aside and _is_waiting(turns[-1].owner, thread)


def _is_alive(turn: Turn) -> bool:
    """Return whether its thread is at it: it holds the package's lock, or is about to have it back."""
    return turn.is_aside or any(_owner(lock) == turn.owner for lock in _locks(turn.name))


def _drop(turns: "Sequence[Turn]") -> None:
    if turns:
        with _order.lock:
            _order.turns[:] = [turn for turn in _order.turns if turn not in turns]
            if not _order.turns:
                _order.close()


def _is_waiting(one: int, other: int) -> bool:
    """Return whether thread ``one`` waits for a module that ``other`` imports, directly or through others.

    As the import system itself finds its deadlocks. PYVERSION: a lock up to 3.11, then a list of them.
    """
    blocking: Mapping[int, object] = getattr(_bootstrap, "_blocking_on", None) or {}
    seen: set[int] = set()
    todo = [one]
    while todo:
        thread = todo.pop()
        if thread == other:
            return True
        if thread not in seen:
            seen.add(thread)
            todo.extend(_owners(blocking.get(thread)))
    return False


def _owners(locks: object) -> "Iterable[int]":
    each = locks if isinstance(locks, list) else [locks]
    return [owner for owner in map(_owner, tuple(each)) if owner is not None]


def _owner(lock: object) -> "int | None":
    return getattr(lock, "owner", None)


def _wait(is_over: "Callable[[], bool]") -> bool:
    """Return True as soon as ``is_over()``, False after `PATIENCE`."""
    limit, pause = monotonic() + PATIENCE, SHORT
    while not is_over():
        if monotonic() > limit:
            return False
        sleep(pause)
        pause = min(2 * pause, LONG)
    return True


def _wait_before(name: object) -> None:
    """Wait where the thread is about to import ``name`` and another one is in the midst of such a package."""
    package = name.partition(".")[0] if isinstance(name, str) else ""
    thread = get_ident()
    if package in ORDERED and not _is_free(thread) and not _is_whole(package):
        _wait(partial(_is_free, thread))


def _is_whole(package: str) -> bool:
    module = sys.modules.get(package)
    return module is not None and not getattr(spec_of(module), "_initializing", False)


def _make_import(original: "Callable[..., object]") -> "Callable[..., object]":
    """Return ``original`` with a wait in front of it: each of its own, since a program may keep it."""
    turns = _order.turns

    def gated(
        name: str,
        globals: "Mapping[str, object] | None" = None,  # noqa: A002 - as the built-in function has it
        locals: "Mapping[str, object] | None" = None,  # noqa: A002
        fromlist: "Sequence[str] | None" = (),
        level: int = 0,
    ) -> object:
        # Tens of thousands of times, nearly always in the thread that has the turn.
        for turn in () if level else turns[-1:]:
            if turn.owner != get_ident():
                finder.attempt("turns of threads", _wait_before, name)
        return original(name, globals, locals, fromlist, level)

    # CPython leaves frames of this name out of tracebacks where a module was imported by another one, and
    # those of the file where warnings count ``stacklevel``.
    gated.__code__ = gated.__code__.replace(
        co_filename="<frozen importlib._bootstrap>", co_name="_call_with_frames_removed"
    )
    return gated


_order = Order()
os.register_at_fork(after_in_child=_order.forget)

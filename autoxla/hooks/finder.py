"""The import finder: calls back before and after watched modules execute, without being seen.

`AutoxlaFinder` stands first on ``sys.meta_path``. It finds nothing by itself: for a watched name it asks
the finders behind it and hands on the very spec that they found. To learn when the module executes it
shadows ``exec_module`` on the loader *instance* until that method is called, so no foreign loader is ever
in ``__spec__`` or ``__loader__``.

CPython holds its import lock during a search. So a search imports nothing: a module that another thread
is just importing, and that needs the lock for its own imports, would never be finished. All that a search
needs is in this file, which loads at interpreter start and imports only what is built in.

A known limit, besides those in docs/limits.md: a deep copy of a spec that was found but not executed has no
callbacks.
"""

import os
import sys
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, TypeVar

    Result = TypeVar("Result")
    Callback = Callable[[ModuleType], object]


class Watch:
    """The callbacks of one watched name, and how often those after its import were due."""

    __slots__ = ("after", "before", "ended")

    def __init__(self) -> None:
        self.before: list[Callback] = []
        self.after: list[Callback] = []
        self.ended = 0


class AutoxlaFinder:
    """A ``sys.meta_path`` finder that calls back before and after watched modules execute."""

    def __init__(self) -> None:
        self.watched: dict[str, Watch] = {}
        #: The watched names that executed, or began to load before the finder came.
        self.seen: set[str] = set()
        #: Whether two threads executed watched modules at the same time; it explains errors of both.
        self.overlapped = False
        self.executing: dict[str, int] = {}
        self._searching: set[tuple[str, int]] = set()

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Return the spec that the finders behind this one have for a watched name, else None.

        Raises what they raise.
        """
        if fullname not in self.watched:
            return None
        # A finder behind may itself search for the name from the start. Threads search on their own.
        search = fullname, get_ident()
        if search in self._searching:
            return None
        self._searching.add(search)
        spec: ModuleSpec | None = None
        try:
            finders = list(sys.meta_path)
            for other in finders[finders.index(self) + 1 :] if self in finders else finders:
                find_spec = getattr(other, "find_spec", None)
                spec = None if find_spec is None else find_spec(fullname, path, target)
                if spec is not None:
                    break
        except BaseException as error:
            _drop_own_frames(error)
            raise
        finally:
            self._searching.discard(search)
        if spec is not None:
            # Whatever the loader is made of, the import goes on.
            attempt(f"hook on {fullname}", self.attach, spec)
        return spec

    def watch(self, name: str) -> Watch:
        """Return the callbacks of ``name``, watching it from now on."""
        return self.watched.setdefault(name, Watch())

    def attach(self, spec: "ModuleSpec") -> None:
        """Make the execution of ``spec`` call back."""
        loader = spec.loader
        # A LazyLoader executes nothing when it is asked to; the loader inside it does, later.
        util = sys.modules.get("importlib.util")
        if util is not None and isinstance(loader, util.LazyLoader):
            loader = loader.loader
        if loader is None or isinstance(loader, type):
            return
        if not hasattr(loader, "exec_module") or not hasattr(loader, "__dict__"):
            return
        shadow = vars(loader).get("exec_module")
        if not isinstance(shadow, ExecShadow):
            shadow = ExecShadow(self, loader)
        shadow.pending.add(spec.name)
        try:
            loader.exec_module = shadow  # type: ignore[method-assign]
        except (AttributeError, TypeError):
            return

    def begin(self, name: str, module: "ModuleType") -> bool:
        """Run the callbacks due before ``module`` executes; return whether it still has to.

        A callback may import another package that in turn imports this one anew (it takes the
        module out of ``sys.modules`` for that), or put another module in its place. Then
        ``sys.modules`` holds the module that counts, the import system reads it from there, and
        executing ours would run its body twice.
        """
        self.seen.add(name)
        thread = self.executing[name] = get_ident()
        if any(other != thread for other in tuple(self.executing.values())):
            self.overlapped = True
        watch = self.watched.get(name, Watch())
        ended = watch.ended
        registered = sys.modules.get(name) is module
        for callback in tuple(watch.before):
            attempt(f"callback for {name}", callback, module)
            if registered and sys.modules.setdefault(name, module) is not module:
                # Another thread may have taken ours out of ``sys.modules`` before and waits for it to be
                # imported, so it gets what the other consists of. A lazily loaded one is what its users
                # hold, so that one stays.
                is_lazy = isinstance(getattr(_spec_of(module), "loader_state", None), dict)
                vars(module).update(vars(sys.modules[name]))
                if is_lazy:
                    sys.modules[name] = module
                if watch.ended == ended:
                    self.end(name, module)
                return False
        return True

    def end(self, name: str, module: "ModuleType") -> None:
        """Run the callbacks due after ``module`` executed, with the module that replaced it if any."""
        watch = self.watched.get(name, Watch())
        watch.ended += 1
        for callback in tuple(watch.after):
            attempt(f"callback for {name}", callback, sys.modules.get(name, module))

    def bypassed(self, names: "Iterable[str]") -> "tuple[str, ...]":
        """Return those of ``names`` that were loaded from a file, as such, without this finder's doing."""
        unseen = [
            (name, sys.modules[name]) for name in names if name in sys.modules and name not in self.seen
        ]
        loaded = [(name, each) for name, each in unseen if _has_begun(each) and not _is_starting(each)]
        return tuple(name for name, each in loaded if getattr(_spec_of(each), "name", None) == name)

    def after_fork(self) -> None:
        """Stand aside in a forked child where another thread of the parent was importing a watched module.

        What that thread had locked stays locked in the child, autoxla's own modules among it.
        """
        if any(thread != get_ident() for thread in self.executing.values()):
            self.seen.update(self.watched)
            self.watched.clear()
        self.executing.clear()


class ExecShadow:
    """Stands in for ``exec_module`` on a loader instance until a pending module executes.

    One shadow serves all pending modules of a loader, because some loaders (``zipimporter``)
    are shared. It compares and pickles as the loader's own method, so that a spec which was found
    but not yet executed does so, too, and needs no autoxla where it is unpickled.
    """

    def __init__(self, finder: AutoxlaFinder, loader: "Loader") -> None:
        self.finder = finder
        self.loader = loader
        self.original = loader.exec_module
        self.own = vars(loader).get("exec_module")  # somebody else's shadow, put back afterwards
        self.pending: set[str] = set()

    def __call__(self, module: "ModuleType") -> None:
        """Execute ``module``, between the callbacks if it is pending."""
        # ``runpy`` gives the module another name.
        name = getattr(_spec_of(module), "name", None) or module.__name__
        try:
            if not attempt(f"hook on {name}", self.release, name):
                self.original(module)
            elif attempt(f"start of {name}", self.finder.begin, name, module) is not False:
                self.original(module)
                attempt(f"end of {name}", self.finder.end, name, module)
        except BaseException as error:
            _drop_own_frames(error)
            raise
        finally:
            self.finder.executing.pop(name, None)

    def __reduce__(self) -> "tuple[object, ...]":
        return getattr, (self.loader, "exec_module")

    def __eq__(self, other: object) -> bool:
        return _function_of(self) == _function_of(other)

    def __hash__(self) -> int:
        return hash(_function_of(self))

    def release(self, name: str) -> bool:
        """Take ``name`` off the pending ones, return whether it was; after the last uncover the loader."""
        if name not in self.pending:
            return False
        self.pending.discard(name)
        if self.pending or vars(self.loader).get("exec_module") is not self:
            return True
        # Without a lock, which a fork could leave locked: so all of it may happen twice at once.
        if self.own is None:
            vars(self.loader).pop("exec_module", None)
        else:
            self.loader.exec_module = self.own
        if self.pending:  # another thread has found a module with this loader meanwhile
            self.loader.exec_module = self
        return True


def attempt(
    where: str,
    function: "Callable[..., Result]",
    *arguments: "Any",
    otherwise: "Callable[[], Result] | None" = None,
) -> "Result | None":
    """Return ``function(*arguments)``; where it fails, have that noted, and return ``otherwise()`` or None.

    Whatever of autoxla a program runs into goes through this.
    """
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001  whatever it is, it is ours, and the program goes on
        fault = error
    try:
        from autoxla.hooks import boundary
    except Exception:  # noqa: BLE001  autoxla was taken away while the program runs
        boundary = None  # type: ignore[assignment]
    if boundary is not None:
        boundary.note_fault(where, fault)
    return None if otherwise is None else otherwise()


def _spec_of(module: object) -> "ModuleSpec | None":
    try:
        # Not getattr: that makes a lazily loaded module execute.
        spec: ModuleSpec | None = object.__getattribute__(module, "__spec__")
    except AttributeError:
        return None
    return spec


def _is_unloaded(module: object) -> bool:
    """Return whether ``module`` will be loaded when it is first used (``importlib.util.LazyLoader``)."""
    util = sys.modules.get("importlib.util")
    return util is not None and issubclass(type(module), util._LazyModule)


def _is_starting(module: object) -> bool:
    return bool(getattr(_spec_of(module), "_initializing", False))


def _has_begun(module: object) -> bool:
    """Return whether the import system executes or has executed a file for ``module``, no test double."""
    return type(getattr(_spec_of(module), "origin", None)) is str and not _is_unloaded(module)


def _function_of(method: object) -> object:
    method = method.original if isinstance(method, ExecShadow) else method
    return getattr(method, "__func__", method)


def _drop_own_frames(error: BaseException) -> None:
    """Take our frames off the top of the traceback of ``error``, which is about to be raised again.

    CPython leaves importlib's own frames out of what it shows, and only those. PYVERSION: 3.10 does not look
    at this when it raises again, so there one line of ours shows.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code in _OWN_CODE:
        trace = trace.tb_next
    error.__traceback__ = trace


_OWN_CODE = {
    AutoxlaFinder.find_spec.__code__,
    ExecShadow.__call__.__code__,
}

#: The finder of this process.
FINDER = AutoxlaFinder()
os.register_at_fork(after_in_child=FINDER.after_fork)


def install() -> None:
    """Put the finder first on ``sys.meta_path`` unless it is there."""
    if FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)


def uninstall() -> None:
    """Take the finder off ``sys.meta_path`` and forget all callbacks."""
    if FINDER in sys.meta_path:
        sys.meta_path.remove(FINDER)
    # What is imported from now on does not go past the finder: nobody is looking.
    FINDER.seen.update(FINDER.watched)
    FINDER.watched.clear()


def on_import(name: str, callback: "Callback") -> None:
    """Call ``callback(module)`` each time ``name`` was imported; at once if it is already.

    Fires again after ``importlib.reload`` and after a re-import. Runs while the import system
    still holds the module's lock: no thread sees the module before the callback has seen it.
    An exception in it is reported and does not reach the importing program.
    """
    FINDER.watch(name).after.append(callback)
    module = sys.modules.get(name)
    if module is not None and not _is_starting(module) and not _is_unloaded(module):
        attempt(f"callback for {name}", callback, module)


def before_import(name: str, callback: "Callback") -> None:
    """Call ``callback(module)`` when ``name`` is about to execute; never on a bare ``find_spec``.

    ``module`` is created but empty. The callback may import another package that imports ``name`` anew,
    or put another module in its place in ``sys.modules``; then ``module`` is not executed.
    """
    FINDER.watch(name).before.append(callback)


def mark_loaded(names: "Iterable[str]") -> bool:
    """Note which of ``names`` began to load before the finder came; return whether any did."""
    loaded = [name for name in names if name in sys.modules and _has_begun(sys.modules[name])]
    FINDER.seen.update(loaded)
    return bool(loaded)

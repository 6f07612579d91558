"""The import finder: names and callbacks, nothing else.

It answers for watched names only, and answers with the very spec that the finders behind it
found. To learn when the module executes, it shadows ``exec_module`` on the loader *instance*
until that method is called; so no foreign loader is ever seen, and ``inspect``,
``importlib.resources``, ``pkgutil`` and ``pickle`` work as without it.

Known limits: a finder that somebody puts in front of this one and that finds a watched module
hides the import from it (noticed by `AutoxlaFinder.bypassed`); a loader that offers only the
deprecated ``load_module`` is left alone, and so is code that runs a module without its loader's
``exec_module`` (``runpy``). A deep copy of a spec that was found but not executed has no callbacks.
Where Python 3.10 shows importlib's frames in a traceback (after ``importlib.import_module``), it
shows one more. Under a watched module's body the stack is one frame deeper.

Loaded at interpreter start, so it imports ``sys`` and ``_thread`` only: ``typing``, ``functools``
or ``importlib.machinery`` would each cost more than all the rest.
"""

import sys
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import TypeVar

    Argument = TypeVar("Argument")
    Result = TypeVar("Result")
    Callback = Callable[[ModuleType], object]
    MissingCallback = Callable[[str], "ModuleSpec | None"]


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
        self.faults: list[tuple[str, Exception]] = []
        # Threads search on their own: the guard is a pair, a bare name would hide the module
        # from a second thread that imports it at the same time.
        self._searching: set[tuple[str, int]] = set()

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Return the spec that the finders behind this one have for a watched name, else None."""
        if fullname not in self.watched:
            return None
        try:
            return self._find_watched(fullname, path, target)
        except BaseException as error:
            _drop_own_frames(error)
            raise

    def invalidate_caches(self) -> None:
        """Do nothing: there is no cache. ``importlib.invalidate_caches`` calls it."""

    def watch(self, name: str) -> Watch:
        """Return the callbacks of ``name``, watching it from now on."""
        if name not in self.watched:
            self.watched[name] = Watch()
            module = sys.modules.get(name)
            if _is_unloaded(module):
                self._attach(name, _spec_of(module))
        return self.watched[name]

    def bypassed(self, names: "Iterable[str]") -> "tuple[str, ...]":
        """Return those of ``names`` that were loaded from a file without this finder's doing."""
        modules = {name: sys.modules.get(name) for name in names if name not in self.seen}
        return tuple(n for n, module in modules.items() if _is_file(module) and not _is_starting(module))

    def begin(self, name: str, module: "ModuleType") -> bool:
        """Run the callbacks due before ``module`` executes; return whether it still has to.

        A callback may import another package that in turn imports this one anew (it takes the
        module out of ``sys.modules`` for that), or put another module in its place. Then
        ``sys.modules`` holds the module that counts, the import system reads it from there, and
        executing ours would run its body twice.
        """
        self.seen.add(name)
        watch = self.watched.get(name, Watch())
        ended = watch.ended
        registered = sys.modules.get(name) is module
        for callback in tuple(watch.before):
            self.call(callback, name, module)
            if registered and sys.modules.setdefault(name, module) is not module:
                _adopt(name, module, sys.modules[name])
                if watch.ended == ended:
                    self.end(name, module)
                return False
        return True

    def end(self, name: str, module: "ModuleType") -> None:
        """Run the callbacks due after ``module`` executed, with the module that replaced it if any."""
        watch = self.watched.get(name, Watch())
        watch.ended += 1
        for callback in tuple(watch.after):
            self.call(callback, name, sys.modules.get(name, module))

    def call(
        self, callback: "Callable[[Argument], Result]", name: str, argument: "Argument"
    ) -> "Result | None":
        """Return ``callback(argument)``; keep an exception from the program that imports ``name``."""
        try:
            return callback(argument)
        except Exception as error:  # noqa: BLE001  whatever it is, the import goes on
            self.note_fault(f"callback for {name}", error)
            return None

    def note_fault(self, where: str, error: Exception) -> None:
        """Keep a fault for the report and, the first time, say it in one line on stderr."""
        self.faults.append((where, error))
        try:
            from autoxla.hooks import faults

            faults.say(where, error, first=len(self.faults) == 1)
        except Exception:  # noqa: BLE001, S110  at interpreter exit even an import can fail
            pass
        # Kept until the process ends, and with the traceback all that its frames refer to.
        error.__traceback__ = error.__context__ = None

    def _find_watched(
        self, name: str, path: "Sequence[str] | None", target: "ModuleType | None"
    ) -> "ModuleSpec | None":
        key = name, get_ident()
        if key in self._searching:
            return None
        self._searching.add(key)
        try:
            spec = self._ask_behind(name, path, target)
            if spec is None:
                spec = self._ask_missing(name)
        finally:
            self._searching.discard(key)
        self._attach(name, spec)
        return spec

    def _ask_behind(
        self, name: str, path: "Sequence[str] | None", target: "ModuleType | None"
    ) -> "ModuleSpec | None":
        finders = list(sys.meta_path)
        if self in finders:
            finders = finders[finders.index(self) + 1 :]
        for finder in finders:
            find_spec = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = (
                find_spec(name, path, target) if find_spec else _ask_old(finder, name, path)
            )
            if spec is not None:
                return spec
        return None

    def _ask_missing(self, name: str) -> "ModuleSpec | None":
        for callback in tuple(self.watched.get(name, Watch()).missing):
            spec = self.call(callback, name, name)
            if spec is not None:
                return spec
        return None

    def _attach(self, name: str, spec: "ModuleSpec | None") -> None:
        """Make the execution of ``spec`` call back."""
        if spec is None:
            return
        try:
            loader = _inside_lazy(spec.loader)
            if _shadow(self, spec.name, loader) or loader is not spec.loader:
                return
            # Seen by others as long as the module does not execute, so only where it is about to.
            if _can_execute(spec) and _is_importing(name):
                spec.loader = ChainedLoader(self, loader)  # type: ignore[assignment]
        except Exception as error:  # noqa: BLE001  whatever the loader is made of, the import goes on
            self.note_fault(f"hook on {name}", error)


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
        name = _name_of(module)
        try:
            if not self.release(name):
                self.original(module)
            elif self.finder.begin(name, module):
                self.original(module)
                self.finder.end(name, module)
        except BaseException as error:
            _drop_own_frames(error)
            raise

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
        if not self.pending and vars(self.loader).get("exec_module") is self:
            self._uncover()
        return True

    def _uncover(self) -> None:
        # Without a lock, which a fork could leave locked: so all of it may happen twice at once.
        if self.own is None:
            vars(self.loader).pop("exec_module", None)
        else:
            self.loader.exec_module = self.own  # type: ignore[method-assign]
        if self.pending:  # another thread has found a module with this loader meanwhile
            self.loader.exec_module = self  # type: ignore[method-assign]


class ChainedLoader:
    """Stands before a loader that cannot be shadowed: a class, one without ``__dict__``, or None.

    The module gets its real loader back before its body runs. ``None`` is what a finder gives
    for a namespace package; then this does what the import system does for it.
    """

    def __init__(self, finder: AutoxlaFinder, loader: "Loader | None") -> None:
        self.finder = finder
        self.loader = loader

    def __getattr__(self, name: str) -> "object":
        return getattr(self.loader, name)

    def create_module(self, spec: "ModuleSpec") -> "ModuleType | None":
        """Let the real loader create the module."""
        create = getattr(self.loader, "create_module", None)
        return create(spec) if create else None

    def exec_module(self, module: "ModuleType") -> None:
        """Give ``module`` its real loader back, then execute it between the callbacks."""
        name = _name_of(module)
        loader = self.loader or _namespace_loader(module)
        module.__loader__ = loader
        if module.__spec__ is not None:
            module.__spec__.loader = loader
        try:
            if self.finder.begin(name, module):
                loader.exec_module(module)
                self.finder.end(name, module)
        except BaseException as error:
            _drop_own_frames(error)
            raise


def _shadow(finder: AutoxlaFinder, name: str, loader: "Loader | None") -> bool:
    """Shadow ``exec_module`` of ``loader``; return False where it has none or does not allow that."""
    if loader is None or isinstance(loader, type) or not hasattr(loader, "exec_module"):
        return False
    if not hasattr(loader, "__dict__"):
        return False
    shadow = vars(loader).get("exec_module")
    if not isinstance(shadow, ExecShadow):
        shadow = ExecShadow(finder, loader)
    shadow.pending.add(name)
    try:
        loader.exec_module = shadow  # type: ignore[method-assign]
    except (AttributeError, TypeError):
        return False
    return True


def _inside_lazy(loader: "Loader | None") -> "Loader | None":
    # A LazyLoader executes nothing when it is asked to; the loader inside it does, later.
    util = sys.modules.get("importlib.util")
    if util is not None and isinstance(loader, util.LazyLoader):
        inner: Loader = loader.loader
        return inner
    return loader


def _can_execute(spec: "ModuleSpec") -> bool:
    if spec.loader is None:
        return spec.submodule_search_locations is not None
    return hasattr(spec.loader, "exec_module")


def _is_importing(name: str) -> bool:
    """Return whether ``name`` is searched for an import, not for a bare `find_spec`.

    Some finders in front of ours (wrapt's) make a bare search while the import system asks them.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None:
        asker = frame.f_back.f_code.co_name
        if frame.f_code.co_name == "_find_spec" and asker in ("_find_and_load_unlocked", "reload"):
            return bool(frame.f_locals.get("name") == name)
        frame = frame.f_back
    return False


def _ask_old(finder: object, name: str, path: "Sequence[str] | None") -> "ModuleSpec | None":
    """Ask a finder that has only ``find_module``, as the import system does up to Python 3.11."""
    ask = getattr(sys.modules["_frozen_importlib"], "_find_spec_legacy", None)  # PYVERSION: < 3.12
    if ask is None or not hasattr(finder, "find_module"):
        return None
    spec: ModuleSpec | None = ask(finder, name, path)
    return spec


def _namespace_loader(module: "ModuleType") -> "Loader":
    external = sys.modules["_frozen_importlib_external"]
    kind = getattr(external, "NamespaceLoader", None) or external._NamespaceLoader  # PYVERSION: 3.10
    loader: Loader = kind.__new__(kind)
    loader._path = module.__spec__.submodule_search_locations  # type: ignore[attr-defined, union-attr]
    module.__file__ = None
    return loader


def _adopt(name: str, module: "ModuleType", current: "ModuleType") -> None:
    """Fill ``module`` with what ``current``, which took its place, consists of.

    Another thread may have taken it out of ``sys.modules`` before and waits for it to be imported.
    A lazily loaded one is what its users hold, so that one stays.
    """
    is_lazy = isinstance(getattr(_spec_of(module), "loader_state", None), dict)
    vars(module).update(vars(current))
    if is_lazy:
        sys.modules[name] = module


def _name_of(module: "ModuleType") -> str:
    spec = _spec_of(module)
    return spec.name if spec is not None else module.__name__


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


def _is_file(module: object) -> bool:
    """Return whether the import system has executed a file for ``module``; not so for test doubles."""
    return type(getattr(_spec_of(module), "origin", None)) is str and not _is_unloaded(module)


def _function_of(method: object) -> object:
    method = method.original if isinstance(method, ExecShadow) else method
    return getattr(method, "__func__", method)


_OWN_CODE: "set[CodeType]" = set()


def _as_import_system(function: "Callable[..., object]") -> None:
    """Give ``function`` the file name by which CPython knows frames to leave out.

    So it does in the tracebacks of modules that raise and where warnings count ``stacklevel``.
    """
    code: CodeType = function.__code__
    function.__code__ = code.replace(co_filename="<frozen importlib._bootstrap_external>")
    _OWN_CODE.add(function.__code__)


def _drop_own_frames(error: BaseException) -> None:
    """Take this module's frames off the top of the traceback of a foreign ``error``.

    CPython leaves import frames out only above a module's body and for ImportError; a loader or a
    finder may raise otherwise. PYVERSION: 3.10 does not look at this when it raises again.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code in _OWN_CODE:
        trace = trace.tb_next
    if trace is not None:
        error.__traceback__ = trace


for _method in (
    AutoxlaFinder.find_spec,
    AutoxlaFinder._find_watched,
    AutoxlaFinder._ask_behind,
    ExecShadow.__call__,
    ChainedLoader.create_module,
    ChainedLoader.exec_module,
):
    _as_import_system(_method)

_finder = AutoxlaFinder()


def install() -> bool:
    """Put the finder first on ``sys.meta_path``; return False when it is there already."""
    if _finder in sys.meta_path:
        return False
    sys.meta_path.insert(0, _finder)
    return True


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
    if module is not None and not _is_starting(module) and not _is_unloaded(module):
        _finder.call(callback, name, module)


def before_import(name: str, callback: "Callback") -> None:
    """Call ``callback(module)`` when ``name`` is about to execute; never on a bare ``find_spec``.

    ``module`` is created but empty. See `AutoxlaFinder.begin` for what the callback may do to it.
    """
    _finder.watch(name).before.append(callback)


def when_missing(name: str, callback: "MissingCallback") -> None:
    """Call ``callback(name)`` when no finder has ``name``; it may return a spec."""
    _finder.watch(name).missing.append(callback)


def mark_loaded(names: "Iterable[str]") -> bool:
    """Note which of ``names`` began to load before the finder came; return whether any did."""
    loaded = [name for name in names if _is_file(sys.modules.get(name))]
    _finder.seen.update(loaded)
    return bool(loaded)


def bypassed(names: "Iterable[str]") -> "tuple[str, ...]":
    """Return those of ``names`` that were loaded past the finder."""
    return _finder.bypassed(names)


def faults() -> "list[tuple[str, Exception]]":
    """Return what went wrong in callbacks so far, oldest first, as (where, exception)."""
    return _finder.faults


def note_fault(where: str, error: Exception) -> None:
    """Keep a fault for the report and, the first time, say it in one line on stderr."""
    _finder.note_fault(where, error)

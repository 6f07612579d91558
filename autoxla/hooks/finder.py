"""The import finder: names and callbacks, nothing else.

It answers for watched names only, and answers with the very spec that the finders behind it
found. To learn when the module executes, it shadows ``exec_module`` on the loader *instance*
until that method is called; so no foreign loader is ever seen, and ``inspect``,
``importlib.resources``, ``pkgutil`` and ``pickle`` work as without it.

Known limits: a finder that somebody puts in front of this one and that finds a watched module
hides the import from it (noticed by `AutoxlaFinder.bypassed`); a loader that offers only the
deprecated ``load_module`` is left alone.

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

    Callback = Callable[[ModuleType], object]
    MissingCallback = Callable[[str], "ModuleSpec | None"]


class Watch:
    """The callbacks of one watched name."""

    __slots__ = ("after", "before", "missing")

    def __init__(self) -> None:
        self.before: "list[Callback]" = []
        self.after: "list[Callback]" = []
        self.missing: "list[MissingCallback]" = []


class AutoxlaFinder:
    """A ``sys.meta_path`` finder that calls back before and after watched modules execute.

    It never finds anything by itself: it asks the finders behind it, with the same arguments,
    and hands on what they found.
    """

    def __init__(self) -> None:
        self.watched: "dict[str, Watch]" = {}
        self.seen: "set[str]" = set()
        self.faults: "list[tuple[str, Exception]]" = []
        # Threads search on their own: the guard is a pair, a bare name would hide the module
        # from a second thread that imports it at the same time.
        self._searching: "set[tuple[str, int]]" = set()

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Return the spec that the finders behind this one have for a watched name, else None."""
        if fullname not in self.watched:
            return None
        return self._find_watched(fullname, path, target)

    def invalidate_caches(self) -> None:
        """Do nothing: there is no cache. ``importlib.invalidate_caches`` calls it."""

    def watch(self, name: str) -> Watch:
        """Return the callbacks of ``name``, watching it from now on."""
        return self.watched.setdefault(name, Watch())

    def bypassed(self, names: "Iterable[str]") -> "tuple[str, ...]":
        """Return those of ``names`` that were loaded from a file without this finder's doing."""
        return tuple(n for n in names if n not in self.seen and _is_loaded(sys.modules.get(n)))

    def begin(self, name: str, module: "ModuleType") -> bool:
        """Run the callbacks due before ``module`` executes; return whether it still has to.

        A callback may import another package that in turn imports this one anew (it takes the
        module out of ``sys.modules`` for that). Then ``sys.modules`` holds the module that
        counts, the import system reads it from there, and executing ours would run its body twice.
        """
        self.seen.add(name)
        held = sys.modules.get(name)
        self._call("before", name, module)
        current = sys.modules.get(name)
        if held is not module or current is module:
            return True
        if current is None:
            sys.modules[name] = module
            return True
        _adopt_when_lazy(name, module, current)
        return False

    def end(self, name: str, module: "ModuleType") -> None:
        """Run the callbacks due after ``module`` executed, with the module that replaced it if any."""
        self._call("after", name, sys.modules.get(name, module))

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
                return self._ask_missing(name)
        finally:
            self._searching.discard(key)
        try:
            _attach(self, spec)
        except Exception as error:
            self.note_fault(f"hook on {name}", error)
        return spec

    def _ask_behind(
        self, name: str, path: "Sequence[str] | None", target: "ModuleType | None"
    ) -> "ModuleSpec | None":
        finders = list(sys.meta_path)
        if self in finders:
            finders = finders[finders.index(self) + 1 :]
        for finder in finders:
            find_spec = getattr(finder, "find_spec", None)
            spec: "ModuleSpec | None" = find_spec(name, path, target) if find_spec else None
            if spec is not None:
                return spec
        return None

    def _ask_missing(self, name: str) -> "ModuleSpec | None":
        for callback in tuple(self.watched[name].missing):
            try:
                spec = callback(name)
            except Exception as error:
                self.note_fault(f"search for {name}", error)
            else:
                if spec is not None:
                    return spec
        return None

    def _call(self, when: str, name: str, module: "ModuleType") -> None:
        for callback in tuple(getattr(self.watched.get(name), when, ())):
            self.call(callback, name, module)

    def call(self, callback: "Callback", name: str, module: "ModuleType") -> None:
        """Call ``callback(module)``; keep an exception from the program that imports."""
        try:
            callback(module)
        except Exception as error:
            self.note_fault(f"callback for {name}", error)

    def note_fault(self, where: str, error: Exception) -> None:
        """Keep a fault for the report and, the first time, say it in one line on stderr."""
        self.faults.append((where, error))
        from autoxla.hooks import faults

        faults.say(where, error, first=len(self.faults) == 1)


class ExecShadow:
    """Stands in for ``exec_module`` on a loader instance until a pending module executes.

    One shadow serves all pending modules of a loader, because some loaders (``zipimporter``)
    are shared. It pickles as the loader's own method, so that a spec which was found but not
    yet executed pickles, too, and needs no autoxla where it is unpickled.
    """

    def __init__(self, finder: AutoxlaFinder, loader: "Loader") -> None:
        self.finder = finder
        self.loader = loader
        self.original = loader.exec_module
        self.own = vars(loader).get("exec_module")  # somebody else's shadow, put back afterwards
        self.pending: "set[str]" = set()

    def __call__(self, module: "ModuleType") -> None:
        name = _name_of(module)
        hooked = self.release(name)
        if not hooked or self.finder.begin(name, module):
            self.original(module)
            if hooked:
                self.finder.end(name, module)

    def __reduce__(self) -> "tuple[object, ...]":
        return getattr, (self.loader, "exec_module")

    def release(self, name: str) -> bool:
        """Take ``name`` off the pending ones, uncover the loader after the last; was it pending?"""
        hooked = name in self.pending
        self.pending.discard(name)
        if not self.pending and vars(self.loader).get("exec_module") is self:
            if self.own is None:
                del self.loader.exec_module
            else:
                self.loader.exec_module = self.own  # type: ignore[method-assign]
        return hooked


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
        if self.finder.begin(name, module):
            loader.exec_module(module)
            self.finder.end(name, module)


def _attach(finder: AutoxlaFinder, spec: "ModuleSpec") -> None:
    """Make the execution of ``spec`` call back to ``finder``."""
    loader = _inside_lazy(spec.loader)
    if loader is None or isinstance(loader, type) or not hasattr(loader, "__dict__"):
        # Visible as long as the module does not execute, so only where it is about to.
        if _is_importing() and (loader is None or hasattr(loader, "exec_module")):
            spec.loader = ChainedLoader(finder, loader)  # type: ignore[assignment]
        return
    shadow = vars(loader).get("exec_module")
    if not isinstance(shadow, ExecShadow):
        if not hasattr(loader, "exec_module"):
            return
        shadow = ExecShadow(finder, loader)
        loader.exec_module = shadow  # type: ignore[method-assign]
    shadow.pending.add(spec.name)


def _inside_lazy(loader: "Loader | None") -> "Loader | None":
    # A LazyLoader executes nothing when it is asked to; the loader inside it does, later.
    util = sys.modules.get("importlib.util")
    if util is not None and isinstance(loader, util.LazyLoader):
        inner: "Loader" = loader.loader
        return inner
    return loader


def _is_importing() -> bool:
    """Return whether the search that is under way belongs to an import, not to a bare `find_spec`."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_name != "_find_spec":
        frame = frame.f_back
    return frame.f_back is not None and frame.f_back.f_code.co_name != "find_spec"


def _namespace_loader(module: "ModuleType") -> "Loader":
    external = sys.modules["_frozen_importlib_external"]
    kind = getattr(external, "NamespaceLoader", None) or external._NamespaceLoader  # PYVERSION: 3.10
    loader: "Loader" = kind.__new__(kind)
    loader._path = module.__spec__.submodule_search_locations  # type: ignore[attr-defined, union-attr]
    module.__file__ = None
    return loader


def _adopt_when_lazy(name: str, module: "ModuleType", current: "ModuleType") -> None:
    """Let a lazily loaded ``module``, which its users hold already, become what was imported anew."""
    if isinstance(getattr(module.__spec__, "loader_state", None), dict):
        vars(module).update(vars(current))
        sys.modules[name] = module


def _name_of(module: "ModuleType") -> str:
    spec = getattr(module, "__spec__", None)
    return spec.name if spec is not None else module.__name__


def _is_loaded(module: "object") -> bool:
    """Return whether ``module`` was imported from somewhere; test doubles were not."""
    spec = getattr(module, "__spec__", None)
    return getattr(spec, "origin", None) is not None and not getattr(spec, "_initializing", False)


def _as_import_system(function: "Callable[..., None]") -> None:
    """Give ``function`` the file name by which CPython knows frames to leave out of tracebacks.

    Otherwise an exception in a watched module shows this frame and three of importlib's.
    """
    code: "CodeType" = function.__code__
    function.__code__ = code.replace(co_filename="<frozen importlib._bootstrap_external>")  # type: ignore[attr-defined]


_as_import_system(ExecShadow.__call__)
_as_import_system(ChainedLoader.exec_module)

_finder = AutoxlaFinder()


def install() -> bool:
    """Put the finder first on ``sys.meta_path``; return False when it is there already."""
    if _finder in sys.meta_path:
        return False
    sys.meta_path.insert(0, _finder)  # type: ignore[arg-type]
    return True


def uninstall() -> None:
    """Take the finder off ``sys.meta_path`` and forget all callbacks."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)  # type: ignore[arg-type]
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
    if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
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
    """Note which of ``names`` were imported before the finder came; return whether any was."""
    loaded = [name for name in names if _is_loaded(sys.modules.get(name))]
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

"""How the finder learns that a module executes, without being seen.

It shadows ``exec_module`` on the loader *instance* until that method is called; so no foreign
loader is ever in ``__spec__`` or ``__loader__``, and ``inspect``, ``importlib.resources``,
``pkgutil`` and ``pickle`` work as without it. Where that cannot be, a `ChainedLoader` stands before
the real loader until the module executes.

Loaded with the first watched import, in the middle of it: so it imports ``sys`` and ``_thread`` only.
"""

import sys
from _thread import get_ident

from autoxla.hooks.boundary import attempt
from autoxla.hooks.finder import AutoxlaFinder, Unlocked, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType


def find(
    finder: AutoxlaFinder, name: str, path: "Sequence[str] | None", target: "ModuleType | None"
) -> "ModuleSpec | None":
    """Return the spec that the finders behind ``finder`` have for ``name``, its execution watched.

    Raises what they raise.
    """
    # Threads search on their own: the guard is a pair, a bare name would hide the module
    # from a second thread that imports it at the same time.
    key = name, get_ident()
    if key in finder.searching:
        return None
    finder.searching.add(key)
    try:
        spec = _ask_behind(finder, name, path, target)
        if spec is None:
            spec = _ask_missing(finder, name)
    finally:
        finder.searching.discard(key)
    if spec is not None:
        # Whatever the loader is made of, the import goes on.
        attempt(f"hook on {name}", attach, finder, name, spec)
    return spec


def attach(finder: AutoxlaFinder, name: str, spec: "ModuleSpec") -> None:
    """Make the execution of ``spec`` call back."""
    loader = _inside_lazy(spec.loader)
    if _shadow(finder, spec.name, loader) or loader is not spec.loader:
        return
    # Seen by others as long as the module does not execute, so only where it is about to.
    if _can_execute(spec) and _is_importing(name):
        spec.loader = ChainedLoader(finder, loader)  # type: ignore[assignment]


def attach_unloaded(finder: AutoxlaFinder, name: str, module: object) -> None:
    """Make the execution of ``module`` call back, if it is one that will load when it is first used."""
    spec = spec_of(module)
    if spec is not None and _is_unloaded(module):
        attach(finder, name, spec)


def begin(finder: AutoxlaFinder, name: str, module: "ModuleType") -> bool:
    """Run the callbacks due before ``module`` executes; return whether it still has to.

    A callback may import another package that in turn imports this one anew (it takes the
    module out of ``sys.modules`` for that), or put another module in its place. Then
    ``sys.modules`` holds the module that counts, the import system reads it from there, and
    executing ours would run its body twice.
    """
    watch = finder.watched.get(name, Watch())
    ended = watch.ended
    registered = sys.modules.get(name) is module
    for callback in tuple(watch.before):
        finder.call(callback, name, module)
        if registered and sys.modules.setdefault(name, module) is not module:
            _adopt(name, module, sys.modules[name])
            if watch.ended == ended:
                end(finder, name, module)
            return False
    return True


def end(finder: AutoxlaFinder, name: str, module: "ModuleType") -> None:
    """Run the callbacks due after ``module`` executed, with the module that replaced it if any."""
    watch = finder.watched.get(name, Watch())
    watch.ended += 1
    for callback in tuple(watch.after):
        finder.call(callback, name, sys.modules.get(name, module))


def has_begun(module: object) -> bool:
    """Return whether the import system executes or has executed a file for ``module``.

    Not so for test doubles, nor where a `LazyLoader` waits for the module's first use.
    """
    return type(getattr(spec_of(module), "origin", None)) is str and not _is_unloaded(module)


def is_loaded(module: object, name: str) -> bool:
    """Return whether the import system has executed a file for ``module`` as ``name``, no alias."""
    as_named = getattr(spec_of(module), "name", None) == name
    return as_named and has_begun(module) and not _is_starting(module)


def is_yet_to_end(module: object) -> bool:
    """Return whether ``module`` executes just now, or will when it is first used."""
    return _is_starting(module) or _is_unloaded(module)


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
        name = _find_name(module)
        try:
            if not attempt(f"hook on {name}", self.release, name):
                self.original(module)
            elif _begin(self.finder, name, module):
                self.original(module)
                attempt(f"end of {name}", end, self.finder, name, module)
        except BaseException as error:
            attempt(f"import of {name}", drop_own_frames, error)
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
        name = _find_name(module)
        loader = self.loader or _namespace_loader(module)
        module.__loader__ = loader
        if module.__spec__ is not None:
            module.__spec__.loader = loader
        try:
            if _begin(self.finder, name, module):
                loader.exec_module(module)
                attempt(f"end of {name}", end, self.finder, name, module)
        except BaseException as error:
            attempt(f"import of {name}", drop_own_frames, error)
            raise


def _begin(finder: AutoxlaFinder, name: str, module: "ModuleType") -> bool:
    """Return whether ``module`` has to be executed; it has where that cannot be told."""
    finder.seen.add(name)
    return attempt(f"start of {name}", begin, finder, name, module) is not False


def _ask_behind(
    finder: AutoxlaFinder, name: str, path: "Sequence[str] | None", target: "ModuleType | None"
) -> "ModuleSpec | None":
    finders = list(sys.meta_path)
    if finder in finders:
        finders = finders[finders.index(finder) + 1 :]
    for other in finders:
        find_spec = getattr(other, "find_spec", None)
        spec: ModuleSpec | None = find_spec(name, path, target) if find_spec else _ask_old(other, name, path)
        if spec is not None:
            return spec
    return None


def _ask_missing(finder: AutoxlaFinder, name: str) -> "ModuleSpec | None":
    missing = tuple(finder.watched.get(name, Watch()).missing)
    # A bare search is a question whether the module is there, which it is not.
    for callback in missing if _is_importing(name) else ():
        with Unlocked():
            spec = finder.call(callback, name, name)
        if spec is not None:
            return spec
    return None


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
    is_lazy = isinstance(getattr(spec_of(module), "loader_state", None), dict)
    vars(module).update(vars(current))
    if is_lazy:
        sys.modules[name] = module


def _find_name(module: "ModuleType") -> str:
    name = attempt("name of a module", _name_of, module)
    return module.__name__ if name is None else name


def _name_of(module: "ModuleType") -> str:
    spec = spec_of(module)
    return spec.name if spec is not None else module.__name__


def spec_of(module: object) -> "ModuleSpec | None":
    """Return the spec of ``module``, None where it has none."""
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
    return bool(getattr(spec_of(module), "_initializing", False))


def _function_of(method: object) -> object:
    method = method.original if isinstance(method, ExecShadow) else method
    return getattr(method, "__func__", method)


def drop_own_frames(error: BaseException) -> None:
    """Take our frames off the top of the traceback of a foreign ``error``.

    CPython leaves import frames out only above a module's body and for ImportError; a loader or a
    finder may raise otherwise. PYVERSION: 3.10 does not look at this when it raises again.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code in _OWN_CODE:
        trace = trace.tb_next
    if trace is not None:
        error.__traceback__ = trace


def _as_import_system(function: "Callable[..., object]") -> "CodeType":
    """Give ``function`` the file name by which CPython knows frames to leave out; return its code.

    It does in the tracebacks of modules that raise and where warnings count ``stacklevel``.
    """
    code: CodeType = function.__code__
    function.__code__ = code.replace(co_filename=_FINDER_CODE.co_filename)
    return function.__code__


_FINDER_CODE = AutoxlaFinder.find_spec.__code__
_OWN_CODE = {
    _FINDER_CODE,
    _as_import_system(find),
    _as_import_system(_ask_behind),
    _as_import_system(ExecShadow.__call__),
    _as_import_system(ChainedLoader.create_module),
    _as_import_system(ChainedLoader.exec_module),
}

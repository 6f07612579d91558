"""Configure the execution path of a TensorFlow/Keras program before its backends initialise.

``import autoxla`` on the first line of a program is all there is to do. It puts one finder on
``sys.meta_path`` and returns; nothing else is loaded until tensorflow, keras or tf_keras is
really imported. ``AUTOXLA=off`` in the environment makes it do nothing at all.

This module runs at the start of every Python process of an environment, so it imports only
what is there already (``os``, ``sys``) or built into the interpreter (``atexit``); what costs
more is reached through ``__getattr__``.
"""

import _imp
import atexit
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import FrameType, ModuleType

    from autoxla.commands.explain import explain
    from autoxla.hooks.finder import AutoxlaFinder
    from autoxla.runtime import configure, plan

__version__ = "0.1.0"
__all__ = ["__version__", "configure", "explain", "hooks", "plan", "uninstall"]

#: The top-level modules whose import starts the work.
WATCHED = frozenset({"tensorflow", "keras", "tf_keras", "keras_core"})


def _is_started_by_site() -> bool:
    """Return whether `site` is importing this module: a ``.pth`` file or a sitecustomize."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") != "site":
        frame = frame.f_back
    return frame is not None


#: The site hook reaches people who did not ask, so its default mode is another one. Loading this module a
#: second time (``%reload_ext``) changes nothing about who loaded it first.
BY_SITE: bool = globals().get("BY_SITE", _is_started_by_site())


class Unlocked:
    """Gives up the interpreter's import lock, which a search holds, for the time of a ``with``.

    Whoever waits for a module's lock while holding that one may wait for ever: the thread that executes
    the module needs it for the next import in there.
    """

    def __enter__(self) -> None:
        self.depth = 0
        try:
            while True:
                _imp.release_lock()
                self.depth += 1
        except RuntimeError:  # not held any more, or never: anybody may call a finder
            return

    def __exit__(self, *_: object) -> None:
        for _level in range(self.depth):
            _imp.acquire_lock()


class DormantFinder:
    """Stands on ``sys.meta_path`` for `autoxla.hooks.AutoxlaFinder` until a watched name is searched for.

    So interpreter start loads this one module. Loading ``autoxla.hooks`` wakes it, too.
    """

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Return None for other names; for a watched one what the real finder, now in place, finds."""
        if fullname not in WATCHED:
            return None
        finder = wake()
        return None if finder is None else finder.find_spec(fullname, path, target)

    def invalidate_caches(self) -> None:
        """Do nothing: there is no cache. ``importlib.invalidate_caches`` calls it."""


# Loading this module a second time (``%reload_ext``) finds its finder in place.
_dormant: DormantFinder = globals().get("_dormant") or DormantFinder()
_FINDERS = ("DormantFinder", "AutoxlaFinder")


def activate() -> None:
    """Put the finder in place; when a watched module is already loaded, start at once.

    Nothing escapes from here and nothing is printed: it may run during interpreter start.
    """
    if any(type(finder).__name__ in _FINDERS for finder in sys.meta_path or ()):
        return
    if not hasattr(sys.meta_path, "insert"):  # the program's own: nothing can be put there
        return
    sys.meta_path.insert(0, _dormant)
    atexit.register(_finish)
    if "IPython" in sys.modules:
        _follow_cells()
    if WATCHED.isdisjoint(sys.modules):
        return
    real = wake()
    if real is not None:
        from autoxla.hooks.boundary import attempt

        attempt("late start", _begin_late)


def wake() -> "AutoxlaFinder | None":
    """Put the real finder in the dormant one's place; return it, None when it cannot be had."""
    try:
        with Unlocked():
            from autoxla.hooks import finder
        _put_in_place()
        return finder.current()
    except Exception as error:  # a broken autoxla must not break the import
        if is_of_a_signal(error):
            raise
        _give_up(error)
        return None


def _put_in_place() -> None:
    from autoxla.hooks import finder

    _imp.acquire_lock()  # two threads may come here at once
    try:
        if _dormant in sys.meta_path:
            # Before it is in place: whoever finds it there must find it watching.
            _register(finder.current())
            finder.install(sys.meta_path.index(_dormant))
            sys.meta_path.remove(_dormant)
    finally:
        _imp.release_lock()


def is_of_a_signal(error: Exception) -> bool:
    """Return whether a handler of a signal raised ``error`` in the midst of our code: it is the program's."""
    signal = sys.modules.get("signal")
    if signal is None:
        return False
    codes = {getattr(signal.getsignal(each), "__code__", None) for each in signal.valid_signals()} - {None}
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code not in codes:
        trace = trace.tb_next
    return trace is not None


def uninstall() -> None:
    """Take the finder away and put the wrapped methods back; variables that were set stay set."""
    from autoxla.hooks import finder

    finder.uninstall()
    if _dormant in sys.meta_path:
        sys.meta_path.remove(_dormant)
    if "autoxla.hooks.notebook" in sys.modules:
        sys.modules["autoxla.hooks.notebook"].unfollow()
    if "autoxla.runtime" in sys.modules:
        sys.modules["autoxla.runtime"].current().uninstall()


def _register(finder: "AutoxlaFinder") -> None:
    for name in WATCHED:
        finder.watch(name).before.append(_begin)
    finder.watch("keras_core").missing.append(_find_missing)


def _give_up(error: Exception) -> None:
    # Silent: this may be interpreter start, where a word on stderr breaks other programs.
    if hasattr(sys.meta_path, "remove") and _dormant in sys.meta_path:
        sys.meta_path.remove(_dormant)
    if os.environ.get("AUTOXLA_DEBUG"):
        sys.__excepthook__(type(error), error, error.__traceback__)


def _follow_cells() -> None:
    try:
        from autoxla.hooks import notebook

        notebook.follow()
    except Exception as error:  # noqa: BLE001 - a broken autoxla must not break the cell
        _give_up(error)


def _begin(module: "ModuleType | None") -> None:
    from autoxla import activation

    activation.begin(getattr(module, "__name__", None), module)


def _begin_late() -> None:
    from autoxla.hooks import finder

    if finder.mark_loaded(WATCHED):
        _begin(None)


def _find_missing(name: str) -> "ModuleSpec | None":
    from autoxla import activation

    return activation.find_missing(name)


def _finish() -> None:
    # A process that never met a watched module has nothing to report and loads nothing now.
    if WATCHED.isdisjoint(sys.modules) and "autoxla.runtime" not in sys.modules:
        return
    real = wake()
    if real is not None:
        from autoxla.hooks.boundary import attempt

        attempt("exit", _conclude, real)


def _conclude(finder: "AutoxlaFinder") -> None:
    bypassed = finder.bypassed(WATCHED)
    if bypassed or "autoxla.runtime" in sys.modules:
        from autoxla import activation

        activation.finish(bypassed)


def __getattr__(name: str) -> "object":
    if name == "hooks":
        import autoxla.hooks

        return autoxla.hooks
    if name in ("configure", "plan"):
        from autoxla import runtime

        return getattr(runtime, name)
    if name in ("load_ipython_extension", "unload_ipython_extension"):
        from autoxla.hooks import notebook

        return getattr(notebook, name)
    if name == "explain":
        from autoxla.commands.explain import explain

        return explain
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


try:
    if os.environ.get("AUTOXLA") != "off":
        activate()
except Exception:  # noqa: BLE001, S110 - the program made something else of os.environ or sys.meta_path
    pass

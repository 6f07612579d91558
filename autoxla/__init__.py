"""Configure the execution path of a TensorFlow/Keras program before its backends initialise.

``import autoxla`` on the first line of a program is all there is to do. It puts one finder on
``sys.meta_path`` and returns; nothing else is loaded until tensorflow, keras or tf_keras is
really imported. ``AUTOXLA=off`` in the environment makes it do nothing at all.

This module runs at the start of every Python process of an environment, so it and the finder import only
what is there already (``os``, ``sys``) or built into the interpreter (``atexit``, ``_thread``); what costs
more is reached through ``__getattr__``.
"""

import atexit
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, ModuleType

    from autoxla import hooks
    from autoxla.commands.explain import explain
    from autoxla.runtime import configure, plan

__version__ = "0.2.0"
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


def activate() -> None:
    """Put the finder in place; when a watched module is already loaded, start at once."""
    if any(type(finder).__name__ == "AutoxlaFinder" for finder in sys.meta_path):
        return
    from autoxla.hooks import finder

    for name in WATCHED:
        finder.before_import(name, _begin)
    finder.install()
    atexit.unregister(finder.attempt)
    atexit.register(finder.attempt, "exit", _finish)
    finder.attempt("start", _catch_up)


def uninstall() -> None:
    """Take the finder away and put the wrapped methods back; variables that were set stay set."""
    from autoxla.hooks import finder

    finder.uninstall()
    if "autoxla.hooks.notebook" in sys.modules:
        sys.modules["autoxla.hooks.notebook"].unfollow()
    if "autoxla.runtime" in sys.modules:
        sys.modules["autoxla.runtime"].current().uninstall()


def _catch_up() -> None:
    """Begin what is due already: heal watches, IPython has cells, a backend is loaded."""
    if "AUTOXLA_WATCH" in os.environ:
        from autoxla.paths import watch

        watch.begin(os.environ["AUTOXLA_WATCH"])
    if "IPython" in sys.modules:
        from autoxla.hooks import notebook

        notebook.follow()
    if not WATCHED.isdisjoint(sys.modules):
        from autoxla.hooks import finder

        if finder.mark_loaded(WATCHED):
            _begin(None)


def _begin(module: "ModuleType | None") -> None:
    from autoxla import activation

    activation.begin(module)


def _finish() -> None:
    from autoxla.hooks.finder import FINDER

    bypassed = FINDER.bypassed(WATCHED)
    # A process that never met a watched module has nothing to report and loads nothing now.
    if bypassed or "autoxla.runtime" in sys.modules:
        from autoxla import runtime

        runtime.current().finish(bypassed)


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
except Exception:  # noqa: BLE001, S110
    # Silent: a word on stderr at interpreter start breaks other programs. Either autoxla is damaged, or the
    # program made something else of os.environ or sys.meta_path.
    pass

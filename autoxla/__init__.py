"""Configure the execution path of a TensorFlow/Keras program before its backends initialise.

``import autoxla`` on the first line of a program is all there is to do. It puts one finder on
``sys.meta_path`` and returns; nothing else is loaded until tensorflow, keras or tf_keras is
really imported. ``AUTOXLA=off`` in the environment makes it do nothing at all.

This module runs at the start of every Python process of an environment, so it imports only
what is there already (``os``, ``sys``) or built into the interpreter (``atexit``); what costs
more is reached through ``__getattr__``.
"""

import atexit
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from autoxla.commands.explain import explain
    from autoxla.session import configure, plan

__version__ = "0.1.0"
__all__ = ["__version__", "configure", "explain", "hooks", "plan", "uninstall"]

#: The top-level modules whose import starts the work.
WATCHED = ("tensorflow", "keras", "tf_keras", "keras_core")


def activate() -> None:
    """Put the finder in place; when a watched module is already loaded, start at once.

    Nothing escapes from here and nothing is printed: it may run during interpreter start.
    """
    try:
        from autoxla.hooks import finder

        if not finder.install():
            return
        for name in WATCHED:
            finder.before_import(name, _begin)
        finder.when_missing("keras_core", _find_missing)
        atexit.register(_finish)
        if finder.mark_loaded(WATCHED):
            _begin(None)
    except Exception:
        # Silent: this may be interpreter start, where a word on stderr breaks other programs.
        if os.environ.get("AUTOXLA_DEBUG"):
            sys.excepthook(*sys.exc_info())


def uninstall() -> None:
    """Take the finder away and put the wrapped methods back; variables that were set stay set."""
    from autoxla.hooks import finder

    finder.uninstall()
    for name, undo in (("compile", "unhook"), ("alias", "remove_aliases")):
        module = sys.modules.get(f"autoxla.hooks.{name}")
        if module is not None:
            getattr(module, undo)()


def _begin(module: "ModuleType | None") -> None:
    from autoxla import session

    session.begin(getattr(module, "__name__", None), module)


def _find_missing(name: str) -> "ModuleSpec | None":
    from autoxla import session

    return session.find_missing(name)


def _finish() -> None:
    # A process that never met a watched module has nothing to report and loads nothing now.
    from autoxla.hooks import finder

    bypassed = finder.bypassed(WATCHED)
    if not bypassed and "autoxla.session" not in sys.modules:
        return
    try:
        from autoxla import session

        session.finish(bypassed)
    except Exception as error:
        finder.note_fault("exit", error)


def __getattr__(name: str) -> "object":
    if name == "hooks":
        import autoxla.hooks

        return autoxla.hooks
    if name in ("configure", "plan"):
        from autoxla import session

        return getattr(session, name)
    if name == "explain":
        from autoxla.commands.explain import explain

        return explain
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if os.environ.get("AUTOXLA") != "off":
    activate()

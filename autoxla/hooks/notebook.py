"""Notebooks and IPython: which cells ran, which one runs, and where the notebook's file is.

A notebook has no main module to read. What is known of it are the cells that IPython was given so
far, the running one included, and often the file in which it was saved the last time. The plan is
made from both (`autoxla.lookahead.notebook.arrange`) at the first watched import, and a cell that
nobody knew by then is looked at before it runs.

Known limits: where the frontend says nothing of the file (Colab), and where the file lacks the running
cell or more than half of those that ran, the cells are all that is known. Of a script under ``%run``
the script alone is read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import autoxla
from autoxla.hooks.finder import attempt
from autoxla.lookahead import Program
from autoxla.lookahead.files import current_folder, shorten
from autoxla.lookahead.notebook import (
    Run,
    Standing,
    arrange,
    is_of,
    name_cell,
    read_standing,
)
from autoxla.situation.environment import read_environ

#: Names in the notebook itself: Visual Studio Code's, and papermill's under ``--inject-input-path``.
_OWN_NAMES = ("__vsc_ipynb_file__", "PAPERMILL_INPUT_PATH")
_LARGEST = 64 << 20  # bytes of a notebook's file; outputs count, too
_LABEL = "In["


class CellLog:
    """The cells of one IPython in the order in which they ran; those before it came are in its history."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.known: frozenset[str] = frozenset()
        #: What looks at a cell that the plan did not know, by its name; once there is a plan.
        self.check: Callable[[str], None] | None = None
        history = list(shell.history_manager.input_hist_raw)
        # IPython 9 keeps errors; of what ran before, older releases tell nothing.
        failed = getattr(shell.history_manager, "exceptions", {})
        self.ran = [Run(at, text, failed=at in failed) for at, text in enumerate(history) if text]
        get_parent = getattr(shell, "get_parent", None)
        if self.ran and get_parent is not None:
            # The last of them is running now; the frontend's message tells which cell it is.
            found = ((get_parent() or {}).get("metadata") or {}).get("cellId")
            self.ran[-1] = self.ran[-1]._replace(id=found if isinstance(found, str) else None)

    def before(self, info: Any) -> None:
        """Note a cell that is about to run, and check it where the plan was made without it."""
        attempt("a cell", self._before, info)

    def after(self, result: Any) -> None:
        """Note whether a cell failed."""
        attempt("a cell", self._after, result)

    def _before(self, info: Any) -> None:
        # What a cell magic or a frontend runs for itself is no cell of the notebook's.
        if not info.store_history:
            return
        # The number that the cell will have in the history: `execution_count` is raised before this
        # callback in some releases and after it in others.
        number = len(self.shell.history_manager.input_hist_raw)
        run = Run(number, info.raw_cell, getattr(info, "cell_id", None))
        self.ran.append(run)
        if self.check is not None and info.raw_cell not in self.known:
            self.check(self.name(run))

    def _after(self, result: Any) -> None:
        if result.success or not result.info.store_history:
            return
        for at in reversed(range(len(self.ran))):
            if self.ran[at].text == result.info.raw_cell:
                self.ran[at] = self.ran[at]._replace(failed=True)
                return

    def program(self) -> Program | None:
        """Return what is known of the notebook, or the script under ``%run``; None for neither."""
        main = sys.modules.get("__main__")
        if not self.ran or main is not self.shell.user_module:
            script = getattr(main, "__file__", None)
            if not isinstance(script, str) or not Path(script).is_file():
                return None
            path = Path(script).absolute()
            is_notebook = path.suffix == ".ipynb"
            return Program("notebook" if is_notebook else "script", str(path), path.resolve().parent)
        file, label, standing = self._find_file()
        # A failed cell may not have come to what it asks for. Once a backend is there no variable is set
        # for it any more, and what it asked for may be why it failed.
        specs = [getattr(sys.modules.get(name), "__spec__", None) for name in autoxla.WATCHED]
        has_backend = any(spec and not getattr(spec, "_initializing", False) for spec in specs)
        ran = [run._replace(failed=run.failed and not has_backend) for run in self.ran]
        cells = arrange(ran, standing, label)
        self.known = frozenset(cell.text for cell in cells if cell.certain)
        folder = Path.cwd() if file is None else file.parent
        return Program("cells", "" if file is None else str(file), folder, cells=cells)

    def name(self, run: Run) -> str:
        """Return what findings call a cell."""
        _, label, standing = self._find_file()
        return name_cell(run, standing, label)

    def name_code(self, file: str) -> str | None:
        """Return what findings call the cell whose code objects have the file name ``file``."""
        # IPython knows the number only while it knows the cell; before release 8 it never does.
        format_name = getattr(getattr(self.shell, "compile", None), "format_code_name", None)
        _, name = (format_name(file) if format_name is not None else None) or ("", "")
        number = name[len(_LABEL) : -1]
        if not name.startswith(_LABEL) or not number.isdecimal():
            return None
        run = next((run for run in reversed(self.ran) if run.number == int(number)), None)
        return f"cell {number}" if run is None else self.name(run)

    def _find_file(self) -> tuple[Path | None, str, tuple[Standing, ...]]:
        """Return the notebook's file, what places call it, and the cells in it, as far as it is known."""
        named = [self.shell.user_ns.get(name) for name in _OWN_NAMES]
        # Also below the folder in which all this was started (``papermill --cwd``).
        folders = (Path.cwd(), Path(read_environ().get("PWD", Path.cwd())))
        own = [folder / name for name in named if isinstance(name, str) for folder in folders]
        # What Jupyter's server says. Older ones name it from their own folder, and start the kernel in the
        # notebook's. The variable may be left from a notebook that started this one.
        session = Path(read_environ().get("JPY_SESSION_NAME", ""))
        for file in (*own, session.absolute(), Path(session.name).absolute()):
            standing = _read(file) if file.suffix == ".ipynb" else None
            if standing is not None and (file in own or is_of(self.ran, standing)):
                return file, shorten(str(file), current_folder()), standing
        return None, "", ()


def follow(check: Callable[[str], None] | None = None) -> None:
    """Note the cells of this process' IPython, if there is one, from now on; ``check`` is `CellLog.check`."""
    log = find_log()
    if log is None:
        return
    log.check = check or log.check
    if log not in _list_followed(log.shell):
        log.shell.events.register("pre_run_cell", log.before)
        log.shell.events.register("post_run_cell", log.after)


def unfollow() -> None:
    """Take the callbacks out of IPython."""
    shell = _shell()
    for log in [] if shell is None else _list_followed(shell):
        shell.events.unregister("pre_run_cell", log.before)
        shell.events.unregister("post_run_cell", log.after)


def find_log() -> CellLog | None:
    """Return the log of this process' IPython; a new one, of its history, where none follows it."""
    shell = _shell()
    if shell is None:
        return None
    return next(iter(_list_followed(shell)), None) or CellLog(shell)


def _list_followed(shell: Any) -> list[CellLog]:
    owners = (getattr(callback, "__self__", None) for callback in shell.events.callbacks["pre_run_cell"])
    return [owner for owner in owners if isinstance(owner, CellLog)]


def load_ipython_extension(shell: object) -> None:  # noqa: ARG001 - IPython's protocol
    """Do what ``import autoxla`` does: ``%load_ext autoxla``."""
    if read_environ().get("AUTOXLA") != "off":
        autoxla.activate()
        follow()


def unload_ipython_extension(shell: object) -> None:  # noqa: ARG001 - IPython's protocol
    """Do what `autoxla.uninstall` does: ``%unload_ext autoxla``."""
    autoxla.uninstall()


def _shell() -> Any:
    """Return IPython's one instance; None where there is none, or IPython is only being imported."""
    get = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return None if get is None else get()


def _read(file: Path) -> tuple[Standing, ...] | None:
    try:
        found = file.stat()
        return _read_once(file, found.st_mtime_ns) if found.st_size <= _LARGEST else None
    except (OSError, ValueError):  # a name with a NUL, or no notebook
        return None


@lru_cache(maxsize=4)
def _read_once(file: Path, _changed: int) -> tuple[Standing, ...] | None:
    """Return the cells in ``file``. Raises OSError, and `NotANotebookError`, which is a ValueError."""
    return read_standing(file.read_bytes()) if file.is_file() else None

"""Which program it is that runs in this process, and which installed packages are its own."""

# ruff: noqa: PTH100, PTH109, PTH112, PTH113, PTH118, PTH120 - `Path` cannot make a path absolute and leave links

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal, Protocol, cast

from autoxla.lookahead.files import SITE, Package, look
from autoxla.situation.distributions import MetadataReader, read_text

if TYPE_CHECKING:
    from autoxla.lookahead.notebook import Cell

#: Seconds for which a program that runs waits for its own source to be read.
PATIENCE = 2.0
#: Top-level modules of what runs code that it does not import itself: tests, servers, kernels, workers,
#: launchers, profilers. Some of them name a backend in code of their own, which says nothing about it.
_TOOLS = frozenset(
    (
        *("_pytest", "py", "pytest", "nose2", "coverage", "xdist", "execnet", "hypothesis", "tox", "nox"),
        *("gunicorn", "uvicorn", "hypercorn", "daphne", "uwsgi", "flask", "django", "fastapi", "fastapi_cli"),
        *("celery", "rq", "dramatiq", "huey", "luigi", "airflow", "prefect", "dagster", "kedro", "snakemake"),
        *("IPython", "ipykernel", "ipykernel_launcher", "colab_kernel_launcher", "papermill", "marimo"),
        *("jupyter", "jupyter_client", "jupyter_console", "jupyter_core", "jupyter_server", "jupyterlab"),
        *("notebook", "nbclassic", "nbclient", "nbconvert", "voila", "streamlit", "gradio", "bokeh", "panel"),
        *("ray", "dask", "distributed", "joblib", "loky", "mpi4py", "horovod", "torch", "accelerate"),
        *("deepspeed", "lightning", "pytorch_lightning", "mlflow", "wandb", "bentoml", "sagemaker_training"),
        *("pyspark", "apache_beam", "cloudpickle", "debugpy", "pydevd", "kernprof", "line_profiler"),
        *("memory_profiler", "pyinstrument", "scalene", "viztracer", "pip", "setuptools", "pkg_resources"),
        *("autoxla", "sphinx", "invoke", "fire", "bpython", "ptpython"),
    )
)
#: Bytes: scripts that installers write have some hundred.
_LONGEST_SCRIPT = 4096


@dataclass(frozen=True, slots=True)
class Program:
    """A program: `target` is a path, the name of a module, or the code itself.

    ``cells`` is a notebook that is being run: `cells` are what is known of it, `target` is the path of
    its file, empty where that is not known.

    `folder` is where its own modules are looked for first, as ``sys.path[0]`` is. ``directory`` is a
    folder or a zip with a ``__main__.py``. `installed`: it is the entry point of an installed
    distribution, and `packages` are those of this distribution that lie among the installed ones.
    `patience`: how many seconds reading it may take, None where nobody waits.
    """

    kind: Literal["script", "module", "code", "directory", "notebook", "cells"]
    target: str
    folder: Path
    installed: bool = False
    packages: tuple[Package, ...] = ()
    cells: tuple[Cell, ...] = ()
    patience: float | None = field(default=None, compare=False)


class _Discovery(Protocol):
    def discover(self, *, name: str, path: list[str]) -> Iterable[MetadataReader]: ...


def find_program(main: ModuleType | None, argv: Sequence[str], orig_argv: Sequence[str]) -> Program | None:
    """Return the program that runs, None where it is not known: typed in, from a pipe, or a tool's.

    `main` is the main module, also before it executes; `argv` and `orig_argv` are those of `sys`.
    It waits for being read, see `PATIENCE`.
    """
    kind, value, _ = read_command(orig_argv)
    file = getattr(main, "__file__", None)
    if kind == "c":
        # multiprocessing and loky start processes for parts of a program so.
        is_worker = value is None or value.startswith("from multiprocessing.") or "loky.backend" in value
        found = None if value is None or is_worker else Program("code", value, Path.cwd())
    elif kind == "m" and value:
        name = getattr(getattr(main, "__spec__", None), "name", None)
        named = value if name is None else name.removesuffix(".__main__")
        found = _own(Program("module", named, Path.cwd()), file)
    else:
        if not isinstance(file, str):
            # Before it executes, the main module has no file yet: the command line does.
            file = value if kind == "file" else None
        if file is None or file.startswith("<"):
            return None
        path = Path(os.path.abspath(file))
        given = Path(os.path.abspath(argv[0])) if argv and argv[0] else path
        container = path if path.name != "__main__.py" else given
        if container.is_dir() or (container.is_file() and container.suffix in (".zip", ".pyz")):
            found = Program("directory", str(container), container)
        elif path.suffix == ".ipynb":
            found = Program("notebook", str(path), path.parent)
        else:
            found = Program("script", str(path), Path(os.path.realpath(path)).parent)
        found = _own(found, file)
    return None if found is None else replace(found, patience=PATIENCE)


def _own(program: Program, file: str | None) -> Program | None:
    """Return `program` with what is its own among the installed packages, None where it is a tool.

    Tools (pytest, gunicorn) start programs in ways of their own: their source is not the user's.
    """
    path = [entry for entry in sys.path if isinstance(entry, str)]
    if program.kind == "module":
        found = None if file is not None else find_module(program.target, path)
        place = found.base if found is not None else file
        if place is None:
            return None if program.target in sys.stdlib_module_names else program
        if not _is_installed(place):
            return program
        module: str | None = program.target
    elif file is None or program.kind != "script":
        return None if file is not None and _is_installed(file) else program
    elif _is_installed(file):
        # The dotted name of a file among the packages, or the module that a script of an installer calls.
        parts = Path(os.path.abspath(file)).with_suffix("").parts
        last = max((at for at, part in enumerate(parts) if part in SITE), default=None)
        module = read_entry(file) if last is None else ".".join(parts[last + 1 :])
    else:
        # An installer may have put a script into any folder (``~/.local/bin``).
        module = None if Path(program.target).suffix else read_entry(program.target)
        found = None if module is None else find_module(module, path)
        if found is None or not is_in_site(found.base):
            return program
    # Late, as following is not needed where a reading is kept.
    from autoxla.lookahead.notes import is_tracked

    top = (module or "").partition(".")[0]
    if module is None or top in _TOOLS or top in sys.stdlib_module_names or is_tracked(top):
        return None
    found = find_module(module, path)
    if found is None:
        editable = any(package.name.partition(".")[0] == top for package in find_editable(sys.meta_path))
        return replace(program, installed=True) if editable else None
    if not is_in_site(found.base):
        # The folder of an editable distribution is one of the program's own, by its path entry.
        return None if _is_installed(found.base) else replace(program, installed=True)
    packages = _find_distribution(found, [Path(program.target).name])
    return replace(program, installed=True, packages=packages)


def is_in_site(file: str) -> bool:
    """Tell whether a path is one of installed packages, or below it."""
    return not SITE.isdisjoint(Path(file).parts)


def _is_installed(file: str) -> bool:
    path = Path(os.path.abspath(file))
    folders = {os.path.join(prefix, "bin") for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    folders |= {os.path.join(prefix, "Scripts") for prefix in (sys.prefix, sys.base_prefix)}
    library = os.path.dirname(os.__file__)
    return is_in_site(str(path)) or str(path.parent) in folders or path.is_relative_to(library)


def find_module(module: str, path: Iterable[str]) -> Package | None:
    """Return the first package, or module, on the way to `module` that is no bare folder."""
    parts = module.split(".")
    for entry in path:
        base = os.path.abspath(entry)
        for end, part in enumerate(parts, 1):
            base = os.path.join(base, part)
            if os.path.isfile(os.path.join(base, "__init__.py")) or os.path.isfile(f"{base}.py"):
                return Package(".".join(parts[:end]), base)
            if not os.path.isdir(base):
                break
    return None


def read_entry(file: str) -> str | None:
    """Return the module whose function a script calls that an installer wrote; None for all others.

    Such a script is ``from module import name`` and ``sys.exit(name())``, or an attribute of the name.
    """
    found = look(file)
    # A pipe is not even opened: what is read from it would be missing for its true reader.
    if found is None or found[0] != "f" or found[1] > _LONGEST_SCRIPT:
        return None
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError):
        return None
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    plain = all(isinstance(node, (ast.Import, ast.ImportFrom, ast.If)) for node in tree.body)
    if not plain or len(imports) != 1 or imports[0].level or len(imports[0].names) != 1:
        return None
    name = imports[0].names[0].asname or imports[0].names[0].name
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="exit"), args=[inner]):
                while isinstance(inner, (ast.Call, ast.Attribute)):
                    inner = inner.func if isinstance(inner, ast.Call) else inner.value
                if isinstance(inner, ast.Name) and inner.id == name:
                    return imports[0].module
    return None


def _find_distribution(package: Package, names: Iterable[str]) -> tuple[Package, ...]:
    """Return the outermost packages of the distribution that `package` belongs to, at least `package`.

    It is looked up by `names` and by that of the package: looking for a distribution under any other
    name would mean to read what is installed in whole.
    """
    folder = str(Path(package.base).parents[package.name.count(".")])
    # As with releases: the other reader only where the program has loaded it already.
    reader = getattr(sys.modules.get("importlib_metadata"), "Distribution", None)
    if reader is None:
        from importlib.metadata import Distribution

        reader = Distribution
    for name in dict.fromkeys((*names, package.name.partition(".")[0], package.name)):
        with suppress(OSError, ValueError):
            for distribution in cast(_Discovery, reader).discover(name=name, path=[folder]):
                lines = read_text(distribution, "RECORD").splitlines()
                listed = (line.rsplit(",", 2)[0].strip('"') for line in lines)
                files = [file.removesuffix(".py").split("/") for file in listed if file.endswith(".py")]
                regular = {tuple(parts[:-1]) for parts in files if parts[-1] == "__init__"}
                tops: dict[str, tuple[str, ...]] = {}
                for parts in files:
                    ends = (tuple(parts[:end]) for end in range(1, len(parts)))
                    top = next((end for end in ends if end in regular), tuple(parts))
                    if ".." not in parts:
                        tops[".".join(top)] = top
                if package.name in tops:
                    return tuple(Package(n, os.path.join(folder, *top)) for n, top in sorted(tops.items()))
    return (package,)


def find_editable(finders: Sequence[object]) -> tuple[Package, ...]:
    """Return the packages that setuptools maps to folders outside the installed ones.

    `finders` are those of ``sys.meta_path``; each distribution that is installed such has one.
    """
    found: dict[str, str] = {}
    for finder in finders:
        module = getattr(finder, "__module__", None)
        if isinstance(module, str) and module.startswith("__editable__"):
            mapping = getattr(sys.modules.get(module), "MAPPING", None)
            for name, base in mapping.items() if isinstance(mapping, Mapping) else ():
                if isinstance(base, str):
                    found[str(name)] = os.path.abspath(base).removesuffix(".py")
    return tuple(Package(*item) for item in sorted(found.items()))


def search_path(program: Program | None) -> list[str]:
    """Return ``sys.path`` as it is in `program`'s own process, whichever command it is that asks.

    Without a program: as it is for any one in the current folder.
    """
    if program is not None and program.patience is not None:
        return sys.path
    is_safe = getattr(sys.flags, "safe_path", False)  # PYVERSION: -P came with 3.11
    try:
        here = os.getcwd()
        # The folder that Python put in front for the command: of ``python -m``, or of a script.
        ours = ("", here, os.path.dirname(os.path.abspath(sys.argv[0])))
    except FileNotFoundError:  # the current folder is gone
        return sys.path
    entries = sys.path[1:] if not is_safe and sys.path[:1] and sys.path[0] in ours else sys.path
    return entries if is_safe else [here if program is None else str(program.folder), *entries]


def read_command(orig_argv: Sequence[str]) -> tuple[str, str | None, list[str]]:
    """Read a command line of Python's: what kind of program it names, the program, and its arguments.

    The kinds are ``c``, ``m``, ``file`` and ``none``; the program is the code, the module or the file.
    """
    words = iter(orig_argv[1:])
    for word in words:
        if word == "-" or not word:
            return "none", None, list(words)
        if not word.startswith("-"):
            return "file", word, list(words)
        if word.startswith("--"):
            if word == "--check-hash-based-pycs":
                next(words, None)
            continue
        found = _read_letters(word[1:], words)
        if found is not None:
            return (*found, list(words))
    return "none", None, []


def _read_letters(letters: str, words: Iterator[str]) -> tuple[str, str | None] | None:
    """Read options of one letter each; return the one that names a program, with the program."""
    for at, letter in enumerate(letters):
        rest = letters[at + 1 :]
        if letter in "cm":
            return letter, rest or next(words, None)
        if letter in "WX":
            if not rest:
                next(words, None)
            return None
    return None

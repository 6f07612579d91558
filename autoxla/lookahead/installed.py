"""A program that an installer wrote, or that lies among the installed packages: what of them is its own."""

# ruff: noqa: PTH100 - `Path` cannot make a path absolute and leave links

from __future__ import annotations

import ast
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from autoxla.lookahead.files import SITE, find_editable, find_module, is_in_site, is_installed, look

if TYPE_CHECKING:
    from autoxla.lookahead.program import Program

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


def find_own(program: Program, file: str | None) -> Program | None:
    """Return `program` with what is its own among the installed packages, None where it is a tool.

    Tools (pytest, gunicorn) start programs in ways of their own: their source is not the user's. `file` is
    the main module's, where that is known.
    """
    path = [entry for entry in sys.path if isinstance(entry, str)]
    module: str | None = program.target
    if program.kind == "module":
        found = None if file is not None else find_module(program.target, path)
        place = found.base if found is not None else file
        if place is None:
            return None if program.target in sys.stdlib_module_names else program
        if not is_installed(place):
            return program
    elif file is None or program.kind != "script":
        return None
    elif is_installed(file):
        # The dotted name of a file among the packages, or the module that a script of an installer calls.
        parts = Path(os.path.abspath(file)).with_suffix("").parts
        last = max((at for at, part in enumerate(parts) if part in SITE), default=None)
        module = read_entry(file) if last is None else ".".join(parts[last + 1 :])
    else:
        # An installer may have put a script into any folder (``~/.local/bin``).
        module = read_entry(program.target)
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
        return None if is_installed(found.base) else replace(program, installed=True)
    return replace(program, installed=True, packages=(found,))


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

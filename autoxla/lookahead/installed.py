"""A program that an installer wrote, or that lies among the installed packages: what of them is its own."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from autoxla.lookahead.files import find_editable, find_top, is_in_site, is_installed, is_tracked
from autoxla.situation.files import UnreadableError, read_bytes

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
#: Such a script: ``from module import name``, and ``sys.exit(name())`` or an attribute of the name.
_SCRIPT = re.compile(
    r"(?:(?:#.*|import \w+)?\n)*from ([\w.]+) import (\w+)\n+if __name__ == .__main__.:\n"
    r"(?:    .*\n)*    sys\.exit\(\2(?:\.\w+)*\(\)\)\s*"
)


def find_own(program: Program, file: str | None) -> Program | None:
    """Return `program` with what is its own among the installed packages, None where it is a tool.

    Tools (pytest, gunicorn) start programs in ways of their own: their source is not the user's. `file` is
    the main module's, where that is known.
    """
    if program.kind == "module":
        module: str | None = program.target
        place = file or find_top(program.target.partition(".")[0], sys.path)
        if place is None or not is_installed(place):
            return None if program.target in sys.stdlib_module_names else program
    elif program.kind == "script":
        module = read_entry(program.target)
    else:
        return None
    if module is None:
        return None if is_installed(program.target) else program
    top = module.partition(".")[0]
    if top in _TOOLS or top in sys.stdlib_module_names or is_tracked(top):
        return None
    base = find_top(top, sys.path)
    if base is not None and is_in_site(base):
        return replace(program, installed=True, packages={top: base})
    if not is_installed(program.target):
        return program
    # The folder of an editable distribution is one of the program's own.
    is_found = base is not None or top in find_editable(sys.meta_path)
    return replace(program, installed=True) if is_found else None


def read_entry(file: str) -> str | None:
    """Return the module whose function a script calls that an installer wrote; None for all others."""
    try:
        content = read_bytes(file, _LONGEST_SCRIPT) or b""
    except UnreadableError:
        return None
    found = _SCRIPT.fullmatch(content.decode(errors="replace"))
    return None if found is None else found[1]

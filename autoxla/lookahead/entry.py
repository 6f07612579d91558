"""Programs that lie among the installed packages: which of these packages are their own."""

# ruff: noqa: PTH100, PTH112, PTH113, PTH118 - strings, as in all that looks for modules

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from autoxla.situation.distributions import MetadataReader, read_text

SITE = frozenset({"site-packages", "dist-packages"})
#: Top-level modules of what runs code that it does not import itself: tests, servers, kernels, workers,
#: launchers, profilers. Some of them name a backend in code of their own, which says nothing about it.
TOOLS = frozenset(
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


class Package(NamedTuple):
    """A package, or module, with its dotted name; `base` is its folder, or its file without suffix."""

    name: str
    base: str


class _Discovery(Protocol):
    def discover(self, *, name: str, path: list[str]) -> Iterable[MetadataReader]: ...


def is_in_site(file: str) -> bool:
    """Tell whether a path is one of installed packages, or below it."""
    return not SITE.isdisjoint(Path(file).parts)


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


def name_module(file: str) -> str | None:
    """Return the dotted name of a file among the installed packages, None for one elsewhere."""
    parts = Path(os.path.abspath(file)).with_suffix("").parts
    last = max((at for at, part in enumerate(parts) if part in SITE), default=None)
    return None if last is None else ".".join(parts[last + 1 :])


def find_distribution(package: Package, names: Iterable[str]) -> tuple[Package, ...]:
    """Return the packages of the distribution that `package` belongs to, at least `package`.

    It is looked up by `names` and by that of the package: looking for a distribution under any other
    name would mean to read what is installed in whole.
    """
    depth = package.name.count(".") + 1
    folder = str(Path(package.base).parents[depth - 1])
    for name in dict.fromkeys((*names, package.name.partition(".")[0], package.name)):
        for distribution in _discover(name, folder):
            found = _list_packages(distribution, folder)
            if package.name in found:
                return tuple(Package(*item) for item in sorted(found.items()))
    return (package,)


def _discover(name: str, folder: str) -> Iterator[MetadataReader]:
    # As with releases: the other reader only where the program has loaded it already.
    reader = getattr(sys.modules.get("importlib_metadata"), "Distribution", None)
    if reader is None:
        from importlib.metadata import Distribution

        reader = Distribution
    with suppress(OSError, ValueError):
        yield from cast(_Discovery, reader).discover(name=name, path=[folder])


def _list_packages(distribution: MetadataReader, folder: str) -> dict[str, str]:
    """Return the outermost packages in a distribution's list of files, by their dotted names."""
    with suppress(OSError, ValueError):
        lines = read_text(distribution, "RECORD").splitlines()
        listed = (line.rsplit(",", 2)[0].strip('"') for line in lines)
        files = [file.removesuffix(".py").split("/") for file in listed if file.endswith(".py")]
        regular = {tuple(parts[:-1]) for parts in files if parts[-1] == "__init__"}
        tops = {_outermost(tuple(parts), regular) for parts in files if ".." not in parts}
        return {".".join(top): os.path.join(folder, *top) for top in tops}
    return {}


def _outermost(parts: tuple[str, ...], regular: set[tuple[str, ...]]) -> tuple[str, ...]:
    ends = range(1, len(parts))
    return next((parts[:end] for end in ends if parts[:end] in regular), parts)


def find_editable(finders: Sequence[object]) -> tuple[Package, ...]:
    """Return the packages that setuptools maps to folders outside the installed ones.

    `finders` are those of ``sys.meta_path``; each distribution that is installed such has one.
    """
    found: dict[str, str] = {}
    for finder in finders:
        module = getattr(finder, "__module__", None)
        if isinstance(module, str) and module.startswith("__editable__"):
            mapping = getattr(sys.modules.get(module), "MAPPING", None)
            found.update(_texts(mapping) if isinstance(mapping, Mapping) else {})
    return tuple(Package(*item) for item in sorted(found.items()))


def _texts(mapping: Mapping[object, object]) -> dict[str, str]:
    pairs = [(str(name), base) for name, base in mapping.items() if isinstance(base, str)]
    return {name: os.path.abspath(base).removesuffix(".py") for name, base in pairs}

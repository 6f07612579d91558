"""The contract suite in every environment that autoxla supports, each built from the public index.

``nox -l`` lists the sessions; ``nox -r -s tf216`` keeps the environment for the next time. With
``CONTRACT_RESULTS=tests/contract/results`` a session leaves its results for `qa/compatibility.md`, which
``nox -s compatibility`` makes.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "tests"))

from contract.environments import ENVIRONMENTS, VARIABLE, Environment  # noqa: E402

#: What runs the suite in an environment.
RUNNER = ("pytest>=8",)
#: The oneAPI runtime that ITEX's library for GPUs is linked with.
ONEAPI = (
    "intel-cmplr-lib-rt==2025.0.4", "intel-cmplr-lib-ur==2025.0.4", "intel-cmplr-lic-rt==2025.0.4",
    "intel-opencl-rt==2025.0.4", "intel-openmp==2025.0.4", "intel-sycl-rt==2025.0.4", "mkl==2025.0.1",
    "onemkl-sycl-blas==2025.0.1", "onemkl-sycl-dft==2025.0.1", "onemkl-sycl-lapack==2025.0.1",
    "tbb==2022.0.0", "tcmlib==1.2.0", "umf==0.9.1",
)  # fmt: skip
#: Where pyenv keeps interpreters.
PYENV = Path.home() / ".pyenv" / "versions"

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["bare", "tf221"]
nox.options.error_on_missing_interpreters = True
# pyenv's own commands answer for releases that are not switched on, and then fail.
os.environ["PATH"] = os.pathsep.join(
    [*(str(folder) for folder in sorted(PYENV.glob("3.1[0-3].*/bin"))), os.environ["PATH"]]
)


@nox.session(name="itex-cpu", python="3.11")
def itex_cpu(session: nox.Session) -> None:
    """TensorFlow 2.15.1, Keras 2.15 and ITEX for CPUs."""
    build_and_run(session, ENVIRONMENTS["itex-cpu"])


@nox.session(name="itex-cpu-k3", python="3.11")
@nox.parametrize("keras", ["3.0.5", "3.3.3"], ids=["3.0.5", "3.3.3"])
def itex_cpu_keras_3(session: nox.Session, keras: str) -> None:
    """TensorFlow 2.15.1, Keras 3 and ITEX for CPUs."""
    build_and_run(session, ENVIRONMENTS[f"itex-cpu-k3-{keras}"])


@nox.session(name="itex-xpu", python="3.11")
@nox.parametrize("oneapi", [False, True], ids=["alone", "oneapi"])
def itex_xpu(session: nox.Session, oneapi: bool) -> None:
    """ITEX for GPUs: alone, where importing TensorFlow fails, and with the oneAPI runtime."""
    if not oneapi:
        build_and_run(session, ENVIRONMENTS["itex-xpu"])
        return
    session.install("--no-deps", *ONEAPI)
    libraries = Path(session.virtualenv.location) / "lib"
    folders = os.pathsep.join([str(libraries), str(unpack_loader(session))])
    loader = {"LD_LIBRARY_PATH": folders, "OCL_ICD_FILENAMES": str(libraries / "libintelocl.so")}
    build_and_run(session, ENVIRONMENTS["itex-xpu-oneapi"], **loader)


def unpack_loader(session: nox.Session) -> Path:
    """Unpack the Level Zero loader, which no wheel has, from Debian's package; return its folder."""
    folder = Path(session.virtualenv.location) / "debian"
    libraries = folder / "usr" / "lib" / "x86_64-linux-gnu"
    if not libraries.is_dir():
        folder.mkdir(exist_ok=True)
        with session.chdir(folder):
            session.run("apt-get", "download", "libze1", external=True)
            session.run("dpkg", "-x", str(next(Path().glob("libze1*.deb"))), ".", external=True)
    return libraries


def add_release(name: str) -> None:
    """Add the session ``name``: a release of TensorFlow with the Keras and the tf_keras of its time."""

    @nox.session(name=name, python="3.11")
    def release(session: nox.Session) -> None:
        build_and_run(session, ENVIRONMENTS[name])
        if name == "tf221" and not session.posargs:
            # Where JAX is installed beside TensorFlow, so are the tests that train on it.
            session.install("hypothesis")
            session.run("pytest", "-p", "no:cacheprovider", "tests/backends")


for release_name in ("tf216", "tf218", "tf221", "latest"):
    add_release(release_name)


# Of these a machine may lack some; elsewhere a missing interpreter is an error.
@nox.session(python=[each for each in ("3.10", "3.11", "3.12", "3.13") if shutil.which(f"python{each}")])
def bare(session: nox.Session) -> None:
    """No TensorFlow: the core, the launcher, reading and checking of programs."""
    build_and_run(session, ENVIRONMENTS[f"bare-{session.python}"])


@nox.session(venv_backend="none")
def compatibility(session: nox.Session) -> None:
    """Write the table of `qa/compatibility.md` from the results."""
    session.run("python3", "-m", "contract.table", env={"PYTHONPATH": "tests"}, external=True)


@nox.session(python="3.11")
def guards(session: nox.Session) -> None:
    """Hold every operation whose check XLA drops against its guard, and train with each."""
    session.install(*ENVIRONMENTS["tf221"].requirements, *RUNNER, "hypothesis", ".[cli]")
    session.run("pytest", "tests/test_guards.py", *session.posargs, env={"GUARDS": "all"})


def build_and_run(session: nox.Session, environment: Environment, **variables: str) -> None:
    """Build ``environment``, install autoxla as its users do, and run the suite in it."""
    if environment.alone:
        session.install("--no-deps", *environment.alone)
    session.install(*environment.requirements, *RUNNER)
    session.install(".[cli]" if "packages" in environment.has else ".")
    suite = ("pytest", "--confcutdir", "tests/contract", "-p", "no:cacheprovider", "tests/contract")
    session.run(*suite, *session.posargs, env={VARIABLE: environment.name, **variables})

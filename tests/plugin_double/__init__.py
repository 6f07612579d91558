"""A test double of ITEX's TensorFlow plug-in, compiled with gcc when the tests run.

TensorFlow loads it as it loads ITEX: ``tensorflow-plugins/libitex_gpu.so`` in any entry of ``sys.path``
whose path contains ``site-packages``; a folder on ``PYTHONPATH`` is enough.

It shows, as ITEX's main branch does at load (`build`):

* the readers of each variable with their own spellings; the state machine with its two warnings; SIGABRT
  where XLA and the stream executor are asked for together and for a boolean that cannot be read; status 1
  for ``TF_XLA_FLAGS`` that TensorFlow cannot read; the variables that C code sets and ``os.environ`` does
  not show, ``--tf_xla_use_device_api=true`` among them (TensorFlow 2.21 knows this flag);
* the Python side inside ``import tensorflow``: Keras imported and touched, on any failure the traceback,
  the message and ``quit()``, which is status 0; the guard on ``compile`` and ``predict``.

`distribution` with a release 2.15 gives what the published wheels do instead: no such machine, no Python
side unless ``ITEX_OPS_OVERRIDE`` is on.

It does not show:

* a device: no XPU is listed, all runs on the CPU as where ITEX finds no device; so not what XLA does on an
  XPU, nor `jit_compile="auto"` becoming True, nor graph options at work, nor the files that ITEX itself
  needs and whose absence lets the import fail;
* ITEX's own layers and what ``ITEX_OPS_OVERRIDE`` replaces; only the variable's spelling counts. The full
  package imports more of Keras, so its exception differs; the message is the same;
* the need for ``pkg_resources.packaging``, without which ITEX has no guard: the guard is always there;
* the two builds apart. It is the one for GPUs, but reads ``ITEX_OMP_THREADPOOL``, which only the one for
  CPUs reads when it is opened, and no ``TF_ENABLE_ONEDNN_OPTS``, which that one reads strictly, too. The
  build for CPUs has neither machine nor XLA, and of the `OBSERVED` sets ``ITEX_CACHE_ONEDNN_OBJECT`` alone;
* values other than booleans that end the process: of ``ITEX_BACKEND``, ``ITEX_VERBOSE``,
  ``ITEX_CPP_MIN_LOG_LEVEL`` and, at the first step, ``ITEX_FP32_MATH_MODE``;
* TensorFlow's end over bad flags in 2.15, which is SIGABRT, where it is not TensorFlow itself that is asked.

What is proven, and against what:

* the release 2.15 against the published wheels 2.15.0.0 for CPUs and 2.15.0.3 for GPUs, by
  ``tests/contract/test_itex.py`` where these are installed: status, the strict booleans, the device, the
  `OBSERVED` variables, the two tracebacks of the ops override with Keras 3;
* the main branch against the transition table of ITEX's class and the scenarios seen with its own Python
  files on TensorFlow 2.21 and Keras 3.15, by ``tests/test_plugin_double.py``; its strict booleans follow its
  source. No build of that branch was run;
* the reader of ``TF_XLA_FLAGS`` against TensorFlow's own, by ``tests/test_plugin_double.py``;
* the append to ``TF_XLA_FLAGS``, the guard and the exit of the Python side are of that branch alone: no wheel
  has them.
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parent
PACKAGE = "intel_extension_for_tensorflow"
HOOK_MESSAGE = "please import ITEX or tensorflow berfore keras"
FATAL_MESSAGE = "PluggableDevice cannot enable XLA!"
COMPILE_MESSAGE = "This keras model does not support jit compile"
PREDICT_MESSAGE = "This keras model is not jit compiled"

#: A process that starts with none of these sees the defaults of Python, TensorFlow, Keras and ITEX.
_PREFIXES = ("AUTOXLA", "ENABLE_PJRT", "ITEX_", "KERAS", "MHA", "PYTHON", "TF_", "XLA_")


#: What C code sets of the environment.
OBSERVED = (
    "ENABLE_PJRT_COMPATIBILITY",
    "ITEX_CACHE_ONEDNN_OBJECT",
    "ITEX_ENABLE_MULTIPLE_STREAM",
    "ITEX_LAYOUT_OPT",
    "ITEX_REMAPPER",
    "MHA",
    "TF_XLA_FLAGS",
)


@dataclass(frozen=True)
class Outcome:
    """How a process ended that ran the C side alone, or the real plug-in.

    `status`: 0, 1, or the negative number of a signal. `printed`: both streams. `state`: the words of the
    state machine, or JSON of what a program saw; empty if the process died. `variables`: those of
    `OBSERVED` that are set, as C code sees them.
    """

    status: int
    printed: str
    state: str
    variables: Mapping[str, str]


def build(folder: Path) -> Path:
    """Build the double of ITEX's main in ``folder``; return the library's path.

    Without a distribution's metadata, as a checkout has none. Raises
    `subprocess.CalledProcessError` where gcc fails.
    """
    return _build(folder, "main")


def distribution(folder: Path, version: str) -> Path:
    """Build the double in ``folder`` as the installed release ``version``; return the library's path.

    Releases that start with ``2.15`` act like the published wheels, all others like the main branch.
    """
    is_wheel = version.startswith("2.15")
    library = _build(folder, "release_2_15", "-DITEX_2_15") if is_wheel else _build(folder, "main")
    metadata = site_packages(folder) / f"{PACKAGE}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True, exist_ok=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {version}\n", encoding="utf-8")
    return library


def site_packages(folder: Path) -> Path:
    """Return the folder that has to be on the path of modules."""
    return folder / "site-packages"


def environment(folder: Path, *paths: Path) -> dict[str, str]:
    """Return the variables that activate the double of ``folder``; ``paths`` come before it."""
    return {"PYTHONPATH": ":".join(str(path) for path in (*paths, site_packages(folder)))}


def clean_environment() -> dict[str, str]:
    """Return this process' environment without what Python, Keras, TensorFlow, ITEX or autoxla read."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_PREFIXES)}


def evaluate(library: Path, environments: Sequence[Mapping[str, str]]) -> list[Outcome]:
    """Run the C side of ``library`` under each of ``environments``, without TensorFlow, in milliseconds.

    What is decided in C comes out as at load; the Python side does not run.
    """
    return drive(library, "itex_double_evaluate", "before", environments)


def drive(
    library: Path, function: str, when: str, environments: Sequence[Mapping[str, str]]
) -> list[Outcome]:
    """Call ``function`` of ``library`` under each of ``environments``; ``drive.py`` says how."""
    command = [sys.executable, "-S", str(SOURCE / "drive.py"), str(library), function, when]
    given = json.dumps([dict(environment) for environment in environments])
    done = subprocess.run(
        command, input=given, env=clean_environment(), check=True, capture_output=True, text=True
    )
    return [Outcome(*result) for result in json.loads(done.stdout)]


def drive_wheel(cases: Sequence[tuple[Mapping[str, str], str]]) -> list[Outcome]:
    """Load the plug-in that is installed under each environment and run its code; `wheel.py` says how.

    Takes as long as one import of TensorFlow, and the code. Raises `subprocess.CalledProcessError` where
    TensorFlow finds no folder of plug-ins.
    """
    command = [sys.executable, str(SOURCE / "wheel.py")]
    given = json.dumps([(dict(environment), code) for environment, code in cases])
    done = subprocess.run(
        command, input=given, env=clean_environment(), check=True, capture_output=True, text=True
    )
    return [Outcome(*result) for result in json.loads(done.stdout)]


def read_c_environment() -> dict[str, str]:
    """Return `OBSERVED` as C code sees it; ``os.environ`` is a copy from the interpreter's start."""
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_char_p
    values = {name: libc.getenv(name.encode()) for name in OBSERVED}
    return {name: value.decode() for name, value in values.items() if value is not None}


def _build(folder: Path, package: str, *options: str) -> Path:
    library = site_packages(folder) / "tensorflow-plugins" / "libitex_gpu.so"
    library.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(SOURCE / package, site_packages(folder) / PACKAGE, dirs_exist_ok=True)
    gcc = ["gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-shared", "-fPIC", *options]
    subprocess.run([*gcc, "-o", str(library), str(SOURCE / "plugin.c"), "-ldl"], check=True)
    return library

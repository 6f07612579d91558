"""The plug-ins of TensorFlow's, and an import that is tried; each in a process of its own.

Where a plug-in cannot be loaded, ``import tensorflow`` fails. glibc's loader lists what it would load for
Python with the plug-in, and runs none of their code. Another loader is not asked.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import autoxla
from autoxla.commands.diagnosis.packages import Line, Scene
from autoxla.paths.children import read_facts
from autoxla.situation.files import is_file

_SECONDS = 20
#: In the process already when plug-ins are loaded.
_TENSORFLOW = ("libtensorflow", "_pywrap_tensorflow", "lib_pywrap_tensorflow")
_MISSING = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)
_VERSION = re.compile(r"(\S+): version [`'](\S+)' not found")
_REFUSED = re.compile(r"cannot be preloaded \(([^)]+)\)")
#: Parts of the loader's reasons, and what to do about them.
_REASONS = {
    "wrong ELF class": "it is for another processor: install the build for this one",
    "cannot open shared": "make it readable if it is not; else it is for another processor",
    "failed to map segment": "mount the file system on which it lies without noexec, or install elsewhere",
}

#: By distribution, how the names of the libraries that it brings begin. The longer beginning comes first.
WHEELS = {
    "intel-cmplr-lib-rt": ("libimf.", "libintlc.", "libirc.", "libirng.", "libsvml."),
    "intel-openmp": ("libiomp5.",),
    "intel-sycl-rt": ("libsycl.",),
    "intel-opencl-rt": ("libOpenCL.",),
    "intel-cmplr-lib-ur": ("libur_",),
    "umf": ("libumf.",),
    "tcmlib": ("libtcm.",),
    "tbb": ("libtbb",),
    "onemkl-sycl-blas": ("libmkl_sycl_blas.",),
    "onemkl-sycl-dft": ("libmkl_sycl_dft.",),
    "onemkl-sycl-lapack": ("libmkl_sycl_lapack.",),
    "mkl": ("libmkl_",),
    "onednn": ("libdnnl.",),
    "nvidia-cuda-runtime-cu12": ("libcudart.",),
    "nvidia-cudnn-cu12": ("libcudnn",),
    "nvidia-cublas-cu12": ("libcublas",),
}


def check(scene: Scene) -> Iterator[Line]:
    """Judge each plug-in of TensorFlow's."""
    for file in (Path(plugin.file) for plugin in scene.situation.plugins if plugin.file is not None):
        try:
            yield explain(file, ask_loader(file, scene.environ), scene)
        except (OSError, subprocess.SubprocessError) as error:  # noqa: PERF203 - of each by itself
            text = f"whether {file} can be loaded is not known: {error}"
            yield Line("note", "AX874", text, "python -m autoxla doctor --import-check")
    if not scene.situation.plugins:
        yield Line("ok", "AX870", "TensorFlow will load no plug-in")


def ask_loader(file: Path, environ: Mapping[str, str]) -> str:
    """Return what glibc's loader says of ``file``. Raises OSError or `subprocess.SubprocessError`."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ""],
        cwd=file.parent,
        # The loader splits LD_PRELOAD at spaces and colons, so that a folder must not be in it.
        env={**environ, "LC_ALL": "C", "LD_TRACE_LOADED_OBJECTS": "1", "LD_PRELOAD": f"./{file.name}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_SECONDS,
        check=False,
    )
    answer = os.fsdecode(done.stdout)
    if done.returncode:
        # The loader dies of some damaged files instead of refusing them.
        return f"{answer}\ncannot be preloaded (the loader ended with status {done.returncode})"
    if "=>" not in answer:
        raise OSError("the loader lists nothing")
    return answer


def explain(file: Path, answer: str, scene: Scene) -> Line:
    """Return what the loader's ``answer`` to ``file`` means."""
    missing = [name for name in dict.fromkeys(_MISSING.findall(answer)) if not name.startswith(_TENSORFLOW)]
    refused, version = _REFUSED.search(answer), _VERSION.search(answer)
    if refused is not None:
        steps = (step for part, step in _REASONS.items() if part in refused[1])
        text = f"the loader refuses {file}: {refused[1]}; import tensorflow fails with it"
        return Line("error", "AX873", text, next(steps, "reinstall what it belongs to, or remove it"))
    if missing:
        are = "is" if len(missing) == 1 else "are"
        text = f"{', '.join(missing)}, which {file} needs, {are} not found: import tensorflow fails"
        return Line("error", "AX871", text, propose(missing, scene))
    if version is not None:
        text = f"{file} needs {version[2]}, which {version[1]} does not have: import tensorflow fails"
        remedy = "install a release of the plug-in for this system, or a newer system"
        if "CXX" in version[2]:
            remedy += "; conda install libstdcxx-ng brings a newer libstdc++"
        return Line("error", "AX873", text, remedy)
    return Line("ok", "AX870", f"{file} finds all libraries that are not TensorFlow's")


def propose(names: Sequence[str], scene: Scene) -> str:
    """Return how to come by the shared libraries ``names``."""
    folder = Path(sys.prefix, "lib")
    absent = [name for name in names if not is_file(folder / name)]
    export = f"export LD_LIBRARY_PATH={folder}:$LD_LIBRARY_PATH before Python starts"
    if not absent:
        return export
    found = {name: [each for each in WHEELS if name.startswith(WHEELS[each])][:1] for name in absent}
    wheels = list(dict.fromkeys(wheel for each in found.values() for wheel in each))
    if any(not wheel.startswith("nvidia") for wheel in wheels):
        # The rest belongs to oneAPI, whose script sets the paths.
        script = Path(scene.environ.get("ONEAPI_ROOT") or "/opt/intel/oneapi", "setvars.sh")
        if is_file(script):
            return f"source {script} before Python starts"
    steps = [f"find what provides {name}" for name in absent if not found[name]]
    if wheels:
        steps += [f"pip install {' '.join(wheels)} in releases with these files", export]
    return f"{'; '.join(steps)}; or uninstall the plug-in"


# --- The import

_HOME = Path(autoxla.__file__).parent.parent
_LIBRARY = re.compile(r"([\w.+-]{1,100}\.so[\w.]{0,20}): cannot open shared object file")
_FATAL = re.compile(
    r"^F[^\n]{0,40}\] ([^\n]{1,300})|^(Fatal Python error: [^\n]{1,200})|(Unknown flags? in [^\n]{1,300})",
    re.MULTILINE,
)
_ITEX = "please import ITEX or tensorflow"
_TAIL = 20_000  # characters of what was printed that are searched
_BY_HAND = "run the import by hand, with python -X faulthandler, to see all that it prints"
#: What to do about a signal.
_SIGNALS = {
    "SIGILL": "use a build of TensorFlow for this processor, which may lack AVX, or another machine",
    "SIGKILL": "look for the system's out-of-memory killer: dmesg, or the limit of the container",
}

#: What the child does: it imports, and writes to a file how that went. A hint needs the exception itself.
_CHILD = """
import sys
if sys.path[0] == "":
    del sys.path[0]
import json
file, folder, home, *names = sys.argv[1:]
sys.argv[:] = [""]
sys.path.insert(0, folder)
def tell(**told):
    with open(file, "w") as stream:
        json.dump(told, stream)
for name in names:
    tell(last=name)
    try:
        __import__(name)
    except BaseException as error:
        told = {"last": name, "error": [type(error).__name__, str(error)[:4000]]}
        tell(**told)
        sys.path.append(home)
        from autoxla.hooks.error_hints import find_hint
        note = find_hint(error)
        sys.exit(tell(**told, note=note and [note.code, note.text]))
tell(ok=True)
"""


def try_import(scene: Scene, limit: float) -> Iterator[Line]:
    """Import the backends in a new interpreter within ``limit`` seconds, and say how that ended."""
    names = choose_names(scene)
    status = None
    with tempfile.TemporaryDirectory() as folder:
        report, output = Path(folder, "report.json"), Path(folder, "output")
        words = [sys.executable, "-c", _CHILD, str(report), str(scene.folder), str(_HOME), *names]
        with output.open("wb") as stream, suppress(subprocess.TimeoutExpired):
            status = subprocess.run(
                words,
                env=dict(scene.environ),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                timeout=limit,
                check=False,
            ).returncode
        told: dict[str, Any] = read_facts(report)
        printed = output.read_bytes()[-_TAIL:].decode("utf-8", "replace")
    what = " and ".join(f"import {name}" for name in names)
    if told.get("ok") and status == 0:
        yield Line("ok", "AX893", f"{what} works")
    elif status is None:
        text = f"{what} took more than {limit:g} seconds"
        yield Line("warning", "AX895", text, "try again with a longer --timeout")
    else:
        if "error" in told:
            name, message = told["error"]
            first = next(filter(None, map(str.strip, message.splitlines())), "")[:300]
            cause, note = f"{name}: {first}" if first else name, told.get("note")
            remedy = "install what is missing" if name == "ModuleNotFoundError" else _BY_HAND
            if library := _LIBRARY.search(message):
                remedy = propose([library[1]], scene)
            elif note:
                cause, remedy = f"{cause} ({note[0]})", str(note[1])
        elif _ITEX in printed:
            cause = "ITEX ended the process with status 0: it could not import Keras while it was loaded"
            remedy = "import tensorflow before keras, with the Keras backend tensorflow; or python -m autoxla"
        else:
            name = f"status {status}"
            with suppress(ValueError):  # no signal, or one that Python has no name for
                name = signal.Signals(-status).name
            said = [next(filter(None, found)) for found in _FATAL.findall(printed)]
            behind = f": {said[-1]}" if said else " before the import was done"
            cause = f"the process ended with {name}{behind}"
            is_flag = any("Unknown flag" in each for each in said)
            remedy = "correct the variable, or unset it" if is_flag else _SIGNALS.get(name, _BY_HAND)
        yield Line("error", "AX894", f"{told.get('last') or what}: {cause}", remedy)


def choose_names(scene: Scene) -> tuple[str, ...]:
    """Return the backends that the program certainly imports, in its order; else TensorFlow or Keras."""
    evidence = scene.situation.reading.evidence
    said = (e for e in evidence if e.kind == "import" and e.grade == "certain" and not e.caught)
    tops = dict.fromkeys(each.name.partition(".")[0] for each in said)
    versions = scene.situation.versions
    alone = "keras" in versions and "tensorflow" not in versions
    return tuple(name for name in tops if name in autoxla.WATCHED) or ("keras" if alone else "tensorflow",)

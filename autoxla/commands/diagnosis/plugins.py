"""Plug-ins of TensorFlow that cannot be loaded, and an import that is tried; each in a process of its own.

Where a plug-in cannot be loaded, ``import tensorflow`` fails. The system's loader is asked: glibc's lists
what it would load for Python with the plug-in, and runs none of their code. Elsewhere the plug-in is loaded,
and the loader's message is read.
"""

from __future__ import annotations

import json
import os
import platform
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
from autoxla.situation.files import is_file

_SECONDS = 20
_LOAD = "import ctypes, sys\ntry:\n    ctypes.CDLL(sys.argv[1])\nexcept OSError as error:\n    print(error)"
#: In the process already when plug-ins are loaded.
_TENSORFLOW = ("libtensorflow", "_pywrap_tensorflow", "lib_pywrap_tensorflow")
_MISSING = re.compile(
    r"^\s*(?P<glibc>\S+) => not found|(?P<linux>[\w.+-]+): cannot open shared object file: No such file"
    r"|Library not loaded: (?P<mac>\S+)",
    re.MULTILINE,
)
_VERSION = re.compile(r"(\S+): version [`'](\S+)' not found")
_REFUSED = re.compile(r"cannot be preloaded \(([^)]+)\)")
_NO_LIBRARY = ("invalid ELF header", "file too short", "not a mach-o file")
_OTHER_PROCESSOR = ("wrong ELF class", "incompatible architecture", "cannot open shared object file")

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
#: The same for packages of the system.
_SYSTEM = {"level-zero (libze1 on Debian)": ("libze_loader.",), "the NVIDIA driver": ("libcuda.",)}


def check(scene: Scene) -> Iterator[Line]:
    """Judge each plug-in of TensorFlow's."""
    for file in (Path(plugin.file) for plugin in scene.situation.plugins if plugin.file is not None):
        try:
            status, answer = ask_loader(file, scene.environ)
        except (OSError, subprocess.SubprocessError) as error:
            text = f"whether {file} can be loaded is not known: {error}"
            yield Line("note", "AX874", text, "python -m autoxla doctor --import-check")
            continue
        if status == 0:
            yield explain(file, answer, scene)
        else:
            text = f"the loader ended with status {status} at {file}: import tensorflow may end so, too"
            yield Line("error", "AX873", text, "reinstall what it belongs to")
    if not scene.situation.plugins:
        yield Line("ok", "AX870", "TensorFlow will load no plug-in")


def ask_loader(file: Path, environ: Mapping[str, str], *, run: bool | None = None) -> tuple[int, str]:
    """Return how the loader's process ended at ``file``, and what it said.

    ``run``: ``file`` is loaded, which executes code in it; by default only where the loader is not glibc's.
    Raises OSError or `subprocess.SubprocessError`.
    """
    python = [sys.executable, "-I", "-S", "-c"]
    variables = {**environ, "LC_ALL": "C"}
    if run is None:
        run = platform.libc_ver()[0] != "glibc"
    if run:
        words = [*python, _LOAD, str(file)]
    else:
        # The loader splits this variable at spaces and colons, so that a folder must not be in it.
        variables.update(LD_TRACE_LOADED_OBJECTS="1", LD_PRELOAD=f"./{file.name}")
        words = [*python, ""]
    done = subprocess.run(
        words,
        cwd=file.parent,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_SECONDS,
        check=False,
    )
    answer = os.fsdecode(done.stdout)
    if not run and done.returncode == 0 and "=>" not in answer:
        raise OSError("the loader lists nothing")
    return done.returncode, answer


def explain(file: Path, answer: str, scene: Scene) -> Line:
    """Return what the loader's ``answer`` to ``file`` means."""
    refused = _REFUSED.search(answer)
    reason = refused[1] if refused else next(iter(answer.splitlines()), "") if "=>" not in answer else ""
    if any(text in answer for text in _NO_LIBRARY):
        text = f"{file} is not a shared library ({reason}): import tensorflow fails with it"
        return Line("error", "AX872", text, f"reinstall what it belongs to, or remove {file}")
    names = dict.fromkeys(name for found in _MISSING.finditer(answer) for name in found.groups() if name)
    own = (*_TENSORFLOW, file.name)
    missing = [name for name in names if not Path(name).name.startswith(own)]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        text = f"{', '.join(missing)}, which {file} needs, {are} not found: import tensorflow fails"
        return Line("error", "AX871", text, propose(missing, scene))
    version = _VERSION.search(answer)
    if version is not None:
        text = f"{file} needs {version[2]}, which {version[1]} does not have: import tensorflow fails"
        remedy = "install a release of the plug-in for this system, or a newer system"
        if "CXX" in version[2]:
            remedy += "; conda install libstdcxx-ng brings a newer libstdc++"
        return Line("error", "AX873", text, remedy)
    if names or not reason:  # those that are missing are TensorFlow's alone
        which = "libraries that are not TensorFlow's" if names else "the libraries that it needs"
        return Line("ok", "AX870", f"{file} finds all {which}")
    remedy = "reinstall what it belongs to, or remove it"
    if any(each in reason for each in _OTHER_PROCESSOR):
        remedy = (
            "make it readable if it is not; else it is for another processor: install the build for this one"
        )
    elif "failed to map segment" in reason:
        remedy = "mount the file system on which it lies without noexec, or install elsewhere"
    text = f"the loader refuses {file}: {reason}; import tensorflow fails with it"
    return Line("error", "AX873", text, remedy)


def propose(names: Sequence[str], scene: Scene) -> str:
    """Return how to come by the shared libraries ``names``."""
    folder = scene.prefix / "lib"
    absent = [name for name in names if not is_file(folder / name)]
    export = f"export LD_LIBRARY_PATH={folder}:$LD_LIBRARY_PATH before Python starts"
    if not absent:
        return export

    def look_up(table: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
        found = {name: [each for each in table if name.startswith(table[each])] for name in absent}
        return {name: each[0] for name, each in found.items() if each}

    wheels, system = look_up(WHEELS), look_up(_SYSTEM)
    if any(not wheel.startswith("nvidia") for wheel in wheels.values()):
        # The rest belongs to oneAPI, whose script sets the paths.
        named, home = scene.environ.get("ONEAPI_ROOT"), scene.environ.get("HOME")
        folders = [Path(named)] if named else []
        folders += [scene.root / "opt/intel/oneapi", *([Path(home, "intel/oneapi")] if home else [])]
        scripts = (each / "setvars.sh" for each in folders)
        if (script := next(filter(is_file, scripts), None)) is not None:
            return f"source {script} before Python starts"
    steps = [f"find what provides {name}" for name in absent if name not in wheels | system]
    steps += [f"install {package}" for package in dict.fromkeys(system.values())]
    if chosen := " ".join(dict.fromkeys(wheels.values())):
        steps += [f"pip install {chosen} in releases with these files", export]
    return f"{'; '.join(steps)}; or uninstall the plug-in"


# --- The import

_HOME = Path(autoxla.__file__).parent.parent
_LIBRARY = re.compile(r"([\w.+-]{1,100}\.so[\w.]{0,20}): cannot open shared object file")
_FLAG = re.compile(r"Unknown flags? in [^\n]{1,300}")
_FATAL = re.compile(r"^F[^\n]{0,40}\] ([^\n]{1,300})|^(Fatal Python error: [^\n]{1,200})", re.MULTILINE)
_ITEX = "please import ITEX or tensorflow"
_TAIL = 20_000  # characters of what was printed that are searched
_CPU_FLAGS = re.compile(r"^flags[ \t]*:(.*)$", re.MULTILINE)
#: What to do about a signal.
_SIGNALS = {
    "SIGABRT": "correct what the message names; else python -X faulthandler shows where it was",
    "SIGKILL": "look for the system's out-of-memory killer: dmesg, or the limit of the container",
    "SIGSEGV": "python -X faulthandler shows where it was; reinstall TensorFlow and its plug-ins",
}

#: What the child does: it imports, and writes to a file how that went. Its notes need the traceback.
_CHILD = """
import sys
if sys.path[0] == "":
    del sys.path[0]
import json
file, folder, home, *names = sys.argv[1:]
sys.argv[:] = [""]
sys.path.insert(0, folder)
done = {}
try:
    for name in names:
        done["last"] = name
        json.dump(done, open(file, "w"))
        __import__(name)
    done["ok"] = True
except BaseException as error:
    done["types"] = [cls.__name__ for cls in type(error).__mro__]
    done["message"] = str(error)[:4000]
    json.dump(done, open(file, "w"))
    try:
        sys.path.append(home)
        from autoxla.hooks.error_hints import find_hint
        note = find_hint(error)
        done["note"] = note and [note.code, note.text]
    except Exception:
        pass
json.dump(done, open(file, "w"))
"""


def try_import(scene: Scene, limit: float) -> Iterator[Line]:
    """Import the backends in a new interpreter within ``limit`` seconds, and say how that ended."""
    names = choose_names(scene)
    status, told, printed = None, dict[str, Any](), b""
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
        with suppress(OSError, ValueError):
            told |= json.loads(report.read_text(encoding="utf-8"))
        printed = output.read_bytes()[-_TAIL:]
    what = " and ".join(f"import {name}" for name in names)
    if told.get("ok") and status == 0:
        yield Line("ok", "AX893", f"{what} works")
    elif status is None:
        text = f"{what} took more than {limit:g} seconds"
        yield Line("warning", "AX895", text, "try again with a longer --timeout")
    else:
        said = printed.decode("utf-8", "replace")
        is_error = bool(told.get("types"))
        cause, remedy = _explain_error(told, said, scene) if is_error else _explain_end(status, said, scene)
        yield Line("error", "AX894", f"{told.get('last') or what}: {cause}", remedy)


def choose_names(scene: Scene) -> tuple[str, ...]:
    """Return the backends that the program certainly imports, in its order; else TensorFlow or Keras."""
    evidence = scene.situation.reading.evidence
    said = (e for e in evidence if e.kind == "import" and e.grade == "certain" and not e.caught)
    tops = dict.fromkeys(each.name.partition(".")[0] for each in said)
    alone = scene.inventory.provider("keras") is not None and scene.inventory.provider("tensorflow") is None
    return tuple(name for name in tops if name in autoxla.WATCHED) or ("keras" if alone else "tensorflow",)


def _explain_error(told: Mapping[str, Any], printed: str, scene: Scene) -> tuple[str, str]:
    """Return why an import raised an exception, and the remedy."""
    name, message = str(told["types"][0]), str(told.get("message", ""))
    shown = f"{name}: {_first_line(message)}" if message else name
    library, note = _LIBRARY.search(message), told.get("note")
    if library is not None:
        return shown, propose([library[1]], scene)
    if isinstance(note, list) and len(note) == 2:
        return f"{shown} ({note[0]})", str(note[1])
    if "_ARRAY_API not found" in printed or "compiled using NumPy 1.x" in printed:
        return shown, "install the numpy that the installed TensorFlow asks for"
    if name == "ModuleNotFoundError":
        return shown, "install what is missing"
    return shown, "run the import by hand to see all of the traceback"


def _explain_end(status: int, printed: str, scene: Scene) -> tuple[str, str]:
    """Return why the process ended in an import without an exception, and the remedy."""
    if _ITEX in printed:
        return (
            "ITEX ended the process with status 0, since it could not import Keras while it was loaded",
            "import tensorflow before keras, with the Keras backend tensorflow; or python -m autoxla",
        )
    if (flag := _FLAG.search(printed)) is not None:
        return f"the process ended: {_first_line(flag[0])}", "correct the variable, or unset it"
    if status == 0:
        text = "the process ended with status 0 before the import was done"
        return text, "look at what was imported for quit()"
    said = [found[1] or found[2] for found in _FATAL.finditer(printed)]
    fatal = f": {_first_line(said[-1])}" if said else ""
    if status > 0:
        text = f"the process ended with status {status}{fatal}"
        return text, "run the import by hand to see all it prints"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    text = f"the process died of {name}{fatal}"
    if name != "SIGILL":
        return text, _SIGNALS.get(name, "python -X faulthandler shows where it was")
    cpu = ""
    with suppress(OSError):
        cpu = (scene.root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    features = _CPU_FLAGS.search(cpu)
    lacks_avx = features is not None and " avx " not in f" {features[1]} "
    why = "this processor has no AVX" if lacks_avx else "an instruction that this processor does not have"
    return f"{text}: {why}", "use a build of TensorFlow for this processor, or another machine"


def _first_line(text: str) -> str:
    """Return the first line of ``text`` that is not empty, cut where it is very long."""
    shown = next(filter(None, map(str.strip, text.splitlines())), "")
    return shown if len(shown) <= 300 else f"{shown[:300]}…"

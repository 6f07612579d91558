"""An import tried in a process of its own, and an explanation of how it ended."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import autoxla
from autoxla.commands.diagnosis.inventory import Line, Scene
from autoxla.commands.diagnosis.plugins import propose

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


def check(scene: Scene, limit: float) -> Iterator[Line]:
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

"""An import tried in a process of its own, and an explanation of how it ended."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import autoxla
from autoxla.commands.diagnosis.line import Line, Scene
from autoxla.commands.diagnosis.plugins import propose

SUBJECT = "import"
HOME = Path(autoxla.__file__).parent.parent
_LIBRARY = re.compile(r"([\w.+-]{1,100}\.so[\w.]{0,20}): cannot open shared object file")
_FLAG = re.compile(r"Unknown flags? in [^\n]{1,300}")
_FATAL = re.compile(r"^F[^\n]{0,40}\] ([^\n]{1,300})|^(Fatal Python error: [^\n]{1,200})", re.MULTILINE)
_ITEX = "please import ITEX or tensorflow"
_TAIL = 20_000  # characters of what was printed that are searched
_CPU_FLAGS = re.compile(r"^flags[ \t]*:(.*)$", re.MULTILINE)

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


@dataclass(frozen=True, slots=True)
class Ending:
    """How the child ended. `status` is None where the time was up, `told` what it wrote of itself."""

    status: int | None
    told: dict[str, Any] = field(default_factory=dict)
    printed: str = ""


def check(scene: Scene, names: Sequence[str], limit: float) -> Iterator[Line]:
    """Import ``names`` in a new interpreter within ``limit`` seconds, and say how it ended."""
    yield explain(run(scene, names, limit), names, scene, limit)


def choose_names(scene: Scene) -> tuple[str, ...]:
    """Return the backends that the program certainly imports, in its order; else TensorFlow or Keras."""
    evidence = scene.situation.reading.evidence
    said = (e for e in evidence if e.kind == "import" and e.grade == "certain" and not e.caught)
    tops = dict.fromkeys(each.name.partition(".")[0] for each in said)
    alone = scene.inventory.provider("keras") is not None and scene.inventory.provider("tensorflow") is None
    return tuple(name for name in tops if name in autoxla.WATCHED) or ("keras" if alone else "tensorflow",)


def run(scene: Scene, names: Sequence[str], limit: float) -> Ending:
    """Import ``names`` in a child process."""
    with tempfile.TemporaryDirectory() as folder:
        report, output = Path(folder, "report.json"), Path(folder, "output")
        words = [sys.executable, "-c", _CHILD, str(report), str(scene.folder), str(HOME), *names]
        with output.open("wb") as stream:
            status = _wait(words, dict(scene.environ), stream.fileno(), limit)
        return Ending(status, _read_report(report), _read_tail(output))


def _wait(words: Sequence[str], environ: dict[str, str], output: int, limit: float) -> int | None:
    try:
        return subprocess.run(
            words,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=limit,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return None


def _read_report(file: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        told = json.loads(file.read_text(encoding="utf-8"))
        return told if isinstance(told, dict) else {}
    return {}


def _read_tail(file: Path) -> str:
    return file.read_bytes()[-_TAIL:].decode("utf-8", "replace")


def explain(ending: Ending, names: Sequence[str], scene: Scene, limit: float) -> Line:
    """Return what the end of the child means."""
    what = " and ".join(f"import {name}" for name in names)
    if ending.told.get("ok") and ending.status == 0:
        return Line("ok", "AX893", SUBJECT, f"{what} works")
    if ending.status is None:
        text = f"{what} took more than {limit:g} seconds"
        return Line("warning", "AX895", SUBJECT, text, "try again with a longer --timeout")
    cause, remedy = find_cause(ending, scene)
    return Line("error", "AX894", SUBJECT, f"{ending.told.get('last') or what}: {cause}", remedy)


def find_cause(ending: Ending, scene: Scene) -> tuple[str, str]:
    """Return why the import failed, and the remedy."""
    types, message = ending.told.get("types"), str(ending.told.get("message", ""))
    if types:
        return _explain_error(str(types[0]), message, ending, scene)
    if _ITEX in ending.printed:
        return (
            "ITEX ended the process with status 0, since it could not import Keras while it was loaded",
            "import tensorflow before keras, with the Keras backend tensorflow; or python -m autoxla",
        )
    flag = _FLAG.search(ending.printed)
    if flag is not None:
        return f"the process ended: {_line(flag[0])}", "correct the variable, or unset it"
    if ending.status is not None and ending.status < 0:
        return _explain_signal(-ending.status, ending.printed, scene)
    if ending.status == 0:
        return (
            "the process ended with status 0 before the import was done",
            "look at what was imported for quit()",
        )
    fatal = _find_fatal(ending.printed)
    return (
        f"the process ended with status {ending.status}{fatal}",
        "run the import by hand to see all it prints",
    )


def _explain_error(name: str, message: str, ending: Ending, scene: Scene) -> tuple[str, str]:
    shown = f"{name}: {_line(message)}" if message else name
    library = _LIBRARY.search(message)
    if library is not None:
        return shown, propose([library[1]], scene)
    note = ending.told.get("note")
    if isinstance(note, list) and len(note) == 2:
        return f"{shown} ({note[0]})", str(note[1])
    if "_ARRAY_API not found" in ending.printed or "compiled using NumPy 1.x" in ending.printed:
        return shown, "install the numpy that the installed TensorFlow asks for"
    if name == "ModuleNotFoundError":
        return shown, "install what is missing"
    return shown, "run the import by hand to see all of the traceback"


def _explain_signal(number: int, printed: str, scene: Scene) -> tuple[str, str]:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    text = f"the process died of {name}{_find_fatal(printed)}"
    if name == "SIGILL":
        return _explain_illegal(text, scene)
    remedies = {
        "SIGABRT": "correct what the message names; else python -X faulthandler shows where it was",
        "SIGKILL": "look for the system's out-of-memory killer: dmesg, or the limit of the container",
        "SIGSEGV": "python -X faulthandler shows where it was; reinstall TensorFlow and its plug-ins",
    }
    return text, remedies.get(name, "python -X faulthandler shows where it was")


def _explain_illegal(text: str, scene: Scene) -> tuple[str, str]:
    features = _CPU_FLAGS.search(_read_cpu(scene))
    lacks_avx = features is not None and " avx " not in f" {features[1]} "
    why = "this processor has no AVX" if lacks_avx else "an instruction that this processor does not have"
    return f"{text}: {why}", "use a build of TensorFlow for this processor, or another machine"


def _read_cpu(scene: Scene) -> str:
    try:
        return (scene.root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _find_fatal(printed: str) -> str:
    found = list(_FATAL.finditer(printed))
    return f": {_line(found[-1][1] or found[-1][2])}" if found else ""


def _line(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    shown = lines[0] if lines else ""
    return shown if len(shown) <= 300 else f"{shown[:300]}…"

"""``python -m autoxla PROGRAM`` against ``python PROGRAM``: one program, run both ways, compared.

Once with the wheel installed in a virtual environment of its own, once from this checkout on
``PYTHONPATH``. What may differ: our finder on ``sys.meta_path``, the modules of autoxla (and
``atexit``, which it imports), ``AUTOXLA*`` in the environment and, from a checkout, one folder in
front of ``PYTHONPATH``.
"""

from __future__ import annotations

import importlib
import json
import os
import py_compile
import re
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autoxla import __version__, commands
from autoxla.launch import launcher

CHECKOUT = Path(__file__).parents[1]
PRIVATE = str(CHECKOUT / "autoxla" / "launch" / "private")
LAUNCH = ("-m", "autoxla")
Word = str | bytes

STATE = '''
"""Prints what a program can see of the way in which it was started."""
import sys
modules = sorted(sys.modules)
cache = sorted(sys.path_importer_cache)
import gc, json, os, signal, threading, warnings
main = sys.modules["__main__"]
def describe_loader(loader):
    return [getattr(loader, "__name__", type(loader).__name__), getattr(loader, "path", None)]
def describe_spec(spec):
    return spec and [spec.name, spec.origin, spec.cached, spec.parent, spec.has_location,
                     spec.submodule_search_locations, describe_loader(spec.loader)]
def count_frames(frame):
    return 1 + count_frames(frame.f_back) if frame.f_back else 1
def find_limit(n=0):
    try:
        return find_limit(n + 1)
    except RecursionError:
        return n
def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
def describe_stream(stream):
    return stream and [getattr(stream, name) for name in STREAM]
STREAM = "closed", "encoding", "errors", "line_buffering", "write_through"
finders = [getattr(f, "__name__", type(f).__name__) for f in sys.meta_path]
print(json.dumps(dict(
    active="DormantFinder" in finders,
    finders=[f for f in finders if f != "DormantFinder"],
    modules=[m for m in modules if m.partition(".")[0] != "autoxla" and m != "atexit"],
    cache=[p for p in cache if "autoxla" not in p.split(os.sep) or p.endswith("private")],
    environ={k: v for k, v in os.environ.items() if not k.startswith("AUTOXLA")},
    names=sorted(vars()), is_main=vars(main) is vars(), name=__name__, package=__package__, doc=__doc__,
    file=globals().get("__file__"), cached=globals().get("__cached__"),
    loader=describe_loader(__loader__), spec=describe_spec(__spec__), builtins=type(__builtins__).__name__,
    argv=sys.argv, orig_argv=sys.orig_argv, path=sys.path, flags=str(sys.flags), xoptions=sys._xoptions,
    warnoptions=sys.warnoptions, filters=[repr(f) for f in warnings.filters], executable=sys.executable,
    prefix=[sys.prefix, sys.base_prefix, sys.exec_prefix, sys._base_executable], cwd=os.getcwd(),
    bytecode=[sys.dont_write_bytecode, sys.pycache_prefix], hooks=len(sys.path_hooks),
    recursion=[sys.getrecursionlimit(), find_limit()], frames=count_frames(sys._getframe()),
    excepthook=sys.excepthook is sys.__excepthook__, displayhook=sys.displayhook is sys.__displayhook__,
    traced=[sys.gettrace(), sys.getprofile()], threads=[t.name for t in threading.enumerate()],
    streams=[describe_stream(s) for s in (sys.stdin, sys.stdout, sys.stderr)],
    encoding=sys.getfilesystemencoding(), open=[fd for fd in range(64) if is_open(fd)],
    handlers=[str(signal.getsignal(s)) for s in sorted(signal.valid_signals())],
    mask=sorted(map(str, signal.pthread_sigmask(signal.SIG_BLOCK, ()))),
    garbage=[gc.isenabled(), gc.get_threshold()], interactive=hasattr(sys, "ps1"),
)))
'''


@dataclass(frozen=True)
class Way:
    """How autoxla comes into an interpreter."""

    python: str
    environment: dict[str, str]

    def start(
        self, words: Sequence[Word], at: Path, environment: dict[str, str] | None = None, **more: Any
    ) -> subprocess.Popen[bytes]:
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        variables = {**self.environment, **(environment or {})}
        return subprocess.Popen([self.python, *words], cwd=at, env=variables, **{**streams, **more})

    def run(self, words: Sequence[Word], at: Path, stdin: bytes = b"", **more: Any) -> Outcome:
        with self.start(words, at, **more) as process:
            stdout, stderr = process.communicate(stdin, timeout=60)
        return Outcome(process.returncode, hide_addresses(stdout), hide_addresses(stderr))

    def run_both(
        self, program: Sequence[Word], at: Path, options: Sequence[str] = (), **more: Any
    ) -> tuple[Outcome, Outcome]:
        plain = self.run([*options, *program], at, **more)
        return plain, self.run([*options, *LAUNCH, *program], at, **more)


@dataclass(frozen=True)
class Outcome:
    """What a program left behind."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def state(self) -> dict[str, Any]:
        assert self.status == 0, self.stderr.decode()
        state: dict[str, Any] = json.loads(self.stdout)
        return state


def hide_addresses(text: bytes) -> bytes:
    return re.sub(rb"\b0x[0-9a-f]{6,}", b"0x", text)


def make_environment(folder: Path, wheel: Path | None = None) -> str:
    """Make a virtual environment, unpack the wheel into it as pip would, return its interpreter."""
    venv.create(folder, symlinks=True)
    if wheel is not None:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(next(folder.glob("lib/python*/site-packages")))
    return str(folder / "bin" / "python")


@pytest.fixture(scope="session")
def ways(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Way]:
    root = tmp_path_factory.mktemp("ways")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(root)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    variables = {"PATH": os.environ["PATH"], "HOME": str(root), "LANG": "C.UTF-8"}
    return {
        "wheel": Way(make_environment(root / "with", next(root.glob("*.whl"))), variables),
        "checkout": Way(make_environment(root / "without"), {**variables, "PYTHONPATH": str(CHECKOUT)}),
    }


@pytest.fixture(params=["wheel", "checkout"])
def way(request: pytest.FixtureRequest, ways: dict[str, Way]) -> Way:
    return ways[request.param]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the program `STATE` in all forms that Python takes."""
    folder = tmp_path_factory.mktemp("programs")
    names: list[Word] = ["script.py", "with space.py", "--odd.py", "noextension", "explain", b"caf\xe9.py"]
    (folder / "pkg").mkdir()
    (folder / "folder").mkdir()
    names += ["pkg/__init__.py", "pkg/__main__.py", "pkg/mod.py", "folder/__main__.py"]
    for name in names:
        (folder / os.fsdecode(name)).write_text("" if name == "pkg/__init__.py" else STATE)
    (folder / "link.py").symlink_to("folder/__main__.py")
    py_compile.compile(str(folder / "script.py"), str(folder / "compiled.pyc"))
    with zipfile.ZipFile(folder / "app.zip", "w") as archive:
        archive.write(folder / "script.py", "__main__.py")
    return folder


def compare(plain: Outcome, launched: Outcome) -> None:
    """Assert that a program saw the same, our finder apart."""
    expected, seen = plain.state, launched.state
    assert (expected.pop("active"), seen.pop("active")) == (False, True)
    entries = seen["environ"].get("PYTHONPATH", "").split(os.pathsep)
    if entries[0] == PRIVATE:
        seen["environ"]["PYTHONPATH"] = os.pathsep.join(entries[1:])
    assert seen == expected
    assert launched.stderr == plain.stderr


FORMS: dict[str, tuple[Word, ...]] = {
    "relative": ("script.py", "--help", "explain", "--version", "-m", ""),
    "dotted": ("./script.py",),
    "space": ("with space.py", "a b", "\u00fc"),
    "bytes": (b"caf\xe9.py", b"\xff"),
    "no-extension": ("noextension",),
    "symlink": ("link.py",),
    "compiled": ("compiled.pyc",),
    "package": ("-m", "pkg", "-h"),
    "module": ("-m", "pkg.mod", "run"),
    "module-joined": ("-mpkg.mod", "--version"),
    "folder": ("folder", "x"),
    "zip": ("app.zip", "x"),
    "code": ("-c", STATE, "-c", "x"),
    "options-behind": ("-O", "-X", "dev", "script.py", "-O"),
    "after-dashes": ("--", "--odd.py", "--"),
}


@pytest.mark.parametrize("form", FORMS)
def test_program_forms(way: Way, programs: Path, form: str) -> None:
    compare(*way.run_both(FORMS[form], programs))


def test_absolute_script_from_elsewhere(way: Way, programs: Path, tmp_path: Path) -> None:
    compare(*way.run_both([str(programs / "script.py")], tmp_path))


@pytest.mark.parametrize("words", [("-",), ("-", "x")])
def test_standard_input(way: Way, tmp_path: Path, words: tuple[str, ...]) -> None:
    compare(*way.run_both(words, tmp_path, stdin=STATE.encode()))


def test_name_of_a_command_as_program(way: Way, programs: Path) -> None:
    plain = way.run(["explain", "run"], programs)
    compare(plain, way.run([*LAUNCH, "run", "explain", "run"], programs))


OPTIONS = [
    "-O",
    "-OO",
    "-X dev",
    "-Xutf8",
    "-W error",
    "-Werror -Wdefault",
    "-u",
    "-B",
    "-s",
    "-bb",
    "-uBX dev",
    "-x",
]
OPTIONS += ["-X int_max_str_digits=9999", "--check-hash-based-pycs never -q"]
OPTIONS += ["-P"] if sys.version_info >= (3, 11) else []


@pytest.mark.parametrize("options", OPTIONS)
def test_options_are_kept(way: Way, programs: Path, options: str) -> None:
    compare(*way.run_both(["script.py"], programs, options.split()))


@pytest.mark.parametrize("options", ["-I", "-E", "-sE"])
def test_isolation_is_kept_where_installed(ways: dict[str, Way], programs: Path, options: str) -> None:
    compare(*ways["wheel"].run_both(["script.py"], programs, [options]))
    plain = ways["wheel"].run([options, "script.py"], programs)
    compare(plain, ways["wheel"].run([*LAUNCH, options, "script.py"], programs))


OTHER_FORMS = [((), ("-mautoxla",)), (("-OB",), ("-OBm", "autoxla")), ((), LAUNCH * 2)]


@pytest.mark.parametrize(("plain", "launch"), OTHER_FORMS, ids=["joined", "clustered", "twice"])
def test_other_forms(way: Way, programs: Path, plain: tuple[str, ...], launch: tuple[str, ...]) -> None:
    compare(way.run([*plain, "script.py"], programs), way.run([*launch, "script.py"], programs))


ENVIRONMENTS = {
    "c-locale": {"LANG": "C"},
    "posix-ctype": {"LC_CTYPE": "POSIX"},
    "c-locale-all": {"LC_ALL": "C"},
    "utf8-off": {"LANG": "C", "PYTHONUTF8": "0"},
    "dev": {"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "error"},
    "undecodable": {"ODD": "\udcff"},
    "inherited": {"AUTOXLA_ACTIVE": ""},
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environment(way: Way, programs: Path, name: str) -> None:
    compare(*way.run_both(["script.py"], programs, environment=ENVIRONMENTS[name]))


def test_unknown_interpreter_file(ways: dict[str, Way], programs: Path) -> None:
    way = ways["checkout"]
    nameless = Way("no-such-python", way.environment)
    compare(*nameless.run_both(["script.py"], programs, executable=way.python))


def test_checkout_as_current_directory(ways: dict[str, Way], programs: Path) -> None:
    environment = {k: v for k, v in ways["checkout"].environment.items() if k != "PYTHONPATH"}
    way = Way(ways["checkout"].python, environment)
    plain, launched = way.run_both([str(programs / "script.py")], CHECKOUT)
    assert launched.state["environ"].pop("PYTHONPATH") == PRIVATE
    expected, seen = plain.state, launched.state
    del expected["active"], seen["active"], seen["environ"]["PYTHONPATH"]
    assert seen == expected


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_closed_standard_stream(way: Way, tmp_path: Path, closed: int) -> None:
    program = "import os, sys; os.write({0}, repr([sys.stdin, sys.stdout, sys.stderr][{1}]).encode())"
    code = program.format(2 if closed == 1 else 1, closed)
    plain, launched = way.run_both(["-c", code], tmp_path, preexec_fn=lambda: os.close(closed))
    assert b"None" in plain.stdout + plain.stderr
    assert launched == plain


ENDINGS = {
    "exit-none": "raise SystemExit",
    "exit-int": "raise SystemExit(3)",
    "exit-large": "raise SystemExit(300)",
    "exit-text": "raise SystemExit('gone')",
    "exit-tuple": "raise SystemExit((1, 'x'))",
    "exit-true": "raise SystemExit(True)",
    "exit-now": "import os\nprint('lost', end='')\nos._exit(7)",
    "abort": "import os\nos.abort()",
    "exception": """
def f():
    1 / 0
try:
    f()
except ZeroDivisionError as error:
    raise KeyError('x') from error
""",
    "base-exception": "class Odd(BaseException): pass\nraise Odd('x')",
    "generator-exit": "raise GeneratorExit",
    "keyboard-interrupt": "raise KeyboardInterrupt",
    "group": "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
    "note": "e = ValueError(1)\ne.add_note('a note')\nraise e",
    "recursion": "def f(): f()\nf()",
    "syntax-error": "print('not run')\nx = (1,\ny = 2\n",
    "null-byte": "print(1)\n\0\n",
    "byte-order-mark": "\ufeffprint('bom')",
    "declared-encoding": "# coding: latin-1\nprint(ascii('\u00e9'))",
    "bad-encoding": "# coding: nonsense\n",
    "excepthook": """
import sys, traceback
def hook(kind, error, trace):
    print(kind, len(traceback.extract_tb(trace)), trace.tb_frame.f_code.co_filename)
sys.excepthook = hook
1 / 0
""",
    "unraisable": "class A:\n    def __del__(self): 1 / 0\nA()",
    "thread": """
import threading, time
threading.Thread(target=lambda: (time.sleep(0.05), print('late'))).start()
print('first')
""",
    "thread-exception": """
import threading
threading.Thread(target=lambda: 1 / 0, name='t').start()
""",
    "atexit": """
import atexit, threading
for n in range(3):
    atexit.register(print, n)
threading.Thread(target=print, args=('thread',)).start()
atexit.register(lambda: 1 / 0)
""",
    "finalizers": """
import weakref
class A:
    def __init__(self, n): self.n = n
    def __del__(self): print('del', self.n)
a, b = A(1), [A(2)]
b.append(b)
weakref.finalize(a, print, 'finalized')
""",
    "unflushed": "import sys\nsys.stdout.write('out')\nsys.stderr.write('err')",
    "fails-to-flush": """
import sys
class Out:
    def write(self, text): pass
    def flush(self): 1 / 0
sys.stdout = Out()
""",
    "warning": """
import warnings
warnings.warn('careful')
warnings.warn('old', DeprecationWarning)
""",
    "surrogate": "print('\\udcff')",
    "reads-input": "print(input(), open(0).read())",
    "replaces-itself": "import os, sys\nos.execv(sys.executable, [sys.executable, '-c', 'print(1)'])",
    "pickle": """
import pickle
class A: pass
print(pickle.dumps(A), type(pickle.loads(pickle.dumps(A()))))
""",
    "main-as-module": """
import __main__, inspect
class A: pass
print(__main__.A is A, inspect.getsource(A), inspect.getmodule(A) is __main__)
""",
    "dataclass": """
from __future__ import annotations
import dataclasses, typing
@dataclasses.dataclass
class A:
    a: A
print(typing.get_type_hints(A))
""",
    "run-again": """
import runpy
if __name__ == '__main__':
    print(sorted(runpy.run_path(__file__, run_name='again')))
""",
    "child": """
import subprocess, sys
print(subprocess.run([sys.executable, '-c', 'import sys; print(sys.argv, sys.path)'], capture_output=True))
""",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_endings(way: Way, tmp_path: Path, ending: str) -> None:
    encoding = "latin-1" if ending == "declared-encoding" else "utf-8"
    (tmp_path / "program.py").write_text(ENDINGS[ending], encoding)
    plain, launched = way.run_both(["program.py"], tmp_path, stdin=b"one\ntwo\n")
    assert launched == plain


MISSING: dict[str, tuple[str, ...]] = {
    "script": ("no_such.py", "x"),
    "module": ("-m", "no_such"),
    "submodule": ("-m", "json.no_such"),
    "package-without-main": ("-m", "email"),
    "folder-without-main": (".",),
    "option": ("--no-such-option",),
    "option-value": ("-X",),
    "code": ("-c",),
    "version": ("-V",),
}


@pytest.mark.parametrize("words", MISSING.values(), ids=MISSING)
def test_what_python_itself_answers(way: Way, tmp_path: Path, words: tuple[str, ...]) -> None:
    plain, launched = way.run_both(words, tmp_path)
    assert launched == plain


PROCESSES = """
import multiprocessing, os, pickle, sys
class Thing:
    def __init__(self, value): self.value = value
def work(queue): queue.put((Thing(2), __name__, sys.argv[1:], os.path.basename(sys.path[0])))
if __name__ == '__main__':
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    child = context.Process(target=work, args=(queue,))
    child.start()
    thing, *rest = queue.get()
    child.join()
    print(type(thing), type(thing) is Thing, thing.value, rest, child.exitcode)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(way: Way, tmp_path: Path, method: str) -> None:
    (tmp_path / "program.py").write_text(PROCESSES)
    plain, launched = way.run_both(["program.py", method], tmp_path)
    assert b"Thing'> True 2" in plain.stdout
    assert launched == plain


# The word comes from a thread, at a moment when the main one is sure to sleep.
WAITING = """
import signal, sys, threading, time
{0}
threading.Timer(0.1, print, ["ready"], dict(flush=True)).start()
time.sleep(30)
"""
SIGNALS = {
    "interrupt": (signal.SIGINT, "signal.signal(signal.SIGINT, signal.default_int_handler)"),
    "terminate": (signal.SIGTERM, "import atexit; atexit.register(print, 'not run')"),
    "terminate-handled": (signal.SIGTERM, "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))"),
    "hang-up": (signal.SIGHUP, "pass"),
}


@pytest.mark.parametrize(("number", "setup"), SIGNALS.values(), ids=SIGNALS)
def test_signals_reach_the_program(way: Way, tmp_path: Path, number: signal.Signals, setup: str) -> None:
    (tmp_path / "program.py").write_text(WAITING.format(setup))
    plain, launched = (
        signal_when_ready(way, [*words, "program.py"], tmp_path, number) for words in ((), LAUNCH)
    )
    assert launched == plain


def signal_when_ready(way: Way, words: Sequence[str], at: Path, number: signal.Signals) -> Outcome:
    with way.start(words, at) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    return Outcome(process.returncode, stdout, stderr)


def ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_ignored_interrupt_stays_ignored(way: Way, programs: Path) -> None:
    compare(*way.run_both(["script.py"], programs, preexec_fn=ignore_interrupt))


def test_broken_pipe(way: Way, tmp_path: Path) -> None:
    code = "input()\nfor n in range(9999): print(n)"
    outcomes = [break_pipe(way, [*words, "-c", code], tmp_path) for words in ((), LAUNCH)]
    assert b"BrokenPipeError" in outcomes[0].stderr
    assert outcomes[1] == outcomes[0]


def break_pipe(way: Way, words: Sequence[str], at: Path) -> Outcome:
    with way.start(words, at) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdout = None
        _, stderr = process.communicate(b"go\n", timeout=60)
    return Outcome(process.returncode, b"", stderr)


def test_off_runs_the_program_without_the_shim(way: Way, programs: Path) -> None:
    plain, launched = way.run_both(["script.py"], programs, environment={"AUTOXLA": "off"})
    assert launched == plain


@pytest.mark.parametrize(
    ("kind", "option"), [("wheel", "-S"), ("checkout", "-S"), ("checkout", "-I"), ("checkout", "-E")]
)
def test_where_the_shim_cannot_be_loaded(
    ways: dict[str, Way], programs: Path, kind: str, option: str
) -> None:
    plain = ways[kind].run([option, "script.py"], programs)
    launched = ways[kind].run([*LAUNCH, option, "script.py"], programs)
    assert launched.stdout == plain.stdout
    assert launched.status == plain.status == 0
    assert launched.stderr.startswith(
        b"autoxla: the program runs without the shim: python " + option.encode()
    )
    assert launched.stderr.count(b"\n") == 1


def test_fault_in_the_launcher_leaves_the_program_running(ways: dict[str, Way], programs: Path) -> None:
    """The system takes no variable over 128 KiB: this one is just below until our folder is added."""
    way = ways["checkout"]
    entries = f"{CHECKOUT}{os.pathsep}/".ljust(131072 - len("PYTHONPATH=") - 1, "x")
    plain, launched = way.run_both(["script.py"], programs, environment={"PYTHONPATH": entries})
    assert launched.stdout == plain.stdout
    assert launched.stderr.startswith(b"autoxla: AX901 error in the launcher: OSError: ")
    assert launched.stderr.count(b"\n") == 1


@pytest.mark.parametrize("words", [(), ("-h",), ("--help",)])
def test_help(way: Way, tmp_path: Path, words: tuple[str, ...]) -> None:
    outcome = way.run([*LAUNCH, *words], tmp_path)
    assert (outcome.status, outcome.stderr) == (0, b"")
    assert outcome.stdout.startswith(b"usage: python [OPTIONS] -m autoxla PROGRAM")
    assert all(f"\n  {name} ".encode() in outcome.stdout for name in commands.MODULES)


def test_version(way: Way, tmp_path: Path) -> None:
    expected = Outcome(0, f"autoxla {__version__}\n".encode(), b"")
    assert way.run([*LAUNCH, "--version"], tmp_path) == expected


@pytest.mark.parametrize("module", commands.MODULES.values(), ids=commands.MODULES)
def test_commands_exist(module: str) -> None:
    assert callable(importlib.import_module(module).main)


@pytest.mark.parametrize(
    ("words", "options", "letters"),
    [
        (["x.py", "-O"], [], ""),
        (["-O", "x.py", "-I"], ["-O"], "O"),
        (["-m", "autoxla", "-O"], [], ""),
        (["-mautoxla"], [], ""),
        (["-Om", "autoxla"], ["-O"], "O"),
        (["-OBmautoxla"], ["-OB"], "OB"),
        (["-X", "dev", "-Xutf8", "-W", "-m", "-c", "1"], ["-X", "dev", "-Xutf8", "-W", "-m"], ""),
        (["-uX", "dev", "-IWerror", "x"], ["-uX", "dev", "-IWerror"], "uI"),
        (["--check-hash-based-pycs", "never", "-B", "-"], ["--check-hash-based-pycs", "never", "-B"], "B"),
        (["-S", "--", "-I"], ["-S"], "S"),
        (["-X"], ["-X", ""], ""),
        ([], [], ""),
    ],
)
def test_read_options(words: list[str], options: list[str], letters: str) -> None:
    assert launcher.read_options(words) == (options, letters)

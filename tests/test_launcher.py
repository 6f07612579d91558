"""``python -m autoxla PROGRAM`` against ``python PROGRAM``: one program, run both ways, compared.

Once with the wheel installed in a virtual environment of its own, once from this checkout on
``PYTHONPATH``. What may differ: our finder on ``sys.meta_path``, the modules of autoxla (and
``atexit``, which it imports), ``AUTOXLA*`` in the environment and, from a checkout, one folder in
front of ``PYTHONPATH``. 342 programs are compared.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import math
import os
import py_compile
import re
import resource
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
import faulthandler, gc, json, locale, os, resource, signal, threading, tracemalloc, warnings
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
def read_names():
    """The name and the command line that ps shows; macOS has no such folder."""
    if not os.path.isdir("/proc/self"):
        return []
    return [open("/proc/self/" + name, "rb").read().decode("latin-1") for name in ("comm", "cmdline")]
STREAM = "closed", "encoding", "errors", "line_buffering", "write_through"
finders = [getattr(f, "__name__", type(f).__name__) for f in sys.meta_path]
print(json.dumps(dict(
    active="AutoxlaFinder" in finders,
    finders=[f for f in finders if f != "AutoxlaFinder"],
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
    garbage=[gc.isenabled(), gc.get_threshold()], interactive=hasattr(sys, "ps1"), system_names=read_names(),
    family=[os.getppid(), os.getpgid(0) == os.getpid(), os.getsid(0)], umask=os.umask(0o22), nice=os.nice(0),
    limits=[resource.getrlimit(n) for n in (resource.RLIMIT_NOFILE, resource.RLIMIT_STACK)],
    hash=os.environ.get("PYTHONHASHSEED") and hash("x"), digits=sys.get_int_max_str_digits(),
    tracing=tracemalloc.is_tracing(), faults=faulthandler.is_enabled(),
    locale=locale.setlocale(locale.LC_CTYPE),
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
            try:
                stdout, stderr = process.communicate(stdin, timeout=60)
            finally:
                process.kill()
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
    python = folder / "bin" / "python"
    if wheel is not None:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(next(folder.glob("lib/python*/site-packages")))
        write_command(python)
    return str(python)


def write_command(python: Path) -> None:
    """Write the shell's ``autoxla`` as pip 26 does."""
    (entry,) = importlib.metadata.Distribution.at(
        next(python.parent.parent.glob("lib/python*/site-packages/*.dist-info"))
    ).entry_points
    lines = f"#!{python}", "import sys", f"from {entry.module} import {entry.attr}"
    command = python.with_name(entry.name)
    command.write_text("\n".join([*lines, "if __name__ == '__main__':", f"    sys.exit({entry.attr}())\n"]))
    command.chmod(0o755)


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
    names += [b"odd \n\xff.py", "pkg/__init__.py", "pkg/__main__.py", "pkg/mod.py", "folder/__main__.py"]
    for name in names:
        (folder / os.fsdecode(name)).write_text("" if name == "pkg/__init__.py" else STATE)
    (folder / "link.py").symlink_to("folder/__main__.py")
    (folder / "linked").symlink_to("folder")
    py_compile.compile(str(folder / "script.py"), str(folder / "compiled.pyc"))
    with zipfile.ZipFile(folder / "app.zip", "w") as archive:
        archive.write(folder / "script.py", "__main__.py")
    (folder / "executable.pyz").write_bytes(b"#!/usr/bin/env python\n" + (folder / "app.zip").read_bytes())
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
    "below": ("folder/__main__.py",),
    "above": ("folder/../script.py",),
    "space": ("with space.py", "a b", "\u00fc"),
    "bytes": (b"caf\xe9.py", b"\xff"),
    "newline": (b"odd \n\xff.py", "a\nb", "\t", "'", '"', "$HOME"),
    "own-words": ("script.py", "-h", "check", "run", "site", "--", "-", "--no-such"),
    "huge": ("script.py", "x" * 131_000, *("y" * 999 for _ in range(500))),
    "many": ("script.py", *map(str, range(20_000))),
    "device": ("/dev/stdin", "x"),
    "no-extension": ("noextension",),
    "symlink": ("link.py",),
    "compiled": ("compiled.pyc",),
    "package": ("-m", "pkg", "-h"),
    "module": ("-m", "pkg.mod", "run"),
    "module-joined": ("-mpkg.mod", "--version"),
    "folder": ("folder", "x"),
    "folder-slash": ("./folder/",),
    "folder-linked": ("linked",),
    "zip": ("app.zip", "x"),
    "zip-executable": ("executable.pyz",),
    "code-joined": ("-c" + STATE,),
    "code": ("-c", STATE, "-c", "x"),
    "options-behind": ("-O", "-X", "dev", "script.py", "-O"),
    "after-dashes": ("--", "--odd.py", "--"),
}


@pytest.mark.parametrize("form", FORMS)
def test_program_forms(way: Way, programs: Path, form: str) -> None:
    compare(*way.run_both(FORMS[form], programs, stdin=STATE.encode()))


@pytest.mark.parametrize("name", ["script.py", "link.py", "compiled.pyc", "folder", "app.zip"])
def test_absolute_path_from_elsewhere(way: Way, programs: Path, tmp_path: Path, name: str) -> None:
    compare(*way.run_both([str(programs / name)], tmp_path))


@pytest.mark.parametrize("words", [("-m", "pkg"), ("-m", "pkg.mod"), ("-c", STATE), ("-m", "app")])
def test_modules_from_python_path(way: Way, programs: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.write(programs / "script.py", "app.py")
    own = way.environment.get("PYTHONPATH", "")
    entries = os.pathsep.join(["", str(programs), "", str(tmp_path / "app.zip"), own, ""])
    compare(*way.run_both(words, tmp_path, environment={"PYTHONPATH": entries}))


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
    "-b",
    "-d",
    "-q",
    "-R",
    "-i",
    "-X dev -W ignore -W error::UserWarning",
    "-X utf8=0",
    "-X faulthandler",
    "-X tracemalloc=3",
    "-X pycache_prefix=elsewhere",
    "-X frozen_modules=off",
    "-X no_debug_ranges",
    "-X warn_default_encoding",
    "-X no_such=1",
    "-X cpu_count=3",
    "-X gil=1",
]
OPTIONS += ["-X int_max_str_digits=9999", "--check-hash-based-pycs never -q"]


@pytest.mark.parametrize("options", OPTIONS)
def test_options_are_kept(way: Way, programs: Path, options: str) -> None:
    compare(*way.run_both(["script.py"], programs, options.split()))


PATHS = {
    "option": (("-P",), {}),
    "variable": ((), {"PYTHONSAFEPATH": "1"}),
    "both": (("-Pu",), {"PYTHONSAFEPATH": "1"}),
}


@pytest.mark.parametrize(("options", "variables"), PATHS.values(), ids=PATHS)
def test_safe_path(way: Way, tmp_path: Path, options: tuple[str, ...], variables: dict[str, str]) -> None:
    """CPython 3.10 knows neither: then its complaint is the same."""
    (tmp_path / "program.py").write_text("import sys\nprint(sys.path, sys.flags)")
    plain, launched = way.run_both(["program.py"], tmp_path, options, environment=variables)
    assert launched == plain
    assert plain.status == 0 or sys.version_info < (3, 11)


@pytest.mark.parametrize("options", ["-I", "-E", "-sE", "-IEs"])
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
    "warnings": {"PYTHONWARNINGS": "error::UserWarning,ignore"},
    "hash-seed": {"PYTHONHASHSEED": "7"},
    "unbuffered": {"PYTHONUNBUFFERED": "1"},
    "optimised": {"PYTHONOPTIMIZE": "2"},
    "no-bytecode": {"PYTHONDONTWRITEBYTECODE": "1"},
    "bytecode-elsewhere": {"PYTHONPYCACHEPREFIX": "elsewhere"},
    "no-user-site": {"PYTHONNOUSERSITE": "1"},
    "stream-encoding": {"PYTHONIOENCODING": "latin-1:replace"},
    "utf8-on": {"PYTHONUTF8": "1", "LC_ALL": "POSIX"},
    "no-coercion": {"LANG": "C", "PYTHONCOERCECLOCALE": "0"},
    "no-such-locale": {"LC_ALL": "xx_XX"},
    "no-language": {"LANG": "", "LC_CTYPE": "C"},
    "fault-handler": {"PYTHONFAULTHANDLER": "1", "PYTHONTRACEMALLOC": "2"},
    "digits": {"PYTHONINTMAXSTRDIGITS": "4321"},
    "allocator": {"PYTHONMALLOC": "debug"},
    "breakpoint": {"PYTHONBREAKPOINT": "0", "PYTHONPROFILEIMPORTTIME": ""},
    "start-up-file": {"PYTHONSTARTUP": "no_such.py"},
    "inspect": {"PYTHONINSPECT": "1"},
    "no-path": {"PATH": ""},
    "no-home": {"HOME": ""},
    "python-path": {"PYTHONPATH": "{0}:"},
    "python-path-empty-entries": {"PYTHONPATH": "::{0}::elsewhere:"},
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environment(way: Way, programs: Path, name: str) -> None:
    own = way.environment.get("PYTHONPATH", "/")
    variables = {name: value.replace("{0}", own) for name, value in ENVIRONMENTS[name].items()}
    compare(*way.run_both(["script.py"], programs, environment=variables))


TWICE = {
    "option": (("-W", "no.such.category"), {}),
    "locale": ((), {"LANG": "C", "PYTHONCOERCECLOCALE": "warn"}),
}


@pytest.mark.parametrize(("options", "variables"), TWICE.values(), ids=TWICE)
def test_what_an_interpreter_says_at_its_start_comes_twice(
    way: Way, programs: Path, options: tuple[str, ...], variables: dict[str, str]
) -> None:
    plain, launched = way.run_both(["script.py"], programs, options, environment=variables)
    assert plain.stderr
    assert launched.stderr == plain.stderr * 2


def test_unknown_interpreter_file(ways: dict[str, Way], programs: Path) -> None:
    way = ways["checkout"]
    nameless = Way("no-such-python", way.environment)
    plain, launched = nameless.run_both(["script.py"], programs, executable=way.python)
    # The system names a process after the last part of the path: here that of /proc/self/exe.
    name = f'"{Path(way.python).name}\\n"'.encode()
    compare(plain, Outcome(launched.status, launched.stdout.replace(b'"exe\\n"', name), launched.stderr))


INTERPRETERS = {
    "symlinked": "{0}/linked-python",
    "numbered": "{0}/python3",
    "symlinked-folder": "{1}/linked-bin/python",
    "relative": "./python",
    "relative-above": "../bin/python",
    "on-path": "python",
}


@pytest.mark.parametrize("name", INTERPRETERS)
def test_paths_of_the_interpreter(way: Way, programs: Path, tmp_path: Path, name: str) -> None:
    folder = Path(way.python).parent
    make_links(folder)
    python = INTERPRETERS[name].format(folder, folder.parent)
    variables = way.environment | {"PATH": f"{folder}:{os.environ['PATH']}"}
    compare(*Way(python, variables).run_both([str(programs / "script.py")], folder))


def make_links(folder: Path) -> None:
    links = {folder / "linked-python": "python", folder.parent / "linked-bin": "bin"}
    for link, target in links.items():
        if not link.is_symlink():
            link.symlink_to(target)


COMMAND_LINES: dict[str, tuple[Word, ...]] = {
    "script": ("script.py", "-O", "explain"),
    "module": ("-m", "pkg.mod"),
    "code": ("-c", STATE, "x"),
    "options": ("-O", "-X", "dev", "folder"),
    "isolated": ("-I", "app.zip"),
    "standard-input": ("-", "x"),
}


@pytest.mark.parametrize("words", COMMAND_LINES.values(), ids=COMMAND_LINES)
def test_command_in_the_shell(ways: dict[str, Way], programs: Path, words: tuple[Word, ...]) -> None:
    way = ways["wheel"]
    command = Way(str(Path(way.python).with_name("autoxla")), way.environment)
    stdin = STATE.encode()
    compare(way.run(words, programs, stdin=stdin), command.run(words, programs, stdin=stdin))


def test_command_in_the_shell_minds_no_module_beside_the_program(
    ways: dict[str, Way], tmp_path: Path
) -> None:
    """``python -m`` itself imports ``types.py`` from the current folder, and no launcher can help it."""
    way = ways["wheel"]
    (tmp_path / "types.py").write_text("1 / 0")
    (tmp_path / "program.py").write_text("print('runs')")
    command = Way(str(Path(way.python).with_name("autoxla")), way.environment)
    assert command.run(["program.py"], tmp_path) == way.run(["program.py"], tmp_path)
    assert way.run([*LAUNCH, "program.py"], tmp_path).status == 1


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
    "exit-negative": "raise SystemExit(-1)",
    "exit-beyond": "raise SystemExit(2 ** 100)",
    "exit-float": "raise SystemExit(1.5)",
    "exit-empty": "raise SystemExit('')",
    "exit-object": "class A:\n    def __str__(self): return 'an object'\nraise SystemExit(A())",
    "exit-object-without-text": "class A:\n    def __str__(self): 1 / 0\nraise SystemExit(A())",
    "exit-surrogate": "raise SystemExit('\\udcff')",
    "exit-subclass": "class Leave(SystemExit): pass\nraise Leave(4)",
    "exit-while-handling": "try:\n    1 / 0\nfinally:\n    raise SystemExit('no trace')",
    "exit-in-thread": "import sys, threading\nthreading.Thread(target=sys.exit, args=(5,)).start()",
    "exit-in-atexit": "import atexit, sys\natexit.register(sys.exit, 6)",
    "exit-builtin": "exit(8)",
    "exit-now-in-thread": """
import os, threading, time
threading.Thread(target=os._exit, args=(9,)).start()
time.sleep(30)
""",
    "segmentation-fault": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    "kill": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "interrupts-itself": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time; time.sleep(9)",
    "exception-without-text": "class E(Exception):\n    def __str__(self): 1 / 0\nraise E",
    "exception-suppressed": "try:\n    1 / 0\nfinally:\n    raise ValueError('\\udcff\\n') from None",
    "exception-nested-group": "raise ExceptionGroup('a', [ExceptionGroup('b', [OSError(2)]), KeyError(1)])",
    "exception-in-compiled-code": "exec(compile('def f(): 1 / 0\\nf()', 'elsewhere.py', 'exec'))",
    "exception-without-stderr": "import sys\nsys.stderr = None\n1 / 0",
    "exception-after-close": "import sys\nsys.stdout.close()\n1 / 0",
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
    "syntax-warning": "print('seen', 1 is 1)",
    "empty": "",
    "carriage-returns": "print(1)\r\nprint(2)\r\n",
    "no-last-line-end": "if 1:\n    print(1)",
    "indentation": "if 1:\nprint(1)",
    "tabs": "if 1:\n\tprint(1)\n        print(2)",
    "future": "print(1)\nfrom __future__ import annotations",
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
    "excepthook-fails": "import sys\nsys.excepthook = lambda *_: 1 / 0\nraise KeyError(1)",
    "excepthook-exits": "import sys\nsys.excepthook = lambda *_: sys.exit(3)\nraise KeyError(1)",
    "excepthook-gone": "import sys\ndel sys.excepthook\nraise KeyError(1)",
    "excepthook-of-threads": """
import threading
threading.excepthook = lambda args: print(args.exc_type, args.exc_value, args.thread.name)
threading.Thread(target=lambda: 1 / 0).start()
""",
    "unraisablehook": """
import sys
sys.unraisablehook = lambda args: print(args.exc_type, args.err_msg, args.object)
class A:
    def __del__(self): 1 / 0
A()
""",
    "displayhook": "import sys\nexec(compile('1 + 1', 'x', 'single'))",
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
    "daemon-thread": """
import threading, time
threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
print(threading.active_count())
""",
    "thread-starts-at-exit": """
import atexit, threading
def late():
    try:
        threading.Thread(target=print, args=('late',)).start()
    except RuntimeError as error:
        print(error)
atexit.register(late)
""",
    "stack-of-threads": """
import sys, threading, traceback
def show(): print([frame.name for frame in traceback.extract_stack()], threading.current_thread().name)
thread = threading.Thread(target=show)
thread.start()
thread.join()
show()
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
    "finalizers-in-modules": """
import sys, types
class A:
    def __del__(self): print('del', sys.meta_path is None, print is not None)
sys.modules['held'] = types.ModuleType('held')
sys.modules['held'].a = A()
main_too = A()
""",
    "generator-at-exit": """
def wait():
    try:
        yield
    finally:
        print('closed')
held = wait()
next(held)
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
    "warning-filters": """
import warnings
warnings.simplefilter('error')
warnings.warn('careful', stacklevel=2)
""",
    "resource-warning": "open(__file__)",
    "closes-output": "import sys\nprint(1)\nsys.stdout.close()",
    "closes-descriptor": "import os\nprint(1)\nos.close(1)",
    "no-output": "import sys\nsys.stdout = None\nprint(1)",
    "asyncio": """
import asyncio
async def work(n):
    await asyncio.sleep(0)
    return n
async def main():
    return await asyncio.gather(*map(work, range(3)))
print(asyncio.run(main(), debug=True))
asyncio.run(asyncio.wait_for(asyncio.sleep(9), 0.01))
""",
    "asyncio-child": """
import asyncio, sys
async def main():
    child = await asyncio.create_subprocess_exec(sys.executable, '-c', 'print(7)', stdout=-1)
    print(await child.communicate(), child.returncode)
asyncio.run(main())
""",
    "asyncio-pending": """
import asyncio
async def main(): asyncio.get_running_loop().create_task(asyncio.sleep(9))
asyncio.run(main())
""",
    "fork": """
import os, sys
print('before', flush=True)
child = os.fork()
if not child:
    print('child', sys.argv, __name__)
    sys.exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""",
    "surrogate": "print('\\udcff')",
    "reads-input": "print(input(), open(0).read())",
    "replaces-itself": "import os, sys\nos.execv(sys.executable, [sys.executable, '-c', 'print(1)'])",
    "starts-itself-again": """
import os, sys
if 'again' not in sys.argv:
    sys.stdout.flush()
    os.execv(sys.executable, [*sys.orig_argv, 'again'])
print(sys.argv, sys.orig_argv[1:])
""",
    "starts-itself-as-child": """
import subprocess, sys
if 'again' not in sys.argv:
    print(subprocess.run([*sys.orig_argv, 'again'], capture_output=True))
print(sys.argv, sys.orig_argv[1:], sys.path[0])
""",
    "options-for-children": "import subprocess\nprint(subprocess._args_from_interpreter_flags())",
    "reads-lines": "import sys\nprint([*sys.stdin], sys.stdin.isatty(), sys.stdin.fileno())",
    "reads-past-end": "input()\ninput('> ')\ninput('more ')",
    "interaction": "import code\ncode.interact(banner='', exitmsg='')",
    "breakpoint": "breakpoint()\nprint(1)",
    "parser": """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument('--needed', required=True)
parser.parse_args()
""",
    "resources": """
import importlib.util, pkgutil, sys
print(sys.path_importer_cache.keys() >= set(sys.path[:1]), __loader__.get_source('__main__'))
print(importlib.util.find_spec('program'), pkgutil.get_data('program', 'program.py'))
""",
    "main-of-multiprocessing": """
import multiprocessing.spawn
print(multiprocessing.spawn.get_preparation_data('x') | {'authkey': 0})
""",
    "audit": """
import sys
sys.addaudithook(lambda event, args: event in ('import', 'exec') and sys.stderr.write(f'{event}\\n'))
import this_is_missing
""",
    "trace": """
import sys
sys.setprofile(lambda frame, event, arg: sys.__stdout__.write(f'{event} {frame.f_code.co_name}\\n'))
def f(): pass
f()
sys.setprofile(None)
""",
    "star": "from os.path import *\nprint(sorted(globals()))",
    "reload": "import importlib, sys\nimportlib.reload(sys.modules['__main__'])",
    "pickle-to-file": """
import pickle
class A:
    def __init__(self, n): self.n = n
with open('a.pickle', 'wb') as file: pickle.dump(A(1), file)
with open('a.pickle', 'rb') as file: print(pickle.load(file).n, open('a.pickle', 'rb').read())
""",
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
    "doctest": """
import doctest
def f():
    \'\'\'
    >>> f()
    1
    \'\'\'
print(doctest.testmod())
""",
    "unittest": """
import unittest
class Test(unittest.TestCase):
    def test(self): self.assertEqual(1, 1)
    def test_id(self): print(self.id())
unittest.main(argv=['x'], testRunner=lambda: unittest.TextTestRunner(open('/dev/null', 'w')))
""",
    "source": """
import inspect, linecache, traceback
def f(): return 1
class A:
    def g(self): return inspect.stack()
print(inspect.getsource(f), inspect.getsourcelines(A), inspect.getsourcefile(A))
print([frame.function for frame in A().g()])
""",
    "enum-and-tuple": """
import collections, enum, pickle
class Colour(enum.Enum): RED = 1
Point = collections.namedtuple('Point', 'x y')
print(pickle.loads(pickle.dumps([Colour.RED, Point(1, 2)])), Point.__module__)
""",
    "logging": "import logging\nlogging.warning('careful')\nlogging.getLogger(__name__).error(__name__)",
    "child": """
import subprocess, sys
print(subprocess.run([sys.executable, '-c', 'import sys; print(sys.argv, sys.path)'], capture_output=True))
""",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_endings(way: Way, tmp_path: Path, ending: str) -> None:
    encoding = "latin-1" if ending == "declared-encoding" else "utf-8"
    (tmp_path / "program.py").write_bytes(ENDINGS[ending].encode(encoding))
    plain, launched = way.run_both(["program.py"], tmp_path, stdin=b"one\ntwo\n")
    assert launched == plain


SOURCES = {
    "not-utf-8": b"print('\xe9')\n",
    "mark-against-cookie": b"\xef\xbb\xbf# coding: latin-1\nprint(1)\n",
    "mark-alone": b"\xef\xbb\xbf",
    "utf-16": "print(1)\n".encode("utf-16"),
    "null-byte-late": b"print(1)\n# \0\nprint(2)\n",
    "null-bytes-only": b"\0" * 100,
    "cookie-in-line-two": b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nprint(ascii('\x80'))\n",
    "other-line-ends": b"print(1)\rprint(2)\r",
    "deep": b"(" * 300 + b")" * 300,
    "form-feed": b"\x0cprint(1)\n\x0c",
    "surrogate-name": "é = 1\nprint(é, __file__)\n".encode(),
}


@pytest.mark.parametrize("source", SOURCES)
def test_sources(way: Way, tmp_path: Path, source: str) -> None:
    (tmp_path / "program.py").write_bytes(SOURCES[source])
    plain, launched = way.run_both(["program.py"], tmp_path)
    assert launched == plain


FAILURES = {
    "exception": "def f(): raise OSError(2, 'none')\nf()",
    "syntax": "x = (1,\ny = 2\n",
    "exit": "raise SystemExit('gone')",
    "unknown-import": "import no_such_module",
}
HOLDERS: dict[str, tuple[str, ...]] = {
    "module": ("-m", "package.module"),
    "package": ("-m", "package"),
    "folder": ("package",),
    "zip": ("package.zip",),
    "standard-input": ("-",),
    "code": ("-c", "{0}"),
}


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("failure", FAILURES)
def test_failures_in_all_forms(way: Way, tmp_path: Path, failure: str, holder: str) -> None:
    code = FAILURES[failure]
    (tmp_path / "package").mkdir()
    for name in ("__main__.py", "module.py"):
        (tmp_path / "package" / name).write_text(code)
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        archive.writestr("__main__.py", code)
    words = [word.replace("{0}", code) for word in HOLDERS[holder]]
    plain, launched = way.run_both(words, tmp_path, stdin=code.encode())
    assert plain.status
    assert launched == plain


INSPECTIONS: dict[str, tuple[tuple[str, ...], dict[str, str], tuple[str, ...]]] = {
    "script": (("-i",), {}, ("program.py",)),
    "code": (("-i",), {}, ("-c", "import sys; print(sys.flags.interactive, sys.argv); x = 1", "y")),
    "module": (("-i",), {}, ("-m", "program")),
    "variable": ((), {"PYTHONINSPECT": "1"}, ("program.py",)),
    "quiet": (("-iq",), {"PYTHONSTARTUP": "start.py"}, ("program.py",)),
    "start-up-file": (("-i",), {"PYTHONSTARTUP": "start.py"}, ("-",)),
    "standard-input": (("-i",), {}, ("-", "y")),
    "after-exception": (("-i",), {}, ("-c", "1 / 0")),
    "after-exit": (("-i",), {}, ("-c", "raise SystemExit(3)")),
    "set-by-program": ((), {}, ("-c", "import os; os.environ['PYTHONINSPECT'] = '1'")),
}


@pytest.mark.parametrize("text", [b"", b"print(x)\n1 / 0\nimport sys\nsys.argv\n"], ids=["end", "lines"])
@pytest.mark.parametrize(("options", "variables", "words"), INSPECTIONS.values(), ids=INSPECTIONS)
def test_inspection(
    way: Way,
    tmp_path: Path,
    options: tuple[str, ...],
    variables: dict[str, str],
    words: tuple[str, ...],
    text: bytes,
) -> None:
    (tmp_path / "program.py").write_text("x = 'of the program'\nprint(__name__)")
    (tmp_path / "start.py").write_text("x = 'of the start-up file'\nprint(x)")
    plain, launched = way.run_both(words, tmp_path, options, stdin=text, environment=variables)
    assert launched == plain


def test_terminal(way: Way, programs: Path) -> None:
    """The program sees the terminal, and what is typed goes to the program alone."""
    code = "import os, sys; print([os.isatty(n) for n in range(3)], input('? '), sys.stdout.line_buffering)"
    screens = [run_in_terminal(way, [*words, "-c", code], programs) for words in ((), LAUNCH)]
    assert b"[True, True, True] typed True" in screens[0]
    assert screens[1] == screens[0]


def run_in_terminal(way: Way, words: Sequence[str], at: Path) -> bytes:
    ours, theirs = os.openpty()
    with way.start(words, at, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, b"typed\n")
        screen = b"".join(iter(lambda: read_terminal(ours), b""))
        assert process.wait(60) == 0
    os.close(ours)
    return screen


def read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # Linux reports the end of a terminal as an input/output error
        return b""


def test_process_is_the_same(way: Way, tmp_path: Path) -> None:
    """The launcher is gone: the program has the number under which it was started."""
    code = "import os; print(os.getpid(), os.getppid())"
    for words in ((), LAUNCH):
        with way.start([*words, "-c", code], tmp_path) as process:
            stdout, _ = process.communicate(timeout=60)
        assert stdout.split() == [b"%d" % process.pid, b"%d" % os.getpid()]


def test_inherited_descriptor(way: Way, programs: Path, tmp_path: Path) -> None:
    file = tmp_path / "inherited"
    with file.open("wb") as stream:
        number = stream.fileno()
        compare(*way.run_both(["script.py"], programs, pass_fds=[number]))
        code = f"import os; os.write({number}, b'x')"
        plain, launched = way.run_both(["-c", code], programs, pass_fds=[number])
    assert plain == launched == Outcome(0, b"", b"")
    assert file.read_bytes() == b"xx"


def restrict() -> None:
    os.setsid()
    os.umask(0o77)
    os.nice(3)
    resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def test_process_attributes(way: Way, programs: Path) -> None:
    compare(*without_session(way.run_both(["script.py"], programs, preexec_fn=restrict)))


def without_session(outcomes: tuple[Outcome, Outcome]) -> list[Outcome]:
    """Return the outcomes without the number of the session, which is that of the process."""
    return [
        Outcome(o.status, re.sub(rb'("family": \[\d+, true), \d+', rb"\1", o.stdout), o.stderr)
        for o in outcomes
    ]


def test_deleted_current_folder(way: Way, programs: Path, tmp_path: Path) -> None:
    code = "import os, sys; print(sys.path[0], sys.argv)"
    script = str(programs / "script.py")
    outcomes = []
    for number, words in enumerate(((), LAUNCH)):
        folder = tmp_path / str(number)
        folder.mkdir()
        outcomes.append(way.run([*words, "-c", code, script], folder, preexec_fn=folder.rmdir))
    assert outcomes[1] == outcomes[0]


def test_pickles_are_read_both_ways(way: Way, tmp_path: Path) -> None:
    """What a plain run wrote a launched one reads, and the other way about."""
    (tmp_path / "program.py").write_text("""
import pickle, sys
class Thing:
    def __init__(self, n): self.n = n
if sys.argv[1] == 'write':
    pickle.dump([Thing, Thing(2)], open('file', 'wb'))
else:
    kind, thing = pickle.load(open('file', 'rb'))
    print(kind is Thing, type(thing) is Thing, thing.n)
""")
    for writer, reader in (((), LAUNCH), (LAUNCH, ())):
        assert way.run([*writer, "program.py", "write"], tmp_path) == Outcome(0, b"", b"")
        assert way.run([*reader, "program.py", "read"], tmp_path) == Outcome(0, b"True True 2\n", b"")


MISSING: dict[str, tuple[str, ...]] = {
    "script": ("no_such.py", "x"),
    "module": ("-m", "no_such"),
    "submodule": ("-m", "json.no_such"),
    "package-without-main": ("-m", "email"),
    "relative-module": ("-m", ".no_such"),
    "empty-module": ("-m", ""),
    "module-as-file": ("-m", "json.tool.py"),
    "empty-script": ("",),
    "no-script-but-device": ("/dev/null",),
    "below-a-file": ("/dev/null/x.py",),
    "newline": ("no\nsuch.py",),
    "module-value": ("-m",),
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


POOLS = """
import concurrent.futures, multiprocessing, os, sys
class Thing:
    def __init__(self, value): self.value = value
def double(thing): return Thing((2 * thing.value, __name__, sys.argv, os.environ.get('WORD')))
def prepare(word): os.environ['WORD'] = word
def fail(thing): raise KeyError(thing.value)
if __name__ == '__main__':
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2, prepare, ('x',)) as pool:
        print([thing.value for thing in pool.map(double, map(Thing, range(3)))])
    with concurrent.futures.ProcessPoolExecutor(1, context) as executor:
        print(executor.submit(double, Thing(4)).result().value)
        print(type(executor.submit(fail, Thing(5)).exception()))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("code", [PROCESSES, POOLS], ids=["queue", "pools"])
def test_multiprocessing(way: Way, tmp_path: Path, code: str, method: str) -> None:
    (tmp_path / "program.py").write_text(code)
    plain, launched = way.run_both(["program.py", method], tmp_path)
    assert (plain.status, plain.stderr) == (0, b"")
    assert launched == plain


#: Python itself gives the children no ``__main__.py`` of a package or a folder, unless they are forked.
OTHER_MAINS = {
    "module": ("-m", "package.module", "spawn"),
    "package": ("-m", "package", "fork"),
    "folder": ("package", "fork"),
}


@pytest.mark.parametrize("words", OTHER_MAINS.values(), ids=OTHER_MAINS)
def test_multiprocessing_in_other_forms(way: Way, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "package").mkdir()
    for name in ("__init__.py", "__main__.py", "module.py"):
        (tmp_path / "package" / name).write_text("" if name == "__init__.py" else PROCESSES)
    plain, launched = way.run_both(words, tmp_path)
    assert launched == plain


MANAGED = """
import multiprocessing, multiprocessing.shared_memory, sys
class Thing: value = 3
def fill(namespace, connection, name):
    namespace.thing = Thing()
    memory = multiprocessing.shared_memory.SharedMemory(name)
    memory.buf[0] = 7
    memory.close()
    connection.send(Thing)
    sys.exit(4)
if __name__ == '__main__':
    context = multiprocessing.get_context('spawn')
    memory = multiprocessing.shared_memory.SharedMemory(create=True, size=1)
    with context.Manager() as manager:
        namespace, (ours, theirs) = manager.Namespace(), context.Pipe()
        child = context.Process(target=fill, args=(namespace, theirs, memory.name), name='child')
        child.start()
        print(ours.recv() is Thing, type(namespace.thing) is Thing, memory.buf[0])
        child.join()
        print(child.exitcode)
    memory.close()
    memory.unlink()
"""


def test_multiprocessing_manager_and_memory(way: Way, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(MANAGED)
    plain, launched = way.run_both(["program.py"], tmp_path)
    assert plain.stdout.endswith(b"4\n")
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
    "hang-up-handled": (signal.SIGHUP, "signal.signal(signal.SIGHUP, lambda *_: sys.exit('hung up'))"),
    "hang-up-default": (signal.SIGHUP, "import atexit; atexit.register(print, 'not run')"),
    "interrupt-handled": (signal.SIGINT, "signal.signal(signal.SIGINT, lambda *_: sys.exit(11))"),
    "interrupt-default": (signal.SIGINT, "signal.signal(signal.SIGINT, signal.SIG_DFL)"),
    "interrupt-raises": (signal.SIGINT, "signal.signal(signal.SIGINT, lambda *_: 1 / 0)"),
    "interrupt-at-exit": (
        signal.SIGINT,
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import atexit; atexit.register(print, 'run')",
    ),
    "terminate-default": (signal.SIGTERM, "signal.signal(signal.SIGTERM, signal.SIG_DFL)"),
    "user": (signal.SIGUSR1, "pass"),
    "alarm": (signal.SIGALRM, "signal.signal(signal.SIGALRM, lambda *_: sys.exit(12))"),
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
    assert launched.stderr.startswith(b"autoxla: the program runs without autoxla: python " + option.encode())
    assert launched.stderr.count(b"\n") == 1


def test_fault_in_the_launcher_leaves_the_program_running(ways: dict[str, Way], programs: Path) -> None:
    """The system takes no variable over 128 KiB: this one is just below until our folder is added."""
    way = ways["checkout"]
    entries = f"{CHECKOUT}{os.pathsep}/".ljust(131072 - len("PYTHONPATH=") - 1, "x")
    plain, launched = way.run_both(["script.py"], programs, environment={"PYTHONPATH": entries})
    assert launched.stdout == plain.stdout
    assert launched.stderr.startswith(b"autoxla: AX901 error in the launcher: OSError: ")
    assert launched.stderr.count(b"\n") == 1


def count_cases() -> int:
    """Return how many programs the tests here compare, each of them in one or both ways."""
    answers = test_help, test_version
    tests = [test for name, test in globals().items() if name.startswith("test_") and test not in answers]
    compared = [test for test in tests if {"way", "ways"} & set(inspect.signature(test).parameters)]
    return sum(math.prod(len(mark.args[1]) for mark in getattr(test, "pytestmark", [])) for test in compared)


def test_docstring_tells_the_number_of_cases() -> None:
    assert f" {count_cases()} programs are compared" in " ".join(str(__doc__).split())


@pytest.mark.parametrize("words", [(), ("-h",), ("--help",)])
def test_help(way: Way, tmp_path: Path, words: tuple[str, ...]) -> None:
    outcome = way.run([*LAUNCH, *words], tmp_path)
    assert (outcome.status, outcome.stderr) == (0, b"")
    assert outcome.stdout.startswith(b"usage: python [OPTIONS] -m autoxla [--quiet] PROGRAM")
    assert all(f"  {name} ".encode() in outcome.stdout for name in commands.MODULES)


def test_version(way: Way, tmp_path: Path) -> None:
    expected = Outcome(0, f"autoxla {__version__}\n".encode(), b"")
    assert way.run([*LAUNCH, "--version"], tmp_path) == expected


@pytest.mark.parametrize("module", commands.MODULES.values(), ids=commands.MODULES)
def test_commands_exist(module: str) -> None:
    assert callable(importlib.import_module(module).run)


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

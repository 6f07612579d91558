"""The state of the interpreter, changed by the program before and after its first import of Keras."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from surroundings.running import Pair, environment, lay, run_both, start


@dataclass(frozen=True)
class Change:
    """Lines of a program `before` its import of Keras and `after` it, and how it is started.

    `forbids`: no ``import autoxla`` can succeed behind it, as the program wants it.
    """

    before: str = ""
    after: str = ""
    prepare: Callable[[], None] | None = None
    variables: dict[str, str] = field(default_factory=dict)
    forbids: bool = False


_OURS = "getattr(type(finder), '__module__', '').startswith('autoxla')"

#: An iterable that is no list: what the import system does with its finders needs no more.
_ITERABLE = """\
class Finders:
    def __init__(self, finders):
        self.finders = [*finders]
    def __iter__(self):
        return iter(self.finders)
sys.meta_path = Finders(sys.meta_path)
"""
_ANOTHER = """\
codecs = os.fsencode, os.fsdecode, os.fsencode, os.fsdecode
os.environ = type(os.environ)(dict(os.environb), *codecs)
"""
_RAISING = """\
class Finder:
    @staticmethod
    def find_spec(name, *more):
        if name.startswith("autoxla"):
            raise RuntimeError(name)
sys.meta_path.insert(0, Finder)
"""
_ALARM = """\
import signal
import time
def handler(*_):
    raise RuntimeError("time is over")
signal.signal(signal.SIGALRM, handler)
# Again and again, since Python ignores one that is raised in a callback of a weak reference.
signal.setitimer(signal.ITIMER_REAL, {seconds}, 0.2)
try:
    importlib.import_module("keras")
    time.sleep(5)
except RuntimeError as error:
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(error)
"""
_TRACING = """\
import builtins
original, count = builtins.__import__, [0]
def traced(name, *more, **others):
    count[0] += name == "keras"
    return original(name, *more, **others)
builtins.__import__ = traced
"""
_FORBIDDING = """\
import builtins
original = builtins.__import__
def forbidding(name, *more, **others):
    if name.startswith(("autoxla", "json", "re", "ast")):
        raise ImportError(f"{name} is not allowed here")
    return original(name, *more, **others)
builtins.__import__ = forbidding
"""
_AUDITING = """\
def watch(event, arguments):
    if event == "open" and not str(arguments[0]).endswith((".py", ".pyc")):
        raise RuntimeError(f"{arguments[0]} is not to be opened")
sys.addaudithook(watch)
"""
_STREAM = """\
class Stream:
    def write(self, text):
        raise {error}("no stream")
    flush = write
sys.stderr = Stream()
"""
_GONE = "import tempfile\nfolder = tempfile.mkdtemp()\nos.chdir(folder)\nos.rmdir(folder)\n"
_DEEP = """\
def deep(left):
    return deep(left - 1) if left else importlib.import_module("keras")
sys.setrecursionlimit(300)
deep(180)
"""
_THREAD = """\
import threading
threading.stack_size({size})
thread = threading.Thread(target=importlib.import_module, args=("keras",))
thread.start()
thread.join()
"""


def _forget(*names: str) -> str:
    return f"for name in [*sys.modules]:\n    if name.split('.')[0] in {names!r}: del sys.modules[name]\n"


def _limit(name: str, soft: int) -> Callable[[], None]:
    def prepare() -> None:
        import resource

        kind = getattr(resource, name)
        resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))

    return prepare


CHANGES: dict[str, Change] = {
    "sys.meta_path: the finder is removed": Change(
        f"sys.meta_path[:] = [finder for finder in sys.meta_path if not {_OURS}]"
    ),
    "sys.meta_path: the finder is removed after the import": Change(
        after=f"sys.meta_path[:] = [finder for finder in sys.meta_path if not {_OURS}]"
    ),
    "sys.meta_path: another list": Change("sys.meta_path = [*sys.meta_path]"),
    "sys.meta_path: a tuple": Change("sys.meta_path = tuple(sys.meta_path)"),
    "sys.meta_path: a tuple, after the import": Change(after="sys.meta_path = tuple(sys.meta_path)"),
    "sys.meta_path: an iterable of the program's own": Change(_ITERABLE),
    "sys.meta_path: None at the end": Change(after="sys.meta_path = None"),
    "sys.meta_path: empty": Change("sys.meta_path.clear()"),
    "sys.meta_path: a finder that raises, in front": Change(_RAISING, forbids=True),
    "sys.path_hooks and the importer cache are cleared": Change(
        "import zipimport\nsys.path_importer_cache.clear()"
    ),
    "os.environ: a plain dict": Change("os.environ = dict(os.environ)"),
    "os.environ: a copy": Change("os.environ = os.environ.copy()"),
    "os.environ: another of its kind": Change(_ANOTHER),
    "os.environ: a view that cannot be written": Change(
        "import types\nos.environ = types.MappingProxyType(dict(os.environ))"
    ),
    "os.environ: cleared": Change("os.environ.clear()"),
    "os.environ: cleared after the import": Change(after="os.environ.clear()"),
    "os.environ: None": Change("os.environ = None"),
    "sys.modules: autoxla is deleted": Change(_forget("autoxla")),
    "sys.modules: autoxla is deleted after the import": Change(after=_forget("autoxla")),
    "sys.modules: autoxla is None": Change("sys.modules['autoxla'] = None", forbids=True),
    "sys.modules: parts of autoxla are None": Change(
        "sys.modules['autoxla.runtime'] = sys.modules['autoxla.hooks'] = None"
    ),
    "sys.modules: wrapt and importlib.metadata are deleted": Change(
        "import importlib.metadata\n"
        + _forget("wrapt", "importlib_metadata")
        + "del sys.modules['importlib.metadata']"
    ),
    "sys.modules: Keras is deleted and imported again": Change(
        after=_forget("keras") + "keras = importlib.import_module('keras')"
    ),
    "sys.modules: json and re are None": Change("sys.modules['json'] = sys.modules['ast'] = None"),
    "sys.modules: __main__ is deleted": Change("del sys.modules['__main__']"),
    "sys.modules: cleared at the end": Change(after="sys.modules.clear()"),
    "importlib.reload(autoxla)": Change(
        "if 'autoxla' in sys.modules: importlib.reload(sys.modules['autoxla'])"
    ),
    "importlib.reload(autoxla) after the import": Change(
        after="if 'autoxla' in sys.modules: importlib.reload(sys.modules['autoxla'])"
    ),
    "builtins.__import__: one that counts": Change(_TRACING, "print('imports', count)"),
    "builtins.__import__: one that forbids": Change(_FORBIDDING, forbids=True),
    "builtins.__import__: None after the import": Change(after="import builtins\nbuiltins.__import__ = None"),
    "builtins.open: None": Change("import builtins\nbuiltins.open = None"),
    "os.open: None": Change("os.open = None"),
    "os.stat: raises": Change("def stat(*_, **__): raise RuntimeError('no stat')\nos.stat = stat"),
    "time.monotonic: raises": Change("import time\ndel time.monotonic"),
    "_thread: no threads": Change(
        "import _thread\ndef no(*_): raise RuntimeError('no thread')\n_thread.start_new_thread = no"
    ),
    "sys.stderr: None": Change("sys.stderr = None"),
    "sys.stderr: closed": Change("sys.stderr.close()"),
    "sys.stderr: its descriptor is closed": Change("os.close(2)"),
    "sys.stderr: raises an OSError": Change(_STREAM.format(error="OSError")),
    "sys.stderr: raises another error": Change(_STREAM.format(error="RuntimeError")),
    "sys.stdout: None": Change(after="sys.stdout = None"),
    "sys.stdout: closed": Change("sys.stdout.close()", "sys.stdout = None"),
    "sys.path: emptied": Change("sys.path.clear()"),
    "sys.path: emptied after the import": Change(after="sys.path.clear()"),
    "sys.path: what is no text in it": Change(
        "import pathlib\nsys.path[:0] = [pathlib.Path('/a'), b'/b', None, 3]"
    ),
    "sys.argv and sys.orig_argv: empty": Change("sys.argv = []\nsys.orig_argv = []"),
    "sys.argv and sys.orig_argv: gone": Change("del sys.argv, sys.orig_argv"),
    "the main module has no file": Change("del __file__\n__spec__ = None"),
    "the main module names another file": Change("__file__ = '/dev/zero'"),
    "the main module names what is no text": Change("__file__ = 3"),
    "a handler of a signal raises, 10 ms later": Change(_ALARM.format(seconds=0.01)),
    "a handler of a signal raises, 50 ms later": Change(_ALARM.format(seconds=0.05)),
    "a low limit on recursion": Change(_DEEP),
    "a thread with a stack of 256 KiB": Change(_THREAD.format(size=262_144)),
    "an audit hook that refuses files": Change(_AUDITING),
    "warnings are errors": Change("import warnings\nwarnings.simplefilter('error')"),
    "-W error, in development mode": Change(variables={"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"}),
    "the folder that the program runs in is deleted": Change(_GONE),
    "20 open files at most": Change(prepare=_limit("RLIMIT_NOFILE", 20)),
    "no descriptor is left": Change(
        "kept = []\nwhile len(kept) < 65536:\n    try:\n        kept.append(os.dup(0))\n"
        "    except OSError:\n        break\nfor each in kept[-3:]: os.close(each)",
        prepare=_limit("RLIMIT_NOFILE", 64),
    ),
    "locale C, no UTF-8": Change(variables={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
}


#: How autoxla comes into the program: before it starts, in its first line, or behind the changes.
WAYS = ("launched", "imported first", "imported behind")


def ways_of(name: str) -> tuple[str, ...]:
    """Return the ways in which autoxla can come into a program with this change."""
    return WAYS[:2] if CHANGES[name].forbids else WAYS


def run_change(name: str, folder: Path, way: str) -> Pair:
    """Run a program that changes the state of its interpreter, with autoxla in one of `WAYS`."""
    change = CHANGES[name]
    variables = environment(folder / "cache", **change.variables)
    if way == "launched":
        return run_both(lay(folder, change.before, change.after), variables, change.prepare)
    words = [sys.executable, "program.py"]
    seen = []
    for line in ("", "import autoxla"):
        order = (line, change.before) if way == "imported first" else (change.before, line)
        lay(folder, "\n".join(order), change.after)
        seen.append(start(words, folder, variables, prepare=change.prepare))
    return Pair(*seen)

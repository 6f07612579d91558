"""The finder, on modules made for the test: what a program sees must not tell that its imports are watched.

Most tests run one program twice in fresh processes, with its imports watched and without, and
compare status, stdout and stderr byte for byte. The fixture ``folder`` holds the modules.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import timeit
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from autoxla.hooks import AutoxlaFinder
from programs import HOME, Outcome, clean_environment, run, run_code

#: Watches the names in ``WATCH`` and leaves what happened to them in the file ``events``.
WATCHING = """
import atexit, os
from autoxla.hooks import before_import, on_import
events = []
def watch(name):
    before_import(name, lambda module: events.append(f"before {name}"))
    on_import(name, lambda module: events.append(f"after {name}"))
for name in os.environ.get("WATCH", "").split():
    watch(name)
def keep(folder=os.getcwd()):
    with open(os.path.join(folder, "events"), "w") as file:
        file.write("\\n".join(events))
atexit.register(keep)
"""

#: All that a module shows of itself, addresses apart.
PROBE = """
import re
def describe(module):
    facts = {name: re.sub("0x[0-9a-f]+", "0x", repr(value)) for name, value in vars(module).items()}
    facts.pop("__builtins__", None)
    loader, spec = module.__loader__, module.__spec__
    facts |= {"loader": [str(type(loader)), loader is spec.loader], "spec": sorted(vars(spec))}
    return sorted(facts.items())
def show(module):
    print(describe(module), sorted(getattr(module.__loader__, "__dict__", ())))
"""

SHOWS_ITSELF = "import sys, probe\nprobe.show(sys.modules[__name__])\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, {"watching.py": WATCHING, "probe.py": PROBE})


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write ``files``, given by relative path, and return ``folder``."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


def write_zip(folder: Path, files: dict[str, str]) -> None:
    with zipfile.ZipFile(folder / "lib.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def compare(
    folder: Path, code: str, watched: Sequence[str], words: Sequence[str] = ("program.py",)
) -> list[str]:
    """Assert that ``code`` runs alike with ``watched`` modules watched; return what the callbacks saw."""
    write(folder, {"program.py": f"import os, sys, json\n{code}"})
    plain = run(words, folder)
    write(folder, {"program.py": f"import os, sys, json, watching\n{code}"})
    hooked = run(words, folder, clean_environment(WATCH=" ".join(watched)))
    assert without_addresses(hooked) == without_addresses(plain)
    return (folder / "events").read_text().split("\n")


def without_addresses(outcome: Outcome) -> tuple[int, str, str]:
    out, err = (re.sub("0x[0-9a-f]+", "0x", text) for text in (outcome.out, outcome.err))
    return outcome.status, out, err


def both(*names: str) -> list[str]:
    return [f"{when} {name}" for name in names for when in ("before", "after")]


def find_extension() -> str:
    """Return the name of a C extension in a file of its own."""
    for name in ("_queue", "_heapq", "_bisect", "_csv", "_zoneinfo", "_testcapi", "_xxtestfuzz"):
        spec = importlib.util.find_spec(name)
        if spec is not None and type(spec.loader).__name__ == "ExtensionFileLoader":
            return name
    pytest.skip("all C extensions are part of this interpreter")


# A module is the module that it is without the finder


@pytest.mark.parametrize(
    "name",
    ["single", "pack", "pack.sub", "space.sub", "zipped", "zipped.sub", "_symtable", "__hello__"],
)
def test_module_shows_the_same_of_itself(folder: Path, name: str) -> None:
    """Source, package, part of a namespace, zip, built-in and frozen; also as seen by the body as it runs."""
    write(
        folder, dict.fromkeys(["single.py", "pack/__init__.py", "pack/sub.py", "space/sub.py"], SHOWS_ITSELF)
    )
    write_zip(folder, dict.fromkeys(["zipped/__init__.py", "zipped/sub.py"], SHOWS_ITSELF))
    code = f"sys.path.append('lib.zip')\nimport probe, {name}\nprobe.show(sys.modules['{name}'])"
    # The loaders of built-in and frozen modules are classes, and left alone.
    assert compare(folder, code, [name]) == ([""] if name.startswith("_") else both(name))


def test_c_extension_shows_the_same_of_itself(folder: Path) -> None:
    name = find_extension()
    code = f"import probe, {name}\nprobe.show({name})"
    assert compare(folder, code, [name]) == both(name)


def test_sourceless_module_shows_the_same_of_itself(folder: Path) -> None:
    write(folder, {"made/single.py": SHOWS_ITSELF})
    code = """
import py_compile, probe
py_compile.compile("made/single.py", cfile="single.pyc", doraise=True)
import single
probe.show(single)"""
    assert compare(folder, code, ["single"]) == both("single")


USES = {
    "source": "import inspect; print(inspect.getsource(pack.Thing), inspect.getsource(pack.sub))",
    "resources": """
from importlib import resources
for package in ("pack", pack):
    print((resources.files(package) / "data.txt").read_text())
with resources.as_file(resources.files("pack") / "data.txt") as file:
    print(file.read_text())""",
    "get_data": "import pkgutil; print(pkgutil.get_data('pack', 'data.txt'))",
    "iteration": "import pkgutil; print([m.name for m in pkgutil.walk_packages(pack.__path__, 'pack.')])",
    "loader": """
for module in (pack, pack.sub):
    loader = module.__loader__
    for ask in (loader.get_source, loader.is_package, loader.get_code, loader.get_filename):
        print(ask(module.__name__))""",
    "class": "import pickle; print(type(pickle.loads(pickle.dumps(pack.Thing()))) is pack.Thing)",
    "spec": """
import copy, pickle, importlib.util
for module in (pack, pack.sub):
    spec = module.__spec__
    twins = pickle.loads(pickle.dumps(spec)), copy.copy(spec), copy.deepcopy(spec)
    print(type(spec.loader), [vars(twin.loader) == vars(spec.loader) for twin in twins])
    print(importlib.util.find_spec(module.__name__) is spec)""",
}


@pytest.mark.parametrize("where", [".", "lib.zip"])
@pytest.mark.parametrize("use", USES)
def test_tools_see_the_same(folder: Path, use: str, where: str) -> None:
    files = {
        "pack/__init__.py": "class Thing:\n    pass\n",
        "pack/sub.py": "x = 1\n",
        "pack/data.txt": "data",
    }
    if where == ".":
        write(folder, files)
    else:
        write_zip(folder, files)
    code = f"sys.path.insert(0, '{where}')\nimport pack.sub\n{USES[use]}"
    assert compare(folder, code, ["pack", "pack.sub"]) == both("pack", "pack.sub")


FOUND = """
import copy, importlib.util, pickle
sys.path.append("lib.zip")
spec = importlib.util.find_spec(NAME)
again = importlib.util.find_spec(NAME)
twins = [spec, again, copy.copy(spec), copy.deepcopy(spec), pickle.loads(pickle.dumps(spec))]
print(spec, type(spec.loader), hash(spec.loader) == hash(again.loader))
print([twin == spec for twin in twins], [type(twin.loader) for twin in twins])
print(NAME in sys.modules)
for twin in twins:
    module = importlib.util.module_from_spec(twin)
    twin.loader.exec_module(module)
    print(module.x, module.__loader__ is twin.loader)
print([sorted(vars(found.loader)) for found in (spec, again)])
"""


def test_spec_found_is_the_same_and_can_be_copied_pickled_and_executed(folder: Path) -> None:
    write(folder, {"single.py": "x = 1\n"})
    events = compare(folder, f"NAME = 'single'{FOUND}", ["single"])
    # A spec and its shallow copy share one loader; a deep or pickled copy has no callbacks.
    assert events == both("single", "single")


def test_spec_of_namespace_found_is_the_same(folder: Path) -> None:
    (folder / "space").mkdir()
    code = "import importlib.util\nprint(importlib.util.find_spec('space'), 'space' in sys.modules)"
    assert compare(folder, code, ["space"]) == [""]


def test_spec_found_pickles_without_autoxla(folder: Path) -> None:
    """It can be unpickled where autoxla is not installed."""
    write(folder, {"single.py": "x = 1\n"})
    code = (
        "import importlib.util, pickle; print(b'autoxla' in pickle.dumps(importlib.util.find_spec('single')))"
    )
    assert compare(folder, code, ["single"]) == [""]


def test_zipimporter_shared_by_many_modules(folder: Path) -> None:
    """Found in one order, executed in another; the importer is clean at the end."""
    write_zip(folder, {f"{name}.py": f"name = '{name}'\n" for name in "abcd"})
    code = """
import importlib.util
sys.path.insert(0, "lib.zip")
specs = {name: importlib.util.find_spec(name) for name in "abc"}
import d
for name in "bca":
    module = importlib.util.module_from_spec(specs[name])
    specs[name].loader.exec_module(module)
    print(module.name, module.__loader__ is d.__loader__)
print("exec_module" in vars(d.__loader__))"""
    assert compare(folder, code, ["a", "b", "c"]) == both("b", "c", "a")


# Tracebacks and warnings


ONE_FRAME_MORE = "Python 3.10 lets no frame be taken off, so it shows one of ours"

RAISING = {
    "ValueError": {"bad.py": "def f():\n    raise ValueError('no')\nf()\n"},
    "ImportError": {"bad.py": "raise ImportError('no')\n"},
    "missing-name": {"bad.py": "from helper import nothing\n", "helper.py": ""},
    "missing-module": {"bad.py": "import bad_nowhere\n"},
    "not-there": {},
    "SyntaxError": {"bad.py": "x = (1,\n"},
    "null-byte": {"bad.py": "x = 1\0"},
    "chained": {
        "bad.py": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e\n"
    },
    "SystemExit": {"bad.py": "raise SystemExit('bye')\n"},
    "KeyboardInterrupt": {"bad.py": "raise KeyboardInterrupt\n"},
    "below": {"bad/__init__.py": "import bad.sub\n", "bad/sub/__init__.py": "from . import leaf\n"}
    | {"bad/sub/leaf.py": "raise RuntimeError('leaf')\n"},
    "parent": {"bad/__init__.py": "raise RuntimeError('parent')\n", "bad/sub.py": ""},
    "relative": {"bad/__init__.py": "from .. import nothing\n"},
}


@pytest.mark.skipif(sys.version_info < (3, 11), reason=ONE_FRAME_MORE)
@pytest.mark.parametrize("case", RAISING)
def test_traceback_is_the_same(folder: Path, case: str) -> None:
    write(folder, RAISING[case])
    code = "import bad.sub" if case == "parent" else "import bad"
    compare(folder, code, ["bad", "bad.sub", "bad.sub.leaf", "bad_nowhere"])


@pytest.mark.skipif(sys.version_info < (3, 11), reason=ONE_FRAME_MORE)
@pytest.mark.parametrize("form", ["import_module('bad')", "reload(bad)", "util.find_spec('bad.sub')"])
def test_traceback_is_the_same_from_python_code(folder: Path, form: str) -> None:
    """CPython leaves no frames of importlib out where it is not an import statement that fails."""
    write(folder, {"bad/__init__.py": "import os\nif 'BAD' in os.environ: raise LookupError(__name__)\n"})
    first = "import bad" if form == "reload(bad)" else ""
    code = f"""
import importlib, importlib.util, traceback
{first}
os.environ["BAD"] = ""
try:
    importlib.{form}
except LookupError:
    print(traceback.format_exc())"""
    compare(folder, code, ["bad", "bad.sub"])


FOREIGN = """
import importlib.util
class Foreign:
    def find_spec(self, name, path=None, target=None):
        if name == "in_finder":
            raise ERROR("finder")
        return importlib.util.spec_from_loader(name, self) if name == "in_loader" else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        raise ERROR("loader")
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason=ONE_FRAME_MORE)
@pytest.mark.parametrize("where", ["in_finder", "in_loader"])
@pytest.mark.parametrize("error", ["ImportError", "ValueError"])
def test_traceback_of_foreign_finders_and_loaders_is_the_same(folder: Path, where: str, error: str) -> None:
    code = f"{FOREIGN.replace('ERROR', error)}\nsys.meta_path.append(Foreign())\nimport {where}"
    compare(folder, code, ["in_finder", "in_loader"])


# When callbacks run


def test_reload_and_reimport_call_back_again(folder: Path) -> None:
    write(folder, {"pack/__init__.py": "", "pack/sub.py": ""})
    code = """
import importlib, pack.sub
importlib.reload(pack.sub)
del sys.modules["pack.sub"], sys.modules["pack"]
import pack.sub"""
    events = compare(folder, code, ["pack", "pack.sub"])
    assert events == both("pack", "pack.sub", "pack.sub", "pack", "pack.sub")


def test_namespace_package_is_left_alone(folder: Path) -> None:
    """It has no loader; nothing in it executes."""
    (folder / "space").mkdir()
    code = "import importlib, probe, space\nprobe.show(space)\nprobe.show(importlib.reload(space))"
    assert compare(folder, code, ["space"]) == [""]


def test_callback_for_what_is_imported_comes_at_once(folder: Path) -> None:
    code = """
import json
from autoxla.hooks import on_import
on_import("json", lambda module: print(module is json))
print("next")"""
    assert run_code(code, folder).out == "True\nnext\n"


def test_callback_for_what_is_being_imported_comes_afterwards(folder: Path) -> None:
    body = "from autoxla.hooks import on_import\non_import(__name__, lambda module: print(module.x))\nx = 1\n"
    write(folder, {"single.py": body})
    outcome = run_code("from autoxla.hooks import on_import\non_import('single', id)\nimport single", folder)
    assert (outcome.out, outcome.err) == ("1\n", "")


def test_nothing_is_called_back_on_a_search(folder: Path) -> None:
    write(folder, {"pack/__init__.py": "", "pack/sub.py": "", "pack/__main__.py": ""})
    code = """
import importlib.util, pkgutil
from importlib.machinery import PathFinder
for name in ("pack", "pack.sub"):
    print(importlib.util.find_spec(name).name, PathFinder.find_spec("pack").name)
print([f.find_spec("pack", None).name for f in sys.meta_path if f.find_spec("pack", None)][:1])"""
    # Finding a submodule imports its package.
    assert compare(folder, code, ["pack", "pack.sub"]) == both("pack")


@pytest.mark.parametrize("error", ["ValueError('no\\nway')", "ImportError('no')", "Unspeakable()"])
@pytest.mark.parametrize("register", ["before_import", "on_import"])
def test_callback_that_raises_leaves_the_import_intact(folder: Path, register: str, error: str) -> None:
    write(folder, {"single.py": "x = 1\n", "other.py": "x = 2\n"})
    code = f"""
from autoxla import hooks
class Unspeakable(Exception):
    def __str__(self): raise RuntimeError
def callback(module):
    raise {error}
hooks.{register}("single", callback)
hooks.{register}("other", callback)
import single, other
print(single.x, other.x)"""
    outcome = run_code(code, folder)
    assert (outcome.status, outcome.out) == (0, "1 2\n")
    assert len(outcome.err.splitlines()) == (0 if "Unspeakable" in error else 1)
    assert all("callback for single" in line for line in outcome.notices)


def test_callback_that_raises_is_traced_on_demand(folder: Path) -> None:
    write(folder, {"single.py": ""})
    code = "from autoxla import hooks\nhooks.on_import('single', lambda m: 1 / 0)\nimport single"
    assert "ZeroDivisionError" in run_code(code, folder, AUTOXLA_DEBUG="1").err.splitlines()[-1]


def test_fault_keeps_no_frames_alive(folder: Path) -> None:
    write(folder, {"single.py": ""})
    code = """
import gc, weakref
from autoxla.hooks import finder
from autoxla.hooks.boundary import FAULTS
class Model: pass
def callback(module):
    global held
    model = Model()
    held = weakref.ref(model)
    raise ValueError("no")
finder.on_import("single", callback)
import single
gc.collect()
print(held(), [where for where, error in FAULTS.kept])"""
    assert run_code(code, folder).out == "None ['callback for single']\n"


def test_module_that_replaces_itself(folder: Path) -> None:
    write(folder, {"swap.py": "import sys\nclass New: y = 2\nsys.modules[__name__] = New()\n"})
    code = """
from autoxla.hooks import on_import
got = []
on_import("swap", got.append)
import swap
print(len(got), got[0] is swap, swap.y)"""
    assert run_code(code, folder).out == "1 True 2\n"


def test_circular_imports(folder: Path) -> None:
    write(
        folder, {"left.py": "import right\nx = 1\n", "right.py": "import left\nprint(hasattr(left, 'x'))\n"}
    )
    assert compare(folder, "import left", ["left", "right"]) == [
        "before left",
        "before right",
        "after right",
        "after left",
    ]


def test_module_made_after_a_failed_import(folder: Path) -> None:
    code = """
import importlib
try:
    import late
except ImportError as error:
    print(error)
with open("late.py", "w") as file:
    file.write("x = 1")
importlib.invalidate_caches()
import late
print(late.x)
os.remove("late.py")"""
    assert compare(folder, code, ["late"]) == both("late")


# Threads


def test_threads_that_import_at_once_all_see_the_patched_module(folder: Path) -> None:
    write(folder, {"slow.py": "import time\ntime.sleep(0.2)\n"})
    code = """
import threading
from autoxla.hooks import on_import
def patch(module):
    threading.Event().wait(0.1)
    module.patched = module.__dict__.get("patched", 0) + 1
on_import("slow", patch)
start, seen = threading.Barrier(8), []
def work():
    start.wait()
    import slow
    seen.append(slow.patched)
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
print(seen)"""
    assert run_code(code, folder).out == f"{[1] * 8}\n"


@pytest.mark.parametrize("way", ["importlib.import_module('pack.sub')", "resources.files('pack.sub')"])
def test_package_that_waits_for_a_thread_does_not_deadlock(folder: Path, way: str) -> None:
    body = f"""
import importlib, threading
from importlib import resources
def work():
    {way}
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    write(folder, {"pack/__init__.py": body, "pack/sub/__init__.py": ""})
    hooks = "from autoxla.hooks import on_import\non_import('pack.sub', print)\non_import('pack', print)\n"
    assert run(["-c", f"{hooks}import pack; print('done')"], folder, limit=30).out.endswith("done\n")


def test_threads_that_search_at_once_all_find(folder: Path) -> None:
    write(folder, {"single.py": ""})
    code = """
import importlib.util, threading
from autoxla.hooks import finder
class Meeting:
    inside = threading.Barrier(2, timeout=20)
    def find_spec(self, name, path=None, target=None):
        if name == "single":
            self.inside.wait()
sys_meta_path = __import__("sys").meta_path
sys_meta_path.insert(0, Meeting())
finder.uninstall(); finder.install(); finder.on_import("single", print)
found = []
def work():
    found.append(finder.FINDER.find_spec("single", None) is not None)
threads = [threading.Thread(target=work) for _ in range(2)]
[t.start() for t in threads]
[t.join() for t in threads]
print(found)"""
    assert run_code(code, folder).out == "[True, True]\n"


# Importing another package first, from a callback


#: ``net`` as keras, ``plug`` as tensorflow with a plug-in that imports it; ``runs`` counts bodies.
NET_AND_PLUG = {
    "runs.py": "count = 0\n",
    "net/__init__.py": "import runs\nruns.count += 1\nfrom net import src\n",
    "net/src.py": "import runs\nlist = [runs.count]\n",
    "net/layers.py": "import net\n",
    "plug.py": "import net\nfrom net.src import list\nnet.touched = True\n",
}

SWAP = """
import importlib, json, sys, threading, time
from autoxla import hooks
def import_plug_first(module):
    if "plug" not in sys.modules:
        sys.modules.pop("net", None)
        import plug
hooks.before_import("net", import_plug_first)
"""

SHOW = """
import net, runs
same = net is sys.modules["net"]
plug = sys.modules["plug"]
print(json.dumps([runs.count, same, net.touched, net.src is sys.modules["net.src"], plug.net is net]))
"""

FORMS = [
    "import net",
    "from net import src",
    "import net.layers",
    "from net.layers import net as other; assert other is sys.modules['net']",
    "import net.src as other; assert other is sys.modules['net'].src",
    "other = importlib.import_module('net'); assert other is sys.modules['net']",
    "def f():\n    import net\nt = threading.Thread(target=f); t.start(); t.join()",
    "try:\n    import net\nexcept ImportError:\n    raise",
]


@pytest.mark.parametrize("form", FORMS)
def test_other_package_imported_first(folder: Path, form: str) -> None:
    """The body runs once, whatever imports it, and everybody holds one module."""
    write(folder, NET_AND_PLUG)
    outcome = run_code(f"{SWAP}{form}\n{SHOW}", folder)
    assert (outcome.err, outcome.last) == ("", [1, True, True, True, True])


def test_other_package_imported_first_calls_back_once_afterwards(folder: Path) -> None:
    write(folder, NET_AND_PLUG)
    code = """
got = []
hooks.before_import("net", lambda module: got.append("before"))
hooks.on_import("net", lambda module: got.append(module is sys.modules["net"]))
import net
print(got)"""
    assert run_code(SWAP + code, folder).out == "['before', True]\n"


def test_other_package_that_fails_is_as_if_not_imported(folder: Path) -> None:
    write(folder, NET_AND_PLUG | {"plug.py": "raise ImportError('broken')\n"})
    outcome = run_code(
        f"{SWAP}import net, runs\nprint(runs.count, net is sys.modules['net'], net.src.list)", folder
    )
    assert outcome.out == "1 True [1]\n"
    assert len(outcome.notices) == 1


def test_other_package_imported_first_while_threads_wait(folder: Path) -> None:
    """A thread may have got hold of the module that is not executed any more."""
    write(folder, NET_AND_PLUG)
    code = """
def start_others(module):
    if "plug" not in sys.modules:
        [t.start() for t in threads]
        time.sleep(0.3)
def work():
    import net
    seen.append(net.src.list == [1] and net.touched)
seen, threads = [], [threading.Thread(target=work) for _ in range(6)]
hooks.uninstall()
hooks.finder.install()
hooks.before_import("net", start_others)
hooks.before_import("net", import_plug_first)
import net
[t.join() for t in threads]
print(seen)"""
    assert run_code(SWAP + code, folder).out == f"{[True] * 6}\n"


def test_module_put_in_its_place_is_called_back_with(folder: Path) -> None:
    write(folder, {"old.py": "print('executed')\n"})
    code = """
import sys, types
from autoxla.hooks import before_import, on_import
new = types.ModuleType("new")
before_import("old", lambda module: sys.modules.__setitem__("old", new))
on_import("old", lambda module: print(module is new))
import old
print(old is new)"""
    assert run_code(code, folder).out == "True\nTrue\n"


# importlib.util.LazyLoader


LAZY = """
import importlib.util, sys
def load_lazily(name):
    spec = importlib.util.find_spec(name)
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module
"""


@pytest.mark.parametrize("by", ["recipe", "finder"])
def test_lazy_module_calls_back_when_it_executes(folder: Path, by: str) -> None:
    write(folder, {"single.py": "x = 1\n"})
    finder = """
import threading  # PYVERSION: the LazyLoader of 3.13 imports it and must not do so lazily
from importlib.machinery import FileFinder, SourceFileLoader
lazy = importlib.util.LazyLoader.factory(SourceFileLoader)
sys.path_hooks.insert(0, FileFinder.path_hook((lazy, [".py"])))
sys.path_importer_cache.clear()
import single as module"""
    code = f"""{LAZY}
from autoxla.hooks import before_import, on_import
before_import("single", lambda m: print("before"))
on_import("single", lambda m: print("after", m.x))
{"module = load_lazily('single')" if by == "recipe" else finder}
print("loaded")
print(module.x, type(module), module.__spec__.loader is module.__loader__, vars(module.__loader__).keys())"""
    expected = "loaded\nbefore\nafter 1\n1 <class 'module'> True dict_keys(['name', 'path'])\n"
    assert run_code(code, folder).out == expected


def test_lazy_module_loaded_before_it_was_watched(folder: Path) -> None:
    """It is not taken for imported, nor executed by being looked at; what it is when used goes past us."""
    write(folder, {"single.py": "print('body')\n"})
    code = f"""{LAZY}
module = load_lazily("single")
from autoxla.hooks import finder
finder.on_import("single", lambda m: print("after"))
print(finder.FINDER.bypassed(["single"]), finder.mark_loaded(["single"]))
module.__dict__
print(finder.FINDER.bypassed(["single"]))"""
    assert run_code(code, folder).out == "() False\nbody\n('single',)\n"


def test_other_package_imported_first_under_a_lazy_module(folder: Path) -> None:
    write(folder, NET_AND_PLUG)
    outcome = run_code(f"{SWAP}{LAZY}net = load_lazily('net')\nnet.src\n{SHOW}", folder)
    assert outcome.err == ""
    # The users of the lazy module keep that one; the plug-in has the one that was executed.
    assert outcome.last == [1, True, True, True, False]


# Other finders and tools


def test_finder_in_front_and_rewritten_meta_path_are_noticed(folder: Path) -> None:
    write(folder, dict.fromkeys(["front.py", "gone.py", "seen.py"], ""))
    code = """
import sys
from importlib.machinery import PathFinder
from autoxla.hooks import finder
names = ["front", "gone", "seen", "never"]
for name in names:
    finder.on_import(name, lambda module: None)
import seen
class Front:
    find_spec = staticmethod(PathFinder.find_spec)
sys.meta_path.insert(0, Front)
import front
sys.meta_path = [PathFinder]
import gone
print(finder.FINDER.bypassed(names))"""
    assert run_code(code, folder).out == "('front', 'gone')\n"


@pytest.mark.parametrize(
    "double",
    [
        "types.ModuleType('single')",
        "mock.Mock()",
        "mock.MagicMock(spec=json)",
        "mock.create_autospec(json)",
        "None",
        "SPECIFIED",
    ],
)
def test_doubles_in_sys_modules_are_not_bypasses(folder: Path, double: str) -> None:
    code = f"""
import json, sys, types
from unittest import mock
SPECIFIED = types.ModuleType("single")
SPECIFIED.__spec__ = mock.Mock(_initializing=False)
from autoxla.hooks import finder
sys.modules["single"] = {double}
finder.on_import("single", lambda module: None)
print(finder.FINDER.bypassed(["single"]), finder.mark_loaded(["single"]))"""
    assert run_code(code, folder).out == "() False\n"


OTHERS = {
    # Replaces the loader of what the real PathFinder finds, as typeguard, jaxtyping and others do.
    "path-finder": """
from importlib.machinery import PathFinder, SourceFileLoader
class Loader(SourceFileLoader): pass
class Other(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        spec = super().find_spec(name, path, target)
        if name == "single":
            spec.loader = Loader(name, spec.origin)
        return spec
other = Other""",
    # Is its own loader, shared by all modules, as pytest's rewriting hook is.
    "own-loader": """
import importlib.util
from importlib.machinery import PathFinder
class Other:
    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target)
        if name not in ("single", "second"):
            return None
        return importlib.util.spec_from_file_location(name, spec.origin, loader=self)
    def create_module(self, spec): return None
    def exec_module(self, module):
        with open(module.__spec__.origin) as file: exec(file.read(), vars(module))
other = Other()""",
    # Its loaders take no attributes.
    "slots": """
import importlib.util
from importlib.machinery import PathFinder
class Loader:
    __slots__ = ()
    def create_module(self, spec): return None
    def exec_module(self, module): module.x = 1
class Other:
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, Loader()) if name in ("single", "second") else None
other = Other()""",
    # Its loaders refuse attributes.
    "frozen": """
import importlib.util
from dataclasses import dataclass
@dataclass(frozen=True)
class Loader:
    x: int
    def create_module(self, spec): return None
    def exec_module(self, module): module.x = self.x
class Other:
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, Loader(1)) if name in ("single", "second") else None
other = Other()""",
    # Its loader is a class.
    "class-loader": """
import importlib.util
class Other:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, cls) if name in ("single", "second") else None
    @staticmethod
    def create_module(spec): return None
    @staticmethod
    def exec_module(module): module.x = 1
other = Other""",
}


@pytest.mark.parametrize("other", OTHERS)
def test_modules_of_other_finders_are_the_same(folder: Path, other: str) -> None:
    """The other finder stands behind ours."""
    write(folder, {"single.py": "x = 1\n", "second.py": "x = 1\n"})
    code = f"""{OTHERS[other]}
sys.meta_path.insert("Autoxla" in str(sys.meta_path[0]), other)
import probe, single, second
probe.show(single)
probe.show(second)"""
    left_alone = ("slots", "frozen", "class-loader")
    called = [""] if other in left_alone else both("single", "second")
    assert compare(folder, code, ["single", "second"]) == called


def test_finder_in_front_that_finds_nothing_does_no_harm(folder: Path) -> None:
    write(folder, {"single.py": "x = 1\n"})
    code = """
class Front:
    def find_spec(self, name, path=None, target=None): name == "single" and print("asked", path, target)
sys.meta_path.insert(0, Front())
import probe, single
probe.show(single)"""
    assert compare(folder, code, ["single"]) == both("single")


@pytest.mark.parametrize("first", ["wrapt", "autoxla"])
@pytest.mark.parametrize("name", ["single", "zipped"])
def test_wrapt_beside_ours(folder: Path, first: str, name: str) -> None:
    """Each calls back once, and nothing of ours is left in the module, whichever is in front."""
    pytest.importorskip("wrapt")
    write(folder, {"single.py": "x = 1\n"})
    write_zip(folder, {"zipped.py": ""})
    steps = {
        "autoxla": f"from autoxla.hooks import on_import; on_import('{name}', lambda m: print('autoxla'))",
        "wrapt": f"import wrapt; wrapt.register_post_import_hook(lambda m: print('wrapt'), '{name}')",
    }
    second = next(step for step in steps if step != first)
    code = f"""
import sys
sys.path.append("lib.zip")
{steps[first]}
{steps[second]}
import {name}
print(type({name}.__spec__.loader).__name__, {name}.__loader__ is {name}.__spec__.loader)"""
    outcome = run_code(code, folder)
    called, last = outcome.out.splitlines()[:-1], outcome.out.splitlines()[-1]
    assert sorted(called) == ["autoxla", "wrapt"]
    assert (outcome.err, last.split()[1]) == ("", "True")


#: Where to insert a finder; ``ours`` tells whether the first is ours.
PLACES = {"in front": "0", "between": "ours", "at the end": "len(sys.meta_path)"}


@pytest.mark.parametrize("place", PLACES)
def test_old_finders_without_find_spec(folder: Path, place: str) -> None:
    """Up to Python 3.11 the import system asks them; later it passes over them."""
    write(folder, {"single.py": "x = 1\n"})
    code = f"""
import types
class Loader:
    def load_module(self, name):
        sys.modules[name] = module = types.ModuleType(name)
        module.__loader__, module.x = self, name
        return module
class Old:
    def find_module(self, name, path=None):
        return Loader() if name == "old" else None
ours = "Autoxla" in str(sys.meta_path[0])
sys.meta_path.insert({PLACES[place]}, Old())
import single
print(single.x)
try:
    import old
    print(old.x)
except ImportError as error:
    print(error)"""
    compare(folder, code, ["single", "old"])


@pytest.mark.parametrize("before", ["single = importlib.util.find_spec('single')", "pass"])
def test_uninstall(folder: Path, before: str) -> None:
    """Also where the module is found already and not yet executed."""
    write(folder, {"single.py": "x = 1\n"})
    code = f"""
import importlib.util, sys
from autoxla.hooks import before_import, on_import, uninstall
finders = len(sys.meta_path)
before_import("single", print)
on_import("single", print)
{before}
uninstall()
uninstall()
if "single" in globals():
    spec, single = single, importlib.util.module_from_spec(single)
    spec.loader.exec_module(single)
else:
    import single
print(single.x, sorted(vars(single.__loader__)), finders - len(sys.meta_path))"""
    assert run_code(code, folder).out == "1 ['name', 'path'] 1\n"


MAIN = "import sys, probe\nprint(probe.describe(sys.modules['__main__']), sys.argv)\n"


@pytest.mark.parametrize("name", ["pack", "pack.sub"])
def test_hooked_module_run_as_program(folder: Path, name: str) -> None:
    write(folder, {"pack/__init__.py": "", "pack/__main__.py": MAIN, "pack/sub.py": MAIN})
    words = ["-m", name, "word"]
    plain = run(words, folder)
    write(folder, {"sitecustomize.py": "import watching\n"})
    names = "pack pack.sub pack.__main__"
    hooked = run(words, folder, clean_environment(WATCH=names, PYTHONPATH=f"{folder}{os.pathsep}{HOME}"))
    assert without_addresses(hooked) == without_addresses(plain)
    assert (folder / "events").read_text().split("\n") == both("pack")


def test_hooked_package_run_by_runpy(folder: Path) -> None:
    write(folder, {"pack/__init__.py": "", "pack/__main__.py": MAIN})
    code = "import runpy\nprint(sorted(runpy.run_module('pack', run_name='__main__', alter_sys=True)))"
    assert compare(folder, code, ["pack", "pack.__main__"]) == both("pack")


def test_autoxla_taken_away_while_the_program_runs(folder: Path) -> None:
    """All that calls back is loaded by then; what would note a fault is missing."""
    shutil.copytree(HOME / "autoxla", folder / "copy" / "autoxla")
    write(folder, {"single.py": "x = 1\n"})
    code = """
import shutil, sys
sys.path.insert(0, "copy")
from autoxla.hooks import on_import
on_import("single", lambda module: print("after", module.x))
on_import("single", lambda module: 1 / 0)
shutil.rmtree("copy")
import single
print(single.x)"""
    outcome = run_code(code, folder)
    assert (outcome.status, outcome.out, outcome.err) == (0, "after 1\n1\n", "")


# What it costs


ALLOWED = {"autoxla", "autoxla.hooks", "autoxla.hooks.finder", "atexit"}


def modules_after(statement: str, folder: Path, **variables: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*sys.modules, *[type(f).__name__ for f in sys.meta_path])"
    return set(run(["-c", code], folder, clean_environment(**variables)).out.split())


def test_import_loads_next_to_nothing(tmp_path: Path) -> None:
    more = modules_after("import autoxla", tmp_path) - modules_after("pass", tmp_path)
    assert more <= ALLOWED | {"AutoxlaFinder"}


def test_switched_off_it_puts_no_finder(tmp_path: Path) -> None:
    more = modules_after("import autoxla", tmp_path, AUTOXLA="off") - modules_after("pass", tmp_path)
    assert more <= {"autoxla", "atexit"}


class Trivial:
    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        return None


def test_miss_costs_about_what_a_trivial_finder_costs() -> None:
    finder = AutoxlaFinder()
    finder.watch("keras")
    assert time_miss(finder) <= 3 * time_miss(Trivial())


def time_miss(finder: AutoxlaFinder | Trivial) -> float:
    """Return the seconds of 5000 searches for a name that ``finder`` does not watch, best of 20."""
    statement = "find_spec('numpy.linalg', None, None)"
    timer = timeit.Timer(statement, globals={"find_spec": finder.find_spec})
    return min(timer.repeat(number=5000, repeat=20))

"""Threads that import TensorFlow and Keras at once: one after the other, and nothing stays behind.

The packages are stand-ins that import each other as the real ones do (`floods.double`); the real ones are
imported from two threads in ``test_floods.py``.
"""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

from floods import double
from programs import HOME, Outcome, run_code

#: What a program of these tests begins with, and what its threads do at the same time.
HEAD = """\
import builtins, faulthandler, sys, threading, traceback
faulthandler.dump_traceback_later(25, exit=True)
own = builtins.__import__
import autoxla

def in_threads(*functions):
    barrier, failed = threading.Barrier(len(functions)), []
    def work(function):
        barrier.wait()
        try:
            function()
        except BaseException as error:
            failed.append(f"{type(error).__name__}: {error}")
    threads = [threading.Thread(target=work, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed

def importing(statement):
    return lambda: exec(statement, {})

def left_over():
    from autoxla.hooks import finder
    turns = sys.modules.get("autoxla.hooks.turns")
    left = [turn.name for turn in turns._order.turns] if turns else []
    return left, builtins.__import__ is own, [str(fault) for fault in finder.faults()]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    double.write(tmp_path, plugin=False)
    return tmp_path


def run_program(folder: Path, code: str, **variables: str) -> Outcome:
    path = os.pathsep.join([str(folder / "site-packages"), str(HOME)])
    own = {"PYTHONPATH": path, "AUTOXLA_CACHE": str(folder / "cache"), **variables}
    return run_code(HEAD + textwrap.dedent(code), folder, **own)


def write(folder: Path, name: str, code: str) -> None:
    file = folder / "site-packages" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(code), encoding="utf-8")


MANY = """\
    words = ["keras", "tensorflow", "keras.layers", "tensorflow.python", "keras.src.models", "tf_keras"]
    print(in_threads(*[importing(f"import {word}") for word in words * 3]))
    print({name: hasattr(sys.modules[name], "whole") for name in words} == dict.fromkeys(words, True))
    print({*sys.modules["double_runs"].count.values()}, *left_over())
    """


def test_each_module_runs_once_and_nothing_is_left(folder: Path) -> None:
    outcome = run_program(folder, MANY)
    assert outcome.out.splitlines() == ["[]", "True", "{1} [] True []"]


def test_a_program_without_threads_keeps_its_import_function(folder: Path) -> None:
    write(folder, "mailbox.py", "import builtins\nseen = builtins.__import__\n")
    code = """
    import keras, mailbox
    print(mailbox.seen is own, "autoxla.hooks.turns" in sys.modules, *left_over())
    """
    assert run_program(folder, code).out == "True False [] True []\n"


@pytest.mark.parametrize("mode", ["observe", "off"])
def test_where_nothing_is_to_be_changed_each_thread_goes_its_own_way(mode: str, folder: Path) -> None:
    write(folder, "mailbox.py", "import builtins\nseen = builtins.__import__\n")
    code = """
    print(in_threads(importing("import keras"), lambda: None))
    import mailbox
    print(mailbox.seen is own, *left_over())
    """
    if mode == "off":
        (folder / "pyproject.toml").write_text('[tool.autoxla]\nmode = "off"\n', encoding="utf-8")
    outcome = run_program(folder, code, AUTOXLA="observe" if mode == "observe" else "")
    assert outcome.out.splitlines() == ["[]", "True [] True []"]


def test_a_function_that_the_program_puts_in_place_stays(folder: Path) -> None:
    write(
        folder,
        "mailbox.py",
        """\
        import builtins
        def mine(*arguments, original=builtins.__import__):
            return original(*arguments)
        builtins.__import__ = mine
        """,
    )
    code = """
    print(in_threads(importing("import keras"), lambda: None))
    import mailbox, json, tf_keras
    print(builtins.__import__ is mailbox.mine)
    print(in_threads(importing("import wave"), importing("import tf_keras.src")))
    """
    assert run_program(folder, code).out.splitlines() == ["[]", "True", "[]"]


def test_an_import_that_fails_lets_the_next_one_try(folder: Path) -> None:
    write(folder, "keras/__init__.py", "import time\ntime.sleep(0.01)\nraise ImportError('broken keras')\n")
    code = """
    print(in_threads(*[importing("import keras")] * 4, importing("import tensorflow")))
    print("tensorflow" in sys.modules, *left_over())
    """
    outcome = run_program(folder, code)
    assert outcome.out.splitlines() == [str(["ImportError: broken keras"] * 4), "True [] True []"]


def test_a_package_that_is_not_there_leaves_no_turn(folder: Path) -> None:
    code = """
    import importlib.util
    words = [importing("import keras_missing"), lambda: importlib.util.find_spec("keras")]
    print(in_threads(*words * 4))
    sys.path[:] = [each for each in sys.path if not each.endswith("site-packages")]
    print(len(in_threads(*[importing("import tf_keras")] * 4)), *left_over())
    """
    write(folder, "away/none.py", "")
    (folder / "site-packages/tf_keras/__init__.py").unlink()
    outcome = run_program(folder, code, PYTHONNOUSERSITE="1")
    failed, counted = outcome.out.splitlines()
    assert failed.count("ModuleNotFoundError") == 4
    assert counted.endswith("[] True []")


def test_one_that_the_running_thread_waits_for_goes_on(folder: Path) -> None:
    """The first thread's package imports a module that the other one executes, which imports the second."""
    write(
        folder,
        "tensorflow/__init__.py",
        """\
        import sys
        sys.modules["__main__"].inside.set()
        sys.modules["__main__"].shared_begins.wait(10)
        import shared
        whole = True
        """,
    )
    write(
        folder,
        "shared.py",
        """\
        import sys
        sys.modules["__main__"].shared_begins.set()
        import tf_keras
        """,
    )
    write(folder, "tf_keras/__init__.py", "whole = True\n")
    code = """
    inside, shared_begins = threading.Event(), threading.Event()
    def second():
        inside.wait(10)
        import shared
    print(in_threads(importing("import tensorflow"), second))
    print(hasattr(sys.modules["tensorflow"], "whole"), "shared" in sys.modules, *left_over())
    """
    assert run_program(folder, code).out.splitlines() == ["[]", "True True [] True []"]


def test_a_forked_child_has_no_turns(folder: Path) -> None:
    write(
        folder,
        "mailbox.py",
        """\
        import sys
        sys.modules["__main__"].inside.set()
        sys.modules["__main__"].forked.wait(10)
        """,
    )
    code = """
    import os
    inside, forked = threading.Event(), threading.Event()
    def fork():
        inside.wait(10)
        child = os.fork()
        if child == 0:
            try:
                import tf_keras
                print("child", tf_keras.whole, *left_over(), flush=True)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        forked.set()
    print(in_threads(importing("import keras"), fork), *left_over())
    """
    write(folder, "tf_keras/__init__.py", "whole = True\n")
    assert run_program(folder, code).out.splitlines() == ["child True [] True []", "[] [] True []"]


def test_a_reload_executes_again(folder: Path) -> None:
    code = """
    import importlib, keras
    print(in_threads(lambda: importlib.reload(keras), importing("import keras")))
    print(sys.modules["double_runs"].count["keras"], *left_over())
    """
    assert run_program(folder, code).out.splitlines() == ["[]", "2 [] True []"]


def test_a_traceback_of_a_nested_import_has_none_of_our_lines(folder: Path) -> None:
    write(folder, "keras/src/models.py", "import mailbox\n1 / 0\n")
    code = """
    def work():
        try:
            import keras
        except ZeroDivisionError:
            traceback.print_exc(file=sys.stdout)
    in_threads(work, lambda: None)
    """
    lines = run_program(folder, code).out.splitlines()
    files = [line.split('"')[1] for line in lines if line.startswith("  File ")]
    # Of the outermost import one line stays.
    assert [file for file in files if "frozen" in file] in ([], ["<frozen importlib._bootstrap>"])
    assert not any("autoxla" in file for file in files)
    assert lines[-1] == "ZeroDivisionError: division by zero"

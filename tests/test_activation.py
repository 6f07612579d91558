"""How autoxla comes into an interpreter: the import line, ``autoxla.pth``, both sitecustomize files.

Each test has a virtual environment of its own, which it may damage.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from installations import (
    CHECKOUT,
    LAUNCH,
    PROBE,
    Installation,
    add_user_files,
    build_wheel,
    copy_checkout,
    install_enabled,
    install_wheel,
    make_environment,
    take,
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def install_example(root: Path, wheel: Path) -> Installation:
    installation = install_wheel(root, wheel)
    shutil.copy(CHECKOUT / "sitecustomize_example.py", installation.site / "sitecustomize.py")
    return Installation(root, installation.package, {})


def install_editable(root: Path, _wheel: Path) -> Installation:
    """Lay out what an editable wheel contains: the path of the checkout, and what lies beside it."""
    installation = Installation(root, copy_checkout(root), {"AUTOXLA_ACTIVE": "1"})
    (installation.site / "_editable_impl_autoxla_runtime.pth").write_text(f"{installation.package.parent}\n")
    for name in ("_autoxla_start.py", "autoxla.pth", "autoxla.start"):
        shutil.copy(LAUNCH / name, installation.site)
    return installation


def prepare_private(root: Path, _wheel: Path) -> Installation:
    package = copy_checkout(root)
    private = str(package / "launch" / "private")
    return Installation(root, package, {"AUTOXLA_ACTIVE": "1", "PYTHONPATH": private})


def prepare_import(root: Path, wheel: Path) -> Installation:
    return Installation(root, install_wheel(root, wheel).package, {}, "import autoxla")


WAYS: dict[str, Callable[[Path, Path], Installation]] = {
    "import": prepare_import,
    "pth": install_wheel,
    "site": install_enabled,
    "editable": install_editable,
    "private": prepare_private,
    "example": install_example,
}
AT_START = [name for name in WAYS if name != "import"]


@pytest.fixture
def installation(request: pytest.FixtureRequest, tmp_path: Path, wheel: Path) -> Installation:
    make_environment(tmp_path)
    return WAYS[request.param](tmp_path, wheel)


def ways(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("installation", names or tuple(WAYS), indirect=True)


@ways()
def test_finder_is_there_once_and_first(installation: Installation) -> None:
    seen = installation.probe()
    assert (seen["active"], seen["first"]) == (1, "AutoxlaFinder")


@ways(*AT_START)
def test_nothing_else_is_different(installation: Installation) -> None:
    """Without a sitecustomize of the user's, there is none, and ``sys.path`` is as it was."""
    seen, plain = installation.probe(), installation.probe(AUTOXLA="off", active=False)
    differing = {name for name in plain if seen[name] != plain[name]}
    assert differing == {"active", "first", "modules"}
    assert seen["custom"] is None


@ways()
def test_at_most_eight_modules_more(installation: Installation) -> None:
    seen, plain = installation.probe(), installation.probe(AUTOXLA="off", active=False)
    assert isinstance(seen["modules"], list)
    assert isinstance(plain["modules"], list)
    more = set(seen["modules"]) - set(plain["modules"])
    assert "autoxla" in more
    assert len(more) <= 8


@ways()
def test_off_leaves_it_out(installation: Installation) -> None:
    seen = installation.probe(AUTOXLA="off")
    assert seen["active"] == 0
    assert isinstance(seen["modules"], list)
    assert [name for name in seen["modules"] if name.startswith("autoxla.")] == []


@ways("pth", "editable", "private")
@pytest.mark.parametrize("value", ["", None])
def test_inert_without_the_marker(installation: Installation, value: str | None) -> None:
    del installation.activation["AUTOXLA_ACTIVE"]
    if value is not None:
        installation.activation["AUTOXLA_ACTIVE"] = value
    seen = installation.probe()
    assert isinstance(seen["modules"], list)
    assert "autoxla" not in seen["modules"]


@ways("pth", "site", "editable", "example")
@pytest.mark.parametrize("option", ["-I", "-E"])
def test_isolated_interpreters_are_active(installation: Installation, option: str) -> None:
    assert installation.probe(option)["active"] == 1


def remove_all_but_start(package: Path) -> None:
    for entry in package.iterdir():
        if entry.name != "launch":
            (shutil.rmtree if entry.is_dir() else Path.unlink)(entry)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "removed": shutil.rmtree,
    "no-init": remove_all_but_start,
    "no-hooks": lambda package: shutil.rmtree(package / "hooks"),
    "finder-raises": lambda package: (package / "hooks" / "finder.py").write_text("1 / 0"),
    "finder-unreadable": lambda package: (package / "hooks" / "finder.py").write_bytes(b"\0\xff"),
}


@ways(*AT_START)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_silent_at_start(installation: Installation, damage: str) -> None:
    DAMAGES[damage](installation.package)
    assert installation.probe("-W", "error")["active"] == 0


@ways(*AT_START)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_lets_watched_imports_pass(installation: Installation, damage: str) -> None:
    DAMAGES[damage](installation.package)
    (installation.site / "keras.py").write_text("value = 3")
    code = (
        "import keras, sys; print(keras.value, 'AutoxlaFinder' in [type(f).__name__ for f in sys.meta_path])"
    )
    done = installation.run("-W", "error", "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3 False\n", "")


@ways(*AT_START)
@pytest.mark.parametrize("text", ["raise RuntimeError", "half a", "\0"])
def test_a_broken_package_is_silent_at_start(installation: Installation, text: str) -> None:
    (installation.package / "__init__.py").write_text(text)
    assert installation.probe()["active"] == 0


@ways("pth", "site", "editable")
def test_a_lone_pth_is_silent(installation: Installation) -> None:
    (installation.site / "_autoxla_start.py").unlink()
    installation.package.rename(installation.package.with_name("gone"))
    assert installation.probe()["active"] == 0


@ways(*AT_START)
def test_user_files_run_once_and_stay_in_place(installation: Installation) -> None:
    log = add_user_files(installation)
    seen = installation.probe()
    assert take(log) == ["sitecustomize", "usercustomize"]
    assert seen["active"] == 1
    assert seen["file"] == str(installation.root / "user" / "sitecustomize.py")
    example = installation.site / "sitecustomize.py"
    example.unlink(missing_ok=True)
    plain = installation.probe(active=False, AUTOXLA="off")
    assert take(log) == ["sitecustomize", "usercustomize"]
    assert {k for k in plain if seen[k] != plain[k]} <= {"active", "first", "modules"}


@ways("private", "example")
def test_user_files_run_when_off(installation: Installation) -> None:
    log = add_user_files(installation)
    installation.probe(AUTOXLA="off")
    assert take(log) == ["sitecustomize", "usercustomize"]


@ways("private", "example")
@pytest.mark.parametrize("text", ["1 / 0", "import no_such", "raise ImportError"])
def test_error_in_a_user_file_is_the_user_s(installation: Installation, text: str) -> None:
    add_user_files(installation, text)
    seen = installation.run("-c", "import sys; print('sitecustomize' in sys.modules)")
    (installation.site / "sitecustomize.py").unlink(missing_ok=True)
    plain = installation.run("-c", "import sys; print('sitecustomize' in sys.modules)", active=False)
    assert (seen.returncode, seen.stdout, seen.stderr) == (plain.returncode, plain.stdout, plain.stderr)


@ways("example")
def test_both_files_at_once(installation: Installation) -> None:
    """The launcher from a checkout, in an environment with the example in its site-packages."""
    log = add_user_files(installation)
    private = str(copy_checkout(installation.root) / "launch" / "private")
    seen = installation.probe(AUTOXLA_ACTIVE="1", PYTHONPATH=private)
    assert take(log) == ["sitecustomize", "usercustomize"]
    assert seen["active"] == 1
    assert seen["file"] == str(installation.root / "user" / "sitecustomize.py")


@ways("example")
def test_without_another_file_the_name_is_free(installation: Installation) -> None:
    done = installation.run("-c", "import sitecustomize")
    assert done.stderr.endswith("\nModuleNotFoundError: No module named 'sitecustomize'\n")


CHILDREN = {
    "subprocess": "import subprocess, sys; subprocess.run([sys.executable, '-c', PROBE])",
    "shell": "import os, shlex, sys; os.system(shlex.join([sys.executable, '-c', PROBE]))",
    "exec": "import os, sys; os.execv(sys.executable, [sys.executable, '-c', PROBE])",
    "grandchild": "import subprocess, sys; code = 'import os, sys; PROBE = %r; os.execv(sys.executable,"
    " [sys.executable, \"-c\", PROBE])' % PROBE; subprocess.run([sys.executable, '-c', code])",
}
METHODS = ["fork", "spawn", "forkserver"]


@ways(*AT_START)
@pytest.mark.parametrize("child", CHILDREN)
def test_children_are_active(installation: Installation, child: str) -> None:
    done = installation.run("-c", f"PROBE = {PROBE!r}; {CHILDREN[child]}")
    assert done.stderr == ""
    assert json.loads(done.stdout)["active"] == 1


@ways("pth", "site", "private")
@pytest.mark.parametrize("method", METHODS)
def test_worker_processes_are_active(installation: Installation, method: str) -> None:
    program = installation.root / "program.py"
    program.write_text(
        f"import multiprocessing\ndef work(): exec({PROBE!r}, {{}})\n"
        f"if __name__ == '__main__': multiprocessing.get_context({method!r}).Process(target=work).start()"
    )
    done = installation.run(str(program))
    assert done.stderr == ""
    assert json.loads(done.stdout)["active"] == 1


@ways("pth", "site")
def test_strange_finders_do_not_disturb(installation: Installation) -> None:
    """Another ``.pth`` put finders in front: one without `find_spec`, one that insists on a path."""
    finders = """
import sys
class Old:
    def find_module(self, name, path=None): return None
class Strict:
    def find_spec(self, name, path, target=None): return None
sys.meta_path[:0] = [Old(), Strict()]
"""
    (installation.site / "finders.py").write_text(finders)
    (installation.site / "a.pth").write_text("import finders\n")
    assert installation.probe()["active"] == 1


def test_pth_is_one_readable_line() -> None:
    text = (LAUNCH / "autoxla.pth").read_text("ascii")
    assert text.startswith("import os, sys; ")
    assert text.count("\n") == 1
    # A line of a .pth file has no other way to be silent where the package is broken.
    assert text.count("exec(") == text.count('exec("try: import autoxla\\nexcept Exception: pass", {})') == 1
    assert not {"eval", "base64", "compile", "subprocess"} & set(text.replace("(", " ").split())

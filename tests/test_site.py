"""``python -m autoxla site``: the wheel, as installed in environments of several kinds, and its hook."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autoxla import commands
from autoxla.commands import site
from installations import (
    CHECKOUT,
    LAUNCH,
    MARKER,
    PROBE,
    Installation,
    build_wheel,
    copy_checkout,
    install_wheel,
    make_environment,
    unpack_wheel,
)

#: What an active interpreter has loaded before the first import of a backend.
LOADED = {"atexit", "autoxla", "autoxla.hooks", "autoxla.hooks.finder"}
#: The folder of pytest and pip, for environments that have neither.
TOOLS = sysconfig.get_path("purelib")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def installed(tmp_path: Path, wheel: Path) -> Installation:
    make_environment(tmp_path)
    return Installation(tmp_path, install_wheel(tmp_path, wheel).package, {})


def command(installation: Installation, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return installation.run("-m", "autoxla", "site", *words, active=True, **variables)


def succeed(installation: Installation, *words: str, **variables: str) -> str:
    done = command(installation, *words, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def fail(installation: Installation, status: int, *words: str, **variables: str) -> str:
    """Return the one line on stderr of a command that ends with ``status``."""
    done = command(installation, *words, **variables)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith("autoxla: AX902 error ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def active(installation: Installation, *options: str, **variables: str) -> object:
    return installation.probe(*options, active=True, **variables)["active"]


def snapshot(folder: Path) -> set[Path]:
    return {file for file in folder.rglob("*") if "__pycache__" not in file.parts}


def test_enable_and_disable(installed: Installation) -> None:
    assert active(installed) == 0
    before = snapshot(installed.root)
    assert succeed(installed, "enable") == f"enabled: {installed.site / MARKER}\n"
    assert snapshot(installed.root) - before == {installed.site / MARKER}
    assert active(installed) == 1
    assert succeed(installed, "disable") == f"disabled: {installed.site / MARKER} is removed\n"
    assert snapshot(installed.root) == before
    assert active(installed) == 0


def test_the_marker_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the text cannot be written to its end, neither a part of it nor another file is left."""
    (tmp_path / "autoxla.pth").touch()
    monkeypatch.setattr(site, "site_folders", lambda: [tmp_path])
    monkeypatch.setattr(site, "_MARKER_TEXT", f"{site.SIGNATURE}\udcff")
    with pytest.raises(UnicodeEncodeError):
        site.enable(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["autoxla.pth"]


def test_both_can_be_said_twice(installed: Installation) -> None:
    succeed(installed, "enable", "--prefix")
    written = (installed.site / MARKER).read_text()
    assert succeed(installed, "enable") == f"enabled already: {installed.site / MARKER}\n"
    assert (installed.site / MARKER).read_text() == written
    succeed(installed, "disable")
    assert succeed(installed, "disable") == f"not enabled in {installed.site}\n"


@pytest.mark.parametrize("options", [(), ("-I",), ("-E",), ("-s",), ("-O", "-X", "dev")])
def test_every_interpreter_is_active(installed: Installation, options: tuple[str, ...]) -> None:
    succeed(installed, "enable")
    assert active(installed, *options) == 1


def test_off_wins(installed: Installation) -> None:
    assert "AUTOXLA=off" in succeed(installed, "enable", AUTOXLA="off")
    assert active(installed, AUTOXLA="off", AUTOXLA_ACTIVE="1") == 0
    assert active(installed, AUTOXLA="fix") == 1


CLEARED = {
    "subprocess": "subprocess.run([sys.executable, '-c', PROBE], env={})",
    "isolated": "subprocess.run([sys.executable, '-I', '-c', PROBE], env={})",
    "exec": "os.execve(sys.executable, [sys.executable, '-c', PROBE], {})",
    "path": "subprocess.run([sys.executable, '-c', PROBE], env={'PYTHONPATH': '/no/such/folder'})",
}


@pytest.mark.parametrize("child", CLEARED)
def test_children_without_the_environment_are_active(installed: Installation, child: str) -> None:
    """What the launcher cannot reach, since it needs the variable."""
    code = f"import os, subprocess, sys; PROBE = {PROBE!r}; {CLEARED[child]}"
    succeed(installed, "enable")
    assert json.loads(installed.run("-c", code).stdout)["active"] == 1
    succeed(installed, "disable")
    assert json.loads(installed.run("-c", code, AUTOXLA_ACTIVE="1").stdout)["active"] == 0


def prepare_editable(root: Path, _wheel: Path) -> Installation:
    folder, package = make_environment(root), copy_checkout(root)
    (folder / "_editable_impl_autoxla_runtime.pth").write_text(f"{package.parent}\n")
    for name in ("_autoxla_start.py", "autoxla.pth", "autoxla.start"):
        shutil.copy(LAUNCH / name, folder)
    return Installation(root, package, {})


def prepare_prefix(root: Path, wheel: Path) -> Installation:
    """Lay out a whole installation of Python, as conda and pyenv do: no ``pyvenv.cfg``."""
    library = Path(sysconfig.get_path("stdlib"))
    ours = root / "lib" / library.name
    (ours / "site-packages").mkdir(parents=True)
    for entry in library.iterdir():
        if entry.name != "site-packages":
            (ours / entry.name).symlink_to(entry)
    (root / "bin").mkdir()
    (root / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    unpack_wheel(wheel, ours / "site-packages")
    return Installation(root, ours / "site-packages" / "autoxla", {"PYTHONHOME": str(root)})


def prepare_below_system(root: Path, wheel: Path) -> Installation:
    """Lay out a virtual environment that sees the user's site-packages, where the wheel is."""
    make_environment(root)
    settings = root / "pyvenv.cfg"
    settings.write_text(settings.read_text().replace("packages = false", "packages = true"))
    variables = {"PYTHONUSERBASE": str(root / "user")}
    bare = Installation(root, root, variables)
    folder = Path(bare.run("-c", "import site; print(site.getusersitepackages())").stdout.strip())
    folder.mkdir(parents=True)
    unpack_wheel(wheel, folder)
    return Installation(root, folder / "autoxla", variables)


@pytest.mark.parametrize("prepare", [prepare_editable, prepare_prefix])
def test_other_environments(
    prepare: Callable[[Path, Path], Installation], tmp_path: Path, wheel: Path
) -> None:
    installation = prepare(tmp_path, wheel)
    assert active(installation) == 0
    succeed(installation, "enable")
    assert (installation.site / MARKER).is_file()
    assert active(installation) == 1
    succeed(installation, "disable")
    assert active(installation) == 0


def test_user_site(tmp_path: Path, wheel: Path) -> None:
    installation = prepare_below_system(tmp_path, wheel)
    folder = installation.package.parent
    assert active(installation) == 0
    assert "site enable --user" in fail(installation, 1, "enable")
    succeed(installation, "enable", "--user")
    assert (folder / MARKER).is_file()
    assert active(installation) == 1
    assert active(installation, "-s") == 0
    assert (
        succeed(installation, "disable")
        == f"not enabled in {installation.site}; still there: {folder / MARKER}\n"
    )
    succeed(installation, "disable", "--user")
    assert active(installation) == 0


def test_user_enables_what_the_prefix_has(tmp_path: Path, wheel: Path) -> None:
    """The environment's folder belongs to somebody else: the user's own takes the marker."""
    installation = prepare_below_system(tmp_path, wheel)
    shutil.rmtree(tmp_path / "user")
    unpack_wheel(wheel, installation.site)
    succeed(installation, "enable", "--user")
    assert not (installation.site / MARKER).exists()
    assert active(installation) == 1


def test_no_user_site_in_a_virtual_environment(installed: Installation) -> None:
    for action in ("enable", "disable"):
        assert "virtual environments leave" in fail(installed, 1, action, "--user")


def test_two_installations_activate_once(tmp_path: Path, wheel: Path) -> None:
    installation = prepare_below_system(tmp_path, wheel)
    unpack_wheel(wheel, installation.site)
    for words in (("enable",), ("enable", "--user")):
        succeed(installation, *words)
        assert active(installation) == 1
    private = str(copy_checkout(tmp_path) / "launch" / "private")
    assert active(installation, PYTHONPATH=private, AUTOXLA_ACTIVE="1") == 1


def test_a_checkout_is_refused(tmp_path: Path) -> None:
    package = copy_checkout(tmp_path)
    folder = make_environment(tmp_path / "environment")
    (package.parent / "pyproject.toml").touch()
    installation = Installation(tmp_path / "environment", package, {"PYTHONPATH": str(package.parent)})
    before = snapshot(folder)
    assert f"pip install {package.parent}, then" in fail(installation, 1, "enable")
    assert snapshot(folder) == before
    assert succeed(installation, "disable") == f"not enabled in {folder}\n"


def obey_permissions() -> None:
    """Give up the root user's right to write anywhere (CAP_DAC_OVERRIDE), if this is the root user."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


def test_read_only_folder(installed: Installation) -> None:
    succeed(installed, "enable")
    python = [str(installed.root / "bin" / "python"), "-m", "autoxla", "site"]
    outcomes = {}
    for action in ("disable", "enable"):
        installed.site.chmod(0o555)
        outcomes[action] = subprocess.run(
            [*python, action], preexec_fn=obey_permissions, capture_output=True, text=True, check=False
        )
        installed.site.chmod(0o755)
        (installed.site / MARKER).unlink(missing_ok=True)
    for outcome in outcomes.values():
        assert outcome.returncode == 1
        assert outcome.stderr.startswith(f"autoxla: AX902 error {installed.site}: Permission denied; ")
    assert "AUTOXLA_ACTIVE=1" in outcomes["enable"].stderr
    assert snapshot(installed.site).isdisjoint({installed.site / MARKER})


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.write_text("mine")])
def test_the_file_of_another_stays(installed: Installation, make: Callable[[Path], object]) -> None:
    make(installed.site / MARKER)
    for action in ("enable", "disable"):
        assert f"{MARKER}: " in fail(installed, 1, action)
    assert (installed.site / MARKER).exists()


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("enabl",),
        ("enable", "--prefix", "--user"),
        ("status", "--user"),
        ("enable", "--u"),
        ("enable", "x"),
    ],
)
def test_bad_arguments(installed: Installation, words: tuple[str, ...]) -> None:
    before = snapshot(installed.root)
    assert "; usage: python -m autoxla site enable|disable" in fail(installed, 2, *words)
    assert snapshot(installed.root) == before


def test_help(installed: Installation) -> None:
    assert succeed(installed, "--help").startswith(
        "usage: python -m autoxla site enable|disable|status [--prefix|--user"
    )


def run_pip(installation: Installation, *words: str) -> None:
    python = str(installation.root / "bin" / "python")
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *quiet, *words], check=True)


def test_pip_removes_all_but_the_marker_which_survives_an_upgrade(tmp_path: Path, wheel: Path) -> None:
    folder = make_environment(tmp_path)
    installation = Installation(tmp_path, folder / "autoxla", {})
    before = snapshot(folder)
    run_pip(installation, "install", "--no-deps", "--no-index", str(wheel))
    succeed(installation, "enable")
    run_pip(installation, "install", "--no-deps", "--no-index", "--force-reinstall", str(wheel))
    assert active(installation) == 1
    run_pip(installation, "uninstall", "--yes", "autoxla-runtime")
    assert snapshot(folder) - before == {folder / MARKER}
    assert active(installation) == 0


# What the hook costs a process that needs nothing of it.

DUMP = """
import atexit, os, sys
atexit.register(lambda: open(os.environ["DUMP"], "w").write(" ".join(sys.modules)))
"""
TEST = "import dataclasses, json\ndef test_sum(): assert 1 + 1 == 2\n"


@pytest.fixture
def dumping(installed: Installation) -> Installation:
    """Make each process write the names of its modules at its very end, after autoxla's own."""
    (installed.site / "dump_modules.py").write_text(DUMP)
    (installed.site / "a.pth").write_text("import dump_modules\n")
    (installed.root / "test_sum.py").write_text(TEST)
    names = [f"part_{number}" for number in range(200)]
    for name in names:
        (installed.root / f"{name}.py").write_text("value = 1\n")
    (installed.root / "many.py").write_text(
        f"import argparse, asyncio, {', '.join(names)}\nprint(part_7.value)\n"
    )
    return installed


def observe(
    installation: Installation, words: list[str], active: bool
) -> tuple[tuple[int, str, str], set[str]]:
    dump = installation.root / "dump"
    done = installation.run(*words, active=active, PYTHONPATH=TOOLS, DUMP=str(dump))
    return (done.returncode, re.sub(r"\d+\.\d+s", "", done.stdout), done.stderr), set(
        dump.read_text().split()
    )


PROGRAMS = {
    "pip": ["-m", "pip", "list", "--disable-pip-version-check"],
    "pytest": ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_sum.py"],
    "many": ["many.py"],
    "nothing": ["-c", "pass"],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_only_autoxla_itself_is_loaded(dumping: Installation, name: str) -> None:
    observe(dumping, PROGRAMS[name], active=False)  # Compiles what is compiled once.
    plain, before = observe(dumping, PROGRAMS[name], active=False)
    succeed(dumping, "enable", DUMP=os.devnull)
    seen, after = observe(dumping, PROGRAMS[name], active=True)
    assert plain == seen
    assert seen[0] == 0
    assert after - before <= LOADED
    assert "autoxla" in after
    assert before <= after


# Python 3.15 and later: PEP 829.


def entry_points(text: bytes) -> Iterator[str]:
    """Yield the entries of a ``.start`` file as PEP 829 reads it: ``pkg.mod:callable``, one a line."""
    for line in text.decode("utf-8-sig").splitlines():
        entry = line.strip()
        if entry and not entry.startswith("#"):
            assert re.fullmatch(r"(?!\d)\w+(\.(?!\d)\w+)*:(?!\d)\w+(\.(?!\d)\w+)*", entry)
            yield entry


@pytest.fixture
def newer(installed: Installation) -> Installation:
    """Make this Python read ``.start`` files as 3.15 does: after the paths, and no import line."""
    entries = list(entry_points((installed.site / "autoxla.start").read_bytes()))
    assert entries == ["_autoxla_start:start"]
    (installed.site / "autoxla.pth").unlink()
    calls = "; ".join(f"pkgutil.resolve_name({entry!r})()" for entry in entries)
    (installed.site / "z.pth").write_text(f"import pkgutil; {calls}\n")
    return installed


def test_start_file_is_inert(newer: Installation) -> None:
    seen, plain = newer.probe(), newer.probe(AUTOXLA="off")
    assert seen == plain
    assert seen["active"] == 0
    assert isinstance(seen["modules"], list)
    assert [name for name in seen["modules"] if "autoxla" in name] == []


def test_start_file_activates(newer: Installation) -> None:
    assert active(newer, AUTOXLA_ACTIVE="1") == 1
    (newer.site / MARKER).touch()
    assert active(newer) == 1
    assert active(newer, "-I") == 1
    assert active(newer, AUTOXLA="off") == 0
    assert active(newer, AUTOXLA="off", AUTOXLA_ACTIVE="1") == 0


def test_start_file_adds_no_module_but_autoxla(newer: Installation) -> None:
    seen, plain = newer.probe(AUTOXLA_ACTIVE="1")["modules"], newer.probe()["modules"]
    assert isinstance(seen, list)
    assert isinstance(plain, list)
    assert set(seen) - set(plain) <= LOADED


@pytest.mark.parametrize("text", ["raise RuntimeError", "half a", None])
def test_start_file_is_silent_where_the_package_is_broken(newer: Installation, text: str | None) -> None:
    if text is None:
        shutil.rmtree(newer.package)
    else:
        (newer.package / "__init__.py").write_text(text)
    assert active(newer, AUTOXLA_ACTIVE="1") == 0


def test_both_forms_name_the_same(installed: Installation) -> None:
    """With both read, as by two installations of different age, autoxla is there once."""
    (installed.site / "z.pth").write_text("import pkgutil; pkgutil.resolve_name('_autoxla_start:start')()\n")
    succeed(installed, "enable")
    assert active(installed) == 1


# Status.


def read_status(installation: Installation, *options: str, **variables: str) -> dict[str, object]:
    done = installation.run(*options, "-m", "autoxla", "site", "status", "--json", active=True, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    status: dict[str, object] = json.loads(done.stdout)
    return status


def explain(status: dict[str, object]) -> tuple[object, str]:
    assert isinstance(status["because"], list)
    return status["active"], "; ".join(status["because"])


def test_status_of_what_is_not_enabled(installed: Installation) -> None:
    status = read_status(installed)
    assert explain(status) == (False, "it is not enabled: python -m autoxla site enable")
    folder = {"folder": str(installed.site), "pth": "present", "start": "present", "enabled": False}
    assert status["folders"] == [folder]
    assert str(status["package"]).startswith(f"{installed.package}, version ")
    assert status["interpreter"] == str(installed.root / "bin" / "python")


def test_status_of_what_is_enabled(installed: Installation) -> None:
    succeed(installed, "enable")
    marker = f"{installed.site / MARKER} is there"
    assert explain(read_status(installed)) == (True, marker)
    is_active, reasons = explain(read_status(installed, AUTOXLA_ACTIVE="1"))
    assert is_active
    assert reasons.startswith("AUTOXLA_ACTIVE is set")
    assert reasons.endswith(marker)
    assert explain(read_status(installed, AUTOXLA="off")) == (False, "AUTOXLA=off is set")
    lines = succeed(installed, "status").splitlines()
    assert lines[:2] == ["autoxla is active in new interpreters of this environment", f"  {marker}"]


def test_status_without_site(installed: Installation) -> None:
    succeed(installed, "enable")
    status = read_status(installed, "-S", PYTHONPATH=str(installed.site))
    assert explain(status) == (False, "python -S reads no .pth file and no sitecustomize.py")
    assert str(status["interpreter"]).endswith("python -S")


def test_status_tells_the_example(installed: Installation) -> None:
    copy = installed.site / "sitecustomize.py"
    shutil.copy(CHECKOUT / "sitecustomize_example.py", copy)
    status = read_status(installed)
    assert explain(status) == (True, f"{copy} imports autoxla")


def test_status_of_a_checkout(tmp_path: Path) -> None:
    package = copy_checkout(tmp_path)
    make_environment(tmp_path / "environment")
    installation = Installation(tmp_path / "environment", package, {"PYTHONPATH": str(package.parent)})
    is_active, reasons = explain(read_status(installation))
    assert not is_active
    assert reasons.startswith("autoxla is not installed in this environment")
    entries = os.pathsep.join([str(package / "launch" / "private"), str(package.parent)])
    status = read_status(installation, PYTHONPATH=entries, AUTOXLA_ACTIVE="1")
    assert explain(status) == (
        True,
        f"PYTHONPATH begins with {entries.split(os.pathsep)[0]}: the launcher, from a checkout",
    )


def test_status_tells_an_unknown_way(installed: Installation) -> None:
    (installed.site / "other.pth").write_text("import autoxla\n")
    is_active, reasons = explain(read_status(installed))
    assert is_active
    assert "by nothing that is known here" in reasons


def test_status_of_an_interpreter_that_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stuck = tmp_path / "python"
    stuck.write_text("#!/bin/sh\nexec sleep 60\n")
    stuck.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stuck))
    monkeypatch.setattr(site, "_LIMIT", 0.2)
    assert commands.run("site", ["status"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "autoxla is not known to be active in new interpreters of this environment"
    assert second.startswith(f"  {stuck} did not start and end within 0.2 seconds: ")
    assert commands.run("site", ["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["active"] is None

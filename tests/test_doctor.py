"""``python -m autoxla doctor``, on installations built for the test and on the real one."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

import plugin_double
from autoxla.commands import doctor as command
from autoxla.commands.diagnosis import environment, packages, plugins
from autoxla.commands.diagnosis.packages import Line, Scene, take_inventory
from autoxla.commands.records import KINDS
from autoxla.commands.rule import read_codes
from autoxla.model import Evidence, Hardware, Place, Reading, Settings
from autoxla.policies import list_rules
from autoxla.store import Store
from installations import Site, build_library
from programs import HOME, Outcome, clean_environment, run, run_code

Check = Callable[[Scene], Iterable[Line]]
CODES = {*read_codes(), *(rule.code for rule in list_rules())}
#: A record that every kind of store takes for a sound one.
TUNED = {"winner": "xla", "step": "xla", "settings": {}, "speedup": 1.5, "date": "2026-11-21"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def say(check: Check, scene: Scene) -> dict[str, Line]:
    """Return what is not ok, by code."""
    lines = list(check(scene))
    assert all(line.code in CODES for line in lines)
    assert all(line.remedy for line in lines if line.state in ("warning", "error"))
    return {line.code: line for line in lines if line.state != "ok"}


# --- versions


def generation(scene: Scene) -> str:
    return list(packages.check_versions(scene))[-1].message


def test_which_keras_tf_keras_is(site: Site) -> None:
    site.install("tensorflow-cpu", "2.16.1")
    site.install("keras", "3.3.0")
    texts = [line.message for line in packages.check_versions(site.scene())]
    assert "tensorflow 2.16.1, from tensorflow-cpu" in texts
    assert texts[-1] == "tf.keras is Keras 3 (3.3.0): TF_USE_LEGACY_KERAS is not set"
    assert "for off" in generation(site.scene(TF_USE_LEGACY_KERAS="yes"))
    switched = generation(site.scene(TF_USE_LEGACY_KERAS="1"))
    assert switched.startswith("tf.keras is Keras 2, which is not installed")


def test_an_older_tensorflow_has_keras_2_only(site: Site) -> None:
    site.install("tensorflow", "2.15.0")
    assert generation(site.scene()).startswith("tf.keras is Keras 2")


def test_tensorflow_that_is_not_there(site: Site) -> None:
    assert say(packages.check_versions, site.scene())["AX802"].state == "note"
    site.install("tensorflow", "2.15.0")
    assert say(packages.check_versions, site.scene()) == {}


# --- installation


def test_a_sound_installation(site: Site) -> None:
    site.install("tensorflow", "2.16.1", owns="tensorflow")
    site.install("keras", "3.3.0", owns="keras")
    assert say(packages.check_installation, site.scene()) == {}


@pytest.mark.parametrize(
    ("other", "version", "package", "code", "state"),
    [
        ("tensorflow-cpu", "2.16.1", "tensorflow", "AX811", "note"),
        ("tensorflow-cpu", "2.15.0", "tensorflow", "AX812", "error"),
        ("tf-nightly", "2.17.0.dev1", "tensorflow", "AX812", "error"),
        ("keras-nightly", "3.4.0", "keras", "AX812", "error"),
    ],
)
def test_files_of_two_owners(
    site: Site, other: str, version: str, package: str, code: str, state: str
) -> None:
    site.install(package, "2.16.1", owns=package)
    site.install(other, version, owns=package)
    line = say(packages.check_installation, site.scene())[code]
    assert line.state == state
    assert other in line.remedy


def test_a_variant_without_files_of_its_own_clobbers_nothing(site: Site) -> None:
    site.install("tensorflow", "2.16.1")  # as on Windows, where tensorflow-intel has all files
    site.install("tensorflow-intel", "2.16.1", owns="tensorflow")
    assert say(packages.check_installation, site.scene()) == {}


def test_two_releases_of_one_name(site: Site) -> None:
    site.install("keras", "3.3.0")
    site.install("keras", "2.15.0")
    assert say(packages.check_installation, site.scene())["AX813"].state == "warning"


def test_the_same_name_in_two_folders(site: Site) -> None:
    other = Site(site.root / "other")
    for each in (site, other):
        each.install("keras", "3.3.0")
    scene = replace(site.scene(), inventory=take_inventory([str(site.folder), str(other.folder)]))
    assert say(packages.check_installation, scene)["AX813"].state == "note"
    again = replace(site.scene(), inventory=take_inventory([str(site.folder), str(site.folder)]))
    assert say(packages.check_installation, again) == {}


def test_metadata_without_files_and_files_without_metadata(site: Site) -> None:
    info = site.install("tensorflow", "2.16.1", owns="tensorflow")
    (site.folder / "tensorflow/__init__.py").unlink()
    assert set(say(packages.check_installation, site.scene())) == {"AX815"}
    (info / "METADATA").unlink()
    (info / "RECORD").unlink()
    (site.folder / "tensorflow/core.py").touch()
    # Nothing can be read of it, so that what is left of the package belongs to nobody.
    assert set(say(packages.check_installation, site.scene())) == {"AX814", "AX818"}


def test_a_switch_without_tf_keras(site: Site) -> None:
    site.install("tensorflow", "2.16.1")
    lines = list(environment.check_rules(site.scene(TF_USE_LEGACY_KERAS="1")))
    assert ("error", "AX104") in {(line.state, line.code) for line in lines}
    site.install("tf-keras", "2.16.0")
    assert "AX104" not in {line.code for line in environment.check_rules(site.scene(TF_USE_LEGACY_KERAS="1"))}


def test_what_autoxla_cures_is_no_error(site: Site) -> None:
    site.install("tensorflow", "2.16.1")
    site.install("keras", "3.3.0")
    config = site.home / ".keras/keras.json"
    config.parent.mkdir()
    config.write_text('{"backend": "theano"}')
    (line,) = [line for line in environment.check_rules(site.scene()) if line.code == "AX402"]
    assert line.state == "warning"
    assert line.remedy.startswith("autoxla does it where it is active")


def test_the_rules_are_asked_where_autoxla_is_off(site: Site) -> None:
    site.install("tensorflow", "2.16.1")
    site.install("keras", "3.3.0")
    scene = site.scene(KERAS_BACKEND="theano")
    off = replace(scene, situation=replace(scene.situation, settings=Settings(mode="off")))
    assert {line.code: line.state for line in environment.check_rules(off)} == {"AX402": "error"}
    assert say(environment.check_rules, site.scene()) == {}


# --- requirements


def test_requirements_that_are_met(site: Site) -> None:
    needs = ('keras>=3.0 ; python_version >= "3.0"', "numpy<2,>=1.23", "wrapt>=1", 'h5py ; extra == "x"')
    site.install("tensorflow", "2.16.1", *needs, "unknown_thing>9")
    site.install("keras-nightly", "3.3.0.dev2024")
    site.install("numpy", "1.26.4")
    site.install("wrapt", "1.16.0")
    assert say(packages.check_requirements, site.scene()) == {}


def test_requirements_that_are_not_met(site: Site) -> None:
    site.install("tensorflow", "2.16.1", "numpy<2,>=1.23", "protobuf<5", "wrapt>=1", "not a requirement !!")
    site.install("numpy", "2.1.0")
    site.install("protobuf", "5.1.0")
    lines = [line for line in packages.check_requirements(site.scene()) if line.state != "ok"]
    assert {(line.state, line.code) for line in lines} == {
        ("error", "AX881"),
        ("error", "AX882"),
        ("warning", "AX882"),
    }
    assert "pip install 'numpy<2,>=1.23'" in {line.remedy for line in lines}


def test_tensorflow_text_of_another_release(site: Site) -> None:
    site.install("tensorflow", "2.16.1")
    site.install("tensorflow-text", "2.15.0")
    assert (
        say(packages.check_requirements, site.scene())["AX884"].remedy
        == "pip install 'tensorflow-text==2.16.*'"
    )


def test_tensorflow_text_of_the_same_release(site: Site) -> None:
    site.install("tensorflow", "2.16.1")
    site.install("tensorflow-text", "2.16.0")
    assert say(packages.check_requirements, site.scene()) == {}


def test_without_packaging_it_is_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "packaging.markers", None)
    assert say(packages.check_requirements, site.scene())["AX883"].state == "note"


@pytest.mark.parametrize(("version", "fits"), [("2.15.0", False), ("2.21.1", True), ("2.22.0", False)])
def test_tf_keras_must_fit_tensorflow(site: Site, version: str, fits: bool) -> None:
    site.install("tensorflow", "2.21.0")
    site.install("keras", "3.15.0")
    site.install("tf-keras", version, "tensorflow<2.16,>=2.15")
    lines = say(packages.check_requirements, site.scene())
    assert set(lines) == (set() if fits else {"AX885"})
    switched = say(packages.check_requirements, site.scene(TF_USE_LEGACY_KERAS="1"))
    assert {code: line.state for code, line in switched.items()} == ({} if fits else {"AX885": "error"})
    # It is never TensorFlow that has to change.
    assert {line.remedy for line in lines.values()} <= {"pip install 'tf-keras==2.21.*'"}


# --- shadowing


def test_nothing_is_shadowed(site: Site) -> None:
    (site.program / "train.py").touch()
    (site.program / "keras").mkdir()  # without __init__.py it is found only where there is no other
    (site.program / "os.py").touch()  # loaded before Python looks here
    assert say(environment.check_shadowing, site.scene()) == {}


@pytest.mark.parametrize("name", ["keras.py", "tensorflow/__init__.py", "tf_keras.py"])
def test_a_file_beside_the_program(site: Site, name: str) -> None:
    file = site.program / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    assert say(environment.check_shadowing, site.scene())["AX821"].state == "error"


def test_a_file_in_the_current_folder_and_one_named_like_a_module_of_python(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = site.root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "keras.py").touch()
    (elsewhere / "random.py").touch()
    monkeypatch.chdir(elsewhere)
    assert {code: line.state for code, line in say(environment.check_shadowing, site.scene()).items()} == {
        "AX822": "warning",
        "AX823": "warning",
    }
    assert say(environment.check_shadowing, site.scene(PYTHONPATH=str(elsewhere)))["AX821"].state == "error"


@pytest.mark.parametrize("metadata", ["keras-3.15.1.dist-info", "keras-3.15.1.egg-info"])
def test_a_folder_that_pip_filled_holds_the_packages_themselves(site: Site, metadata: str) -> None:
    folder = site.root / "deps"
    (folder / "keras").mkdir(parents=True)
    (folder / "keras/__init__.py").touch()
    (folder / "random.py").touch()
    scene = site.scene(PYTHONPATH=os.pathsep.join([str(site.root / "none"), str(folder)]))
    assert {*say(environment.check_shadowing, scene)} == {"AX821", "AX823"}
    (folder / metadata).mkdir()
    assert say(environment.check_shadowing, scene) == {}


@pytest.mark.parametrize("name", ["usr/lib/python3/dist-packages", "lib/site-packages"])
def test_a_folder_of_the_system_is_left_out_by_its_name(site: Site, name: str) -> None:
    folder = site.root / name
    folder.mkdir(parents=True)
    (folder / "keras.py").touch()
    assert say(environment.check_shadowing, site.scene(PYTHONPATH=str(folder))) == {}
    other = site.root / "my-site-packages-notes"
    other.mkdir()
    (other / "keras.py").touch()
    assert {*say(environment.check_shadowing, site.scene(PYTHONPATH=str(other)))} == {"AX821"}


def test_a_project_that_is_developed_is_looked_at(site: Site) -> None:
    (site.program / "project.egg-info").mkdir()
    (site.program / "keras.py").touch()
    assert {*say(environment.check_shadowing, site.scene(PYTHONPATH=str(site.program)))} == {"AX821"}


# --- the backend


def test_the_backend_and_what_chose_it(site: Site) -> None:
    site.install("keras", "3.3.0")
    site.install("tensorflow", "2.16.1")
    assert [line.message for line in environment.check_backend(site.scene())] == [
        "tensorflow, installed; chosen by default"
    ]
    site.install("torch", "2.3")
    (line,) = environment.check_backend(site.scene(KERAS_BACKEND="torch"))
    assert line.message == "torch, installed; chosen by KERAS_BACKEND"


def test_a_backend_that_is_not_installed_is_told_once(site: Site) -> None:
    site.install("tensorflow", "2.16.1")
    site.install("keras", "3.3.0")
    scene = site.scene(KERAS_BACKEND="torch")
    codes = [
        line.code for check in (environment.check_backend, environment.check_rules) for line in check(scene)
    ]
    assert codes == ["AX401"]


@pytest.mark.parametrize(("text", "code"), [("[1]", "AX832"), ("{", "AX831")])
def test_a_bad_keras_json(site: Site, text: str, code: str) -> None:
    (site.home / "keras.json").write_text(text)
    assert set(say(environment.check_backend, site.scene(KERAS_HOME=str(site.home)))) == {code}


def test_a_good_keras_json(site: Site) -> None:
    (site.home / "keras.json").write_text('{"backend": "jax"}')
    assert say(environment.check_backend, site.scene(KERAS_HOME=str(site.home))) == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"floatx": "float32", "epsilon": 1e-07, "image_data_format": "channels_last"}', {}),
        ('{"image_data_format": "channels_first"}', {"AX834": "warning"}),
        ('{"floatx": "float16"}', {"AX834": "warning"}),
        ('{"floatx": "float64"}', {"AX834": "warning"}),
        ('{"epsilon": 0.0}', {"AX834": "warning"}),
        ('{"epsilon": 1.0}', {"AX834": "warning"}),
        ('{"epsilon": NaN}', {"AX834": "warning"}),
        ('{"epsilon": 1}', {"AX835": "error"}),
        ('{"epsilon": "1e-7"}', {"AX835": "error"}),
        ('{"floatx": "bfloat16"}', {"AX835": "error"}),
        ('{"image_data_format": ["channels_last"]}', {"AX835": "error"}),
    ],
)
def test_the_other_fields_of_keras_json(site: Site, text: str, told: dict[str, str]) -> None:
    (site.home / "keras.json").write_text(text)
    lines = say(environment.check_backend, site.scene(KERAS_HOME=str(site.home)))
    assert {code: line.state for code, line in lines.items()} == told


@pytest.mark.tensorflow
@pytest.mark.parametrize("field", ['"epsilon": 1', '"floatx": "bfloat16"', '"image_data_format": "last"'])
def test_keras_refuses_what_is_said_to_be_refused(tmp_path: Path, field: str) -> None:
    (tmp_path / "keras.json").write_text(f"{{{field}}}")
    outcome = run(["-c", "import keras"], tmp_path, clean_environment(KERAS_HOME=str(tmp_path)))
    assert outcome.status == 1
    assert states_of(doctor(tmp_path, "--json", KERAS_HOME=str(tmp_path)))["AX835"] == "error"


# --- variables


def test_variables(site: Site) -> None:
    scene = site.scene(XLA_FLAGS="--xla_dump_to=x", TF_PLUGGABLE_DEVICE_LIBRARY_PATH="/none/x.so")
    lines = list(environment.check_variables(scene))
    assert "XLA_FLAGS='--xla_dump_to=x'" in [line.message for line in lines]
    assert set(say(environment.check_variables, scene)) == {"AX841"}
    there = site.scene(TF_PLUGGABLE_DEVICE_LIBRARY_PATH=str(site.program))
    assert say(environment.check_variables, there) == {}


# --- plug-ins


def add_plugin(site: Site, *options: str) -> Path:
    return build_library(
        site.folder / "tensorflow-plugins/libplugin.so", "void TF_InitKernel(void) {}", *options
    )


def build_needed(folder: Path, name: str) -> list[str]:
    """Build a library; return what links another one to it."""
    build_library(folder / name, "int needed(void) { return 1; }", f"-Wl,-soname,{name}")
    return ["-Wl,--no-as-needed", f"-L{folder}", f"-l:{name}"]


def test_a_plugin_that_finds_all(site: Site) -> None:
    options = build_needed(site.root / "libs", "libimf.so")
    add_plugin(site, *options, f"-Wl,-rpath,{site.root / 'libs'}")
    assert say(plugins.check, site.scene()) == {}
    assert say(plugins.check, Site(site.root / "other").scene()) == {}


def test_a_plugin_that_misses_a_library(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(site.root / "env"))
    add_plugin(site, *build_needed(site.root / "libs", "libimf.so"))
    line = say(plugins.check, site.scene())["AX871"]
    assert line.state == "error"
    assert "pip install intel-cmplr-lib-rt" in line.remedy
    (site.root / "opt/intel/oneapi/setvars.sh").touch()
    remedy = say(plugins.check, site.scene())["AX871"].remedy
    assert remedy == f"source {site.root}/opt/intel/oneapi/setvars.sh before Python starts"
    (site.root / "env/lib/libimf.so").touch()
    assert say(plugins.check, site.scene())["AX871"].remedy.startswith("export LD_LIBRARY_PATH=")
    found = site.scene(LD_LIBRARY_PATH=str(site.root / "libs"))
    assert say(plugins.check, found) == {}


@pytest.mark.parametrize("rpath", ["-Wl,--disable-new-dtags", "-Wl,--enable-new-dtags"])
def test_the_folder_of_the_plugin_by_origin(site: Site, rpath: str) -> None:
    options = build_needed(site.folder / "libs", "libx.so")
    add_plugin(site, *options, rpath, "-Wl,-rpath,$ORIGIN/../libs")
    assert say(plugins.check, site.scene()) == {}


def test_what_the_libraries_of_a_plugin_miss(site: Site) -> None:
    beyond = build_needed(site.root / "hidden", "libsycl.so.8")
    folder = site.root / "libs"
    build_library(folder / "libmiddle.so", "int middle(void) { return 1; }", *beyond)
    link = [f"-L{folder}", "-l:libmiddle.so", "-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined"]
    add_plugin(site, "-Wl,--no-as-needed", *link, f"-Wl,-rpath,{folder}")
    line = say(plugins.check, site.scene())["AX871"]
    assert line.message.startswith("libsycl.so.8,")


def test_what_brings_the_libraries(site: Site) -> None:
    names = ["libimf.so", "libsvml.so", "libmkl_core.so.2", "libother.so"]
    assert plugins.propose(names, site.scene()).split("; ")[:2] == [
        "find what provides libother.so",
        "pip install intel-cmplr-lib-rt mkl in releases with these files",
    ]
    (site.root / "opt/intel/oneapi/setvars.sh").touch()
    assert plugins.propose(names, site.scene()).startswith("source ")
    assert plugins.propose(["libcudart.so.12"], site.scene()).startswith("pip install nvidia-cuda-runtime")


def test_what_tensorflow_has_loaded_is_there(site: Site) -> None:
    add_plugin(site, *build_needed(site.root / "libs", "libtensorflow_framework.so.2"))
    assert say(plugins.check, site.scene()) == {}


def test_the_double_of_itex_with_a_missing_library(site: Site) -> None:
    library = plugin_double.build(site.root / "double")
    options = build_needed(site.root / "libs", "libsvml.so")
    gcc = ["gcc", "-shared", "-fPIC", "-o", str(library), str(plugin_double.SOURCE / "plugin.c"), "-ldl"]
    subprocess.run([*gcc, *options], check=True)
    line = say(plugins.check, site.scene(TF_PLUGGABLE_DEVICE_LIBRARY_PATH=str(library)))["AX871"]
    assert "libsvml.so" in line.message


def test_a_plugin_that_is_no_library(site: Site) -> None:
    add_plugin(site).write_bytes(b"")
    assert say(plugins.check, site.scene())["AX873"].remedy == "reinstall what it belongs to, or remove it"


@pytest.fixture
def plugin(site: Site) -> Path:
    return add_plugin(site)


def refusal(site: Site) -> Line:
    (line,) = say(plugins.check, site.scene()).values()
    return line


def test_a_plugin_that_is_damaged_behind_its_header(site: Site, plugin: Path) -> None:
    plugin.write_bytes(plugin.read_bytes()[:1000])
    assert (refusal(site).state, refusal(site).code) == ("error", "AX873")


def test_a_plugin_for_another_processor(site: Site, plugin: Path) -> None:
    content = bytearray(plugin.read_bytes())
    content[18] = 40 if content[18] != 40 else 62  # the machine: 32-bit ARM, or x86-64
    plugin.write_bytes(content)
    assert refusal(site).code == "AX873"
    assert "another processor" in refusal(site).remedy
    content[4] = 1  # 32 bits
    plugin.write_bytes(content)
    assert "wrong ELF class" in refusal(site).message
    assert "another processor" in refusal(site).remedy


@pytest.mark.parametrize("name", ["GLIBC_2.99", "GLIBCXX_3.4.99"])
def test_a_plugin_for_a_newer_system(site: Site, name: str) -> None:
    folder, script = site.root / "libs", site.root / "versions"

    def build(version: str) -> None:
        script.write_text(f"{version} {{ global: needed; }};")
        source = "int needed(void) { return 1; }"
        build_library(folder / "libs.so", source, "-Wl,-soname,libs.so", f"-Wl,--version-script={script}")

    build(name)
    link = [f"-L{folder}", "-l:libs.so", f"-Wl,-rpath,{folder}"]
    build_library(
        site.folder / "tensorflow-plugins/libplugin.so",
        "int needed(void); int f(void) { return needed(); }",
        *link,
    )
    assert say(plugins.check, site.scene()) == {}
    build("GLIBC_2.1")
    assert refusal(site).code == "AX873"
    assert name in refusal(site).message
    assert ("libstdcxx-ng" in refusal(site).remedy) is ("CXX" in name)


def test_nothing_of_a_plugin_is_run(site: Site) -> None:
    source = """#include <stdlib.h>
    __attribute__((constructor)) static void start(void) { exit(3); }"""
    file = build_library(site.folder / "tensorflow-plugins/a b:c/libplugin.so", source)
    scene = site.scene(TF_PLUGGABLE_DEVICE_LIBRARY_PATH=str(file))
    assert [line.code for line in plugins.check(scene)] == ["AX870"]


def test_a_loader_that_does_not_answer(site: Site, plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(plugin.parent / "none"))
    assert (refusal(site).state, refusal(site).code) == ("note", "AX874")


# --- devices


def with_hardware(scene: Scene, kinds: set[str], libdevice: str | None) -> Scene:
    hardware = Hardware("present", frozenset(kinds))
    situation = replace(scene.situation, hardware=hardware, libdevice=libdevice)
    return replace(scene, situation=situation)


def test_what_xla_finds_for_a_device(site: Site) -> None:
    seen = list(environment.check_devices(with_hardware(site.scene(), {"cuda"}, "")))
    assert [line.message for line in seen] == ["accelerators: cuda", "XLA finds libdevice"]
    assert len(list(environment.check_devices(with_hardware(site.scene(), {"cuda"}, None)))) == 1


def test_a_machine_without_accelerators(site: Site) -> None:
    assert [line.message for line in environment.check_devices(site.scene())] == ["accelerators: none"]


# --- autoxla itself


def test_records_and_activation(site: Site) -> None:
    codes = [line.code for line in environment.check_autoxla(site.scene())]
    assert codes == ["AX890", "AX891"]


@pytest.mark.parametrize("kind", KINDS)
def test_records_that_are_left_out(site: Site, kind: str) -> None:
    folder = site.root / "cache" / kind
    Store(folder).write("a" * 16, TUNED)
    (folder / ("b" * 16 + ".json")).write_text("{")
    first, second, *_ = environment.check_autoxla(site.scene())
    assert f"1 {kind}" in first.message
    assert (second.code, second.state) == ("AX907", "note")
    assert second.message == f"{folder / ('b' * 16 + '.json')} is left out: it is no JSON"


def test_a_record_that_tuning_did_not_write(site: Site) -> None:
    Store(site.root / "cache/programs").write("a" * 16, {**TUNED, "speedup": "much"})
    first, second, *_ = environment.check_autoxla(site.scene())
    assert "0 programs" in first.message
    assert second.message.endswith("is left out: it is not what tuning writes")


def test_a_folder_of_records_that_others_can_write(site: Site) -> None:
    Store(site.root / "cache/cures").write("a" * 16, {})
    (site.root / "cache/cures").chmod(0o777)
    lines = [line for line in environment.check_autoxla(site.scene()) if line.code == "AX907"]
    assert [line.remedy for line in lines] == ["make it a folder that you alone can write"]


def test_a_run_says_which_of_its_records_was_left_out(tmp_path: Path) -> None:
    """It finds both by the program: what an earlier run taught, and what tuning found."""
    code = (
        "from autoxla.running import running_subject\n"
        "from autoxla.runtime import current\n"
        "from autoxla.cures import key_of\n"
        "from autoxla.tuned import tuned_key\n"
        "session = current()\n"
        "session.begin(None, lambda _: None)\n"
        "print(key_of(running_subject()), tuned_key(session.situation, []))\n"
        "print([f.place.file for f in session.findings if f.code == 'AX907'])\n"
    )
    cache = tmp_path / "cache"
    keys, none = run_code(code, tmp_path, AUTOXLA_CACHE=str(cache)).out.splitlines()
    assert none == "[]"
    pairs = zip(("cures", "programs"), keys.split(), strict=True)
    files = [cache / kind / f"{key}.json" for kind, key in pairs]
    for file in files:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text("{")
    assert run_code(code, tmp_path, AUTOXLA_CACHE=str(cache)).out.splitlines() == [
        keys,
        str([*map(str, files)]),
    ]


# --- the import


def try_import(site: Site, *names: str, limit: float = 60, **variables: str) -> Line:
    environ = {**clean_environment(), "PYTHONPATH": str(site.folder), **variables}
    scene = Scene(site.scene().situation, environ, (), site.program, take_inventory([]))
    said = tuple(Evidence("import", name, None, "certain", Place("a.py", 1)) for name in names)
    scene = replace(scene, situation=replace(scene.situation, reading=Reading(said)))
    (line,) = plugins.try_import(scene, limit)
    assert line.code in CODES
    return line


#: Packages that stand for a broken tensorflow: each does what a real one was seen to do.
BROKEN = {
    "raise ImportError('libimf.so: cannot open shared object file: No such file or directory')": (
        "libimf.so",
        "pip install intel-cmplr-lib-rt",
    ),
    "raise TypeError('Descriptors cannot be created directly.')": ("AX183", "protobuf"),
    "raise ImportError('numpy.core.multiarray failed to import')": ("AX182", "NumPy"),
    "raise ModuleNotFoundError(\"No module named 'wrapt'\")": ("wrapt", "install what is missing"),
    "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)": ("SIGSEGV", "faulthandler"),
    "import os, signal; os.kill(os.getpid(), signal.SIGILL)": ("SIGILL", "build of TensorFlow"),
    "import os, sys; print('F0000 00:00 1 x.cc:1] it is broken', flush=True); os.abort()": (
        "SIGABRT: it is broken",
        "by hand",
    ),
    "import os; print('F0 x.cc] Unknown flag in TF_XLA_FLAGS: --x', flush=True); os._exit(1)": (
        "Unknown flag in TF_XLA_FLAGS: --x",
        "unset it",
    ),
    "import os; print('please import ITEX or tensorflow berfore keras', flush=True); os._exit(0)": (
        "ITEX ended the process with status 0",
        "import tensorflow before keras",
    ),
    "import os; os._exit(0)": ("ended with status 0", "by hand"),
    "import os; os._exit(3)": ("ended with status 3", "by hand"),
    "quit()": ("SystemExit", "by hand"),
}


@pytest.mark.parametrize("code", BROKEN)
def test_how_an_import_fails(site: Site, code: str) -> None:
    (site.folder / "tensorflow.py").write_text(code)
    line = try_import(site, "tensorflow")
    message, remedy = BROKEN[code]
    assert (line.state, line.code) == ("error", "AX894")
    assert message in line.message
    assert remedy in line.remedy


def test_an_import_that_works_and_one_that_does_not_end(site: Site) -> None:
    (site.folder / "tensorflow.py").write_text("import keras")
    (site.folder / "keras.py").write_text("")
    assert try_import(site, "tensorflow", "keras").message == "import tensorflow and import keras works"
    (site.folder / "keras.py").write_text("import time; time.sleep(60)")
    assert try_import(site, "keras", limit=0.5).code == "AX895"


def test_what_a_script_imports(site: Site) -> None:
    def imported(name: str, *, caught: bool = False) -> Evidence:
        return Evidence("import", name, None, "certain", Place("a.py", 1), caught=caught)

    def chosen(*evidence: Evidence) -> tuple[str, ...]:
        scene = site.scene()
        situation = replace(scene.situation, reading=Reading(evidence))
        return plugins.choose_names(replace(scene, situation=situation))

    named = [imported(name) for name in ("numpy", "keras.layers", "tensorflow", "keras")]
    assert chosen(*named) == ("keras", "tensorflow")
    assert chosen(imported("keras", caught=True)) == ("tensorflow",)
    site.install("keras", "3.3.0")
    assert chosen() == ("keras",)


# --- the command


def doctor(folder: Path, *words: str, **variables: str) -> Outcome:
    return run(["-m", "autoxla", "doctor", *words], folder, clean_environment(**variables))


def states_of(outcome: Outcome) -> dict[str, str]:
    return {line["code"]: line["state"] for line in json.loads(outcome.out)}


def test_this_environment(tmp_path: Path) -> None:
    outcome = doctor(tmp_path, HOME=str(tmp_path))
    assert (outcome.status, outcome.err) == (0, "")
    assert "--verbose shows what is ok" in outcome.out
    assert " ok " not in outcome.out.splitlines()[0]


def test_json_has_all_lines(tmp_path: Path) -> None:
    lines = json.loads(doctor(tmp_path, "--json").out)
    assert {"AX801", "AX803", "AX820", "AX860", "AX891"} <= {line["code"] for line in lines}
    assert all(list(line) == ["state", "code", "subject", "message", "remedy"] for line in lines)


def test_no_backend_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom autoxla.commands import run\nrun('doctor', ['--json'])\n"
        "print(sorted({'tensorflow', 'keras', 'tf_keras', 'jax', 'torch', 'numpy'} & set(sys.modules)))"
    )
    outcome = run(["-c", code], tmp_path, clean_environment(TF_XLA_FLAGS="--tf_xla_auto_jit=1"))
    assert outcome.out.splitlines()[-1] == "[]"


def test_a_program_that_would_not_start(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import keras\n")
    (tmp_path / "keras.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "json.py").write_text("raise SystemExit('imported')\n")
    outcome = doctor(tmp_path, "--json", "train.py")
    assert (outcome.status, outcome.err) == (1, "")
    assert {"AX821": "error", "AX823": "warning"}.items() <= states_of(outcome).items()
    assert "rename" in doctor(tmp_path, "train.py").out


def test_the_findings_for_a_script(tmp_path: Path) -> None:
    program = "import tensorflow as tf\noptimizer = tf.keras.optimizers.legacy.Adam()\n"
    (tmp_path / "train.py").write_text(program)
    assert "AX112" in states_of(doctor(tmp_path, "--json", "train.py"))
    assert "AX112" not in states_of(doctor(tmp_path, "--json"))


def test_a_setting_that_cannot_be(tmp_path: Path) -> None:
    assert states_of(doctor(tmp_path, "--json", AUTOXLA="fast"))["AX897"] == "warning"
    assert "AX897" not in states_of(doctor(tmp_path, "--json", AUTOXLA="fix"))


@pytest.mark.parametrize(
    "words",
    [["--nonsense"], ["missing.py"], ["--timeout", "soon"], ["--timeout", "-1"], ["a", "b"], ["--js"]],
)
def test_bad_arguments(tmp_path: Path, words: list[str]) -> None:
    outcome = doctor(tmp_path, *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("autoxla: AX902 error arguments: ")


def test_help(tmp_path: Path) -> None:
    outcome = doctor(tmp_path, "--help")
    assert (outcome.status, outcome.err) == (0, "")
    assert "--import-check" in outcome.out


def test_a_check_that_fails_hides_no_other(site: Site) -> None:
    def fail(scene: Scene) -> Iterable[Line]:
        raise OSError("gone")

    lines = list(command.examine(site.scene(), {"first": fail, "last": environment.check_devices}))
    assert [(line.code, line.subject) for line in lines] == [("AX898", "first"), ("AX860", "last")]


@pytest.mark.tensorflow
def test_flags_against_the_real_one(tmp_path: Path) -> None:
    flags = {"XLA_FLAGS": "--xla_dump_to=x", "TF_XLA_FLAGS": "--tf_xla_autojit=1"}
    told = states_of(doctor(tmp_path, "--json", HOME=str(tmp_path), **flags))
    assert {code: state for code, state in told.items() if code.startswith("AX85")} == {
        "AX850": "ok",
        "AX851": "error",
    }


@pytest.mark.tensorflow
def test_a_plugin_that_misses_a_library_before_the_real_one(site: Site, tmp_path: Path) -> None:
    add_plugin(site, *build_needed(site.root / "libs", "libimf.so"))
    paths = f"{site.folder}{os.pathsep}{HOME}"
    outcome = doctor(site.program, "--json", "--import-check", PYTHONPATH=paths)
    lines = {line["code"]: line for line in json.loads(outcome.out)}
    assert outcome.status == 1
    assert lines["AX871"]["state"] == lines["AX894"]["state"] == "error"
    assert "NotFoundError: libimf.so" in lines["AX894"]["message"]
    assert lines["AX871"]["remedy"] == lines["AX894"]["remedy"]


@pytest.mark.tensorflow
def test_the_import_of_the_real_one(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("from tensorflow import keras\n")
    outcome = doctor(tmp_path, "--json", "--import-check", "train.py", HOME=str(tmp_path))
    assert states_of(outcome)["AX893"] == "ok"


def on_terminal(folder: Path, **variables: str) -> str:
    """Return what the command writes on a terminal of 80 columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environ = {**clean_environment(**variables), "TERM": "xterm-256color"}
    words = [sys.executable, "-m", "autoxla", "doctor", "--verbose"]
    with subprocess.Popen(words, cwd=folder, env=environ, stdin=slave, stdout=slave) as process:
        os.close(slave)
        written = b"".join(iter(lambda: read_some(master), b""))
        assert process.wait() == 0
    os.close(master)
    return written.decode()


def read_some(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""  # on Linux the end is an error


def test_a_terminal_has_colour_and_folded_lines(tmp_path: Path) -> None:
    written = on_terminal(tmp_path)
    assert "\x1b[" in written
    plain = on_terminal(tmp_path, NO_COLOR="1")
    assert "\x1b[" not in plain
    # What cannot be folded is a path.
    assert all(len(line) <= 80 or "/" in line for line in plain.splitlines())


def test_names_of_files_do_not_reach_the_terminal_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    command.render([Line("error", "AX821", "a\x1b[2Jb\udcffc\nd", "e\rf", "shadowing")], "ok")
    assert capsys.readouterr().out.splitlines()[0].endswith("a?[2Jb?c?d")


def test_what_is_ok_is_only_counted(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        Line("ok", "AX801", "python 3"),
        Line("error", "AX821", "bad", "rename", "shadowing"),
    ]
    command.render(lines, "note")
    brief = capsys.readouterr().out
    assert brief.splitlines()[0] == "python 3"
    assert brief.splitlines()[-1] == "1 error, 1 ok; --verbose shows what is ok"
    command.render(lines, "ok")
    assert "ok       AX801" in capsys.readouterr().out

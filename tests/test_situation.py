"""Gathering, on folders built for the test, and on the real TensorFlow where it is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoxla.model import Hardware, KerasConfig, Plugin, Settings, Situation, Usage
from autoxla.situation.environment import APPLIED, is_watched, remembered, restore, select_watched
from autoxla.situation.gathering import gather, read_keras_config
from autoxla.situation.hardware import find_hardware

LIBDEVICE = "nvvm/libdevice/libdevice.10.bc"
ITEX = "tensorflow-plugins/libitex_gpu.so"


class Machine:
    """A root folder with devices, and a site-packages folder with distributions."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.site = folder / "env/lib/python3/site-packages"
        self.home = folder / "home"
        for made in (self.site, self.home / ".keras", folder / "dev/dri", folder / "sys/class/drm"):
            made.mkdir(parents=True)

    def install(self, name: str, version: str) -> None:
        """Add a distribution without any file of its own."""
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nVersion: 99\n"
        self.write(f"{name.replace('-', '_')}-{version}.dist-info/METADATA", text)

    def write(self, name: str, text: str = "") -> Path:
        """Add a file to site-packages, or anywhere by an absolute name."""
        file = self.site / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def add_gpu(self, node: str) -> None:
        """Add a device node."""
        (self.root / "dev" / node).touch()

    def add_drm(self, slot: str, vendor: str) -> None:
        """Add a render node whose device sits at a bus address."""
        number = 128 + len(list((self.root / "dev/dri").iterdir()))
        device = self.root / "sys/devices" / slot
        device.mkdir(parents=True)
        (device / "vendor").write_text(vendor + "\n")
        (self.root / f"sys/class/drm/renderD{number}").mkdir()
        (self.root / f"sys/class/drm/renderD{number}/device").symlink_to(device)
        (self.root / f"dev/dri/renderD{number}").touch()

    def gather(
        self,
        environ: Mapping[str, str] | None = None,
        modules: Mapping[str, object] | None = None,
    ) -> Situation:
        """Gather on this machine alone."""
        return gather(
            Settings(),
            Usage(),
            environ={"HOME": str(self.home), **(environ or {})},
            modules=modules or {},
            path=[str(self.site)],
            sites=[],
            root=self.root,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine with nothing installed and no device."""
    return Machine(tmp_path)


def test_an_empty_machine_has_nothing(machine: Machine) -> None:
    empty = Situation(hardware=Hardware("none"), backends=frozenset())
    assert machine.gather() == empty


# Environment.


def test_only_watched_variables_belong_to_the_situation(machine: Machine) -> None:
    environment = machine.gather({"ITEX_REMAPPER": "0", "XLA_FLAGS": "", "PATH": "/bin"}).environment
    assert environment == {"ITEX_REMAPPER": "0", "XLA_FLAGS": ""}


def test_what_a_parent_set_is_taken_back(machine: Machine) -> None:
    memory = {"XLA_FLAGS": [None, "--a"], "ITEX_DISABLE_XLA": ["0", "1"], "KERAS_BACKEND": [None, "jax"]}
    values = {"XLA_FLAGS": "--a", "ITEX_DISABLE_XLA": "1", "KERAS_BACKEND": "torch"}
    environment = machine.gather({**values, APPLIED: json.dumps(memory)}).environment
    assert environment == {"ITEX_DISABLE_XLA": "0", "KERAS_BACKEND": "torch"}


def test_a_value_that_is_its_users_again_is_not_ours(machine: Machine) -> None:
    memory = json.dumps({"XLA_FLAGS": [None, "--a"], "ITEX_DISABLE_XLA": ["0", "1"]})
    own = machine.gather({"XLA_FLAGS": "--a", "ITEX_DISABLE_XLA": "1", APPLIED: memory}).own
    assert own == {"XLA_FLAGS"}


@pytest.mark.parametrize(
    "memory",
    [
        "",
        "{",
        "[]",
        "3",
        '{"XLA_FLAGS": 1}',
        '{"XLA_FLAGS": ["a"]}',
        '{"XLA_FLAGS": [null, 1]}',
        "[" * 90000,
        '{"PATH": ["/evil", "/bin"]}',
        '{"XLA_FLAGS": {"0": "a", "1": "b"}}',
    ],
)
def test_a_malformed_memory_is_none(memory: str) -> None:
    assert remembered({APPLIED: memory}) == {}


@given(st.text(max_size=60) | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_no_memory_breaks_restoring(memory: str) -> None:
    assert restore({"XLA_FLAGS": "1", APPLIED: memory})[0]["XLA_FLAGS"] == "1"


VALUES = st.none() | st.text(max_size=5)
WATCHED = st.sampled_from(["XLA_FLAGS", "TF_XLA_FLAGS", "ITEX_ANY", "KERAS_BACKEND"])


@given(st.dictionaries(WATCHED, st.text(max_size=5)), st.dictionaries(WATCHED, VALUES))
def test_restoring_undoes_what_was_applied(before: dict[str, str], applied: dict[str, str | None]) -> None:
    memory = {name: [before.get(name), value] for name, value in applied.items()}
    both = {**before, **applied, APPLIED: json.dumps(memory)}
    after = {name: value for name, value in both.items() if value is not None}
    assert select_watched(restore(after)[0]) == before


@given(st.dictionaries(WATCHED, st.tuples(VALUES, st.text(max_size=5))))
def test_a_value_that_was_changed_since_stays(memory: dict[str, tuple[str | None, str]]) -> None:
    changed = {name: value + "changed" for name, (_, value) in memory.items()}
    view, own = restore({**changed, APPLIED: json.dumps(memory)})
    assert (select_watched(view), own) == (changed, frozenset())


@pytest.mark.parametrize(("name", "watched"), [("ITEX_X", True), ("TF_XLA_FLAGS", True), (APPLIED, False)])
def test_which_names_are_watched(name: str, watched: bool) -> None:
    assert is_watched(name) is watched


# Distributions and backends.


def test_releases_of_watched_distributions(machine: Machine) -> None:
    machine.install("wrapt", "1.17.3")
    machine.install("jax", "0.10.2rc1")
    machine.install("unwatched", "1.0")
    assert machine.gather().versions == {"wrapt": (1, 17, 3), "jax": (0, 10, 2)}


@pytest.mark.parametrize(
    ("variant", "main"),
    [
        ("tensorflow-cpu", "tensorflow"),
        ("tf-nightly", "tensorflow"),
        ("keras-nightly", "keras"),
        ("tf-keras-nightly", "tf-keras"),
        ("intel-extension-for-tensorflow-lib", "intel-extension-for-tensorflow"),
    ],
)
def test_a_variant_answers_for_the_main_name(machine: Machine, variant: str, main: str) -> None:
    machine.install(variant, "2.21.0")
    assert machine.gather().versions == {variant: (2, 21, 0), main: (2, 21, 0)}


def test_the_main_distribution_comes_before_its_variants(machine: Machine) -> None:
    machine.install("tensorflow-cpu", "2.20.0")
    machine.install("tensorflow", "2.21.0")
    assert machine.gather().versions["tensorflow"] == (2, 21, 0)


@pytest.mark.parametrize("metadata", ["", "Name: keras\n", "Version: unknown\n", "\n\nVersion: 3.0\n"])
def test_broken_metadata_are_skipped(machine: Machine, metadata: str) -> None:
    machine.write("keras-3.0.dist-info/METADATA", metadata)
    assert machine.gather().versions == {}


@pytest.mark.parametrize(
    "name",
    [
        *("keras-3.1.0.dist-info/METADATA", "Keras-3.1.0-py3.12.egg-info/PKG-INFO"),
        *("keras.egg-info/PKG-INFO", "keras-3.1.0.egg-info"),
    ],
)
def test_metadata_in_each_form(machine: Machine, name: str) -> None:
    machine.write(name, "Name: keras\nVersion: 3.1.0\n")
    assert machine.gather().versions == {"keras": (3, 1, 0)}


def test_a_loaded_importlib_metadata_is_the_reader(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    class Distribution:
        @staticmethod
        def discover(**_: object) -> list[object]:
            return [SimpleNamespace(read_text={"METADATA": "Version: 3.2.1\n"}.get)]

    monkeypatch.setitem(sys.modules, "importlib_metadata", SimpleNamespace(Distribution=Distribution))
    assert machine.gather().versions["keras"] == (3, 2, 1)


def test_the_first_distribution_that_can_be_read_counts(machine: Machine) -> None:
    machine.write("keras-3.0.0.dist-info/RECORD")
    machine.install("keras", "3.1.0")
    machine.install("keras", "3.2.0")
    assert machine.gather().versions == {"keras": (3, 1, 0)}


def test_metadata_that_are_no_text_are_skipped(machine: Machine) -> None:
    machine.write("keras-3.0.dist-info/METADATA").write_bytes(b"Version: \xff\xfe3")
    assert machine.gather().versions == {}


def test_backends_are_the_packages_that_are_there(machine: Machine) -> None:
    machine.write("tensorflow/__init__.py", "raise AssertionError('it was imported')")
    machine.write("jax.py")
    machine.write("torch/not_a_package.txt")
    machine.install("openvino", "2026.1")
    assert machine.gather().backends == {"tensorflow", "jax", "openvino"}


def test_numpy_comes_with_keras(machine: Machine) -> None:
    machine.install("keras", "3.15.1")
    assert machine.gather().backends == {"numpy"}


# Plug-ins.


@pytest.mark.parametrize(
    ("file", "distribution", "plugin"),
    [
        ("libitex_gpu.so", "intel-extension-for-tensorflow", ("itex", (2, 15, 0, 3))),
        ("libitex_cpu.so.2", None, ("itex", None)),
        ("libmetal_plugin.so", "tensorflow-metal", ("metal", (2, 15, 0, 3))),
        ("other.so", "tensorflow-metal", ("other", None)),
    ],
)
def test_a_plugin_is_told_by_its_file(
    machine: Machine, file: str, distribution: str | None, plugin: tuple[str, tuple[int, ...] | None]
) -> None:
    machine.write(f"tensorflow-plugins/{file}")
    if distribution:
        machine.install(distribution, "2.15.0.3")
    assert [(found.kind, found.version) for found in machine.gather().plugins] == [plugin]


def test_a_distribution_without_a_library_is_no_plugin(machine: Machine) -> None:
    machine.install("intel-extension-for-tensorflow", "2.15.0.3")
    machine.write("tensorflow-plugins/README.txt")
    machine.write("tensorflow-plugins/libitex.so.old")
    assert machine.gather().plugins == ()


def test_a_plugin_that_a_variable_names(machine: Machine) -> None:
    file = machine.write(str(machine.root / "elsewhere/libitex_main.so"))
    by_file = machine.gather({"TF_PLUGGABLE_DEVICE_LIBRARY_PATH": str(file)}).plugins
    by_folder = machine.gather({"TF_PLUGGABLE_DEVICE_LIBRARY_PATH": str(file.parent)}).plugins
    assert by_file == by_folder == (Plugin("itex", str(file)),)


def test_a_plugin_folder_outside_of_site_packages_is_not_looked_into(machine: Machine) -> None:
    machine.site = machine.root / "checkout"
    machine.write(ITEX)
    assert machine.gather().plugins == ()


# Hardware.


@pytest.mark.parametrize(
    ("node", "environ", "expected"),
    [
        ("nvidia0", {}, Hardware("present", frozenset({"cuda"}))),
        ("nvidia0", {"CUDA_VISIBLE_DEVICES": "0"}, Hardware("present", frozenset({"cuda"}))),
        ("nvidia0", {"CUDA_VISIBLE_DEVICES": ""}, Hardware("none")),
        ("nvidia0", {"CUDA_VISIBLE_DEVICES": "-1,0"}, Hardware("none")),
        ("nvidiactl", {}, Hardware("none")),
        ("kfd", {}, Hardware("present", frozenset({"rocm"}))),
        ("kfd", {"HIP_VISIBLE_DEVICES": "-1"}, Hardware("none")),
        ("kfd", {"ROCR_VISIBLE_DEVICES": ""}, Hardware("unknown", frozenset({"rocm"}))),
        ("dxg", {}, Hardware("unknown")),
        ("null", {}, Hardware("none")),
    ],
)
def test_device_nodes(machine: Machine, node: str, environ: dict[str, str], expected: Hardware) -> None:
    machine.add_gpu(node)
    assert machine.gather(environ).hardware == expected


@pytest.mark.parametrize(
    ("slot", "vendor", "plugin", "environ", "expected"),
    [
        ("0000:03:00.0", "0x8086", True, {}, Hardware("present", frozenset({"xpu"}))),
        ("0000:00:02.0", "0x8086", True, {}, Hardware("unknown", frozenset({"xpu"}))),
        ("0000:03:00.0", "0x8086", True, {"ZE_AFFINITY_MASK": "9"}, Hardware("unknown", frozenset({"xpu"}))),
        ("0000:03:00.0", "0x8086", False, {}, Hardware("none")),
        ("0000:03:00.0", "0x1002", True, {}, Hardware("none")),
    ],
)
def test_intel_devices_count_with_a_plugin(
    machine: Machine, slot: str, vendor: str, plugin: bool, environ: dict[str, str], expected: Hardware
) -> None:
    machine.add_drm(slot, vendor)
    if plugin:
        machine.write(ITEX)
    assert machine.gather(environ).hardware == expected


@pytest.mark.parametrize(
    ("platform", "machine_type", "kind", "accelerator"),
    [
        ("darwin", "arm64", "metal", "present"),
        ("darwin", "x86_64", "metal", "unknown"),
        ("darwin", "arm64", "other", "unknown"),
        ("win32", "AMD64", "other", "unknown"),
    ],
)
def test_other_systems_are_never_sure_to_have_none(
    platform: str, machine_type: str, kind: str, accelerator: str
) -> None:
    plugin = Plugin("metal") if kind == "metal" else Plugin("other")
    found = find_hardware({}, [plugin], platform=platform, machine=machine_type)
    assert found.accelerator == accelerator


# XLA's helper files.


@pytest.mark.parametrize(
    ("folder", "release", "seen"),
    [
        ("usr/local/cuda", "2.16.1", True),
        ("opt/cuda", "2.21.0", True),
        ("opt/cuda", "2.16.1", False),
        ("env/lib/python3/site-packages/nvidia/cuda_nvcc", "2.16.1", True),
        ("env/lib/python3/site-packages/tensorflow/cuda", "2.16.1", True),
        ("env", "2.21.0", True),
        ("env", "2.16.1", False),
        ("usr/local/cuda-12.4", "2.21.0", False),
    ],
)
def test_where_xla_finds_libdevice_itself(machine: Machine, folder: str, release: str, seen: bool) -> None:
    machine.add_gpu("nvidia0")
    machine.install("tensorflow", release)
    machine.write("tensorflow/__init__.py")
    machine.write(str(machine.root / folder / LIBDEVICE))
    assert (machine.gather().libdevice == "") is seen


@pytest.mark.parametrize(
    ("folders", "found"),
    [
        (("usr/local/cuda-9.0", "usr/local/cuda-12.4"), "usr/local/cuda-12.4"),
        (("home/toolkit", "usr/local/cuda-12.4"), "home/toolkit"),
        (("env/lib/python3/site-packages/nvidia/cu13",), "env/lib/python3/site-packages/nvidia/cu13"),
        (("usr/lib/cuda",), "usr/lib/cuda"),
        ((), None),
    ],
)
def test_libdevice_elsewhere(machine: Machine, folders: tuple[str, ...], found: str | None) -> None:
    machine.add_gpu("nvidia0")
    for folder in folders:
        machine.write(str(machine.root / folder / LIBDEVICE))
    libdevice = machine.gather({"CUDA_HOME": str(machine.root / "home/toolkit")}).libdevice
    assert libdevice == (str(machine.root / found) if found else None)


def test_the_directory_that_the_flags_name_counts(machine: Machine) -> None:
    machine.add_gpu("nvidia0")
    folder = machine.write(str(machine.root / "a b" / LIBDEVICE)).parents[2]
    assert machine.gather({"XLA_FLAGS": f"--xla_gpu_cuda_data_dir='{folder}'"}).libdevice == ""


BUILD = "build_info = dict([('cudnn_version', '9'), ('is_cuda_build', {}), ('is_rocm_build', {})])"
ENTRY = "2.5\0libcudnn.so.9{}\0/usr/lib/libcudnn.so.9\0"


def install_tensorflow(machine: Machine, *, cuda: bool = True, rocm: bool = False) -> None:
    """Install a build of TensorFlow, and a GPU."""
    machine.add_gpu("nvidia0")
    machine.write("tensorflow/__init__.py")
    machine.write("tensorflow/python/platform/build_info.py", BUILD.format(cuda, rocm))


@pytest.mark.parametrize(
    ("file", "text", "lacking"),
    [
        ("unrelated", "", "libcudnn.so.9"),
        ("env/lib/python3/site-packages/nvidia/cudnn/lib/libcudnn.so.8", "", "libcudnn.so.9"),
        ("env/lib/python3/site-packages/nvidia/cudnn/lib/libcudnn.so.9", "", ""),
        ("env/lib/libcudnn.so.9", "", ""),
        ("named/libcudnn.so.9", "", ""),
        ("usr/lib/x86_64-linux-gnu/libcudnn.so.9", "", ""),
        ("etc/ld.so.cache", ENTRY.format(""), ""),
        ("etc/ld.so.cache", "libcudnn.so.9.1.0\0", "libcudnn.so.9"),
    ],
)
def test_where_tensorflow_finds_cudnn(machine: Machine, file: str, text: str, lacking: str) -> None:
    install_tensorflow(machine)
    machine.write(str(machine.root / file), text)
    found = machine.gather({"LD_LIBRARY_PATH": f":{machine.root / 'named'}"})
    assert found.gpu_lacks == lacking


def test_a_build_without_cuda_lacks_it(machine: Machine) -> None:
    install_tensorflow(machine, cuda=False)
    assert machine.gather().gpu_lacks == "CUDA"


def test_of_an_unknown_build_and_of_rocm_nothing_is_said(machine: Machine) -> None:
    install_tensorflow(machine, cuda=False, rocm=True)
    assert machine.gather().gpu_lacks == ""
    machine.write("tensorflow/python/platform/build_info.py", "build_info = {}")
    assert machine.gather().gpu_lacks == ""


def test_a_gpu_that_the_user_hides_is_none_that_is_unused(machine: Machine) -> None:
    install_tensorflow(machine)
    for hidden in ("-1", ""):
        assert machine.gather({"CUDA_VISIBLE_DEVICES": hidden}).gpu_lacks == ""


def test_without_a_gpu_nothing_is_looked_for(machine: Machine) -> None:
    machine.write(str(machine.root / "usr/local/cuda" / LIBDEVICE))
    assert machine.gather().libdevice == ""


# Keras' configuration.


@pytest.mark.parametrize(
    ("text", "backend", "error"),
    [
        ('{"backend": "theano"}', "theano", None),
        ("{}", None, None),
        ("{", None, "it is not JSON"),
        ("[]", None, "it holds no JSON object"),
        ('{"backend": null}', None, "its backend is not a string"),
        ("[" * 90000, None, "it is not JSON"),
        (" " * (1 << 20) + "{}", None, "it has more than 1048576 bytes"),
    ],
)
def test_keras_json(machine: Machine, text: str, backend: str | None, error: str | None) -> None:
    machine.write(str(machine.home / ".keras/keras.json"), text)
    config = machine.gather().keras_config
    assert config is not None
    assert (config.backend, config.error and config.error[: len(error or "")]) == (backend, error)


def test_keras_home_comes_before_the_home_folder(machine: Machine) -> None:
    machine.write(str(machine.home / ".keras/keras.json"), '{"backend": "jax"}')
    file = machine.write("keras.json", '{"backend": "torch"}')
    assert machine.gather({"KERAS_HOME": str(machine.site)}).keras_config == KerasConfig(str(file), "torch")


def test_a_pipe_in_the_place_of_keras_json_does_not_block(machine: Machine) -> None:
    os.mkfifo(machine.home / ".keras/keras.json")
    config = machine.gather().keras_config
    assert config is not None
    assert config.error == "it is not a regular file"


@given(content=st.binary(max_size=60) | st.text(alphabet='{}[]":,backend1 ', max_size=60).map(str.encode))
def test_no_content_of_keras_json_breaks_it(content: bytes, new_folder: Callable[[], Path]) -> None:
    folder = new_folder()
    (folder / "keras.json").write_bytes(content)
    config = read_keras_config({"KERAS_HOME": str(folder)})
    assert config is not None
    assert config.error is None or config.backend is None


# What is loaded already.


def test_loaded_modules_are_noted(machine: Machine) -> None:
    spec = importlib.util.spec_from_loader("keras", None)
    modules = {name: ModuleType(name) for name in ("tensorflow", "keras", "tf_keras")}
    modules["tensorflow"].__spec__ = modules["keras"].__spec__ = spec
    assert machine.gather(modules=modules).imported == {"tensorflow", "keras"}


def test_looking_does_not_load_a_lazy_module(machine: Machine) -> None:
    source = machine.write("keras/__init__.py", "raise AssertionError('it was loaded')")
    spec = importlib.util.spec_from_file_location("keras", source)
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert machine.gather(modules={"keras": module}).keras_backend is None


@pytest.mark.parametrize(
    ("context", "ready"),
    [
        (None, False),
        ({"_initialized": False, "_context_handle": None, "_physical_devices": None}, False),
        ({"_initialized": False, "_context_handle": None, "_physical_devices": []}, True),
        ({"_initialized": True, "_context_handle": object(), "_physical_devices": None}, True),
    ],
)
def test_devices_are_ready_once_they_were_listed(
    machine: Machine, context: dict[str, object] | None, ready: bool
) -> None:
    module = SimpleNamespace(_context=context and SimpleNamespace(**context))
    assert machine.gather(modules={"tensorflow.python.eager.context": module}).devices_ready is ready


def test_the_backend_of_a_loaded_keras(machine: Machine) -> None:
    module = SimpleNamespace(_BACKEND="jax")
    assert machine.gather(modules={"keras.src.backend.config": module}).keras_backend == "jax"


# In a process of its own, with what is really installed.

CHILD = """
import os, sys
from autoxla.model import Settings, Usage
from autoxla.situation.gathering import gather
finders = list(sys.meta_path)
found = gather(Settings(), Usage(), environ=os.environ, path=sys.path)
heavy = {"tensorflow", "keras", "tf_keras", "jax", "torch", "numpy"} & set(sys.modules)
print(sorted(heavy), sys.meta_path == finders)
"""

READY = """
import os
import tensorflow as tf
from autoxla.model import Settings, Usage
from autoxla.situation.gathering import gather
def look():
    found = gather(Settings(), Usage(), environ=os.environ)
    print(sorted(found.imported), found.devices_ready, found.keras_backend)
look()
tf.config.list_physical_devices()
look()
"""


def _run(code: str, **environ: str) -> list[str]:
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "AUTOXLA": "off", "PYTHONPATH": root, "KERAS_BACKEND": "tensorflow", **environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.splitlines()


def test_gathering_imports_no_backend_and_leaves_the_finders_alone() -> None:
    assert _run(CHILD) == ["[] True"]


@pytest.mark.tensorflow
def test_the_state_of_a_loaded_tensorflow() -> None:
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("tensorflow is not installed")
    lines = ["['keras', 'tensorflow'] False tensorflow", "['keras', 'tensorflow'] True tensorflow"]
    assert _run(READY, TF_CPP_MIN_LOG_LEVEL="3", TF_USE_LEGACY_KERAS="0") == lines

"""What surrounds a program: files beside it, the backend, variables, devices, the rules, and autoxla."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from autoxla.cache import cache_dir
from autoxla.commands.diagnosis.packages import Line, Scene, State
from autoxla.commands.records import KINDS, list_kept
from autoxla.commands.site import describe, look
from autoxla.model import ENVIRONMENT
from autoxla.policies import decide
from autoxla.policies.rule import KERAS_3
from autoxla.situation.distributions import locate
from autoxla.situation.files import is_file, is_folder, list_names
from autoxla.store import Store

# --- Files beside the program

#: What TensorFlow and Keras import of other distributions, and they themselves.
_SHADOWED = ("tensorflow", "keras", "tf_keras", "numpy", "wrapt", "h5py", "absl", "google")
_INSTALLED = frozenset({"site-packages", "dist-packages"})
#: What Python loads before it looks into the program's folder, and what no program imports.
_UNSHADOWED = frozenset(
    {"__future__", "__main__", "abc", "antigravity", "codecs", "io", "os", "site", "stat", "sys", "this"}
)


def check_shadowing(scene: Scene) -> Iterator[Line]:
    """Say what in the program's folder, the current one and PYTHONPATH shadows a package or a module."""
    named = [Path(name) for name in scene.environ.get("PYTHONPATH", "").split(os.pathsep) if name]
    # In a folder that an installer fills lies the package itself. An .egg-info is such a sign on PYTHONPATH
    # only: a project that is being developed has one beside its programs.
    named = [folder for folder in named if not list_names(folder, "*.egg-info")]
    lines = []
    for folder in dict.fromkeys([scene.folder, scene.current, *named]):
        if _INSTALLED.intersection(folder.parts) or list_names(folder, "*.dist-info"):
            continue
        for name in _SHADOWED:
            if (found := locate(name, [str(folder)])) is None:
                continue
            remedy = f"rename {found.parent if found.name == '__init__.py' else found}"
            if folder == scene.current != scene.folder:
                where = "in programs that start here with -m or -c, or in notebooks"
                lines.append(Line("warning", "AX822", f"{found} takes the place of {name} {where}", remedy))
            else:
                lines.append(Line("error", "AX821", f"import {name} gives {found}, not the package", remedy))
        for file in list_names(folder, "*.py"):
            module = file.removesuffix(".py")
            if module in sys.stdlib_module_names - _UNSHADOWED:
                text = f"{folder / file} takes the place of Python's own module {module}"
                lines.append(Line("warning", "AX823", text, f"rename {folder / file}"))
    yield from lines or [Line("ok", "AX820", f"nothing in {scene.folder} takes the place of a package")]


# --- The Keras backend

_ALLOWED = {
    "floatx": ("float16", "float32", "float64"),
    "image_data_format": ("channels_last", "channels_first"),
}
_LARGEST_EPSILON = 1e-3
#: By value: how grave it is, what it does to every program, and the usual value.
_EFFECTS: Mapping[str, tuple[State, str, str]] = {
    "channels_first": (
        "warning",
        "layers for images expect channels before height and width; other input gives wrong results",
        "channels_last",
    ),
    "float16": (
        "warning",
        "all weights and computations of layers are float16: small gradients become 0, large values infinite",
        "float32, with keras.config.set_dtype_policy('mixed_float16') where speed is wanted",
    ),
    "float64": ("note", "all layers compute in float64, slower and with twice the memory", "float32"),
}


def check_backend(scene: Scene) -> Iterator[Line]:
    """Say which backend Keras runs on and what chose it, and what is wrong with ``keras.json``."""
    config = scene.situation.keras_config
    file = "" if config is None else config.file
    if config is not None and config.error == "it holds no JSON object":
        text = f"{file} holds no JSON object: import keras raises AttributeError"
        yield Line("error", "AX832", text, f"correct or remove {file}")
    elif config is not None and config.error:
        text = f"{file}: {config.error}; Keras takes its defaults instead, or fails"
        yield Line("warning", "AX831", text, f"correct or remove {file}")
    # The other fields of keras.json hold for all programs; some values Keras refuses.
    for name, value in config.others.items() if config else ():
        told, allowed = f"{file}: {name} is {value!r}", _ALLOWED.get(name)
        remedy = f"correct or remove {name} in {file}"
        if name == "epsilon" and not isinstance(value, float):
            wanted = "a number with a decimal point or an exponent"
            yield Line("error", "AX835", f"{told}, and Keras takes only {wanted}: import keras fails", remedy)
        elif allowed is not None and value not in allowed:
            text = f"{told}, and Keras takes only {' or '.join(allowed)}: import keras fails"
            yield Line("error", "AX835", text, remedy)
        elif name == "epsilon" and isinstance(value, float) and not 0 < value <= _LARGEST_EPSILON:
            text = f"{told}: Keras adds it where it divides, so that results are wrong or not a number"
            yield Line("warning", "AX834", text, f"set epsilon to 1e-7 in {file}")
        elif isinstance(value, str) and value in _EFFECTS:
            state, effect, usual = _EFFECTS[value]
            yield Line(state, "AX834", f"{told}: {effect}", f"set {name} to {usual} in {file}")
    keras = scene.inventory.provider("keras")
    if keras is None or keras.version < KERAS_3:
        return
    backend, chosen = scene.environ.get("KERAS_BACKEND", ""), "KERAS_BACKEND"
    if not backend and config is not None and config.backend:
        backend, chosen = config.backend, file
    elif not backend:
        backend, chosen = "tensorflow", "default"
    # What is wrong with one that is not installed is a rule's.
    if backend in scene.situation.backends:
        yield Line("ok", "AX830", f"{backend}, installed; chosen by {chosen}")


# --- Variables

_PLUGGABLE = "TF_PLUGGABLE_DEVICE_LIBRARY_PATH"
_DEVICES = "when TensorFlow lists its devices: at the first operation, with a plug-in in import tensorflow"
#: Who reads a variable, and when: until then a program can still set it. The rest is ITEX's.
READERS = {
    "AUTOXLA_IMPORT_FIRST": "autoxla, when the first of tensorflow and keras is imported",
    "AUTOXLA_KERAS": "autoxla, when the first of tensorflow and keras is imported",
    "AUTOXLA_STEP": "autoxla, when the first of tensorflow and keras is imported",
    "CUDA_VISIBLE_DEVICES": f"the CUDA and ROCm runtimes, {_DEVICES}",
    "HIP_VISIBLE_DEVICES": f"the ROCm runtime, {_DEVICES}",
    "ITEX_*": "ITEX, when TensorFlow loads it: set before import tensorflow",
    "ITEX_DISABLE_XLA": "ITEX, by its library at load, by its guard at each compile() and predict()",
    "KERAS_BACKEND": "Keras 3, at import keras, which import tensorflow does, too",
    "KERAS_HOME": "Keras 3 and tf_keras, at their import",
    "OMP_NUM_THREADS": "OpenMP, when the first library with it is loaded",
    "ONEAPI_DEVICE_SELECTOR": f"the SYCL runtime, {_DEVICES}",
    "ROCM_PATH": "XLA, when it first compiles for an AMD GPU",
    "ROCR_VISIBLE_DEVICES": f"the ROCm runtime, {_DEVICES}",
    "SM_FRAMEWORK": "segmentation_models, at its import",
    "TF_CPP_MIN_LOG_LEVEL": "TensorFlow's library, in import tensorflow",
    "TF_DETERMINISTIC_OPS": "TensorFlow's library, at the first operation that asks",
    "TF_ENABLE_ONEDNN_OPTS": "TensorFlow's library, in import tensorflow, once",
    "TF_KERAS": "packages for BERT on Keras, at their import",
    "TF_NUM_INTRAOP_THREADS": f"TensorFlow's library, {_DEVICES}",
    _PLUGGABLE: "TensorFlow, in import tensorflow",
    "TF_USE_LEGACY_KERAS": "TensorFlow, in import tensorflow, and again at the first use of tf.keras, "
    "tf.optimizers …",
    "TF_XLA_FLAGS": f"TensorFlow's library, {_DEVICES}",
    "USE_TF": "transformers, at its import",
    "XLA_FLAGS": "XLA, when it first compiles, once",
    "ZE_AFFINITY_MASK": f"the Level Zero driver, {_DEVICES}",
}


def check_variables(scene: Scene) -> Iterator[Line]:
    """Say of each watched variable that is set who reads it, and what follows from one that leads nowhere."""
    for name, value in scene.situation.environment.items():
        yield Line("ok", "AX840", f"{name}={value!r} is read by {READERS.get(name, READERS['ITEX_*'])}")
    for name, flags in scene.situation.flag_names.items():
        if flags.known:
            yield Line("ok", "AX850", f"this build knows {', '.join(flags.known)} of {name}")
    library = scene.environ.get(_PLUGGABLE)
    if library and not Path(library).exists():
        text = f"{_PLUGGABLE}={library!r} names neither a file nor a folder: import tensorflow fails"
        yield Line("error", "AX841", text, f"unset {_PLUGGABLE}, or correct it")


# --- Devices


def check_devices(scene: Scene) -> Iterator[Line]:
    """Say which accelerators there are; what is wrong with libdevice or bitcode is a rule's."""
    hardware, toolchain = scene.situation.hardware, scene.situation.toolchain
    seen = ", ".join(sorted(hardware.kinds)) or hardware.accelerator
    yield Line("ok", "AX860", f"accelerators: {'not known' if seen == 'unknown' else seen}")
    if "rocm" in hardware.kinds and toolchain.rocm_seen:
        yield Line("ok", "AX861", "XLA finds ROCm's bitcode in ROCM_PATH")
    if "cuda" not in hardware.kinds:
        return
    if toolchain.cuda_seen:
        yield Line("ok", "AX861", "XLA finds libdevice")
    # The ptxas that XLA can call: on PATH, of the CUDA wheels, or of the toolkit.
    wheels = [Path(entry, "nvidia") for entry in scene.path]
    folders = [wheel / name for wheel in wheels for name in list_names(wheel)]
    files = [folder / "bin/ptxas" for folder in (*folders, scene.root / "usr/local/cuda")]
    ptxas = shutil.which("ptxas", path=scene.environ.get("PATH")) or next(filter(is_file, files), None)
    if ptxas is not None:
        yield Line("ok", "AX861", f"ptxas is {ptxas}")
    else:
        text = "ptxas is on no path: XLA leaves the last step to the driver, which takes longer or fails"
        yield Line("note", "AX862", text, "pip install nvidia-cuda-nvcc-cu12, or put CUDA's bin on PATH")


# --- The rules

_STATES: Mapping[str, State] = {"info": "note", "warning": "warning", "error": "error"}


def check_rules(scene: Scene) -> Iterator[Line]:
    """Say each finding of the plan, also where autoxla is switched off; then it cures nothing.

    One that autoxla cures is still there for programs that run without it.
    """
    situation, settings = scene.situation, scene.situation.settings
    if settings.mode == "off":
        situation = replace(situation, settings=replace(settings, mode="observe"))
    findings = decide(situation).findings
    for finding in findings:
        place = "" if finding.place == ENVIRONMENT else f"{finding.place}: "
        state, remedy = _STATES[finding.level], finding.remedy
        if finding.applied:
            # Where autoxla is active the program starts, so that it is no error.
            state = "warning" if state == "error" else state
            remedy = f"autoxla does it where it is active: {remedy}"
        yield Line(state, finding.code, f"{place}{finding.message}", remedy)
    if not findings:
        yield Line("ok", "AX899", "no rule found anything")


# --- autoxla itself


def check_autoxla(scene: Scene) -> Iterator[Line]:
    """Say how many records there are, which are left out, and whether new interpreters start with autoxla."""
    folder = cache_dir(scene.environ)
    if scene.situation.cache_refused is None:
        stores = {kind: Store(folder / kind) for kind in KINDS}
        kept = list(list_kept(stores))
        ignored = dict(entry for store in stores.values() for entry in store.ignored)
        heeded = Counter(each.kind for each in kept if each.file not in ignored)
        counts = ", ".join(f"{heeded[kind]} {kind}" for kind in KINDS)
        yield Line("ok", "AX890", f"records in {folder}: {counts if is_folder(folder) else 'none yet'}")
        for file, reason in ignored.items():
            is_store = file in [store.folder for store in stores.values()]
            remedy = "make it a folder that you alone can write" if is_store else "remove the file"
            yield Line("note", "AX907", f"{file} is left out: {reason}", remedy)
    status = look()
    yield Line("ok", "AX891", f"{describe(status)}: {'; '.join(status['because'])}")
    for each in status["folders"]:
        if each["pth"] == "changed":
            remedy = "pip install --force-reinstall --no-deps autoxla-runtime"
            text = f"{each['folder']}/autoxla.pth is not the one of this release"
            yield Line("warning", "AX892", text, remedy)

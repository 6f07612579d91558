"""Accelerators by signs that cost nothing, and the machine as facts that stay.

Accelerators show by device nodes, plug-ins and variables that hide devices. A sign is *certain* when a
device that TensorFlow could use must be there, and *doubtful* when it may or may not be usable. ``none`` is
said only on Linux, where each device that is left would show.

The identity of a machine is what a record of one machine is told apart by. All of it is read from files that
cost nothing; what cannot be read is left out or empty.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from fnmatch import filter as select
from pathlib import Path

from autoxla.model import Accelerator, Hardware, Plugin
from autoxla.situation.environment import MASKS, read_environ
from autoxla.situation.files import list_names, read_start

# nvhost-gpu is the node of boards with an integrated GPU; dxg that of the Windows subsystem.
_NODES = (("nvidia[0-9]*", "cuda"), ("nvhost-gpu", "cuda"), ("kfd", "rocm"))
_DOUBTFUL_NODES = ("dxg", "accel", "accel[0-9]*")
_INTEL = "0x8086"
# Where Intel processors have their own graphics, of which most are not usable for TensorFlow.
_INTEGRATED_SLOT = "0000:00:02.0"
_HIDDEN_BY = {
    "cuda": ("CUDA_VISIBLE_DEVICES",),
    "rocm": ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
}
_INTEL_MASKS = ("ZE_AFFINITY_MASK", "ONEAPI_DEVICE_SELECTOR")

Identity = dict[str, str | int | list[str]]

#: Bytes of ``/proc/cpuinfo`` that hold its first processor; all of it costs milliseconds on large machines.
_FIRST_CPU = 16_384
_MODEL_FIELDS = ("model name", "cpu model", "uarch", "cpu", "CPU implementer", "CPU part", "CPU variant")
_FEATURE_FIELDS = ("flags", "Features", "isa")
_GPU_VENDORS = ("0x1002", "0x8086")  # AMD and Intel; NVIDIA has names of its own


def find_hardware(
    environ: Mapping[str, str],
    plugins: Sequence[Plugin],
    *,
    root: Path = Path("/"),
    platform: str = sys.platform,
    machine: str | None = None,
) -> Hardware:
    """Return what can be told of accelerators; `root` is where ``dev`` and ``sys`` are."""
    if platform == "darwin":
        is_arm = (machine or os.uname().machine) == "arm64"
        has_metal = is_arm and any(plugin.kind == "metal" for plugin in plugins)
        return Hardware("present", frozenset({"metal"})) if has_metal else Hardware()
    if platform != "linux":
        return Hardware()
    certain: set[str] = set()
    doubtful: set[str] = set()
    nodes = list_names(root / "dev")
    for pattern, kind in _NODES:
        hiding = [environ.get(name) for name in _HIDDEN_BY[kind]]
        # The first index that is none ends the list; an empty list hides all devices of CUDA.
        is_hidden = any((value or "0").split(",")[0].strip() == "-1" for value in hiding)
        if not select(nodes, pattern) or is_hidden or (kind == "cuda" and "" in hiding):
            continue
        # It depends on ROCm's release what an empty list means.
        (doubtful if "" in hiding else certain).add(kind)
    if any(select(nodes, pattern) for pattern in _DOUBTFUL_NODES):
        doubtful.add("")  # a device of unknown kind
    for node in list_names(root / "dev/dri", "renderD*"):
        device = root / "sys/class/drm" / node / "device"
        is_intel = _read(device / "vendor").strip() == _INTEL
        # Without a plug-in TensorFlow has no use for it: no sign at all.
        if is_intel and any(plugin.kind == "itex" for plugin in plugins):
            is_own = device.resolve().name != _INTEGRATED_SLOT
            is_clear = is_own and not any(mask in environ for mask in _INTEL_MASKS)
            (certain if is_clear else doubtful).add("xpu")
    accelerator: Accelerator = "present" if certain else "unknown" if doubtful else "none"
    return Hardware(accelerator, frozenset(certain | doubtful) - {""})


def identity(environ: Mapping[str, str] | None = None, *, root: Path = Path("/")) -> Identity:
    """Return what tells this machine, as far as this process may use it, from others.

    ``cpu`` the model, ``cpu_features`` a digest of its instruction sets, ``cores`` what this process may use
    by its affinity and its control group, ``accelerators`` the names of the devices, ``masks`` the variables
    that hide some of them. `root` is where ``proc`` and ``sys`` are.
    """
    environ = read_environ() if environ is None else environ
    first = _read(root / "proc/cpuinfo", _FIRST_CPU).split("\n\n")[0]
    pairs = (line.partition(":")[::2] for line in first.splitlines())
    fields = {name.strip(): " ".join(value.split()) for name, value in pairs}
    features = sorted(" ".join(fields.get(name, "") for name in _FEATURE_FIELDS).split())
    slots, cards = root / "proc/driver/nvidia/gpus", root / "sys/class/drm"
    named = [_read(slots / slot / "information").partition("Model:")[2] for slot in list_names(slots)]
    accelerators = [text.partition("\n")[0].strip() or "NVIDIA" for text in named]
    for card in list_names(cards, "card*"):
        vendor, device = (_read(cards / card / "device" / name).strip() for name in ("vendor", "device"))
        if "-" not in card and vendor in _GPU_VENDORS:
            accelerators.append(f"{vendor}:{device}")
    return {
        "system": sys.platform,
        "architecture": os.uname().machine,
        "cpu": " ".join(fields[name] for name in _MODEL_FIELDS if fields.get(name)),
        "cpu_features": hashlib.sha256(" ".join(features).encode()).hexdigest()[:16],
        "cores": count_cores(root),
        "accelerators": sorted(accelerators),
        "masks": [f"{name}={environ[name]}" for name in MASKS if name in environ],
    }


def digest(facts: Identity) -> str:
    """Return 16 hexadecimal digits that stand for ``facts``."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def count_cores(root: Path = Path("/")) -> int:
    """Return how many processors this process may keep busy, by its affinity and its control groups."""
    has_affinity = hasattr(os, "sched_getaffinity")  # macOS has none
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        top, below = root / "sys/fs/cgroup" / ("cpu" if controllers else ""), Path(path.lstrip("/"))
        # In a container the path may be the host's, and the container's own group is at the top.
        for group in (top / each for each in (below, *below.parents)):
            period = _read(group / "cpu.cfs_period_us")
            for words in (_read(group / "cpu.max"), f"{_read(group / 'cpu.cfs_quota_us')} {period}"):
                numbers = [int(word) for word in words.split() if word.isdecimal()]
                if len(numbers) == 2 and all(numbers):
                    cores = min(cores, math.ceil(numbers[0] / numbers[1]))
    return max(1, cores)


def _read(file: Path, most: int = 4096) -> str:
    return (read_start(file, most) or b"").decode(errors="replace")

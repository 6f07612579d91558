"""The machine on which a process runs, as facts that stay: what a record of one machine is told apart by.

All are read from files that cost nothing; what cannot be read is left out or empty.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from autoxla.situation.environment import read_environ
from autoxla.situation.files import list_names

Identity = dict[str, str | int | list[str]]

_GIB = 1 << 30
#: Bytes of ``/proc/cpuinfo`` that hold its first processor; all of it costs milliseconds on large machines.
_FIRST_CPU = 16_384
_MODEL_FIELDS = ("model name", "cpu model", "uarch", "cpu", "CPU implementer", "CPU part", "CPU variant")
_FEATURE_FIELDS = ("flags", "Features", "isa")
_GPU_VENDORS = ("0x1002", "0x8086")  # AMD and Intel; NVIDIA has names of its own
_MASKS = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK")


def identity(
    environ: Mapping[str, str] | None = None, *, root: Path = Path("/"), platform: str = sys.platform
) -> Identity:
    """Return what tells this machine, as far as this process may use it, from others.

    ``cpu`` the model, ``cpu_features`` a digest of its instruction sets, ``cores`` and ``memory``
    (GiB) what this process may use by its affinity and its control group, ``accelerators`` the names
    of the devices, ``masks`` how many of them variables leave visible. `root` is where ``proc`` and
    ``sys`` are.
    """
    environ = read_environ() if environ is None else environ
    cpu, features = _read_darwin_cpu() if platform == "darwin" else _read_cpu(root)
    return {
        "system": platform,
        "architecture": os.uname().machine,
        "cpu": cpu,
        "cpu_features": hashlib.sha256(features.encode()).hexdigest()[:16],
        "cores": count_cores(root),
        "memory": round(_count_memory(root, platform) / _GIB),
        "accelerators": _list_accelerators(root),
        "masks": [f"{name}: {_count_visible(environ[name])}" for name in _MASKS if name in environ],
    }


def digest(facts: Identity) -> str:
    """Return 16 hexadecimal digits that stand for ``facts``."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def count_cores(root: Path = Path("/")) -> int:
    """Return how many processors this process may keep busy."""
    has_affinity = hasattr(os, "sched_getaffinity")  # macOS has none
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, min([cores, *(math.ceil(quota) for quota in _list_quotas(root))]))


def _read_cpu(root: Path) -> tuple[str, str]:
    """Return model and features of the first processor."""
    try:
        with (root / "proc/cpuinfo").open("rb", buffering=0) as stream:
            text = (stream.read(_FIRST_CPU) or b"").decode(errors="replace")
    except OSError:
        return "", ""
    pairs = (line.partition(":")[::2] for line in text.split("\n\n")[0].splitlines())
    fields = {name.strip(): " ".join(value.split()) for name, value in pairs}
    model = " ".join(fields[name] for name in _MODEL_FIELDS if fields.get(name))
    features = " ".join(fields[name] for name in _FEATURE_FIELDS if name in fields)
    return model, " ".join(sorted(features.split()))


def _read_darwin_cpu() -> tuple[str, str]:
    model = _ask_darwin("machdep.cpu.brand_string").rstrip(b"\0").decode(errors="replace")
    features = b" ".join(map(_ask_darwin, ("machdep.cpu.features", "machdep.cpu.leaf7_features")))
    return model, features.replace(b"\0", b"").decode(errors="replace")


def _ask_darwin(name: str) -> bytes:
    """Return the raw value of a name of ``sysctl``, empty where there is none."""
    import ctypes

    size = ctypes.c_size_t(1024)
    value = ctypes.create_string_buffer(size.value)
    try:
        status = ctypes.CDLL(None).sysctlbyname(name.encode(), value, ctypes.byref(size), None, 0)
    except (OSError, AttributeError):
        return b""
    return value.raw[: size.value] if status == 0 else b""


def _count_memory(root: Path, platform: str) -> int:
    if platform == "darwin":
        return int.from_bytes(_ask_darwin("hw.memsize"), "little")
    total = _first_number(_read(root / "proc/meminfo").partition("MemTotal:")[2])
    limits = [_first_number(_read(file)) for file in _list_group_files(root, "memory", _MEMORY)]
    return min((size for size in [total * 1024, *limits] if size > 0), default=0)


_MEMORY = ("memory.max", "memory.limit_in_bytes")


def _list_quotas(root: Path) -> Iterator[float]:
    """Yield the limits on processor time, in processors."""
    for file in _list_group_files(root, "cpu", ("cpu.max", "cpu.cfs_quota_us")):
        words = _read(file).split()
        if file.name == "cpu.cfs_quota_us":
            words += _read(file.with_name("cpu.cfs_period_us")).split()
        if len(words) == 2 and all(word.isdecimal() and int(word) > 0 for word in words):
            yield int(words[0]) / int(words[1])


def _list_group_files(root: Path, controller: str, names: Iterable[str]) -> Iterator[Path]:
    """Yield the files that may limit this process: of its control group and of those above it."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if controllers else "")
        # In a container the path may be the host's, and the container's own group is at the top.
        below = Path(path.lstrip("/"))
        for group in dict.fromkeys((below, *below.parents)):
            yield from (top / group / name for name in names)


def _list_accelerators(root: Path) -> list[str]:
    nvidia = root / "proc/driver/nvidia/gpus"
    found = [_read(nvidia / slot / "information") for slot in list_names(nvidia)]
    names = [text.partition("Model:")[2].partition("\n")[0].strip() or "NVIDIA" for text in found]
    drm = root / "sys/class/drm"
    cards = [drm / name / "device" for name in list_names(drm, "card*") if "-" not in name]
    ids = [[_read(card / "vendor").strip(), _read(card / "device").strip()] for card in cards]
    return sorted([*names, *(":".join(pair) for pair in ids if pair[0] in _GPU_VENDORS)])


def _count_visible(value: str) -> int:
    """Return how many devices a list of them names; an index that is none ends it."""
    names = [name.strip() for name in value.split(",")]
    ends = [at for at, name in enumerate(names) if name in ("", "-1")]
    return ends[0] if ends else len(names)


def _first_number(text: str) -> int:
    words = text.split(maxsplit=1)
    return int(words[0]) if words and words[0].isdecimal() else 0


def _read(file: Path) -> str:
    try:
        with file.open("rb", buffering=0) as stream:
            return (stream.read(4096) or b"").decode(errors="replace")
    except (OSError, ValueError):
        return ""

"""Accelerators by signs that cost nothing: device nodes, plug-ins and variables that hide devices.

A sign is *certain* when a device that TensorFlow could use must be there, and *doubtful* when it may
or may not be usable. ``none`` is said only on Linux, where each device that is left would show.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from fnmatch import filter as select
from pathlib import Path

from autoxla.facts import Accelerator, Hardware, Plugin
from autoxla.situation.files import list_names, read_bytes

# nvhost-gpu is the node of boards with an integrated GPU; dxg that of the Windows subsystem.
_NODES = (("nvidia[0-9]*", "cuda"), ("nvhost-gpu", "cuda"), ("kfd", "rocm"))
_DOUBTFUL_NODES = ("dxg", "accel", "accel[0-9]*")
_INTEL = b"0x8086"
# Where Intel processors have their own graphics, of which most are not usable for TensorFlow.
_INTEGRATED_SLOT = "0000:00:02.0"
_HIDDEN_BY = {
    "cuda": ("CUDA_VISIBLE_DEVICES",),
    "rocm": ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
}
_MASKS = ("ZE_AFFINITY_MASK", "ONEAPI_DEVICE_SELECTOR")


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
        return _find_metal(plugins, machine or os.uname().machine)
    if platform != "linux":
        return Hardware()
    certain, doubtful = _find_nodes(environ, root / "dev")
    itex = any(plugin.kind == "itex" for plugin in plugins)
    for slot in _find_intel(root / "sys" / "class" / "drm", root / "dev" / "dri"):
        # Without a plug-in TensorFlow has no use for it: no sign at all.
        clear = itex and slot != _INTEGRATED_SLOT and not any(mask in environ for mask in _MASKS)
        (certain if clear else doubtful).update({"xpu"} if itex else ())
    return Hardware(_grade(certain, doubtful), frozenset(certain | doubtful) - {""})


def _find_metal(plugins: Sequence[Plugin], machine: str) -> Hardware:
    if machine == "arm64" and any(plugin.kind == "metal" for plugin in plugins):
        return Hardware("present", frozenset({"metal"}))
    return Hardware()


def _find_nodes(environ: Mapping[str, str], dev: Path) -> tuple[set[str], set[str]]:
    """Return the kinds with a certain and with a doubtful sign; "" is a device of unknown kind."""
    certain: set[str] = set()
    doubtful: set[str] = set()
    names = list_names(dev)
    for pattern, kind in _NODES:
        if select(names, pattern) and not _is_hidden(kind, environ):
            (doubtful if _may_be_hidden(kind, environ) else certain).add(kind)
    if any(select(names, pattern) for pattern in _DOUBTFUL_NODES):
        doubtful.add("")
    return certain, doubtful - certain


def _is_hidden(kind: str, environ: Mapping[str, str]) -> bool:
    if kind == "cuda" and environ.get("CUDA_VISIBLE_DEVICES") == "":
        return True
    # The first index that is none ends the list.
    return any(environ.get(name, "0").split(",")[0].strip() == "-1" for name in _HIDDEN_BY[kind])


def _may_be_hidden(kind: str, environ: Mapping[str, str]) -> bool:
    """Tell whether it depends on the driver's release what an empty list means."""
    return any(environ.get(name) == "" for name in _HIDDEN_BY[kind])


def _find_intel(drm: Path, dri: Path) -> list[str]:
    """Return the bus addresses of Intel's devices that have a render node."""
    nodes = list_names(dri, "renderD*")
    return [_read_slot(drm / node) for node in nodes if _read_vendor(drm / node) == _INTEL]


def _read_vendor(node: Path) -> bytes | None:
    # The kernel gives these files a size that is not theirs, but they are regular files.
    return (read_bytes(node / "device" / "vendor") or b"").strip()


def _read_slot(node: Path) -> str:
    return (node / "device").resolve().name


def _grade(certain: set[str], doubtful: set[str]) -> Accelerator:
    return "present" if certain else "unknown" if doubtful else "none"

"""Accelerators by their signs, and the files that XLA needs to compile for them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from autoxla.commands.diagnosis.line import Line, Scene
from autoxla.situation.files import is_file, list_names

SUBJECT = "devices"


def check(scene: Scene) -> Iterator[Line]:
    """Say which accelerators there are; what is wrong with libdevice or bitcode is a rule's."""
    hardware, toolchain = scene.situation.hardware, scene.situation.toolchain
    kinds = ", ".join(sorted(hardware.kinds)) or {"none": "none", "unknown": "not known"}.get(
        hardware.accelerator, hardware.accelerator
    )
    yield Line("ok", "AX860", SUBJECT, f"accelerators: {kinds}")
    if "cuda" in hardware.kinds:
        if toolchain.cuda_seen:
            yield Line("ok", "AX861", SUBJECT, "XLA finds libdevice")
        yield _say_ptxas(find_ptxas(scene))
    if "rocm" in hardware.kinds and toolchain.rocm_seen:
        yield Line("ok", "AX861", SUBJECT, "XLA finds ROCm's bitcode in ROCM_PATH")


def find_ptxas(scene: Scene) -> str | None:
    """Return the ``ptxas`` that XLA can call: on PATH, of the CUDA wheels, or of the toolkit."""
    found = shutil.which("ptxas", path=scene.environ.get("PATH"))
    if found is not None:
        return found
    wheels = [Path(entry, "nvidia") for entry in scene.path]
    folders = [wheel / name for wheel in wheels for name in list_names(wheel)]
    folders.append(scene.root / "usr/local/cuda")
    return next((str(each / "bin/ptxas") for each in folders if is_file(each / "bin/ptxas")), None)


def _say_ptxas(found: str | None) -> Line:
    if found is not None:
        return Line("ok", "AX861", SUBJECT, f"ptxas is {found}")
    text = (
        "ptxas is on no path: XLA may have to leave the last step to the driver, which takes longer or fails"
    )
    return Line(
        "note", "AX862", SUBJECT, text, "pip install nvidia-cuda-nvcc-cu12, or put CUDA's bin on PATH"
    )

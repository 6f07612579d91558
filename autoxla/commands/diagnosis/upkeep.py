"""What concerns autoxla itself: its records, its cache folder, and whether it is active."""

from __future__ import annotations

from collections.abc import Iterator

from autoxla.commands.diagnosis.line import Line, Scene
from autoxla.commands.records import KINDS
from autoxla.commands.site import look
from autoxla.places import cache_folder
from autoxla.records import Store
from autoxla.situation.files import is_folder

SUBJECT = "autoxla"


def check(scene: Scene) -> Iterator[Line]:
    """Say how many records there are, and whether new interpreters start with autoxla."""
    folder = cache_folder(scene.environ)
    if scene.situation.cache_refused is None:
        counts = ", ".join(f"{sum(1 for _ in Store(folder / kind).list())} {kind}" for kind in KINDS)
        held = counts if is_folder(folder) else "nothing is kept yet"
        yield Line("ok", "AX890", SUBJECT, f"records in {folder}: {held}")
    status = look()
    state = "active" if status.active else "not active"
    text = f"{state} in new interpreters of this environment: {'; '.join(status.because)}"
    yield Line("ok", "AX891", SUBJECT, text)
    changed = [each.folder for each in status.folders if each.pth == "changed"]
    for name in changed:
        remedy = "pip install --force-reinstall --no-deps autoxla-runtime"
        yield Line("warning", "AX892", SUBJECT, f"{name}/autoxla.pth is not the one of this release", remedy)

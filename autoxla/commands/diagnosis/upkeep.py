"""What concerns autoxla itself: its records, its cache folder, and whether it is active."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from autoxla.commands.diagnosis.line import Line, Scene
from autoxla.commands.records import KINDS, list_kept
from autoxla.commands.site import look
from autoxla.situation.files import is_folder
from autoxla.store import Store, cache_dir

SUBJECT = "autoxla"


def check(scene: Scene) -> Iterator[Line]:
    """Say how many records there are, which are left out, and whether new interpreters start with autoxla."""
    folder = cache_dir(scene.environ)
    if scene.situation.cache_refused is None:
        yield from _count(folder)
    status = look()
    text = f"{status.state} in new interpreters of this environment: {'; '.join(status.because)}"
    yield Line("ok", "AX891", SUBJECT, text)
    changed = [each.folder for each in status.folders if each.pth == "changed"]
    for name in changed:
        remedy = "pip install --force-reinstall --no-deps autoxla-runtime"
        yield Line("warning", "AX892", SUBJECT, f"{name}/autoxla.pth is not the one of this release", remedy)


def _count(folder: Path) -> Iterator[Line]:
    stores = {kind: Store(folder / kind) for kind in KINDS}
    kept = list(list_kept(stores))
    ignored = dict(entry for store in stores.values() for entry in store.ignored)
    heeded = Counter(each.kind for each in kept if each.file not in ignored)
    counts = ", ".join(f"{heeded[kind]} {kind}" for kind in KINDS)
    held = counts if is_folder(folder) else "nothing is kept yet"
    yield Line("ok", "AX890", SUBJECT, f"records in {folder}: {held}")
    for file, reason in ignored.items():
        remedy = (
            "make it a folder that you alone can write" if file in _folders(stores) else "remove the file"
        )
        yield Line("note", "AX907", SUBJECT, f"{file} is left out: {reason}", remedy)


def _folders(stores: dict[str, Store]) -> list[Path]:
    return [store.folder for store in stores.values()]

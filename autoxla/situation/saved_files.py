"""What wrote a saved model, told by its file without loading it: nothing is unpickled, nothing is run.

Of each file the first bytes are read, and of a ``.keras`` file two members of the zip. What cannot be read,
or is something else, is None.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from autoxla.model import Evidence, Saved, SavedKind
from autoxla.situation.files import read_start

#: Bytes that are read of a file, or of a member of a zip.
MOST = 1 << 20
#: Files of one program that are looked at.
MOST_LOADED = 20
#: Names that stand in what Keras 2 writes alone, and in what Keras 3 writes alone.
_OF_2 = re.compile(rb'"batch_input_shape"|"keras\.(?:src\.)?engine\.|"keras_version": ?"2')
_OF_3 = re.compile(rb'"batch_shape"|"keras\.src\.models\.|"DTypePolicy"|"keras_version": ?"3')
_RELEASE = re.compile(rb'"keras_version": ?"(\d{1,3}\.\d{1,3}[\w.]{0,20})"')
#: In HDF5 the texts of attributes lie in a heap, each behind its number and length.
_HEAP = re.compile(rb"GCOL\x01.{11}.{16}(\d{1,3}\.\d{1,3}\.[\w.]{1,20})\0", re.DOTALL)
#: What makes a difference to whoever reads the model.
_PARTS = ("Functional", "Lambda", "hard_sigmoid")
_HDF5 = b"\x89HDF\r\n\x1a\n"


def identify(path: Path) -> Saved | None:
    """Return what wrote the file or folder at ``path``, None where that cannot be told. Never raises."""
    try:
        if path.is_dir():
            # Keras 2 leaves metadata of its own in a SavedModel, and an export has none.
            if (metadata := path / "keras_metadata.pb").exists():
                return identify_text("folder", [read_start(metadata, MOST) or b""]) or Saved("folder", 2)
            # `model.export` of Keras 3, and whatever else TensorFlow saves: no Keras reads it as a model.
            return Saved("folder", 3) if (path / "saved_model.pb").exists() else None
        if not path.exists():
            index = read_start(path.with_name(f"{path.name}.index"), MOST) or b""
            return Saved("checkpoint", 2) if b"_CHECKPOINTABLE_OBJECT_GRAPH" in index else None
        start = read_start(path, MOST) or b""
        if start.startswith(b"PK"):
            import zipfile  # costs more than all else here

            with zipfile.ZipFile(path) as archive:
                members = [archive.open(name).read(MOST) for name in ("metadata.json", "config.json")]
            return identify_text("keras", members)
        if start.startswith(_HDF5) and b"model_config" in start:
            release = _HEAP.search(start)
            return identify_text("h5", [start], release[1].decode() if release else "")
        return identify_text("json", [start]) if start.lstrip().startswith(b"{") else None
    except Exception:  # noqa: BLE001 - a zip that is damaged raises what its decompression raises
        return None


def find_loaded(evidence: Collection[Evidence]) -> dict[str, Saved]:
    """Return what wrote the files that a program loads by constant names, by these; not of what it writes."""
    loads, saves = (
        {str(each.value) for each in evidence if each.kind == kind} for kind in ("loads", "saves")
    )
    found = {name: identify(Path(name)) for name in sorted(loads - saves)[:MOST_LOADED]}
    return {name: saved for name, saved in found.items() if saved is not None}


def identify_text(kind: SavedKind, texts: Sequence[bytes], release: str = "") -> Saved | None:
    """Return what wrote a model that is configured by ``texts``, JSON; None where that cannot be told."""
    text = b"".join(texts)
    named = _RELEASE.search(text)
    release = named[1].decode() if named is not None else release
    if not release and not _OF_2.search(text) and not _OF_3.search(text):
        return None
    is_2 = release.startswith("2") if release else _OF_2.search(text) is not None
    parts = frozenset(part for part in _PARTS if f'"{part}"'.encode() in text)
    return Saved(kind, 2 if is_2 else 3, release, parts)

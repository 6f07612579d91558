"""Distributions that own the same files, leftovers, and metadata without files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from autoxla.commands.diagnosis.inventory import PACKAGES, Installed
from autoxla.commands.diagnosis.line import Line, Scene
from autoxla.situation.files import is_file, is_folder, list_names

SUBJECT = "installation"


def check(scene: Scene) -> Iterator[Line]:
    """Say what is installed twice, in part, or without an owner."""
    lines = [*_clobbered(scene), *_doubled(scene), *_damaged(scene), *_remains(scene)]
    lines += [line for package in PACKAGES for line in _ownerless(scene, package)]
    yield from lines
    if not lines:
        yield Line("ok", "AX810", SUBJECT, "each package belongs to one distribution")


def _clobbered(scene: Scene) -> Iterator[Line]:
    """Yield the packages that two distributions in one folder lay claim to."""
    for package in PACKAGES:
        owners = scene.inventory.owners(package)
        for folder in dict.fromkeys(each.folder.parent for each in owners):
            here = [each for each in owners if each.folder.parent == folder]
            if len({each.name for each in here}) > 1:
                yield _say_clobbered(package, here)


def _say_clobbered(package: str, owners: list[Installed]) -> Line:
    names = " and ".join(map(str, owners))
    together = " ".join(each.name for each in owners)
    if len({each.text for each in owners}) == 1:
        return Line(
            "note",
            "AX811",
            SUBJECT,
            f"{names} own the same files of {package}, in one release; to uninstall one breaks the other",
            f"keep both, or pip uninstall {together} and install the one that is meant",
        )
    return Line(
        "error",
        "AX812",
        SUBJECT,
        f"{names} own the same files of {package}: what was installed last overwrote a part of the other",
        f"pip uninstall {together}, then install the one that is meant",
    )


def _doubled(scene: Scene) -> Iterator[Line]:
    for name in dict.fromkeys(each.name for each in scene.inventory.distributions):
        same = scene.inventory.all(name)
        if len(same) < 2:
            continue
        places = ", ".join(f"{each.text or 'unreadable'} in {each.folder.parent}" for each in same)
        text = f"{name} is installed {len(same)} times: {places}"
        remedy = f"pip uninstall {name} until it finds none, then install it again"
        if len({each.folder.parent for each in same}) == len(same):
            # An environment on top of the system's is made for this.
            yield Line("note", "AX813", SUBJECT, text, f"nothing if the first is meant; else {remedy}")
        else:
            yield Line("warning", "AX813", SUBJECT, text, remedy)


def _damaged(scene: Scene) -> Iterator[Line]:
    for each in scene.inventory.distributions:
        again = f"remove {each.folder} and pip install --force-reinstall {each.name}"
        if not each.text:
            yield Line("warning", "AX814", SUBJECT, f"{each.folder} holds no readable metadata", again)
        for package in sorted(each.missing):
            text = f"{each} lists {package}/__init__.py as its own, and it is not there"
            remedy = f"pip install --force-reinstall --no-deps {each.name}=={each.text}"
            yield Line("error", "AX815", SUBJECT, text, remedy)


def _remains(scene: Scene) -> Iterator[Line]:
    for folder in scene.inventory.remains:
        text = f"{folder} is what an interrupted pip left behind"
        yield Line("note", "AX816", SUBJECT, text, f"remove {folder}")


def _ownerless(scene: Scene, package: str) -> Iterator[Line]:
    """Yield what is left of a package in a folder from which modules are imported."""
    if scene.inventory.provider(package.replace("_", "-")) is not None:
        return
    for entry in scene.path:
        # The folder of the program itself is a subject of its own.
        folder = Path(entry, package)
        if "site-packages" not in entry or not is_folder(folder):
            continue
        if is_file(folder / "__init__.py"):
            text = f"{folder} belongs to no distribution: its release is not known to pip, nor to autoxla"
            yield Line("note", "AX817", SUBJECT, text, f"nothing if you built it; else reinstall {package}")
        elif list_names(folder):
            text = f"{folder} is a leftover without __init__.py: import {package} gives an empty package"
            yield Line("error", "AX818", SUBJECT, text, f"remove {folder}, and pip install {package}")

"""Everything that is known before the backends initialise, put together."""

from __future__ import annotations

import json
import os
import re
import site
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from autoxla import WATCHED
from autoxla.cache import cache_dir, find_refusal
from autoxla.model import (
    SWITCHING,
    FlagNames,
    KerasConfig,
    Plugin,
    Settings,
    Situation,
    Usage,
    Version,
)
from autoxla.situation.distributions import find_backends, find_versions
from autoxla.situation.env_parsing import intended
from autoxla.situation.environment import restore, select_watched
from autoxla.situation.files import UnreadableError, is_file, is_folder, list_names, read_bytes
from autoxla.situation.hardware import find_hardware

#: Where ``import tensorflow`` looks for pluggable devices, below each folder of site-packages.
_FOLDER = "tensorflow-plugins"
# A library, maybe with the number of its interface; as in TensorFlow, the last ".so." counts.
_LIBRARY = re.compile(r"\.so\Z|\.so\.[0-9](?!.*\.so\.)")
_VARIABLE = "TF_PLUGGABLE_DEVICE_LIBRARY_PATH"
_KINDS: tuple[tuple[str, Literal["itex", "metal", "other"], str], ...] = (
    ("libitex", "itex", "intel-extension-for-tensorflow"),
    ("libmetal", "metal", "tensorflow-metal"),
    ("", "other", ""),
)


def gather(
    settings: Settings,
    usage: Usage,
    *,
    environ: Mapping[str, str],
    modules: Mapping[str, object] = sys.modules,
    path: Sequence[str] = (),
    sites: Sequence[str] | None = None,
    root: Path = Path("/"),
    is_part: bool = False,
) -> Situation:
    """Return the situation in which any program would start here, nothing known of it yet.

    No backend is imported, and bad content raises nothing. What an earlier plan left in `environ` is taken
    back first, so that this process plans anew; a worker of one program (`is_part`) keeps that program's
    plan, which it inherited with the variables. `path` stands for ``sys.path``, `sites` for the folders
    besides in which TensorFlow looks for plug-ins, and `root` is where ``dev``, ``sys``, ``opt`` and ``usr``
    are.
    """
    folders = [entry for entry in path if isinstance(entry, str)]
    view, own = restore(environ)
    if is_part:
        # Where only a spelling was put right, the choice is the user's as before.
        values = {
            name: (intended(view[name]), intended(environ[name]))
            for name in own & view.keys() & environ.keys()
        }
        respelt = {name for name, (old, new) in values.items() if old is not None and old == new}
        view, own = dict(environ), (own & environ.keys()) - respelt
    else:
        # A name that has its user's value again is no longer ours.
        own = own.difference(view)
    versions = find_versions(folders)
    plugins = find_plugins([*folders, *(site_folders() if sites is None else sites)], view, versions)
    hardware = find_hardware(view, plugins, root=root)
    libdevice: str | None = ""
    gpu_lacks = ""
    if "cuda" in hardware.kinds:
        from autoxla.situation.toolchain import find_lacking, find_libdevice

        libdevice = find_libdevice(view, folders, versions, root=root)
        gpu_lacks = find_lacking(view, folders, root=root)
    # TensorFlow listed its devices or started its context; both read ``TF_XLA_FLAGS``.
    context = _look(modules.get("tensorflow.python.eager.context"), "_context")
    signs = [_look(context, name) for name in ("_initialized", "_context_handle", "_physical_devices")]
    # What a loaded Keras 3 has settled on.
    backend = _look(modules.get("keras.src.backend.config"), "_BACKEND")
    return Situation(
        settings=settings,
        environment=select_watched(view),
        own=own,
        versions=versions,
        plugins=plugins,
        hardware=hardware,
        libdevice=libdevice,
        gpu_lacks=gpu_lacks,
        keras_config=read_keras_config(view),
        backends=find_backends(folders, versions),
        usage=usage,
        imported=frozenset(
            name for name in (*WATCHED, *SWITCHING) if _look(modules.get(name), "__spec__") is not None
        ),
        devices_ready=any(sign is not None and sign is not False for sign in signs),
        keras_backend=backend if isinstance(backend, str) else None,
        flag_names=read_flag_names(view, folders),
        cache_refused=find_refusal(cache_dir(environ)),
    )


def read_flag_names(environ: Mapping[str, str], path: Sequence[str]) -> dict[str, FlagNames]:
    """Return what the TensorFlow on `path` makes of the flags of XLA, by variable, where one is set."""
    if not (environ.get("TF_XLA_FLAGS") or environ.get("XLA_FLAGS")):
        return {}
    from autoxla.situation.xla_flags import judge_flags

    return judge_flags(environ, path)


def _look(owner: object, name: str) -> object:
    """Return an attribute from an object's own dictionary: a lazy module must not load by a look."""
    try:
        return object.__getattribute__(owner, "__dict__").get(name)
    except AttributeError:
        return None


def read_keras_config(environ: Mapping[str, str]) -> KerasConfig | None:
    """Return what ``keras.json`` says, None where there is none; never raises.

    Keras takes a file that is no JSON for an empty one, and fails on one that is no object.
    """
    folder = environ.get("KERAS_HOME")
    if folder is None:
        home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - as Keras does, it never fails
        # Keras falls back to this very folder, wherever temporary files belong otherwise.
        folder = str(Path(home if os.access(home, os.W_OK) else "/tmp", ".keras"))  # noqa: S108
    file = os.path.expanduser(str(Path(folder, "keras.json")))  # noqa: PTH111
    try:
        content = read_bytes(file)
        if content is None:
            return KerasConfig(file, error="it cannot be opened") if is_file(file) else None
        settings = json.loads(content.decode("utf-8"))
    except UnreadableError as reason:
        return KerasConfig(file, error=str(reason))
    except (ValueError, RecursionError) as error:
        return KerasConfig(file, error=f"it is not JSON: {error}")
    if not isinstance(settings, dict):
        return KerasConfig(file, error="it holds no JSON object")
    if not isinstance(settings.get("backend", ""), str):
        return KerasConfig(file, error="its backend is not a string")
    return KerasConfig(file, settings.pop("backend", None), others=settings)


def find_plugins(
    path: Sequence[str], environ: Mapping[str, str], versions: Mapping[str, Version]
) -> tuple[Plugin, ...]:
    """Return the libraries that ``import tensorflow`` will load, in the order of `path`.

    What counts is the library file: a distribution without one is no plug-in. Its release is that
    of the distribution to which such a file belongs, None where that is not installed.
    """
    folders = [Path(entry, _FOLDER) for entry in path if isinstance(entry, str) and "site-packages" in entry]
    files = [folder / name for folder in folders for name in list_names(folder)]
    named = environ.get(_VARIABLE)
    if named:
        # Unlike the folders above it is taken as it is, whatever a single file is called.
        files += [Path(named, name) for name in list_names(named)] if is_folder(named) else [Path(named)]
    distinct = {}
    for file in files:
        is_named = str(file) == named
        ending = file.name.endswith(".dylib") if sys.platform == "darwin" else _LIBRARY.search(file.name)
        # The first of several names of one file counts.
        if (is_named or ending) and is_file(file) and file.resolve() not in distinct:
            _, kind, distribution = next(each for each in _KINDS if file.name.startswith(each[0]))
            distinct[file.resolve()] = Plugin(kind, str(file), versions.get(distribution))
    return tuple(distinct.values())


def site_folders() -> list[str]:
    """Return the folders outside ``sys.path`` in which TensorFlow looks for plug-ins, too.

    The user's folder is among them even where it is not enabled, as it is in a virtual environment.
    """
    return [*site.getsitepackages(), *([site.USER_SITE] if site.USER_SITE else [])]

"""Everything that is known before the backends initialise, put together."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from autoxla import WATCHED
from autoxla.cache import cache_dir, find_refusal
from autoxla.model import SWITCHING, FlagNames, Settings, Situation, Toolchain, Usage
from autoxla.situation.distributions import find_backends, find_versions
from autoxla.situation.environment import read_flag_files, restore, select_watched
from autoxla.situation.hardware import find_hardware
from autoxla.situation.keras_config import read_keras_config
from autoxla.situation.plugins import find_plugins


def gather(
    settings: Settings,
    usage: Usage,
    *,
    environ: Mapping[str, str],
    modules: Mapping[str, object] = sys.modules,
    path: Sequence[str] = (),
    sites: Sequence[str] = (),
    root: Path = Path("/"),
) -> Situation:
    """Return the situation of this process; no backend is imported, and bad content raises nothing.

    What an earlier plan left in `environ` is taken back first, so that this process plans anew. `path` stands
    for ``sys.path``, `sites` are the folders besides in which TensorFlow looks for plug-ins, and `root` is
    where ``dev``, ``sys``, ``opt`` and ``usr`` are.
    """
    folders = [entry for entry in path if isinstance(entry, str)]
    view, own = restore(environ)
    versions = find_versions(folders)
    plugins = find_plugins([*folders, *sites], view, versions)
    hardware = find_hardware(view, plugins, root=root)
    flag_files = read_flag_files(view)
    toolchain = Toolchain()
    if hardware.kinds & {"cuda", "rocm"}:
        from autoxla.situation.toolchain import find_toolchain

        flag_file = flag_files.get("XLA_FLAGS")
        toolchain = find_toolchain(hardware, view, folders, versions, flag_file=flag_file, root=root)
    # TensorFlow listed its devices or started its context; both read ``TF_XLA_FLAGS``.
    context = _look(modules.get("tensorflow.python.eager.context"), "_context")
    signs = [_look(context, name) for name in ("_initialized", "_context_handle", "_physical_devices")]
    # What a loaded Keras 3 has settled on.
    backend = _look(modules.get("keras.src.backend.config"), "_BACKEND")
    return Situation(
        settings=settings,
        environment=select_watched(view),
        # A name that has its user's value again is no longer ours.
        own=own.difference(view),
        versions=versions,
        plugins=plugins,
        hardware=hardware,
        toolchain=toolchain,
        keras_config=read_keras_config(view),
        backends=find_backends(folders, versions),
        usage=usage,
        imported=frozenset(
            name for name in (*WATCHED, *SWITCHING) if _look(modules.get(name), "__spec__") is not None
        ),
        devices_ready=any(sign is not None and sign is not False for sign in signs),
        keras_backend=backend if isinstance(backend, str) else None,
        flag_files=flag_files,
        flag_names=read_flag_names(view, flag_files, folders),
        cache_refused=find_refusal(cache_dir(environ)),
    )


def read_flag_names(
    environ: Mapping[str, str], flag_files: Mapping[str, str | None], path: Sequence[str]
) -> dict[str, FlagNames]:
    """Return what the TensorFlow on `path` makes of the flags of XLA, by variable, where one is set."""
    if not (environ.get("TF_XLA_FLAGS") or environ.get("XLA_FLAGS")):
        return {}
    from autoxla.situation.xla_flags import judge_flags

    return judge_flags(environ, flag_files, path)


def _look(owner: object, name: str) -> object:
    """Return an attribute from an object's own dictionary: a lazy module must not load by a look."""
    try:
        return object.__getattribute__(owner, "__dict__").get(name)
    except AttributeError:
        return None

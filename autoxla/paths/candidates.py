"""The settings under which a program that dies may live, and why others are left out.

All of them are environment variables that a user could set. Where the rules say that a setting does nothing
here, or ends the program in another way, it is not tried.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path as File

from autoxla.model import Plan, Situation
from autoxla.paths.listing import (
    BACKEND,
    BACKENDS,
    KERAS,
    SHARED,
    STEP,
    Path,
    Paths,
    find_new_errors,
    has_itex,
    has_onednn,
    move,
)
from autoxla.policies import decide
from autoxla.policies.cures import name_settings
from autoxla.policies.draft import AUTO_JIT, SWITCH
from autoxla.policies.usage import KERAS_FREE, is_below
from autoxla.situation.env_parsing import XlaFlags, parse_xla_flags, tensorflow_bool

_FIRST = "AUTOXLA_IMPORT_FIRST"
#: What ``keras.json`` holds where nobody changed it.
_USUAL_CONFIG = {"floatx": "float32", "epsilon": 1e-07, "image_data_format": "channels_last"}
#: By package: the variable by which it chooses a framework, and the value that may help.
_OF_PACKAGES = {
    "transformers": ("USE_TF", "0"),
    "segmentation_models": ("SM_FRAMEWORK", "tf.keras"),
    **dict.fromkeys(("bert4keras", "keras_bert", "keras_transformer", "keras_gpt_2"), ("TF_KERAS", "1")),
}
#: ITEX's variables, in the order in which they are to give way.
_NPD, _OVERRIDE = "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE", "ITEX_OPS_OVERRIDE"
_ITEX = (
    SHARED["itex-no-xla"],
    Path("itex-npd", variables={_NPD: "1"}, signs=(_NPD,)),
    SHARED["itex-stream"],
    Path("itex-no-override", variables={_OVERRIDE: None}, signs=(_OVERRIDE,)),
)


def find_candidates(
    situation: Situation, environ: Mapping[str, str], machine: str, cache: File, died_in: Iterable[str]
) -> Paths:
    """Return the candidates in the order in which they are tried where nothing speaks for one of them.

    Those that are impossible have the names of their settings.

    ``machine`` is the processor's kind as ``uname -m`` has it; below ``cache`` a folder may be made.
    ``died_in`` are files of the program's own code: where one was not read, what was read is not all.
    """
    read = {os.path.realpath(file) for file in situation.reading.files}
    if not read.issuperset(os.path.realpath(file) for file in died_in if not file.startswith("<")):
        situation = replace(situation, reading=replace(situation.reading, complete=False))
    usual = decide(situation)
    evidence = situation.reading.evidence
    set_by_program = {e.name for e in evidence if e.kind == "variable" and e.grade == "certain"}
    possible, impossible = [], {}
    for path, in_the_way in _list_candidates(situation, environ, machine, cache):
        obstacle = in_the_way
        there = move(situation, path)
        plan = decide(there)
        if taken := set_by_program.intersection(path.variables):
            obstacle = f"the program sets {', '.join(sorted(taken))} itself"
        elif all(environ.get(name) == value for name, value in path.variables.items()):
            obstacle = "it is set already"
        obstacle = obstacle or _find_idleness(path, (there, plan), (situation, usual))
        obstacle = obstacle or find_new_errors(plan, usual) or ""
        if obstacle:
            impossible[name_settings(path.variables)] = obstacle
        else:
            possible.append(path)
    return Paths(tuple(possible), impossible)


def _list_candidates(
    situation: Situation, environ: Mapping[str, str], machine: str, cache: File
) -> Iterator[tuple[Path, str]]:
    """Yield all that may be tried here, each with what is in its way, empty for nothing."""
    config = situation.keras_config
    if config is not None:
        others = {name: value for name, value in config.others.items() if _USUAL_CONFIG.get(name) != value}
        if config.error is not None or others or config.backend not in (None, "tensorflow"):
            home = {"KERAS_HOME": str(cache / "keras")}
            yield Path("keras-json", variables=home, signs=("keras.json",)), ""
    for name in ("TF_XLA_FLAGS", "XLA_FLAGS"):
        yield from _list_flags(name, situation)
    yield from _list_generations(situation, environ)
    imported = {e.name for e in situation.reading.evidence if e.kind == "import"}
    tops = {name.partition(".")[0] for name in imported}
    for package, (name, value) in _OF_PACKAGES.items():
        if package in tops:
            yield Path(f"{name}={value}".lower(), variables={name: value}, signs=(name,)), ""
    for backend in BACKENDS if "keras" in situation.versions else ():
        obstacle = "" if backend in situation.backends else f"{backend} is not installed"
        if backend != "tensorflow" and tops & {"tensorflow", "tf_keras"}:
            obstacle = "the program imports tensorflow itself"
        yield SHARED[backend], obstacle
    for path in _ITEX if has_itex(situation) else ():
        yield path, ""
    if "tensorflow" in situation.versions:
        said = ("partially initialized module", "circular import")
        yield Path("tensorflow-first", variables={_FIRST: "tensorflow"}, signs=said), ""
    yield Path("graph", "graph", {STEP: "graph"}, signs=("jit_compile",), is_below=True), ""
    if has_onednn(situation, machine):
        yield SHARED["onednn-off"], ""


def _list_generations(situation: Situation, environ: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Yield the switch, the alias and their opposite; first what the source has more to do with."""
    # What the user set against it has to go, too: it is what the program dies of.
    free: dict[str, str | None] = {} if SWITCH not in environ else {SWITCH: None}
    wanted, installed = (situation.versions.get(name, ())[:2] for name in ("tensorflow", "tf-keras"))
    obstacle = ""
    if wanted and wanted != installed:
        there = (
            f"{'.'.join(map(str, installed))} is not for this TensorFlow" if installed else "is not installed"
        )
        obstacle = f"tf_keras {there}: pip install 'tf-keras=={'.'.join(map(str, wanted))}.*'"
    switch = Path("switch", variables={**free, KERAS: "2"}, signs=(f"{SWITCH}=", f"{KERAS}=2"))
    alias = Path("alias", variables={**free, KERAS: "legacy"}, signs=(f"{KERAS}=legacy",))
    # Any package may go through tf.keras or import keras, so only the source of the whole program tells.
    imports = [e.name for e in situation.reading.evidence if e.kind in ("import", "attribute")]
    has_keras = any(is_below(name, "keras") for name in imports)
    known = (*KERAS_FREE, "tensorflow", "keras")
    if situation.reading.complete and all(name.partition(".")[0] in known for name in imports):
        if not has_keras:
            yield switch, obstacle
            yield alias, obstacle or "the program imports no keras, for which tf_keras could stand"
        else:
            through = any(is_below(name, "tensorflow.keras") for name in imports)
            yield alias, obstacle
            yield switch, obstacle or ("" if through else "the program does not go through tf.keras")
    else:
        yield from ((path, obstacle) for path in ((alias, switch) if has_keras else (switch, alias)))
    yield Path("keras-3", variables={**free, KERAS: "3"}, signs=(f"unset {SWITCH}", f"{SWITCH} unset")), ""


def _list_flags(name: str, situation: Situation) -> Iterator[tuple[Path, str]]:
    """Yield a variable of XLA's flags without what nobody knows, without clusters, and not at all."""
    text = situation.environment.get(name)
    if not text:
        return
    flags = parse_xla_flags(text)
    strange = {token for token, _ in flags.errors}
    if (names := situation.flag_names.get(name)) is not None:
        strange |= {f"--{each}" for each in (*names.unknown, *names.unchecked)}
    kept = tuple(token for token in flags.tokens if not {token, token.partition("=")[0]} & strange)
    values: dict[str, str | None] = {}
    if kept != flags.tokens:
        values["known"] = " ".join(kept) or None
    if name == "TF_XLA_FLAGS" and flags.auto_jit > 0:
        values["no-clusters"] = str(XlaFlags(kept).with_flag(AUTO_JIT, "0"))
    if None not in values.values():
        values["no"] = None
    for label, value in values.items():
        signs = (name, *strange)
        yield Path(f"{label}-{name}".lower(), variables={name: value}, signs=signs, is_below=True), ""


def _find_idleness(path: Path, there: tuple[Situation, Plan], usual: tuple[Situation, Plan]) -> str:
    """Return why ``path`` changes nothing, empty where it does: by situation and plan with and without it."""
    situation, plan = usual
    if path.step is not None:
        if situation.usage.jit_compile is not None:
            return f"the program passes jit_compile={situation.usage.jit_compile}, which stands"
        if there[1].path.step != path.step:
            return "the plan keeps another step"
        if plan.path.step is None and situation.hardware.accelerator == "none":
            return "Keras does that by itself where there is no accelerator"
    if _FIRST in path.variables:
        if plan.import_first:
            return "it is so already"
        if not situation.plugins and plan.path.backend == "tensorflow":
            return "no plug-in comes with TensorFlow, so the order changes nothing"
        if situation.reading.complete and situation.importing not in (None, "keras"):
            return "the program imports no keras before tensorflow"
    if BACKEND in path.variables and there[1].path.backend == plan.path.backend:
        return "Keras runs on it already"
    if KERAS in path.variables:
        before, after = _is_legacy(*usual), _is_legacy(*there)
        if after == (path.variables[KERAS] == "3"):
            return "tf.keras stays what it is"
        if before == after and plan.alias == there[1].alias:
            return "it is so already"
    return ""


def _is_legacy(situation: Situation, plan: Plan) -> bool:
    """Return whether the switch is on under ``plan``."""
    planned = {setting.variable: setting.value for setting in plan.settings}
    return tensorflow_bool(planned.get(SWITCH, situation.environment.get(SWITCH)))

"""Names in ``XLA_FLAGS`` and ``TF_XLA_FLAGS`` that end the process when they are read."""

from __future__ import annotations

from collections.abc import Iterable

from autoxla.model import FlagNames
from autoxla.policies.example import KERAS, Example
from autoxla.policies.rule import Draft, Rule

FLAG_READER = "TensorFlow, flags from the environment"
#: By variable: who ends the process, and when.
_END = {
    "TF_XLA_FLAGS": "TensorFlow ends the process when it lists its devices",
    "XLA_FLAGS": "XLA ends the process when it first compiles",
}
_OTHER = {"TF_XLA_FLAGS": "XLA_FLAGS", "XLA_FLAGS": "TF_XLA_FLAGS"}


def _spell(names: Iterable[str]) -> str:
    return ", ".join(f"--{name}" for name in names)


def why_no_xla(draft: Draft) -> str:
    """Return why XLA would end this process, or may, empty where it would not."""
    for variable, flags in draft.situation.flag_names.items():
        strange = (*flags.unknown, *flags.misplaced, *flags.unchecked)
        if strange:
            return f"this TensorFlow is not known to take {_spell(strange)} of {variable}"
        if draft.parse(variable).errors:
            return f"{variable} cannot be parsed"
    return ""


def _is_harmless(draft: Draft) -> bool:
    """Return whether nothing is going to read the variables: XLA is not used, or not TensorFlow's."""
    if draft.backend != "tensorflow" and draft.says("import", "tensorflow") is None:
        return True
    usage, hardware = draft.situation.usage, draft.situation.hardware
    # Keras 3 compiles by itself where there is an accelerator.
    by_default = hardware.accelerator == "present" and usage.jit_compile is not False
    compiles = bool(usage.jit_compile) or usage.enables_xla or draft.flags.auto_jit > 0 or by_default
    wrong = {name for name, flags in draft.situation.flag_names.items() if flags.unknown or flags.misplaced}
    # TensorFlow reads its own flags in any case, XLA reads its flags when it compiles.
    return "TF_XLA_FLAGS" not in wrong and not compiles


RULES = (
    Rule(
        code="AX851",
        level="error",
        title="A flag that this build does not know",
        applies=lambda d: any(flags.unknown for flags in d.situation.flag_names.values()),
        message=lambda d: "; ".join(
            f"{variable} holds {_spell(flags.unknown)}, which this TensorFlow does not know: {_END[variable]}"
            for variable, flags in d.situation.flag_names.items()
            if flags.unknown
        ),
        remedy=lambda d: "; ".join(
            f"write --{meant}" if meant else f"take --{name} out of {variable}"
            for variable, flags in d.situation.flag_names.items()
            for name, meant in flags.unknown.items()
        ),
        why="""An unknown name ends the process, without an exception, when the variable is read:
        `TF_XLA_FLAGS` when TensorFlow lists its devices, `XLA_FLAGS` when XLA first compiles. The libraries
        of a build hold the names that it knows. Those of this one hold the names that every release has, and
        not this one; another release may know it. Where the program does not use XLA it runs, and the finding
        is a warning. autoxla then does not try XLA either.""",
        example=Example(
            KERAS.replace('"mse")', '"mse", jit_compile=True)'),
            {"XLA_FLAGS": "--xla_gpu_autotune_levl=2"},
            known={
                "flag_names": {
                    "XLA_FLAGS": FlagNames(unknown={"xla_gpu_autotune_levl": "xla_gpu_autotune_level"})
                }
            },
        ),
        source=FLAG_READER,
        about="XLA_FLAGS",
        milder=_is_harmless,
    ),
    Rule(
        code="AX853",
        level="error",
        title="A flag in the other variable",
        applies=lambda d: any(flags.misplaced for flags in d.situation.flag_names.values()),
        message=lambda d: "; ".join(
            f"{variable} does not take {_spell(flags.misplaced)}: {_END[variable]}"
            for variable, flags in d.situation.flag_names.items()
            if flags.misplaced
        ),
        remedy=lambda d: "; ".join(
            f"move {_spell(flags.misplaced)} to {_OTHER[variable]}"
            for variable, flags in d.situation.flag_names.items()
            if flags.misplaced
        ),
        why="""`TF_XLA_FLAGS` takes flags of TensorFlow, which begin with `tf_`, and `XLA_FLAGS` those of XLA,
        which begin with `xla_`. A flag of the other variable ends the process.""",
        example=Example(
            KERAS,
            {"TF_XLA_FLAGS": "--xla_dump_to=/tmp/dump"},
            known={"flag_names": {"TF_XLA_FLAGS": FlagNames(misplaced=("xla_dump_to",))}},
        ),
        source=FLAG_READER,
        milder=_is_harmless,
    ),
    Rule(
        code="AX852",
        level="info",
        title="Flags that could not be checked",
        applies=lambda d: (
            any(flags.unchecked for flags in d.situation.flag_names.values()) and d.backend == "tensorflow"
        ),
        message=lambda d: "; ".join(
            f"{variable} holds {_spell(flags.unchecked)}, and whether this TensorFlow knows it could not be "
            "read from its libraries"
            for variable, flags in d.situation.flag_names.items()
            if flags.unchecked
        ),
        remedy="take out what this release does not have: XLA is not tried while the flags are there",
        why="""TensorFlow's libraries cannot be read, or the build keeps the names of flags in another way.
        XLA would end the process at a name that it does not know, so autoxla does not try XLA.""",
        example=Example(
            KERAS,
            {"XLA_FLAGS": "--xla_dump_to=/tmp/dump"},
            known={"flag_names": {"XLA_FLAGS": FlagNames(unchecked=("xla_dump_to",))}},
        ),
        source=FLAG_READER,
    ),
)

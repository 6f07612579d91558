"""What in ``XLA_FLAGS`` and ``TF_XLA_FLAGS`` ends the process when it is read."""

from __future__ import annotations

from collections.abc import Iterable

from autoxla.model import FlagNames
from autoxla.policies.draft import FLAGS, XLA_FLAGS, Draft
from autoxla.policies.rule import KERAS, Example, Rule

FLAG_READER = "TensorFlow, flags from the environment"
#: By variable: who ends the process, and when.
_END = {
    FLAGS: "TensorFlow ends the process when it lists its devices",
    XLA_FLAGS: "XLA ends the process when it first compiles",
}


def _spell(names: Iterable[str]) -> str:
    return ", ".join(f"--{name}" for name in names)


def why_no_xla(draft: Draft) -> str:
    """Return why XLA would end this process, or may, empty where it would not."""
    for variable, flags in draft.situation.flag_names.items():
        strange = (*flags.unknown, *flags.unchecked)
        if strange:
            return f"this TensorFlow is not known to take {_spell(strange)} of {variable}"
        if draft.parse(variable).errors:
            return f"{variable} cannot be parsed"
    return ""


def _correct(variable: str, name: str, meant: str) -> str:
    """Return what to do with a flag that is not known."""
    other, prefix = (XLA_FLAGS, "xla_") if variable == FLAGS else (FLAGS, "tf_")
    if name.startswith(prefix):
        return f"move --{name} to {other}"
    return f"write --{meant}" if meant else f"take --{name} out of {variable}"


def _is_harmless(draft: Draft) -> bool:
    """Return whether nothing is going to read the variables: XLA is not used, or not TensorFlow's."""
    if draft.backend != "tensorflow" and draft.says("import", "tensorflow") is None:
        return True
    usage, hardware = draft.situation.usage, draft.situation.hardware
    # Keras 3 compiles by itself where there is an accelerator.
    by_default = hardware.accelerator == "present" and usage.jit_compile is not False
    compiles = bool(usage.jit_compile) or usage.enables_xla or draft.flags.auto_jit > 0 or by_default
    wrong = {name for name, flags in draft.situation.flag_names.items() if flags.unknown}
    # TensorFlow reads its own flags in any case, XLA reads its flags when it compiles.
    return FLAGS not in wrong and not compiles


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
            _correct(variable, name, meant)
            for variable, flags in d.situation.flag_names.items()
            for name, meant in flags.unknown.items()
        ),
        why="""An unknown name ends the process, without an exception, when the variable is read. autoxla
        looks for the names in the libraries of this build; another release may know others. Where the program
        does not use XLA it runs, and this is a warning. autoxla then does not try XLA either.""",
        example=Example(
            KERAS.replace('"mse")', '"mse", jit_compile=True)'),
            {XLA_FLAGS: "--xla_gpu_autotune_levl=2"},
            known={
                "flag_names": {
                    XLA_FLAGS: FlagNames(unknown={"xla_gpu_autotune_levl": "xla_gpu_autotune_level"})
                }
            },
        ),
        source=FLAG_READER,
        about=XLA_FLAGS,
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
            {XLA_FLAGS: "--xla_dump_to=/tmp/dump"},
            known={"flag_names": {XLA_FLAGS: FlagNames(unchecked=("xla_dump_to",))}},
        ),
        source=FLAG_READER,
    ),
    Rule(
        code="AX301",
        level="error",
        title="Flags that cannot be parsed",
        # The name of the variable.
        applies=lambda d: next((name for name in _END if d.parse(name).errors), None),
        message=lambda d: (
            f"{d.found}={d.value(d.found)} cannot be parsed: {': '.join(d.parse(d.found).errors[0])}; "
            f"{_END[d.found]}"
        ),
        remedy="write --name=value, separated by spaces",
        why="""It ends the process with a fatal log line and without a Python exception, for `XLA_FLAGS` maybe
        minutes into the program. A space instead of `=`, a single dash or a comma is enough.""",
        example=Example(KERAS, {FLAGS: "--tf_xla_auto_jit=abc"}),
        source=FLAG_READER,
        bad_input=True,
    ),
)

"""Which Keras ``tf.keras`` and ``import keras`` are."""

from __future__ import annotations

from collections.abc import Callable

from autoxla.facts import Evidence, EvidenceKind, Place
from autoxla.policies.rule import KERAS_3, SWITCHABLE, Cure, Draft, Rule
from autoxla.policies.usage import find_alias, is_below, sides
from autoxla.readers import intended, tensorflow_bool

SWITCH = "TF_USE_LEGACY_KERAS"
#: Private modules that programs for Keras 2 import.
PRIVATE = (
    "keras.engine",
    "keras.utils.generic_utils",
    "keras.backend.tensorflow_backend",
    "tensorflow.python.keras",
)
#: Packages that turn the switch on when they are imported, for objects of their own.
SWITCHING = ("deepface", "ktrain", "transformers")
#: Read while TensorFlow is imported, and never again.
READ_AT_IMPORT = frozenset({"TF_ENABLE_ONEDNN_OPTS", "KERAS_BACKEND"})
GUIDE = "Intel Extension for TensorFlow, Keras 3 Overview, Legacy Keras"
LAZY_LOADER = "TensorFlow, the lazy loader of tf.keras"


def _is_misspelt(draft: Draft) -> bool:
    value = draft.environment.get(SWITCH)
    return value is not None and intended(value) is not False and not tensorflow_bool(value)


def _can_switch(draft: Draft) -> bool:
    return draft.has("tf-keras") and draft.switchable


def _normalise(draft: Draft) -> bool:
    means_on = intended(draft.environment[SWITCH]) is True and not _keeps_keras_3(draft)
    return means_on and _can_switch(draft) and draft.set(SWITCH, "1", "AX103")


def _wants_legacy(draft: Draft) -> bool:
    return draft.situation.settings.keras in ("2", "legacy")


def _keeps_keras_3(draft: Draft) -> bool:
    """Return whether the user's settings choose Keras 3, which stands as the switch itself would."""
    return draft.situation.settings.keras == "3"


def _turn_on(draft: Draft) -> tuple[Cure, ...]:
    return () if _keeps_keras_3(draft) else (Cure(SWITCH, "1"),)


def _wants_switch(draft: Draft) -> bool:
    return _wants_legacy(draft) and draft.switchable and not draft.legacy


def _may_switch(draft: Draft) -> bool:
    return not draft.is_explicit(SWITCH) and not draft.tensorflow_loaded


def _wants_alias(draft: Draft) -> bool:
    return draft.situation.settings.keras == "legacy" and draft.switchable


def _can_alias(draft: Draft) -> bool:
    return draft.legacy and draft.has("tf-keras") and not draft.situation.imported & {"keras", "tensorflow"}


def _needs_alias(draft: Draft) -> bool:
    """Return whether objects of ``keras`` certainly come to those of a ``tf.keras`` that is Keras 2."""
    open_question = draft.has("keras", KERAS_3) and draft.demand(3) is None and not draft.alias
    return draft.legacy and open_question and find_alias(draft.situation.reading) is not None


def _alias_keras(draft: Draft) -> bool:
    draft.alias["keras"] = "tf_keras"
    return True


def _alias_keras_core(draft: Draft) -> bool:
    draft.alias["keras_core"] = "keras"
    return True


def _is_demanded(draft: Draft) -> bool:
    """Return whether the program's source needs Keras 2 as tf.keras, and nothing has settled that."""
    open_question = not draft.legacy and draft.switchable
    return open_question and draft.demand(2) is not None and not draft.is_explicit(SWITCH)


def _late_switch(draft: Draft) -> bool:
    """Return whether the program itself turns the switch on, behind its import of TensorFlow."""
    values = [e.value for e in draft.late_variables() if e.name == SWITCH]
    return bool(values) and all(isinstance(v, str) and tensorflow_bool(v) for v in values)


def _may_hoist_switch(draft: Draft) -> bool:
    free = _can_switch(draft) and _may_switch(draft) and not _keeps_keras_3(draft)
    return free and draft.demand(3) is None and not _uses_keras_before_switch(draft)


def _uses_keras_before_switch(draft: Draft) -> bool:
    """Return whether the program, as it is, works with Keras 3 before it sets the switch."""
    for evidence in draft.situation.reading.evidence:
        if evidence.kind == "variable" and evidence.name == SWITCH:
            return False
        if evidence.kind not in ("loads", "saves", "meets") and is_below(evidence.name, "tensorflow.keras"):
            return True
    return False


def _late_itex(draft: Draft) -> dict[str, str]:
    """Return the ITEX variables that the program sets too late, each to one constant value."""
    late = [e for e in draft.late_variables() if e.name.startswith("ITEX_")]
    values = {e.name: {other.value for other in late if other.name == e.name} for e in late}
    free = {name for name in values if name not in draft.situation.environment}
    return {e.name: str(e.value) for e in late if e.name in free and len(values[e.name]) == 1}


def _hoist_itex(draft: Draft) -> bool:
    done = [draft.set(name, value, "AX117") for name, value in _late_itex(draft).items()]
    draft.chosen.update(_late_itex(draft))
    return any(done)


def _late_place(*names: str) -> Callable[[Draft], Place | None]:
    def find(draft: Draft) -> Place | None:
        return next((e.place for e in draft.late_variables() if e.name.startswith(names)), None)

    return find


def _place(kind: EvidenceKind, *names: str, certain: bool = True) -> Callable[[Draft], Place | None]:
    def find(draft: Draft) -> Place | None:
        evidence = draft.says(kind, *names, certain=certain)
        return None if evidence is None else evidence.place

    return find


def _mixed(draft: Draft) -> Evidence | None:
    """Return where objects of keras and tf_keras may meet, in a program that goes on with both."""
    if draft.alias or not draft.has("keras", KERAS_3):
        return None
    meetings = (e for e in draft.situation.reading.evidence if e.kind == "meets")
    return next((e for e in meetings if {*sides(e)} == {"keras", "tf_keras"}), None)


def _tensorflow_1(draft: Draft) -> Evidence | None:
    names = ("tensorflow.estimator", "tensorflow.contrib")
    return draft.needs("attribute", *names) or draft.needs("import", *names)


def _private(draft: Draft) -> Evidence | None:
    return draft.needs("import", *PRIVATE)


def _place_of(evidence: Evidence | None) -> Place | None:
    return None if evidence is None else evidence.place


def _is_half_switched(draft: Draft) -> bool:
    then = draft.situation.read_values
    if then.get(SWITCH) is None and draft.legacy and draft.says("import", *SWITCHING, certain=False):
        return False
    return SWITCH in then and tensorflow_bool(then[SWITCH]) is not draft.legacy


def _has_tensorflow_for_nothing(draft: Draft) -> bool:
    """Return whether the program uses transformers with PyTorch and never names TensorFlow."""
    torch_only = draft.says("import", "transformers") and draft.says("import", "torch")
    old = not draft.has("transformers", (5,)) and draft.has("transformers")
    names_it = draft.says("import", "tensorflow", "keras", "tf_keras", certain=False)
    return bool(torch_only) and old and names_it is None and draft.has("keras", KERAS_3)


def _late_without_effect(draft: Draft) -> bool:
    return any(e.name in READ_AT_IMPORT for e in draft.late_variables())


RULES = (
    Rule(
        "AX103",
        "warning",
        "TF_USE_LEGACY_KERAS is spelt so that TensorFlow ignores it",
        "TF_USE_LEGACY_KERAS={TF_USE_LEGACY_KERAS}: TensorFlow takes only 1, true and True for on "
        "and ignores anything else",
        "write TF_USE_LEGACY_KERAS=1 for on",
        LAZY_LOADER,
        _is_misspelt,
        act=_normalise,
        about="TF_USE_LEGACY_KERAS",
    ),
    Rule(
        "AX105",
        "info",
        "The settings ask for legacy Keras",
        "keras = {keras!r} in the settings: tf.keras is to be tf_keras",
        "set TF_USE_LEGACY_KERAS=1",
        GUIDE,
        lambda d: _wants_switch(d) and _can_switch(d) and _may_switch(d),
        cures=lambda d: (Cure(SWITCH, "1"),),
        about="keras_setting",
    ),
    Rule(
        "AX106",
        "warning",
        "The settings ask for legacy Keras, and it cannot be had",
        "keras = {keras!r} in the settings, but tf.keras stays Keras 3: tf_keras is not installed, or "
        "TF_USE_LEGACY_KERAS={TF_USE_LEGACY_KERAS} was set or came too late",
        "pip install tf-keras, and leave TF_USE_LEGACY_KERAS unset",
        GUIDE,
        _wants_switch,
        about="keras_setting",
    ),
    Rule(
        "AX107",
        "info",
        "tf.keras is Keras 2 already",
        "keras = {keras!r} in the settings; this TensorFlow's tf.keras is Keras 2 without any switch",
        "nothing to do",
        LAZY_LOADER,
        lambda d: _wants_legacy(d) and d.has("tensorflow") and not d.switchable,
        about="keras_setting",
    ),
    Rule(
        "AX104",
        "error",
        "The switch is on and tf_keras is not installed",
        "TF_USE_LEGACY_KERAS={TF_USE_LEGACY_KERAS}, but tf_keras is not installed: the first use of "
        "tf.keras raises ImportError",
        "pip install tf-keras, or unset TF_USE_LEGACY_KERAS",
        LAZY_LOADER,
        lambda d: d.legacy and d.keras != 0 and d.has("tensorflow") and not d.has("tf-keras"),
        about="TF_USE_LEGACY_KERAS",
    ),
    Rule(
        "AX109",
        "error",
        "The alias keras -> tf_keras under ITEX",
        "keras = 'legacy' in the settings makes keras an alias of tf_keras, but ITEX itself needs Keras 3 "
        "under that name and ends the process without it; the alias is left out",
        "write import tf_keras as keras in the program",
        GUIDE,
        lambda d: _wants_alias(d) and d.itex_main,
        about="keras_setting",
    ),
    Rule(
        "AX108",
        "info",
        "The alias keras -> tf_keras",
        "keras = 'legacy' in the settings: import keras gives tf_keras",
        "let keras be tf_keras",
        GUIDE,
        lambda d: _wants_alias(d) and not d.itex_main and _can_alias(d),
        act=_alias_keras,
        about="keras_setting",
    ),
    Rule(
        "AX110",
        "info",
        "keras_core where only Keras 3 is installed",
        "keras_core was the preview of Keras 3 and is not installed: import keras_core gives keras",
        "let keras_core be keras",
        "Keras 3: A new multi-backend Keras, Installation",
        lambda d: (
            d.situation.importing == "keras_core" and not d.has("keras-core") and d.has("keras", KERAS_3)
        ),
        act=_alias_keras_core,
        about="importing",
    ),
    Rule(
        "AX113",
        "error",
        "Both generations of Keras are needed",
        "{keras_2_demand}; but {keras_3_demand} ({keras_3_place}): one process has only one tf.keras",
        "use packages of one generation, or run the two in processes of their own",
        LAZY_LOADER,
        lambda d: _is_demanded(d) and d.demand(3) is not None,
        about="keras_2_demand",
    ),
    Rule(
        "AX115",
        "error",
        "Keras 2 is needed and not installed",
        "{keras_2_demand}, but tf.keras is Keras 3 and tf_keras is not installed",
        "pip install tf-keras",
        LAZY_LOADER,
        lambda d: _is_demanded(d) and d.demand(3) is None and not d.has("tf-keras"),
        about="keras_2_demand",
    ),
    Rule(
        "AX112",
        "warning",
        "Keras 2 is needed",
        "{keras_2_demand}, but tf.keras is Keras 3",
        "set TF_USE_LEGACY_KERAS=1",
        LAZY_LOADER,
        lambda d: _is_demanded(d) and d.demand(3) is None and d.has("tf-keras"),
        cures=_turn_on,
        about="keras_2_demand",
    ),
    Rule(
        "AX120",
        "warning",
        "keras has to be Keras 2, too",
        "objects of keras come here to those of tf.keras or tf_keras, which are Keras 2",
        "let keras be tf_keras (keras = 'legacy' in the settings)",
        LAZY_LOADER,
        lambda d: _needs_alias(d) and not d.itex_main and _can_alias(d),
        act=_alias_keras,
        about=lambda d: _place_of(find_alias(d.situation.reading)),
    ),
    Rule(
        "AX116",
        "warning",
        "The program turns the switch on too late",
        "the program sets TF_USE_LEGACY_KERAS after tensorflow or keras was imported, which leaves "
        "tf.keras half switched",
        "set TF_USE_LEGACY_KERAS=1 before the import",
        LAZY_LOADER,
        lambda d: _late_switch(d) and not d.legacy and d.switchable,
        act=lambda d: _may_hoist_switch(d) and d.set(SWITCH, "1", "AX116"),
        about=_late_place(SWITCH),
    ),
    Rule(
        "AX117",
        "warning",
        "The program sets ITEX's variables too late",
        "the program sets an ITEX variable after tensorflow was imported, when ITEX has read it already",
        "set it before the import",
        "Intel Extension for TensorFlow, variables as read at plug-in load",
        lambda d: d.itex is not None and bool(_late_itex(d)),
        act=_hoist_itex,
        about=_late_place("ITEX_"),
    ),
    Rule(
        "AX118",
        "warning",
        "A variable is set too late",
        "the program sets a variable after tensorflow or keras was imported, when it has been read "
        "already; it has no effect",
        "set it before the first import of tensorflow or keras",
        LAZY_LOADER,
        _late_without_effect,
        about=_late_place(*READ_AT_IMPORT),
    ),
    Rule(
        "AX114",
        "info",
        "Keras 2 may be needed",
        "{keras_2_hint}; if that line runs, tf.keras has to be Keras 2",
        "set TF_USE_LEGACY_KERAS=1 if it does",
        LAZY_LOADER,
        lambda d: (
            d.demand(2, certain=False) is not None
            and d.demand(2) is None
            and not d.legacy
            and d.switchable
            and not d.is_explicit(SWITCH)
        ),
        about="keras_2_hint",
        grade="possible",
    ),
    Rule(
        "AX119",
        "warning",
        "The switch was changed after TensorFlow had read it",
        "TF_USE_LEGACY_KERAS={TF_USE_LEGACY_KERAS} now, which it was not when tensorflow was imported: "
        "tf.keras, from tensorflow.keras import … and tf.optimizers may be of different generations",
        "set it before the import, and leave it",
        LAZY_LOADER,
        _is_half_switched,
    ),
    Rule(
        "AX191",
        "warning",
        "A private module of another release",
        "this module is private and gone or changed in Keras 3; tensorflow.python.keras is a third "
        "generation, whose objects fit neither of the others",
        "import the public name from keras or tf_keras",
        "Keras 3, public API",
        lambda d: _private(d) is not None and d.has("keras", KERAS_3),
        about=lambda d: _place_of(_private(d)),
    ),
    Rule(
        "AX192",
        "warning",
        "An API of TensorFlow 1",
        "tf.estimator went with TensorFlow 2.16, and tf.contrib with 2.0: its first use raises an error",
        "rewrite it with Keras, or stay with an older TensorFlow",
        "TensorFlow, release notes of 2.0 and 2.16",
        lambda d: _tensorflow_1(d) is not None and d.has("tensorflow", SWITCHABLE),
        about=lambda d: _place_of(_tensorflow_1(d)),
    ),
    Rule(
        "AX193",
        "info",
        "Two generations of Keras in one program",
        "objects of keras and of tf_keras may meet here: layers and optimizers of one do not work in "
        "models of the other, some without an error",
        "use one of them for what belongs to one model",
        LAZY_LOADER,
        lambda d: _mixed(d) is not None,
        about=lambda d: _place_of(_mixed(d)),
    ),
    Rule(
        "AX194",
        "info",
        "transformers with PyTorch beside TensorFlow",
        "the program uses PyTorch; transformers still looks for TensorFlow, and stumbles over Keras 3",
        "set USE_TF=0",
        "Hugging Face transformers, import utilities",
        _has_tensorflow_for_nothing,
        about=_place("import", "transformers"),
    ),
)

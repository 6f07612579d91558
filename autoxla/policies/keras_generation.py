"""Which Keras ``tf.keras`` and ``import keras`` are."""

from __future__ import annotations

from typing import NamedTuple

from autoxla.model import SWITCHING, Evidence, Place, Saved
from autoxla.policies.draft import KERAS_3, SWITCH, SWITCHABLE, Draft
from autoxla.policies.packages import find_package
from autoxla.policies.rule import KERAS, LEGACY_ADAM, TF_KERAS, Example, Rule, set_late
from autoxla.policies.usage import Demand, find_alias, is_below
from autoxla.situation.env_parsing import intended, tensorflow_bool

#: Private modules that programs for Keras 2 import.
PRIVATE = (
    "keras.engine",
    "keras.utils.generic_utils",
    "keras.backend.tensorflow_backend",
    "tensorflow.python.keras",
)
GONE = ("tensorflow.estimator", "tensorflow.contrib")
#: Read while TensorFlow or Keras is imported, and never again.
READ_AT_IMPORT = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS")
GUIDE = "Intel Extension for TensorFlow, Keras 3 Overview, Legacy Keras"
LAZY_LOADER = "TensorFlow, the lazy loader of tf.keras"
TURN_ON = f"set {SWITCH}=1"
IN_FIRST_CELL = "set it in its first cell"


class Told(NamedTuple):
    """What there is to say of a line of the program."""

    place: Place
    message: str
    remedy: str = ""


def _fits(draft: Draft) -> bool:
    """Return whether tf_keras is installed, and in the release for this TensorFlow.

    It uses modules inside TensorFlow. Of another minor release it fails in its import, or later.
    """
    versions = draft.situation.versions
    return draft.has("tf-keras") and versions["tf-keras"][:2] == versions.get("tensorflow", ())[:2]


def _release(draft: Draft) -> str:
    """Return the release of tf_keras that fits TensorFlow."""
    return ".".join(map(str, draft.situation.versions["tensorflow"][:2]))


def _keeps_keras_3(draft: Draft) -> bool:
    """Return whether the user's settings choose Keras 3, which stands as the switch itself would."""
    return draft.situation.settings.keras == "3"


def _can_switch(draft: Draft) -> bool:
    """Return whether the switch may be turned on, and finds tf_keras."""
    return draft.has("tf-keras") and not draft.is_explicit(SWITCH) and not draft.tensorflow_loaded


def _can_alias(draft: Draft) -> bool:
    """Return whether the name ``keras`` may be given to tf_keras; ITEX itself needs Keras 3 under it."""
    is_free = not draft.itex_main and not draft.situation.imported & {"keras", "tensorflow"}
    return is_free and draft.legacy and draft.has("tf-keras")


def _demanded(draft: Draft, *, certain: bool = True) -> Demand | None:
    """Return why the program needs Keras 2 as tf.keras, where nothing has settled what that is."""
    is_open = not draft.legacy and draft.switchable and not draft.is_explicit(SWITCH)
    return draft.demand(2, certain=certain) if is_open else None


def _before_switch(draft: Draft) -> list[Evidence]:
    """Return what the program says of ``tf.keras`` before it sets the switch."""
    evidence = draft.situation.reading.evidence
    at = next(i for i, e in enumerate(evidence) if e.kind == "variable" and e.name == SWITCH)
    named = (e for e in evidence[:at] if e.kind in ("import", "attribute", "call"))
    return [e for e in named if is_below(e.name, "tensorflow.keras")]


def _turned_on_late(draft: Draft) -> Evidence | None:
    """Return where the program turns the switch on, behind its import of TensorFlow.

    None where it used ``tf.keras`` before: that is Keras 3 from its first use on, and the switch is for child
    processes.
    """
    late = draft.late_variables(SWITCH)
    is_open = bool(late) and not draft.legacy and draft.switchable
    if not is_open or not all(tensorflow_bool(str(e.value)) for e in late):
        return None
    imports = {e.place for e in draft.situation.reading.evidence if e.kind == "import"}
    used = (e for e in _before_switch(draft) if e.kind == "attribute" and e.place not in imports)
    return None if any(e.grade == "certain" for e in used) else late[0]


def _without_effect(draft: Draft) -> dict[str, Evidence]:
    """Return, by name, where the program changes variables that have been read already."""
    late = draft.late_variables(*READ_AT_IMPORT, *(("ITEX_",) if draft.itex is not None else ()))
    return {e.name: e for e in late if draft.situation.environment.get(e.name) != e.value}


def _is_half_switched(draft: Draft) -> bool:
    """Return whether the switch has changed, and not by a package that turns it on for its own objects."""
    then = draft.situation.read_values
    loaded = not draft.situation.imported.isdisjoint(SWITCHING)
    is_package = loaded or draft.says("import", *SWITCHING, certain=False)
    if then.get(SWITCH) is None and draft.legacy and is_package:
        return False
    return SWITCH in then and tensorflow_bool(then[SWITCH]) is not draft.legacy


def _unreadable(draft: Draft) -> Told | None:
    """Return a load that certainly fails in Keras 3, and how the file is read."""
    versions = draft.situation.versions
    is_3 = draft.keras == 3 and draft.has("keras", KERAS_3) and not draft.alias
    if not is_3 or draft.says("import", "tf_keras", certain=False):
        return None
    for evidence in draft.situation.reading.evidence:
        saved = draft.situation.saved.get(str(evidence.value)) if evidence.kind == "loads" else None
        is_needed = evidence.grade == "certain" and not evidence.caught
        if saved is None or saved.generation != 2 or not is_needed:
            continue
        if saved.kind in ("folder", "checkpoint") or (saved.kind == "keras" and "Functional" in saved.parts):
            from autoxla.policies.saved_files import KERAS_2, advise

            told = advise(saved, reader=versions["keras"], tf_keras=versions.get("tf-keras", ()), error="")
            remedy = (told or "").replace(KERAS_2, "start it with AUTOXLA_KERAS=legacy")
            wrote = f"{evidence.value} was written by Keras {saved.release or 2}"
            return Told(evidence.place, f"{wrote}, and Keras 3 does not load it", remedy)
    return None


def _fits_none(draft: Draft) -> Told | None:
    """Return where the program certainly imports a package that works with neither Keras."""
    situation = draft.situation
    for evidence in situation.reading.evidence if draft.has("tensorflow", SWITCHABLE) else ():
        is_needed = evidence.kind == "import" and evidence.grade == "certain" and not evidence.caught
        package = find_package(evidence.name, situation.versions) if is_needed else None
        is_known = evidence.name.partition(".")[0] in situation.settings.packages
        if package is not None and package.need == "none" and not is_known:
            name = f"{package.distribution} {'.'.join(map(str, situation.versions[package.distribution]))}"
            return Told(evidence.place, f"{name} works with no Keras of this TensorFlow ({package.evidence})")
    return None


RULES = (
    Rule(
        code="AX103",
        level="warning",
        title="TensorFlow ignores this spelling of TF_USE_LEGACY_KERAS",
        applies=lambda d: intended(d.environment.get(SWITCH, "")) is not False and not d.legacy,
        message=lambda d: f"{SWITCH}={d.value(SWITCH)}: TensorFlow takes only 1, true and True for on",
        remedy=f"write {SWITCH}=1 for on",
        why="""TensorFlow takes `TRUE`, `yes` and `on` for off and says nothing: the program gets Keras 3.
        ITEX's C++ code accepts more spellings, so that under ITEX one process may have both.""",
        example=Example(TF_KERAS, {SWITCH: "yes"}),
        source=LAZY_LOADER,
        about=SWITCH,
        act=lambda d: (
            intended(d.environment[SWITCH]) is True
            and not _keeps_keras_3(d)
            and d.has("tf-keras")
            and d.switchable
            and d.set(SWITCH, "1")
        ),
    ),
    Rule(
        code="AX105",
        level="warning",
        title="The settings ask for legacy Keras",
        applies=lambda d: d.situation.settings.keras in ("2", "legacy") and d.switchable and not d.legacy,
        message=lambda d: (
            f"keras = {d.situation.settings.keras!r} in the settings"
            + (
                ": tf.keras becomes tf_keras"
                if _can_switch(d)
                else ", but tf.keras stays Keras 3: tf_keras is not installed, or "
                f"{SWITCH}={d.value(SWITCH)} was set or came too late"
            )
        ),
        remedy=lambda d: (
            TURN_ON if _can_switch(d) else "pip install tf-keras, and leave TF_USE_LEGACY_KERAS unset"
        ),
        why="""TensorFlow reads the switch while it is imported, so autoxla sets it before. A value of the
        variable that you set yourself stands against the settings.""",
        example=Example(TF_KERAS, settings={"keras": "2"}),
        source=GUIDE,
        about="keras_setting",
        milder=_can_switch,
        cures=lambda d: {SWITCH: "1"} if _can_switch(d) else {},
    ),
    Rule(
        code="AX104",
        level="error",
        title="The switch is on, and tf_keras is not installed",
        applies=lambda d: d.legacy and d.keras != 0 and d.has("tensorflow") and not d.has("tf-keras"),
        message=lambda d: (
            f"{SWITCH}={d.value(SWITCH)}, but tf_keras is not installed: the first use of tf.keras raises "
            "ImportError"
        ),
        remedy="pip install tf-keras, or unset TF_USE_LEGACY_KERAS",
        why="""With the switch on, TensorFlow takes `tf.keras` from the package tf_keras. Without it `import
        tensorflow` still succeeds. The error at the first use of `tf.keras` names Keras, not tf_keras.""",
        example=Example(TF_KERAS, {SWITCH: "1"}, "no tf_keras"),
        source=LAZY_LOADER,
        about=SWITCH,
    ),
    Rule(
        code="AX109",
        level="error",
        title="The alias keras -> tf_keras under ITEX",
        applies=lambda d: d.situation.settings.keras == "legacy" and d.switchable and d.itex_main,
        message="keras = 'legacy' in the settings makes keras an alias of tf_keras, but ITEX itself needs "
        "Keras 3 under that name and ends the process without it; the alias is left out",
        remedy="write import tf_keras as keras in the program",
        why="""ITEX imports Keras 3 under the name `keras` while TensorFlow loads, even where the program uses
        legacy Keras. In tf_keras it would not find the methods that it replaces.""",
        example=Example(KERAS, machine="ITEX", settings={"keras": "legacy"}),
        source=GUIDE,
        about="keras_setting",
    ),
    Rule(
        code="AX108",
        level="info",
        title="The alias keras -> tf_keras",
        applies=lambda d: d.situation.settings.keras == "legacy" and d.switchable and _can_alias(d),
        message="keras = 'legacy' in the settings: import keras gives tf_keras",
        remedy="let keras be tf_keras",
        why="""The switch changes `tf.keras` alone, and `import keras` stays Keras 3. With `keras = "legacy"`
        both are tf_keras, and the program runs on one generation without an edit.""",
        example=Example(KERAS, settings={"keras": "legacy"}),
        source=GUIDE,
        about="keras_setting",
        act=lambda d: d.alias.setdefault("keras", "tf_keras"),
    ),
    Rule(
        code="AX113",
        level="error",
        title="Both generations of Keras are needed",
        applies=lambda d: d.demand(3) and _demanded(d),
        message=lambda d: f"{d.found.why}; but {d.demand(3)}: one process has only one tf.keras",
        remedy="use packages of one generation, or run the two in processes of their own",
        why="""One half of the program breaks with the switch off, the other with the switch on. No setting
        cures that. A program may import `keras` as well; if its objects meet those of `tf.keras`, the
        alias helps (AX120).""",
        example=Example(f"{LEGACY_ADAM}mean = tf.keras.ops.mean([1.0, 2.0])\n"),
        source=LAZY_LOADER,
    ),
    Rule(
        code="AX115",
        level="error",
        title="Keras 2 is needed and not installed in the release for this TensorFlow",
        applies=lambda d: d.demand(3) is None and not _fits(d) and _demanded(d),
        message=lambda d: (
            f"{d.found.why}, but tf.keras is Keras 3 and tf_keras {_release(d)} is not installed"
        ),
        # It is never TensorFlow that has to change.
        remedy=lambda d: f"pip install 'tf-keras=={_release(d)}.*'",
        why="""From TensorFlow 2.16 on Keras 2 is a package of its own, tf_keras, and works only with the
        TensorFlow of the same major and minor number. Until it is installed the switch cannot help.""",
        example=Example(LEGACY_ADAM, machine="no tf_keras"),
        source=LAZY_LOADER,
    ),
    Rule(
        code="AX112",
        level="warning",
        title="Keras 2 is needed",
        applies=lambda d: d.demand(3) is None and _fits(d) and _demanded(d),
        message=lambda d: f"{d.found.why}, but tf.keras is Keras 3",
        remedy=TURN_ON,
        why="""From TensorFlow 2.16 on `tf.keras` is Keras 3. A program or a library for Keras 2 then fails,
        often late: at the first optimizer, or when it loads a model. autoxla turns the switch on where the
        program certainly needs Keras 2 and nothing in it needs Keras 3.""",
        example=Example(LEGACY_ADAM),
        source=LAZY_LOADER,
        after_restart=f"{TURN_ON} in its first cell",
        cures=lambda d: {} if _keeps_keras_3(d) else {SWITCH: "1"},
    ),
    Rule(
        code="AX120",
        level="warning",
        title="keras has to be Keras 2, too",
        applies=lambda d: (
            d.has("keras", KERAS_3)
            and d.demand(3) is None
            and not d.alias
            and _can_alias(d)
            and _fits(d)
            and find_alias(d.situation.reading)
        ),
        message="objects or settings of keras reach objects of tf.keras or tf_keras, which are Keras 2",
        remedy="let keras be tf_keras (keras = 'legacy' in the settings)",
        why="""Under the switch `tf.keras` is Keras 2, while `import keras` stays Keras 3. If an object of
        one reaches an object of the other, it raises an error or trains nothing.""",
        example=Example(
            "import keras\nimport tensorflow as tf\n\n"
            "model = keras.Sequential([keras.layers.Dense(1)])\n"
            'model.compile(tf.keras.optimizers.legacy.Adam(1e-3), "mse")\n'
        ),
        source=LAZY_LOADER,
        act=lambda d: d.alias.setdefault("keras", "tf_keras"),
    ),
    Rule(
        code="AX199",
        level="warning",
        title="A file of Keras 2 that Keras 3 does not load",
        applies=_unreadable,
        message=lambda d: d.found.message,
        remedy=lambda d: d.found.remedy,
        why="""The file records which release wrote it. Keras 3 loads no SavedModel, no checkpoint of weights,
        and no `.keras` file of a functional model that Keras 2 wrote.""",
        example=Example(
            'import keras\n\nmodel = keras.models.load_model("old_model")\n',
            known={"saved": {"old_model": Saved("folder", 2, "2.15.0")}},
            told="old_model is a SavedModel of Keras 2.15",
        ),
        source="docs/saved-files.md",
    ),
    Rule(
        code="AX198",
        level="error",
        title="A package that works with no Keras of this TensorFlow",
        applies=_fits_none,
        message=lambda d: d.found.message,
        remedy="a newer release of it, if there is one, or TensorFlow 2.15 in an environment of its own",
        why="""The package needs something that neither Keras 3 nor tf_keras has, or that TensorFlow 2.16
        removed. It was tried with both. The switch does not help, so autoxla leaves it off.""",
        example=Example("from rl.agents import DQNAgent\n", machine="keras-rl2"),
        source="docs/packages.md",
    ),
    Rule(
        code="AX116",
        level="warning",
        title="The program turns the switch on too late",
        applies=_turned_on_late,
        message=f"the program sets {SWITCH} after tensorflow or keras was imported, which leaves tf.keras "
        "half switched",
        remedy=f"{TURN_ON} before the import",
        why="""TensorFlow reads the switch while it is imported, and again at the first use of `tf.keras`. In
        between, `tf.keras` and `from tensorflow.keras import …` become two generations. autoxla sets it
        before the import, unless the program imports names of `tf.keras` before that line.""",
        example=Example(f'import os\nimport tensorflow as tf\n\nos.environ["{SWITCH}"] = "1"\n'),
        source=LAZY_LOADER,
        late=lambda d: (SWITCH,),
        after_restart=f"{TURN_ON} in its first cell",
        # Unless the program, as it is, works with Keras 3 before that line.
        act=lambda d: (
            _can_switch(d)
            and _fits(d)
            and not _keeps_keras_3(d)
            and d.demand(3) is None
            and not _before_switch(d)
            and d.set(SWITCH, "1")
        ),
    ),
    Rule(
        code="AX118",
        level="warning",
        title="A variable is set too late",
        applies=lambda d: next(iter(_without_effect(d).values()), None),
        message=lambda d: (
            f"the program sets {' and '.join(_without_effect(d))} after tensorflow or keras was imported and "
            "had read it: no effect"
        ),
        remedy="set it before the first import of tensorflow or keras",
        why="""TensorFlow, Keras and ITEX read some variables once, while they are imported. A later
        assignment does nothing, or reaches one half of ITEX only.""",
        example=Example('import os\nimport keras\n\nos.environ["KERAS_BACKEND"] = "jax"\n'),
        source=LAZY_LOADER,
        late=lambda d: tuple(_without_effect(d)),
        after_restart=IN_FIRST_CELL,
    ),
    Rule(
        code="AX114",
        level="info",
        title="Keras 2 may be needed",
        applies=lambda d: d.demand(2) is None and _demanded(d, certain=False),
        message=lambda d: f"{d.found.why}; if that line runs, tf.keras has to be Keras 2",
        remedy=f"{TURN_ON} if it does",
        why="""The line stands under a condition or in a function, so it may never run. The
        switch could break a program that works. If the line runs, autoxla prints a warning then.""",
        example=Example(
            "import sys\nimport tensorflow as tf\n\nif len(sys.argv) > 1:\n    import tf_agents\n",
            machine="tf-agents",
        ),
        source=LAZY_LOADER,
        grade="possible",
        certain_with=lambda d: d.found.module or None,
    ),
    Rule(
        code="AX119",
        level="warning",
        title="The switch was changed after TensorFlow had read it",
        applies=_is_half_switched,
        message=lambda d: (
            f"{SWITCH}={d.value(SWITCH)} now, which it was not when tensorflow was imported: tf.keras, from "
            "tensorflow.keras import … and tf.optimizers may be of different generations"
        ),
        remedy="set it before the import, and leave it",
        why="""TensorFlow reads the switch at several moments, and the variable has another value now than at
        the first of them. Usually a model then refuses an optimizer.""",
        example=set_late(SWITCH, "1", read_values={SWITCH: None}, imported=frozenset({"tensorflow"})),
        source=LAZY_LOADER,
        late=lambda d: (SWITCH,),
        after_restart=IN_FIRST_CELL,
        checked_again=True,
    ),
    Rule(
        code="AX191",
        level="warning",
        title="A private module of another release",
        applies=lambda d: d.has("keras", KERAS_3) and d.says("import", *PRIVATE, caught=False),
        message="this module is private and gone or changed in Keras 3; tensorflow.python.keras is a third "
        "generation, whose objects fit neither of the others",
        remedy="import the public name from keras or tf_keras",
        why="""Private modules move without notice. The classes of `tensorflow.python.keras` are accepted
        neither by Keras 3 nor by tf_keras.""",
        example=Example("from tensorflow.python.keras import layers\n"),
        source="Keras 3, public API",
    ),
    Rule(
        code="AX192",
        level="warning",
        title="An API of TensorFlow 1",
        applies=lambda d: (
            d.has("tensorflow", SWITCHABLE)
            and (d.says("attribute", *GONE, caught=False) or d.says("import", *GONE, caught=False))
        ),
        message="TensorFlow 2.16 removed tf.estimator, and 2.0 removed tf.contrib: the first use raises an "
        "error",
        remedy="rewrite it with Keras, or stay with an older TensorFlow",
        why="""The import of TensorFlow succeeds, and the program fails at the first use, perhaps after it has
        prepared its data.""",
        example=Example("import tensorflow as tf\n\nestimator = tf.estimator.DNNClassifier([8], [])\n"),
        source="TensorFlow, release notes of 2.0 and 2.16",
    ),
)

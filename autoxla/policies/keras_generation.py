"""Which Keras ``tf.keras`` and ``import keras`` are."""

from __future__ import annotations

from autoxla.model import SWITCHING, Evidence, Saved
from autoxla.policies.example import FROM_A_FILE, KERAS, LEGACY_ADAM, TF_KERAS, Example
from autoxla.policies.packages import Package, find_package
from autoxla.policies.rule import KERAS_3, SWITCH, SWITCHABLE, Cure, Draft, Rule, place_of
from autoxla.policies.usage import find_alias, is_below, sides
from autoxla.situation.env_parsing import intended, tensorflow_bool

#: Private modules that programs for Keras 2 import.
PRIVATE = (
    "keras.engine",
    "keras.utils.generic_utils",
    "keras.backend.tensorflow_backend",
    "tensorflow.python.keras",
)
#: Read while TensorFlow or Keras is imported, and never again.
READ_AT_IMPORT = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS")
GUIDE = "Intel Extension for TensorFlow, Keras 3 Overview, Legacy Keras"
LAZY_LOADER = "TensorFlow, the lazy loader of tf.keras"
#: What asks for the switch at its own first use.
_ASKING = tuple(f"tensorflow.{name}" for name in ("initializers", "losses", "metrics", "optimizers"))
TURN_ON = f"set {SWITCH}=1"


def _is_misspelt(draft: Draft) -> bool:
    value = draft.environment.get(SWITCH)
    return value is not None and intended(value) is not False and not tensorflow_bool(value)


def _can_switch(draft: Draft) -> bool:
    return draft.has("tf-keras") and draft.switchable


def _fits(draft: Draft) -> bool:
    """Return whether tf_keras is installed, and in the release for this TensorFlow.

    It uses modules inside TensorFlow. Of another minor release it fails in its import, or later.
    """
    versions = draft.situation.versions
    return draft.has("tf-keras") and versions["tf-keras"][:2] == versions.get("tensorflow", ())[:2]


def _release(draft: Draft, name: str) -> str:
    return ".".join(map(str, draft.situation.versions[name][:2]))


def _wants_legacy(draft: Draft) -> bool:
    return draft.situation.settings.keras in ("2", "legacy")


def _keeps_keras_3(draft: Draft) -> bool:
    """Return whether the user's settings choose Keras 3, which stands as the switch itself would."""
    return draft.situation.settings.keras == "3"


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
    is_open = draft.has("keras", KERAS_3) and draft.demand(3) is None and not draft.alias
    may_be_made = _can_alias(draft) and _fits(draft) and not draft.itex_main
    return is_open and may_be_made and find_alias(draft.situation.reading) is not None


def _is_open(draft: Draft) -> bool:
    """Return whether nothing has settled which generation ``tf.keras`` is, and the switch would."""
    return not draft.legacy and draft.switchable and not draft.is_explicit(SWITCH)


def _is_demanded(draft: Draft) -> bool:
    """Return whether the program's source needs Keras 2 as tf.keras, and nothing has settled that."""
    return _is_open(draft) and draft.demand(2) is not None


def _module_of_hint(draft: Draft) -> str | None:
    hint = draft.demand(2, certain=False)
    return None if hint is None else hint.module or None


def _late(draft: Draft, *names: str) -> tuple[Evidence, ...]:
    """Return the program's assignments to variables whose names begin so, behind its backend import."""
    return tuple(e for e in draft.late_variables() if e.name.startswith(names))


def _first_late(draft: Draft, *names: str) -> Evidence | None:
    return next(iter(_late(draft, *names)), None)


def _late_switch(draft: Draft) -> bool:
    """Return whether the program itself turns the switch on, behind its import of TensorFlow."""
    values = [e.value for e in _late(draft, SWITCH)]
    return bool(values) and all(isinstance(v, str) and tensorflow_bool(v) for v in values)


def _works_before(draft: Draft) -> bool:
    """Return whether the program uses Keras 3 as tf.keras before it turns the switch on."""
    for evidence in draft.situation.reading.evidence:
        if evidence.kind == "variable" and evidence.name == SWITCH:
            break
        if evidence.kind not in ("loads", "saves", "meets") and is_below(evidence.name, "tensorflow.keras"):
            return True
    return False


def _is_for_children(draft: Draft) -> bool:
    """Return whether the program turns the switch on when nothing of its own asks for it any more.

    Names that were imported are those of Keras 3, and so is all of ``tf.keras`` from its first use on.
    """
    evidence = draft.situation.reading.evidence
    at = next(i for i, e in enumerate(evidence) if e.kind == "variable" and e.name == SWITCH)
    imports = {e.place for e in evidence if e.kind == "import"}
    used = (e for e in evidence[:at] if e.kind == "attribute" and e.grade == "certain")
    is_resolved = any(is_below(e.name, "tensorflow.keras") and e.place not in imports for e in used)
    return is_resolved and not any(is_below(e.name, name) for e in evidence[at:] for name in _ASKING)


def _hoist_switch(draft: Draft) -> bool:
    """Turn the switch on in time, unless the program, as it is, works with Keras 3 before it does so."""
    is_free = _may_switch(draft) and not _keeps_keras_3(draft) and draft.demand(3) is None
    return not _works_before(draft) and is_free and _fits(draft) and draft.set(SWITCH, "1")


def _late_itex(draft: Draft) -> dict[str, str]:
    """Return the ITEX variables that the program sets too late, each to one constant value."""
    late = _late(draft, "ITEX_")
    values = {e.name: {other.value for other in late if other.name == e.name} for e in late}
    free = {name for name in values if name not in draft.situation.environment}
    return {e.name: str(e.value) for e in late if e.name in free and len(values[e.name]) == 1}


def _hoist_itex(draft: Draft) -> bool:
    done = [draft.set(name, value) for name, value in _late_itex(draft).items()]
    draft.chosen.update(_late_itex(draft))
    return any(done)


def _without_effect(draft: Draft) -> tuple[str, ...]:
    """Return the variables that the program changes when they have been read already."""
    environment = draft.situation.environment
    late = (e for e in draft.late_variables() if environment.get(e.name) != e.value)
    return tuple(dict.fromkeys(e.name for e in late if e.name in READ_AT_IMPORT))


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


def _is_half_switched(draft: Draft) -> bool:
    then = draft.situation.read_values
    loaded = not draft.situation.imported.isdisjoint(SWITCHING)
    is_package = loaded or draft.says("import", *SWITCHING, certain=False)
    if then.get(SWITCH) is None and draft.legacy and is_package:
        return False
    return SWITCH in then and tensorflow_bool(then[SWITCH]) is not draft.legacy


def _has_tensorflow_for_nothing(draft: Draft) -> bool:
    """Return whether the program uses transformers with PyTorch and never names TensorFlow."""
    torch_only = draft.says("import", "transformers") and draft.says("import", "torch")
    old = not draft.has("transformers", (5,)) and draft.has("transformers")
    names_it = draft.says("import", "tensorflow", "keras", "tf_keras", certain=False)
    return bool(torch_only) and old and names_it is None and draft.has("keras", KERAS_3)


def _unreadable(draft: Draft) -> tuple[Evidence, str, str] | None:
    """Return a load that certainly fails in Keras 3, what there is to say of it, and how the file is read."""
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
            return evidence, f"{wrote}, and Keras 3 does not load it", remedy
    return None


def _fitting_none(draft: Draft) -> tuple[Evidence, Package] | None:
    """Return the package that works with neither Keras, and where the program certainly imports it."""
    situation = draft.situation
    for evidence in situation.reading.evidence if draft.has("tensorflow", SWITCHABLE) else ():
        is_needed = evidence.kind == "import" and evidence.grade == "certain" and not evidence.caught
        package = find_package(evidence.name, situation.versions) if is_needed else None
        is_known = evidence.name.partition(".")[0] in situation.settings.packages
        if package is not None and package.need == "none" and not is_known:
            return evidence, package
    return None


def _name_package(found: tuple[Evidence, Package] | None, draft: Draft) -> str:
    if found is None:
        return ""
    release = ".".join(map(str, draft.situation.versions[found[1].distribution]))
    return f"{found[1].distribution} {release} works with no Keras of this TensorFlow ({found[1].evidence})"


def _asked(draft: Draft) -> str:
    return f"keras = {draft.situation.settings.keras!r} in the settings"


RULES = (
    Rule(
        code="AX103",
        level="warning",
        title="TensorFlow ignores this spelling of TF_USE_LEGACY_KERAS",
        applies=_is_misspelt,
        message=lambda d: (
            f"{SWITCH}={d.value(SWITCH)}: TensorFlow takes only 1, true and True for on and ignores anything "
            "else"
        ),
        remedy=f"write {SWITCH}=1 for on",
        why="""TensorFlow compares the value with three texts: `1`, `true` and `True`. It takes `TRUE`, `yes`,
        `on` and a `1` with a space beside it for off and says nothing: the program gets Keras 3. The C++ code
        of ITEX accepts more spellings of the same variable, so that under ITEX the two halves of one process
        may disagree.""",
        example=Example(TF_KERAS, {SWITCH: "yes"}),
        source=LAZY_LOADER,
        about=SWITCH,
        act=lambda d: (
            intended(d.environment[SWITCH]) is True
            and not _keeps_keras_3(d)
            and _can_switch(d)
            and d.set(SWITCH, "1")
        ),
    ),
    Rule(
        code="AX105",
        level="info",
        title="The settings ask for legacy Keras",
        applies=lambda d: _wants_switch(d) and _can_switch(d) and _may_switch(d),
        message=lambda d: f"{_asked(d)}: tf.keras becomes tf_keras",
        remedy=TURN_ON,
        why="""Your settings choose Keras 2 for `tf.keras`. TensorFlow reads the switch while it is imported,
        and again when the program first uses its lazy modules. So autoxla sets the switch before the import.
        Child processes inherit the variable.""",
        example=Example(TF_KERAS, settings={"keras": "2"}),
        source=GUIDE,
        about="keras_setting",
        cures=lambda d: (Cure(SWITCH, "1"),),
    ),
    Rule(
        code="AX106",
        level="warning",
        title="The settings ask for legacy Keras, and tf.keras stays Keras 3",
        applies=_wants_switch,
        message=lambda d: (
            f"{_asked(d)}, but tf.keras stays Keras 3: tf_keras is not installed, or "
            f"{SWITCH}={d.value(SWITCH)} was set or came too late"
        ),
        remedy="pip install tf-keras, and leave TF_USE_LEGACY_KERAS unset",
        why="""The settings ask for one Keras, and the program gets the other. Errors follow far from the
        cause: `optimizers.legacy` is missing, or a saved model cannot be read. A value of the variable that
        you set yourself stands against the settings. A switch that is set after the import has no effect.""",
        example=Example(TF_KERAS, machine="no tf_keras", settings={"keras": "2"}),
        source=GUIDE,
        about="keras_setting",
    ),
    Rule(
        code="AX107",
        level="info",
        title="tf.keras is Keras 2 already",
        applies=lambda d: _wants_legacy(d) and d.has("tensorflow") and not d.switchable,
        message=lambda d: f"{_asked(d)}; this TensorFlow's tf.keras is Keras 2 without any switch",
        remedy="nothing to do",
        why="""Up to TensorFlow 2.15 `tf.keras` is Keras 2, whatever the switch says. The setting does no
        harm. It takes effect when you upgrade TensorFlow.""",
        example=Example(TF_KERAS, machine="TensorFlow 2.15", settings={"keras": "2"}),
        source=LAZY_LOADER,
        about="keras_setting",
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
        why="""With the switch on, TensorFlow takes `tf.keras` from the package tf_keras, which is installed
        separately. Without that package `import tensorflow` still succeeds, and the first use of `tf.keras`
        fails. The error names Keras, not tf_keras. A later `from tensorflow.keras import …` may even give
        Keras 3.""",
        example=Example(TF_KERAS, {SWITCH: "1"}, "no tf_keras"),
        source=LAZY_LOADER,
        about=SWITCH,
    ),
    Rule(
        code="AX109",
        level="error",
        title="The alias keras -> tf_keras under ITEX",
        applies=lambda d: _wants_alias(d) and d.itex_main,
        message="keras = 'legacy' in the settings makes keras an alias of tf_keras, but ITEX itself needs "
        "Keras 3 under that name and ends the process without it; the alias is left out",
        remedy="write import tf_keras as keras in the program",
        why="""ITEX imports Keras 3 under the name `keras` while TensorFlow loads, even where the program uses
        legacy Keras. If that name gave tf_keras, ITEX would not find the methods that it replaces, and would
        end the process with exit status 0.""",
        example=Example(KERAS, machine="ITEX", settings={"keras": "legacy"}),
        source=GUIDE,
        about="keras_setting",
    ),
    Rule(
        code="AX108",
        level="info",
        title="The alias keras -> tf_keras",
        applies=lambda d: _wants_alias(d) and not d.itex_main and _can_alias(d),
        message="keras = 'legacy' in the settings: import keras gives tf_keras",
        remedy="let keras be tf_keras",
        why="""The switch changes `tf.keras` alone. `import keras` stays Keras 3, so that a program with both
        names mixes two generations. With `keras = "legacy"` the name `keras` gives tf_keras, too, and the
        program runs on one generation without an edit.""",
        example=Example(KERAS, settings={"keras": "legacy"}),
        source=GUIDE,
        about="keras_setting",
        act=lambda d: d.make_alias("keras", "tf_keras"),
    ),
    Rule(
        code="AX110",
        level="info",
        title="keras_core where only Keras 3 is installed",
        applies=lambda d: (
            d.situation.importing == "keras_core" and not d.has("keras-core") and d.has("keras", KERAS_3)
        ),
        message="keras_core was the preview of Keras 3 and is not installed: import keras_core gives keras",
        remedy="let keras_core be keras",
        why="""Keras Core was the preview of Keras 3 and became part of it. Its package is no longer
        developed, and programs written for it work with Keras 3. Where only Keras 3 is installed, autoxla
        lets the old name give the new package.""",
        example=Example("import keras_core\n\nmodel = keras_core.Sequential([keras_core.layers.Dense(1)])\n"),
        source="Keras 3: A new multi-backend Keras, Installation",
        about="importing",
        act=lambda d: d.make_alias("keras_core", "keras"),
    ),
    Rule(
        code="AX113",
        level="error",
        title="Both generations of Keras are needed",
        applies=lambda d: _is_demanded(d) and d.demand(3) is not None,
        message=lambda d: (
            f"{d.why(2)}; but {d.why(3)} ({d.demand_place(3)}): one process has only one tf.keras"
        ),
        remedy="use packages of one generation, or run the two in processes of their own",
        why="""A process has one `tf.keras`. With the switch off one half of the program breaks, with the
        switch on the other half. Objects of the two generations do not work together, and some mixtures train
        nothing without an error. No setting cures that: autoxla names both lines and changes nothing. A
        program may import keras as well: its objects are of Keras 3 with and without the switch. Where they
        meet those of tf.keras, the alias helps (AX120).""",
        example=Example(f"{LEGACY_ADAM}mean = tf.keras.ops.mean([1.0, 2.0])\n"),
        source=LAZY_LOADER,
        about=lambda d: d.demand_place(2),
    ),
    Rule(
        code="AX115",
        level="error",
        title="Keras 2 is needed and not installed in the release for this TensorFlow",
        applies=lambda d: _is_demanded(d) and d.demand(3) is None and not _fits(d),
        message=lambda d: (
            f"{d.why(2)}, but tf.keras is Keras 3 and tf_keras "
            + (
                f"{_release(d, 'tf-keras')} is not the one for TensorFlow {_release(d, 'tensorflow')}"
                if d.has("tf-keras")
                else "is not installed"
            )
        ),
        # It is never TensorFlow that has to change.
        remedy=lambda d: f"pip install 'tf-keras=={_release(d, 'tensorflow')}.*'",
        why="""The program needs Keras 2. From TensorFlow 2.16 on that is a package of its own, tf_keras. Each
        release of tf_keras works with the TensorFlow of the same major and minor number. Until that one is
        installed the switch cannot help, and autoxla leaves it off.""",
        example=Example(LEGACY_ADAM, machine="no tf_keras"),
        source=LAZY_LOADER,
        about=lambda d: d.demand_place(2),
    ),
    Rule(
        code="AX112",
        level="warning",
        title="Keras 2 is needed",
        applies=lambda d: _is_demanded(d) and d.demand(3) is None and _fits(d),
        message=lambda d: f"{d.why(2)}, but tf.keras is Keras 3",
        remedy=TURN_ON,
        why="""From TensorFlow 2.16 on `tf.keras` is Keras 3. A program or a library that was written for
        Keras 2 then fails, often late: at the first optimizer, at `add`, or when it loads a model. tf_keras
        is installed here, so only the switch is missing. autoxla sets it where the program certainly needs
        Keras 2 and nothing in it needs Keras 3.""",
        example=Example(LEGACY_ADAM),
        source=LAZY_LOADER,
        about=lambda d: d.demand_place(2),
        after_restart=f"{TURN_ON} in its first cell",
        cures=lambda d: () if _keeps_keras_3(d) else (Cure(SWITCH, "1"),),
    ),
    Rule(
        code="AX120",
        level="warning",
        title="keras has to be Keras 2, too",
        applies=_needs_alias,
        message="objects or settings of keras come to objects of tf.keras or tf_keras, which are Keras 2",
        remedy="let keras be tf_keras (keras = 'legacy' in the settings)",
        why="""Under the switch `tf.keras` is Keras 2, while `import keras` stays Keras 3. A layer, model or
        optimizer of one that comes to one of the other raises an error or trains nothing. The source of the
        program shows where that certainly happens. With tf_keras under the name `keras` both are one
        generation.""",
        example=Example(
            "import keras\nimport tensorflow as tf\n\n"
            "model = keras.Sequential([keras.layers.Dense(1)])\n"
            'model.compile(tf.keras.optimizers.legacy.Adam(1e-3), "mse")\n'
        ),
        source=LAZY_LOADER,
        about=lambda d: place_of(find_alias(d.situation.reading)),
        act=lambda d: d.make_alias("keras", "tf_keras"),
    ),
    Rule(
        code="AX199",
        level="warning",
        title="A file of Keras 2 that Keras 3 does not load",
        applies=lambda d: _unreadable(d) is not None,
        message=lambda d: (_unreadable(d) or ("", "", ""))[1],
        remedy=lambda d: (_unreadable(d) or ("", "", ""))[2],
        why="""The program loads a file by a constant name, and the file itself tells what wrote it. Keras 3
        loads no SavedModel, no checkpoint of weights, and no `.keras` file of a functional model that Keras 2
        wrote. docs/saved-files.md says what was tried.""",
        example=Example(
            'import keras\n\nmodel = keras.models.load_model("old_model")\n',
            known={"saved": {"old_model": Saved("folder", 2, "2.15.0")}},
            told="old_model is a SavedModel of Keras 2.15",
        ),
        source="docs/saved-files.md",
        about=lambda d: place_of((_unreadable(d) or (None,))[0]),
    ),
    Rule(
        code="AX198",
        level="error",
        title="A package that works with no Keras of this TensorFlow",
        applies=lambda d: _fitting_none(d) is not None,
        message=lambda d: _name_package(_fitting_none(d), d),
        remedy="a newer release of it, if there is one, or TensorFlow 2.15 in an environment of its own",
        why="""The package needs something that neither Keras 3 nor tf_keras has, or that went with TensorFlow
        2.16. It was tried with both. The switch does not help, so autoxla leaves it off.""",
        example=Example("from rl.agents import DQNAgent\n", machine="keras-rl2"),
        source="docs/packages.md",
        about=lambda d: place_of((_fitting_none(d) or (None,))[0]),
    ),
    Rule(
        code="AX116",
        level="warning",
        title="The program turns the switch on too late",
        applies=lambda d: _late_switch(d) and not d.legacy and d.switchable and not _is_for_children(d),
        message="the program sets TF_USE_LEGACY_KERAS after tensorflow or keras was imported, which leaves "
        "tf.keras half switched",
        remedy=f"{TURN_ON} before the import",
        why="""TensorFlow reads the switch more than once: while it is imported, and again at the first use of
        `tf.keras`, of `tf.optimizers` and of other lazy modules. If the program sets it in between,
        `tf.keras.layers.Dense` and `from tensorflow.keras.layers import Dense` give two different classes.
        autoxla sets it before the import, unless the program works with Keras 3 before that line.""",
        example=Example(f'import os\nimport tensorflow as tf\n\nos.environ["{SWITCH}"] = "1"\n'),
        source=LAZY_LOADER,
        about=lambda d: place_of(_first_late(d, SWITCH)),
        late=lambda d: (SWITCH,),
        after_restart=f"{TURN_ON} in its first cell",
        act=_hoist_switch,
    ),
    Rule(
        code="AX117",
        level="warning",
        title="The program sets ITEX's variables too late",
        applies=lambda d: d.itex is not None and bool(_late_itex(d)),
        message=lambda d: (
            f"the program sets {' and '.join(_late_itex(d))} after tensorflow was imported, when ITEX has "
            "read it already"
        ),
        remedy="set it before the import",
        why="""ITEX reads its variables once, while TensorFlow loads the plug-in. An assignment behind `import
        tensorflow` reaches at most the Python side of ITEX, and the two halves of ITEX then hold different
        values. Where the value is a constant, autoxla sets it in time.""",
        example=Example(
            'import os\nimport tensorflow as tf\n\nos.environ["ITEX_DISABLE_XLA"] = "1"\n', machine="ITEX"
        ),
        source="Intel Extension for TensorFlow, variables as read at plug-in load",
        about=lambda d: place_of(_first_late(d, "ITEX_")),
        late=lambda d: tuple(_late_itex(d)),
        after_restart="set it in its first cell",
        act=_hoist_itex,
    ),
    Rule(
        code="AX118",
        level="warning",
        title="A variable is set too late",
        applies=lambda d: bool(_without_effect(d)),
        message=lambda d: (
            f"the program sets {' and '.join(_without_effect(d))} after tensorflow or keras was imported and "
            "had read it: no effect"
        ),
        remedy="set it before the first import of tensorflow or keras",
        why="""TensorFlow and Keras read some variables once, while they are imported. An assignment
        behind the import looks as if it chose the backend, switched oneDNN off or silenced the log. It
        does nothing.""",
        example=Example('import os\nimport keras\n\nos.environ["KERAS_BACKEND"] = "jax"\n'),
        source=LAZY_LOADER,
        about=lambda d: place_of(_first_late(d, *READ_AT_IMPORT)),
        late=_without_effect,
        after_restart="set it in its first cell",
    ),
    Rule(
        code="AX114",
        level="info",
        title="Keras 2 may be needed",
        applies=lambda d: _is_open(d) and d.demand(2) is None and d.demand(2, certain=False) is not None,
        message=lambda d: f"{d.why(2, certain=False)}; if that line runs, tf.keras has to be Keras 2",
        remedy=f"{TURN_ON} if it does",
        why="""The line that needs Keras 2 stands under a condition or in a function, so it may never run. If
        autoxla switched the whole process for it, a program that works could break. If the line does run,
        autoxla says so then, as a warning.""",
        example=Example(
            "import sys\nimport tensorflow as tf\n\nif len(sys.argv) > 1:\n    import tf_agents\n",
            machine="tf-agents",
        ),
        source=LAZY_LOADER,
        about=lambda d: d.demand_place(2, certain=False),
        grade="possible",
        certain_with=_module_of_hint,
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
        the first of them. `tf.keras`, names imported from `tensorflow.keras` and `tf.optimizers` can then
        come from two generations. Usually a model then refuses an optimizer.""",
        example=Example(
            FROM_A_FILE,
            known={
                "environment": {SWITCH: "1"},
                "read_values": {SWITCH: None},
                "imported": frozenset({"tensorflow"}),
            },
            told=f'variables.json holds {{"{SWITCH}": "1"}}',
            command="python -m autoxla",
        ),
        source=LAZY_LOADER,
        late=lambda d: (SWITCH,),
        after_restart="set it in its first cell",
        checked_again=True,
    ),
    Rule(
        code="AX191",
        level="warning",
        title="A private module of another release",
        applies=lambda d: _private(d) is not None and d.has("keras", KERAS_3),
        message="this module is private and gone or changed in Keras 3; tensorflow.python.keras is a third "
        "generation, whose objects fit neither of the others",
        remedy="import the public name from keras or tf_keras",
        why="""Private modules move without notice. `keras.engine` and its like are gone in Keras 3.
        `tensorflow.python.keras` still exists, and gives a third family of classes that neither Keras 3 nor
        tf_keras accepts.""",
        example=Example("from tensorflow.python.keras import layers\n"),
        source="Keras 3, public API",
        about=lambda d: place_of(_private(d)),
    ),
    Rule(
        code="AX192",
        level="warning",
        title="An API of TensorFlow 1",
        applies=lambda d: _tensorflow_1(d) is not None and d.has("tensorflow", SWITCHABLE),
        message="tf.estimator went with TensorFlow 2.16, and tf.contrib with 2.0: its first use raises an "
        "error",
        remedy="rewrite it with Keras, or stay with an older TensorFlow",
        why="""TensorFlow 2.16 dropped estimators, and 2.0 dropped `tf.contrib`. The import of TensorFlow
        succeeds, and the program fails at the first use, perhaps after it has prepared its data.""",
        example=Example("import tensorflow as tf\n\nestimator = tf.estimator.DNNClassifier([8], [])\n"),
        source="TensorFlow, release notes of 2.0 and 2.16",
        about=lambda d: place_of(_tensorflow_1(d)),
    ),
    Rule(
        code="AX193",
        level="info",
        title="Two generations of Keras in one program",
        applies=lambda d: _mixed(d) is not None,
        message="objects of keras and of tf_keras may meet here: layers and optimizers of one do not work in "
        "models of the other, some without an error",
        remedy="use one of them for what belongs to one model",
        why="""A program may import both packages as long as their objects never meet. Where they meet, some
        combinations raise an error. Others are worse: a Keras 3 model that holds a tf_keras layer trains
        without the weights of that layer.""",
        example=Example(
            "import sys\nimport keras\nimport tf_keras\n\nmodel = keras.Sequential()\n"
            "if len(sys.argv) > 1:\n    model.add(tf_keras.layers.Dense(1))\n"
        ),
        source=LAZY_LOADER,
        about=lambda d: place_of(_mixed(d)),
    ),
    Rule(
        code="AX194",
        level="info",
        title="transformers with PyTorch beside TensorFlow",
        applies=_has_tensorflow_for_nothing,
        message="the program uses PyTorch; transformers still looks for TensorFlow, and stumbles over "
        "Keras 3",
        remedy="set USE_TF=0",
        why="""Older releases of transformers import TensorFlow and Keras if they are installed, even for a
        program that uses PyTorch only, and stop at Keras 3 with an error about tf-keras. With `USE_TF=0` they
        leave TensorFlow alone, which also saves its import.""",
        example=Example("import torch\nimport transformers\n", machine="PyTorch"),
        source="Hugging Face transformers, import utilities",
        about=lambda d: place_of(d.says("import", "transformers")),
    ),
)

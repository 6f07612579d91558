"""What Keras 2 did and Keras 3 leaves undone without an error: the attributes, and what to write instead."""

from __future__ import annotations

from autoxla.hooks.keras_internals import SET_IN_VAIN
from autoxla.model import Evidence
from autoxla.policies.draft import KERAS_3, Draft
from autoxla.policies.rule import Example, Rule

#: The code of each, for what is told while the program runs.
SET, NAMES, HARD_SIGMOID = "AX195", "AX196", "AX197"
NAMES_MESSAGE = "in Keras 3 metrics_names are not the names of what evaluate() returns"
NAMES_REMEDY = "evaluate(…, return_dict=True) gives each value with its name"
SIGMOID_REMEDY = "AUTOXLA_KERAS=legacy computes as Keras 2 did"


def set_message(name: str) -> str:
    """Return what is wrong with assigning the attribute ``name``."""
    return f"objects of Keras 3 have no {name}: what is assigned to it changes nothing"


def _find(draft: Draft, *names: str) -> Evidence | None:
    """Return the surest use of one of ``names`` of Keras 2 on what may be an object of Keras 3."""
    old = (e for e in draft.situation.reading.evidence if e.kind == "old" and e.name in names)
    return min(
        (e for e in old if _is_keras_3(draft, e.value)), key=lambda e: e.grade != "certain", default=None
    )


def _is_keras_3(draft: Draft, family: object) -> bool:
    """Return whether objects of a package are of Keras 3 here; ``family`` None: any of the program's."""
    if family == "keras":
        return draft.has("keras", KERAS_3) and "keras" not in draft.alias
    if family == "tensorflow.keras":
        return draft.switchable and not draft.legacy
    is_alone = draft.says("import", "tf_keras", certain=False) is None and "keras" not in draft.alias
    return family is None and is_alone and draft.keras == 3


def _find_hard_sigmoid(draft: Draft) -> Evidence | None:
    """Return where a layer gets hard_sigmoid, in a program that reads a model or weights."""
    if all(e.kind != "loads" for e in draft.situation.reading.evidence):
        return None
    packages = [package for package in ("keras", "tensorflow.keras") if _is_keras_3(draft, package)]
    names = [f"{package}.activations.hard_sigmoid" for package in packages]
    return draft.says("attribute", *names, certain=False)


RULES = (
    Rule(
        code=SET,
        level="warning",
        title="Keras 3 ignores this attribute",
        applies=lambda d: _find(d, *SET_IN_VAIN),
        message=lambda d: set_message(d.found.name),
        remedy=lambda d: SET_IN_VAIN[d.found.name][1],
        milder=lambda d: d.found.grade != "certain",
        why="""Objects of Keras 3 take any attribute: the learning rate or the name stays what it was. Where
        the source does not show what the object is, this is an info, and autoxla says it when the line
        runs.""",
        example=Example(
            "import tensorflow as tf\n\noptimizer = tf.keras.optimizers.SGD(0.1)\noptimizer.lr = 0.01\n"
        ),
        source="Keras 3 and tf_keras, optimizers and layers",
    ),
    Rule(
        code=NAMES,
        level="warning",
        title="metrics_names does not name the values of evaluate()",
        applies=lambda d: _find(d, "metrics_names"),
        message=NAMES_MESSAGE,
        remedy=NAMES_REMEDY,
        milder=lambda d: d.found.grade != "certain",
        why="""It is `['loss', 'compile_metrics']`, however many metrics there are. A `zip` of it with the
        values of `evaluate` drops some and gives the others a wrong name. Where the source does not show what
        the object is or what its names are used for, this is an info, and autoxla says it when the line
        runs.""",
        example=Example(
            'import keras\n\nmodel = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])\n'
            'model.compile("sgd", "mse", metrics=["mae", "mape"])\n'
            "report = dict(zip(model.metrics_names, model.evaluate([[1.0]], [1.0])))\n"
        ),
        source="Keras 3 and tf_keras, Model.metrics_names",
    ),
    Rule(
        code=HARD_SIGMOID,
        level="info",
        title="hard_sigmoid is another function in Keras 3",
        applies=_find_hard_sigmoid,
        message="hard_sigmoid of Keras 3 has another slope than that of Keras 2: weights trained by Keras 2 "
        "give other results",
        remedy=SIGMOID_REMEDY,
        why="""In Keras 2 it is 0.2x + 0.5 between 0 and 1, in Keras 3 x/6 + 0.5. Files of Keras 2 load
        without an error, and all results are a little wrong. When one is read, autoxla says so as a
        warning.""",
        example=Example(
            "import keras\n\nmodel = keras.Sequential([keras.Input((4,)), "
            'keras.layers.Dense(1, activation="hard_sigmoid")])\nmodel.load_weights("old.h5")\n'
        ),
        source="Keras 3 and tf_keras, activations",
        grade="possible",
    ),
)

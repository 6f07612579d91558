"""Which Keras a package needs: what no package declares in a form that can be read.

Each row was tried: imported, and a small model trained with it, with Keras 3 and with tf_keras as tf.keras
(docs/packages.md). A package that imports tf_keras itself asks for no switch: its own objects are tf_keras'
in any case. One that goes through ``tf.keras`` and was written for Keras 2 does, from TensorFlow 2.16 on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from autoxla.model import Version

#: ``2``: Keras 2 through tf.keras. ``tf_keras``: imports tf_keras itself. ``3``: Keras 3. ``either``: follows
#: what it finds. ``none``: works with neither from TensorFlow 2.16 on.
Need = Literal["2", "tf_keras", "3", "either", "none"]


@dataclass(frozen=True, slots=True)
class Package:
    """What one range of releases of a package needs.

    `module` is what programs import, or the function in it that alone has the need; `distribution` is what
    they install. `since` and `before` bound the range, None leaves it open. `evidence` is where the need was
    seen.
    """

    module: str
    distribution: str
    need: Need
    evidence: str
    since: Version | None = None
    before: Version | None = None

    def covers(self, version: Version | None) -> bool:
        """Return whether ``version`` is in the range; an unknown one is only in an open range."""
        if version is None:
            return self.since is None and self.before is None
        after = self.since is None or version >= self.since
        return after and (self.before is None or version < self.before)


def _changed(
    module: str,
    distribution: str,
    at: Version,
    old: Need,
    new: Need,
    evidence: str,
    before: Version | None = None,
) -> tuple[Package, Package]:
    """Return the two rows of a package whose need changed with release ``at``."""
    return (
        Package(module, distribution, old, evidence, before=at),
        Package(module, distribution, new, evidence, since=at, before=before),
    )


PACKAGES: tuple[Package, ...] = (
    *_changed(
        *("transformers", "transformers", (4, 38), "2", "tf_keras"),
        "4.37.2 dies with Keras 3; 4.48.3 has tf_keras models",
        before=(5,),
    ),
    *_changed(
        *("tensorflow_hub", "tensorflow-hub", (0, 16), "none", "tf_keras"),
        "0.15.0 needs estimators; KerasLayer of 0.16.1 is a layer of tf_keras",
    ),
    *_changed(
        *("tensorflow_probability", "tensorflow-probability", (0, 24), "2", "tf_keras"),
        "0.23.0 dies with Keras 3; layers of 0.25.0 are of tf_keras",
    ),
    *_changed("deepctr", "deepctr", (0, 9, 4), "none", "either", "0.9.3 imports private Keras; 0.9.4 works"),
    *_changed("scikeras", "scikeras", (0, 13), "2", "3", "0.12.0 knows Keras 2 alone, 0.13.0 Keras 3 alone"),
    Package(
        "tensorflow_model_optimization",
        "tensorflow-model-optimization",
        "tf_keras",
        "0.8.1: its own tf_keras",
    ),
    Package("tensorflow_lattice", "tensorflow-lattice", "tf_keras", "layers of 2.1.1 are of tf_keras"),
    Package("official", "tf-models-official", "tf_keras", "layers of 2.20.0 are of tf_keras"),
    Package("qkeras", "qkeras", "2", "0.9.0 dies with Keras 3"),
    Package("tf2onnx.convert.from_keras", "tf2onnx", "2", "1.16.1 and 1.17.0 die with a model of Keras 3"),
    Package("tf_agents", "tf-agents", "2", "0.19.0 dies with Keras 3"),
    Package("tensorflow_recommenders", "tensorflow-recommenders", "2", "0.7.7 refuses Keras 3"),
    Package("tensorflow_gnn", "tensorflow-gnn", "2", "1.0.3 refuses Keras 3"),
    Package("larq", "larq", "2", "0.13.3 and 0.14.0 die with Keras 3"),
    Package("spektral", "spektral", "2", "layers of 1.3.1 die with Keras 3"),
    Package("keras_bert", "keras-bert", "2", "0.89.0 dies with Keras 3"),
    Package("attention", "attention", "2", "5.0.0 dies with Keras 3"),
    Package("keras_hub", "keras-hub", "3", "0.30.0 does not go with tf_keras"),
    Package("keras_nlp", "keras-nlp", "3", "0.30.0 does not go with tf_keras", since=(0, 18)),
    Package("rl", "keras-rl2", "none", "1.0.5 imports what no Keras has any more"),
    Package("tensorflow_addons", "tensorflow-addons", "none", "0.23.0 imports private Keras"),
    Package("tf2crf", "tf2crf", "none", "0.1.33 needs tensorflow-addons"),
    Package("keras_crf", "keras-crf", "none", "0.3.0 needs tensorflow-addons"),
    Package("tensorflow_ranking", "tensorflow-ranking", "none", "0.5.5 needs estimators"),
    Package("neural_structured_learning", "neural-structured-learning", "none", "1.4.0 needs estimators"),
    *(
        Package(module, distribution, "either", "works with both")
        for module, distribution in {
            "keras_tuner": "keras-tuner",
            "keras_cv": "keras-cv",
            "tensorflow_text": "tensorflow-text",
            "bayesflow": "bayesflow",
            "gpflow": "gpflow",
            "deepxde": "deepxde",
            "tf_keras_vis": "tf-keras-vis",
        }.items()
    ),
)
_BY_MODULE: Mapping[str, tuple[Package, ...]] = {
    package.module: tuple(other for other in PACKAGES if other.module == package.module)
    for package in PACKAGES
}


def find_package(module: str, versions: Mapping[str, Version]) -> Package | None:
    """Return the row for an imported ``module`` in its installed release, None where none covers it."""
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        for package in _BY_MODULE.get(".".join(parts[:end]), ()):
            if package.distribution in versions and package.covers(versions[package.distribution]):
                return package
    return None

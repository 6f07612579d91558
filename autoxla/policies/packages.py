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
    since: Version = ()
    before: Version | None = None

    def covers(self, version: Version) -> bool:
        """Return whether ``version`` is in the range."""
        return self.since <= version and (self.before is None or version < self.before)


PACKAGES: tuple[Package, ...] = (
    Package("transformers", "transformers", "2", "4.37.2 dies with Keras 3", before=(4, 38)),
    Package("transformers", "transformers", "tf_keras", "4.48.3 has tf_keras models", (4, 38), (5,)),
    Package("tensorflow_hub", "tensorflow-hub", "none", "0.15.0 needs estimators", before=(0, 16)),
    Package("tensorflow_hub", "tensorflow-hub", "tf_keras", "KerasLayer of 0.16.1 is of tf_keras", (0, 16)),
    Package("tensorflow_probability", "tensorflow-probability", "2", "0.23.0 dies with Keras 3", (), (0, 24)),
    Package("tensorflow_probability", "tensorflow-probability", "tf_keras", "its own layers", (0, 24)),
    Package("deepctr", "deepctr", "none", "0.9.3 imports private Keras", before=(0, 9, 4)),
    Package("deepctr", "deepctr", "either", "0.9.4 works", (0, 9, 4)),
    Package("scikeras", "scikeras", "2", "0.12.0 knows Keras 2 alone", before=(0, 13)),
    Package("scikeras", "scikeras", "3", "0.13.0 knows Keras 3 alone", (0, 13)),
    Package("tensorflow_model_optimization", "tensorflow-model-optimization", "tf_keras", "0.8.1: its own"),
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
    Package("keras_tuner", "keras-tuner", "either", "works with both"),
    Package("keras_cv", "keras-cv", "either", "works with both"),
    Package("tensorflow_text", "tensorflow-text", "either", "works with both"),
    Package("bayesflow", "bayesflow", "either", "works with both"),
    Package("gpflow", "gpflow", "either", "works with both"),
    Package("deepxde", "deepxde", "either", "works with both"),
    Package("tf_keras_vis", "tf-keras-vis", "either", "works with both"),
)


def find_package(module: str, versions: Mapping[str, Version]) -> Package | None:
    """Return the row for an imported ``module`` in its installed release, None where none covers it."""
    rows = (p for p in PACKAGES if f"{module}.".startswith(f"{p.module}.") and p.distribution in versions)
    fitting = (p for p in rows if p.covers(versions[p.distribution]))
    return max(fitting, key=lambda p: len(p.module), default=None)

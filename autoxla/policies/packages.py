"""Which Keras a package needs: knowledge that no package declares in a form that can be read.

A package that imports tf_keras itself asks for no switch: its own objects are tf_keras' in any case.
One that goes through ``tf.keras`` and was written for Keras 2 does, from TensorFlow 2.16 on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from autoxla.model import Version

#: ``2``: Keras 2 through tf.keras. ``tf_keras``: imports tf_keras itself. ``3``: Keras 3.
#: ``either``: follows what it finds, or has nothing to do with Keras.
Need = Literal["2", "tf_keras", "3", "either"]


@dataclass(frozen=True, slots=True)
class Package:
    """What one range of releases of a package needs.

    `module` is what programs import, `distribution` what they install. `since` and `before` bound
    the range, None leaves it open. `evidence` is where the need was seen.
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
    module: str, distribution: str, at: Version, old: Need, new: Need, evidence: str
) -> tuple[Package, Package]:
    """Return the two rows of a package whose need changed with release ``at``."""
    return (
        Package(module, distribution, old, evidence, before=at),
        Package(module, distribution, new, evidence, since=at),
    )


PACKAGES: tuple[Package, ...] = (
    Package("transformers", "transformers", "2", "reaches tensorflow.python.keras", before=(4, 38)),
    Package(
        "transformers",
        "transformers",
        "tf_keras",
        "imports tf_keras where tf.keras is Keras 3",
        since=(4, 38),
        before=(5,),
    ),
    Package("transformers", "transformers", "either", "has no TensorFlow code any more", since=(5,)),
    *_changed(
        *("tensorflow_hub", "tensorflow-hub", (0, 16), "2", "tf_keras"),
        "keras_layer.py imports tf_keras where tf.keras is Keras 3",
    ),
    *_changed(
        *("tensorflow_probability", "tensorflow-probability", (0, 24), "2", "tf_keras"),
        "internal/tf_keras.py",
    ),
    *_changed(
        *("tensorflow_model_optimization", "tensorflow-model-optimization", (0, 8), "2", "tf_keras"),
        "core/keras/compat.py",
    ),
    *_changed(
        *("tensorflow_decision_forests", "tensorflow-decision-forests", (1, 9), "2", "tf_keras"),
        "keras/core.py",
    ),
    *_changed(
        *("tensorflow_lattice", "tensorflow-lattice", (2, 1), "2", "tf_keras"),
        "imports tf_keras where tf.keras is Keras 3",
    ),
    Package("official", "tf-models-official", "tf_keras", "imports tf_keras throughout", since=(2, 16)),
    Package("tf_agents", "tf-agents", "2", "requires tf-keras, uses tf.keras"),
    Package("tensorflow_recommenders", "tensorflow-recommenders", "2", "subclasses tf.keras.Model"),
    Package("tensorflow_gnn", "tensorflow-gnn", "2", "checks that tf.keras is Keras 2"),
    Package("tensorflow_ranking", "tensorflow-ranking", "2", "tf.keras and tf.estimator"),
    Package("tensorflow_addons", "tensorflow-addons", "2", "subclasses tf.keras layers; no longer developed"),
    Package("deepface", "deepface", "2", "sets TF_USE_LEGACY_KERAS=1 itself", since=(0, 0, 88)),
    Package("ktrain", "ktrain", "2", "sets TF_USE_LEGACY_KERAS=1 itself", since=(0, 41, 2)),
    Package("deepchem", "deepchem", "2", "tf.keras.optimizers.legacy"),
    Package("larq", "larq", "2", "subclasses tf.keras.optimizers.legacy"),
    Package("spektral", "spektral", "2", "tf.keras layers written for Keras 2"),
    Package("rl", "keras-rl2", "2", "private modules of Keras 2"),
    Package("horovod.tensorflow.keras", "horovod", "2", "wraps tf.keras.optimizers.legacy"),
    Package("keras_hub", "keras-hub", "3", "requires keras>=3"),
    Package("keras_tuner", "keras-tuner", "3", "imports keras whatever tf.keras is", since=(1, 4, 6)),
    *_changed("autokeras", "autokeras", (2,), "2", "3", "requires keras>=3 from 2.0 on"),
    *_changed("scikeras", "scikeras", (0, 13), "2", "3", "requires keras>=3.2 from 0.13 on"),
    Package("keras_nlp", "keras-nlp", "either", "follows tf.keras"),
    Package("keras_cv", "keras-cv", "either", "follows tf.keras"),
    Package("tensorflow_text", "tensorflow-text", "either", "needs Keras 2 only for its own layers"),
    Package("tensorflow_datasets", "tensorflow-datasets", "either", "has no layers"),
    Package("shap", "shap", "either", "follows tf.keras"),
    Package("mlflow", "mlflow", "either", "has a flavour for each"),
    Package("wandb", "wandb", "either", "hooks what is imported"),
    Package("intel_extension_for_tensorflow", "intel-extension-for-tensorflow", "either", "follows tf.keras"),
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

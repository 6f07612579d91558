"""Distributions that do not fit each other."""

from __future__ import annotations

from autoxla.policies.rule import KERAS_3, Rule

RULES = (
    Rule(
        "AX501",
        "warning",
        "ITEX 2.15 with Keras 3",
        "this release of ITEX was made for Keras 2: import intel_extension_for_tensorflow fails with "
        "Keras 3, and ITEX_OPS_OVERRIDE has no effect",
        "pip install 'keras<3', or leave out ITEX's Python module",
        "Intel Extension for TensorFlow 2.15, release notes",
        lambda d: d.itex is not None and not d.itex_main and d.has("keras", KERAS_3),
    ),
)

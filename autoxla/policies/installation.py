"""Distributions that do not fit each other, and what is imported before autoxla could act."""

from __future__ import annotations

from autoxla.model import Place, Usage
from autoxla.policies.draft import KERAS_3
from autoxla.policies.example import FILE, TF_KERAS, Example
from autoxla.policies.rule import Rule

RULES = (
    Rule(
        code="AX501",
        level="warning",
        title="ITEX 2.15 with Keras 3",
        applies=lambda d: d.itex is not None and not d.itex_main and d.has("keras", KERAS_3),
        message="this release of ITEX was made for Keras 2: import intel_extension_for_tensorflow fails with "
        "Keras 3, and ITEX_OPS_OVERRIDE has no effect",
        remedy="pip install 'keras<3', or leave out ITEX's Python module",
        why="""ITEX 2.15 knows the modules of Keras 2. Beside Keras 3 its ops override prints a traceback and
        is left out. The plug-in itself works with either generation.""",
        example=Example(TF_KERAS, machine="ITEX 2.15"),
        source="Intel Extension for TensorFlow 2.15, release notes",
    ),
    # Last of all, since the other rules tell what comes too late.
    Rule(
        code="AX111",
        level="warning",
        title="autoxla came after TensorFlow",
        applies=lambda d: bool(d.too_late),
        message=lambda d: (
            f"tensorflow was imported before autoxla: too late to set {', '.join(dict.fromkeys(d.too_late))}"
        ),
        remedy="import autoxla first, or run the program with python -m autoxla",
        why="""Most variables are read once, while TensorFlow is imported. An autoxla that is imported later
        can still look after `compile` and explain errors. What it would set has no effect any more, so it
        only names the variable.""",
        example=Example(
            "import tensorflow as tf\n\nprint(tf.constant(1))\nimport autoxla\nimport keras\n",
            settings={"step": "autocluster-1"},
            known={
                "usage": Usage(evidence={"importing": Place(FILE, 4)}),
                "imported": frozenset({"tensorflow"}),
                "devices_ready": True,
            },
            command="python",
        ),
        source="TensorFlow, variables read at import",
        about="importing",
        after_restart="run this cell first",
    ),
)

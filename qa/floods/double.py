"""Packages in the place of TensorFlow and both Keras: they import each other as those do, in milliseconds.

Each module counts how often its body runs, pauses in the middle, and says at its end that it is whole. With
``plugin`` importing tensorflow imports keras and needs all of it, as ITEX's plug-in does, and the folder
looks as if ITEX were installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

COUNTER = "count = {}\n"
BODY = """\
import time
import double_runs
double_runs.count[__name__] = double_runs.count.get(__name__, 0) + 1
{imports}
time.sleep({pause})
whole = True
"""
#: ``tensorflow.keras`` is imported when it is first used.
LAZY = """\
def __getattr__(name):
    if name != "keras":
        raise AttributeError(name)
    import keras
    return keras
"""
#: What each module imports in its middle, and for how many seconds it pauses.
MODULES: Mapping[str, tuple[str, float]] = {
    "tensorflow/__init__.py": (f"{LAZY}import tensorflow.python{{plugin}}", 0.01),
    "tensorflow/python/__init__.py": ("import xml.dom.minidom, wave", 0.005),
    "keras/__init__.py": ("from keras import src, layers", 0.002),
    "keras/src/__init__.py": ("import keras.src.backend, keras.src.models", 0.002),
    "keras/src/backend.py": ("import tensorflow", 0.002),
    "keras/src/models.py": ("import keras.src.backend, mailbox", 0.002),
    "keras/layers.py": ("import keras.src.models", 0.001),
    "tf_keras/__init__.py": ("import tensorflow, tf_keras.src", 0.005),
    "tf_keras/src.py": ("import plistlib", 0.002),
}
PLUGIN = "\nimport keras\nkeras.src.models.whole"
LIBRARY = "tensorflow-plugins/libitex_gpu.so"


def write(folder: Path, *, plugin: bool) -> Path:
    """Write the packages into ``folder``, a new one; return what is to be on the path of modules."""
    site = folder / "site-packages"
    for name, (imports, pause) in MODULES.items():
        file = site / name
        file.parent.mkdir(parents=True, exist_ok=True)
        words = imports.replace("{plugin}", PLUGIN if plugin else "")
        file.write_text(BODY.format(imports=words, pause=pause), encoding="utf-8")
    (site / "double_runs.py").write_text(COUNTER, encoding="utf-8")
    if plugin:
        (site / LIBRARY).parent.mkdir()
        (site / LIBRARY).touch()
    return site

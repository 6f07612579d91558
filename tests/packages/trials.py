"""Try packages on Keras in a real environment: ``python trials.py PYTHON FOLDER [NAME...] > tried.json``.

PYTHON is an environment's interpreter with TensorFlow, Keras 3 and tf_keras. Each trial has its packages in a
folder of their own below FOLDER, without their requirements, so that none moves TensorFlow. Its program runs
plainly and with ``TF_USE_LEGACY_KERAS=1``; ``lives`` is status 0 and its last line ``done``.

`autoxla/policies/packages.py` and the table in docs/packages.md follow what came of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from autoxla.settings import load_toml

#: In front of each program.
HEAD = """
import numpy as np
import tensorflow as tf

x, y = np.zeros((8, 4), "float32"), np.zeros((8, 1), "float32")
L = tf.keras.layers

def fit(model, x=x, y=y, optimizer="sgd", loss="mse"):
    model.compile(optimizer, loss)
    model.fit(x, y, verbose=0)

def stack(*layers, shape=(4,), **options):
    fit(tf.keras.Sequential([tf.keras.Input(shape), *layers]), **options)
"""


def install(folder: Path, requirements: str, python: str) -> str:
    """Install ``requirements`` alone into ``folder``; return what pip says where it fails."""
    if (folder / ".done").exists():
        return ""
    pip = [python, "-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--disable-pip-version-check"]
    command = [*pip, "--target", str(folder), *requirements.split()]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode == 0:
        (folder / ".done").touch()
    return "" if done.returncode == 0 else done.stderr[-300:]


def start(code: str, folder: Path, python: str, variables: dict[str, str]) -> str:
    """Return ``lives``, or the last line of the traceback."""
    environ = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "AUTOXLA": "off",
        **variables,
    }
    work = folder.parent / "work"
    work.mkdir(exist_ok=True)
    command = [python, "-c", f"{HEAD}\n{code}\nprint('done')"]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=work, env=environ, timeout=240
        )
    except subprocess.TimeoutExpired:
        return "takes more than 240 s"
    if done.returncode == 0 and done.stdout.rstrip().endswith("done"):
        return "lives"
    return f"{done.returncode}: " + (done.stderr.strip().splitlines() or ["?"])[-1][:200]


def main() -> None:
    python, folder, *names = sys.argv[1:]
    trials = load_toml(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    for name in names or trials:
        requirements, code = trials[name]["packages"], trials[name]["program"]
        variables = trials[name].get("variables", {})
        home = Path(folder) / name.replace(" ", "_")
        trouble = install(home, requirements, python)
        row = {"name": name, "packages": requirements}
        if trouble:
            row["not installed"] = trouble
        else:
            row["plain"] = start(code, home, python, variables)
            row["switch"] = start(code, home, python, {**variables, "TF_USE_LEGACY_KERAS": "1"})
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()

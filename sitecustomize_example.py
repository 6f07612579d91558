"""Activates autoxla in every Python process of an environment; for copying, not for importing.

    folder=$(python -c "import site; print(site.getsitepackages()[0])")
    cp sitecustomize_example.py "$folder/sitecustomize.py"

Python imports a module named ``sitecustomize`` at each start, before the program. This one

- imports autoxla, which waits for the first import of tensorflow or keras and costs less than a
  millisecond until then; with ``AUTOXLA=off`` in the environment it does not even do that;
- never breaks or delays the start and prints nothing: where autoxla was removed or fails, Python
  starts as if this file were not there;
- runs the ``sitecustomize`` that it hides, if there is one further down ``sys.path`` (Linux
  distributions and companies ship such files), once, and leaves it in ``sys.modules`` under that
  name. Without one, it leaves by the ImportError that Python ignores here, so that
  ``sys.modules`` has no ``sitecustomize`` just as before.

Check with ``python -c "import sys; print('autoxla' in sys.modules)"``; remove the file to undo.
Not active under ``python -S``, which leaves out everything of this kind.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec


def activate() -> None:
    """Import autoxla if it is there and wanted; its finder is active from then on."""
    if os.environ.get("AUTOXLA") == "off":
        return
    try:
        __import__("autoxla")
    except Exception:  # noqa: BLE001 - a start-up file must not break the start
        return


def find_shadowed() -> "ModuleSpec | None":
    """Return the spec of the sitecustomize behind this file's folder on ``sys.path``."""
    folder = os.path.dirname(__file__)  # noqa: PTH120 - pathlib costs more than the rest
    if folder not in sys.path:
        return None
    behind = sys.path[sys.path.index(folder) + 1 :]
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = find_spec("sitecustomize", behind) if find_spec else None
        if spec is not None and spec.origin != __file__:
            return spec
    return None


def run_shadowed() -> None:
    """Execute the shadowed sitecustomize as the module of that name; ModuleNotFoundError if there is none."""
    spec = find_shadowed()
    if spec is None:
        raise ModuleNotFoundError("No module named 'sitecustomize'", name="sitecustomize")
    # The function behind importlib.util.module_from_spec, without the modules that util loads.
    module = sys.modules["_frozen_importlib"].module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    if spec.loader is not None:
        spec.loader.exec_module(module)


if __name__ == "sitecustomize":
    activate()
    run_shadowed()

"""Callbacks around the import of a module, and the wrappers of Keras' methods.

>>> from autoxla import hooks
>>> hooks.on_import("json.tool", print)  # prints the module once it is imported

Only the finder is loaded with this package; the wrappers load when their target does.
"""

from autoxla.hooks.finder import AutoxlaFinder, before_import, on_import, uninstall

__all__ = ["AutoxlaFinder", "before_import", "on_import", "uninstall"]

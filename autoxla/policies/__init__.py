"""From a situation to a plan: rules as data, and the one function that applies them.

Pure: nothing here reads the environment or a file, imports a backend or has a side effect.

>>> from autoxla.model import Situation
>>> decide(Situation()).settings
()
"""

from autoxla.policies.decision import VARIABLES, decide, list_rules
from autoxla.policies.rule import Rule

__all__ = ["VARIABLES", "Rule", "decide", "list_rules"]

"""What earlier runs taught, where it cannot be trusted."""

from __future__ import annotations

from autoxla.policies.rule import Rule

RULES = (
    Rule(
        "AX906",
        "info",
        "The cache folder is not this user's alone",
        "nothing is read from autoxla's cache folder, and nothing kept: {cache_refused}",
        "chmod go-w the folder, or set AUTOXLA_CACHE to one of your own",
        "autoxla, records",
        lambda d: d.situation.cache_refused is not None,
    ),
)

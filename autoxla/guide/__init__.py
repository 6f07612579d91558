"""The guide to the codes: what each one means, why it matters, what to do.

Code, level, message, remedy and source of a page come from the rule or note itself. What those do not
say, why it matters and an example, stands here as data: `generations`, `itex`, `execution` and
`installation` for the rules, `errors` for the notes on known errors, `told` for what is found elsewhere.
Nothing here is loaded by a program that runs. ``python -m autoxla.guide docs/rules`` writes all pages.
"""

from __future__ import annotations


def page_of(code: str) -> str:
    """Return the path of the page of ``code``, from the top of the project."""
    return f"docs/rules/{code}.md"

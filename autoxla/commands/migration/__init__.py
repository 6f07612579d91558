"""The source edit behind ``python -m autoxla migrate``: what a module says, what to change, what to refuse.

`names` knows the public names of both generations, `kinds` which part of Keras a dotted path is.
`reading` resolves what a module's names stand for, `decision` turns that into edits and refusals,
`text` applies edits, `notebook` does it cell by cell. Only `reading` needs libcst. Nothing that is
read is imported or executed.
"""

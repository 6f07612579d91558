"""The source edit behind ``python -m autoxla migrate``; nothing that is read is imported or executed.

`names` knows the public names of both generations, `source` what a module's names stand for, `codemod`
turns that into edits and refusals, `notebook` does it for the cells of a notebook.
"""

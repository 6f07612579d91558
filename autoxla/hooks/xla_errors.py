"""An operation that XLA cannot compile: which it is, where, and who asked for XLA, by the error's message."""

from __future__ import annotations

import re

#: Keras compiles these for ``compile(jit_compile=True)``; all others have a decorator of the program's.
_STEPS_OF_KERAS = ("one_step_on_data", "run_step")
_OPERATION = re.compile(r"No registered '(\w{1,99})' OpKernel|on XLA_\w{1,20}: (\w{1,99})")
_FUNCTION = re.compile(r"(?:trying to compile graph|while converting) __inference_(\w{1,200})_\d{1,20}\b")
_LINE = re.compile(r'^File "([^"\n]{1,1000})", line (\d{1,9}), in', re.MULTILINE)
#: The program's own code lies elsewhere.
_LIBRARIES = ("site-packages/", "dist-packages/", "autoxla/__main__.py", "<frozen ")


def name_operation(message: str) -> str:
    """Return what is wrong and what to do, with the names and the line that the message has."""
    operation, function = _OPERATION.search(message), _FUNCTION.search(message)
    what = "one of its operations" if operation is None else f"its operation {operation[1] or operation[2]}"
    if function is None or function[1] in _STEPS_OF_KERAS:
        who, place = "The step", "the input pipeline"
        remedy = "Pass jit_compile=False to compile()"
    else:
        who, place = f"{function[1]}, by @tf.function(jit_compile=True),", "another function"
        remedy = "Take jit_compile=True out of that decorator"
    return (
        f"{who} is compiled by XLA, and XLA cannot compile {what}{_place(message)}. {remedy}, or move the "
        f"operation into {place}."
    )


def _place(message: str) -> str:
    """Return the innermost line of the program that made the operation; its folder may be cut off."""
    lines = [line for line in _LINE.findall(message) if not any(part in line[0] for part in _LIBRARIES)]
    return f" ({lines[-1][0].rpartition('/')[2]}:{lines[-1][1]})" if lines else ""

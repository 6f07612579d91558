"""Trouble around a program: the machine, the file system, the state of the interpreter.

Each case runs a program plain and with autoxla under the same trouble. What the program prints, and the
status that it ends with, have to be the same, and neither may hang. ``python -m surroundings`` (with
``PYTHONPATH=qa:tests``) runs all cases, those that take minutes included, and keeps what came of them in
``results.json`` for `docs/faults.md`.

How faithful the doubles are:

* `trouble.c` stands before glibc's functions in the process and its children. The errors are those that the
  kernel gives, at the calls where it gives them; what is not called through glibc passes it by.
* Where the tests run as root, a tmpfs of a few kilobytes, a mount that is read-only and a FUSE mount that
  never answers are the real thing.
"""

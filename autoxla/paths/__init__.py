"""What a program can run on, and what it does there: the engine below ``tune`` and ``heal``.

`children` runs the program on one path in a process of its own; `probe` and `watch` see it from inside there.
For speed, `listing` tells which paths there are, `measuring` reads what was timed, `judging` and `losses`
compare two paths, and `race` runs them against each other. For a program that dies, `candidates` tells under
which settings it may live, `marks` where it died, and `search` finds the one; `cells` makes a program of a
notebook.
"""

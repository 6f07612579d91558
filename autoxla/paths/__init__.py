"""What a program can run on, and what it does there: the engine below ``tune``.

`listing` tells which paths there are, `children` runs the program on one in a process of its own, `measuring`
reads what a probe left there, `judging` and `losses` compare two paths, `race` runs them against each other.
"""

"""The parts of ``python -m autoxla tune``: the paths, the child processes, the race and its judge."""

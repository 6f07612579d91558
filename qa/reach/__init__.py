"""How far the trial reaches: why it did not begin, or did not switch, in programs that people have."""

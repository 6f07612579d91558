"""The programs of the floods; each runs in a process of its own, plain and with autoxla."""

"""The parts of scripts/kills.py: one life of a command, and how two results are compared."""

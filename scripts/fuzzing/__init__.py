"""The parts of scripts/fuzz.py: the good files, the bad ones, and how one case is tried."""

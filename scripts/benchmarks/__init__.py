"""One module a sub-command of ``scripts/benchmark.py``: HELP, add_arguments(parser), run(args)."""

"""The one exception that a user can cause, and that a command line turns into status 2."""

from __future__ import annotations


class InputError(ValueError):
    """Wrong options or input: something that the user can put right.

    The message is one clear sentence: the file or key path, what was expected, what to do.
    Command lines print it without a traceback and end with status 2.
    """

"""Text for a terminal, whatever file names it holds."""

import logging
import re

# Control characters but tab and line feed (an ESC begins a command to the terminal), characters
# that turn the direction of writing, and bytes of file names that are not UTF-8.
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Return text in which nothing commands a terminal, and that every encoder of UTF-8 takes.

    Example:
        >>> print(printable("a\x1b[2Jb"))
        a\x1b[2Jb
    """
    return _COMMANDS.sub(lambda found: ascii(found[0])[1:-1], text)


class PrintableFormatter(logging.Formatter):
    """A formatter of log messages that may name files."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message of a record, see `printable`."""
        return printable(super().format(record))

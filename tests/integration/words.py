"""Words that are hostile, how complaints show them, and what a complaint has to be like."""

import os
import re

import pytest

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may")

# Terminals obey the first, a line ends in the second, the third is not UTF-8.
HOSTILE = ["\x1b[2J", "a\nb", "\udcff", "\t\r\x7f", '"\\%n%s']


def escaped(text):
    """As complaints show it."""
    shown = ""
    for byte in os.fsencode(text):
        if chr(byte) in '"\\':
            shown += "\\" + chr(byte)
        else:
            shown += chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"
    return shown


def assert_refused(done, *words, status=2):
    """One line without control bytes that has all the words; returns it."""
    assert (done.status, done.stdout) == (status, ""), done
    assert re.fullmatch(r"[ -~]+\n", done.stderr), done
    for word in words:
        assert word in done.stderr
    return done.stderr


def for_root(rows):
    """Rows of a table that only root can try."""
    return [pytest.param(*row, marks=root_only) for row in rows]

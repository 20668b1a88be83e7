"""Structure of a text that can be seen at each character: quotes, brackets, comments, lines.

As in programs: quotes are '...' and "..." within a line, or three of either over lines; a comment
goes from # to the end of the line; brackets count outside of both. A quote that nothing closes is
an apostrophe.
"""

import re
from typing import NamedTuple

import numpy as np

_TOKENS = re.compile(
    r"'''(?:[^\\]|\\.)*?'''"
    r'|"""(?:[^\\]|\\.)*?"""'
    r"|'(?:[^'\\\n]|\\.)*'"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|\#[^\n]*|[][(){}]",
    re.DOTALL,
)
_CLOSES = {")": "(", "]": "[", "}": "{"}


class Structure(NamedTuple):
    """Of each of N characters; `TARGETS` are the fields that a cell may follow."""

    quoted: np.ndarray  # [N] bool, the quotes among them
    brackets: np.ndarray  # [N] int, how many are open behind the character
    column: np.ndarray  # [N] int, from 0
    indentation: np.ndarray  # [N] int, spaces that the line begins with
    comment: np.ndarray  # [N] bool, the # among them
    opening: np.ndarray  # [N] int, for a closing bracket or quote where it was opened, else -1


TARGETS = ("quoted", "brackets", "column", "indentation", "comment")


def of(text: str) -> Structure:
    """The structure of a text."""
    n = len(text)
    quoted, comment = np.zeros(n, bool), np.zeros(n, bool)
    steps, opening, stack = np.zeros(n, int), np.full(n, -1), []
    for token in _TOKENS.finditer(text):
        start, end = token.span()
        kind = text[start]
        if kind == "#":
            comment[start:end] = True
        elif kind in "'\"":
            quoted[start:end] = True
            if token[0][:3] != 3 * kind or end - start < 6:
                opening[end - 1] = start
        elif kind in _CLOSES.values():
            stack.append(start)
            steps[start] = 1
        elif stack and text[stack[-1]] == _CLOSES[kind]:
            opening[start], steps[start] = stack.pop(), -1
    lines = text.split("\n")
    column = np.concatenate([np.arange(len(line) + 1) for line in lines])[:n]
    spaces = [len(line) - len(line.lstrip(" ")) for line in lines]
    indentation = np.repeat(spaces, [len(line) + 1 for line in lines])[:n]
    return Structure(quoted, np.cumsum(steps), column, indentation, comment, opening)

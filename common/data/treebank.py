"""Splits text into words as the Penn Treebank does (and so CoNLL-2003 and SST).

Marcus, Santorini & Marcinkiewicz (1993). Punctuation marks are words of their own, and so are
clitics: don't is do n't, Smith's is Smith 's. Text that is split already stays as it is, but for an
abbreviation at its end, whose dot is a full stop there, and a rare word such as ol'.
"""

import re

from .text import words_of

_OPENING, _CLOSING = "\"'“‘([{", "\"'”’)]},;:!?"
_CLITIC = r"['’](?:s|m|re|ve|ll|d)|n['’]t"
# Words that begin with an apostrophe, which is no quotation mark there: '60s, get 'em, rock 'n'.
_SHORTENED = r"['’](?:\d\ds|em|til|n['’]?)"
_WHOLE = re.compile(rf"{_CLITIC}|{_SHORTENED}|\.\.+|``|''", re.IGNORECASE)
_WITH_SHORTENED = re.compile(rf"{_SHORTENED}(?!\w)", re.IGNORECASE)
_WITH_CLITIC = re.compile(rf"(.*?\w)({_CLITIC})", re.IGNORECASE)


def split_words(line: str) -> list[str]:
    """The words of a line; abbreviations keep their dots, except the last word of the line.

    "Smith's U.N. speech (in Rome)." -> Smith 's U.N. speech ( in Rome ) .
    """
    tokens: list[str] = []
    parts = words_of(line)
    for i, part in enumerate(parts):
        before: list[str] = []
        after: list[str] = []
        while len(part) > 1 and not _WHOLE.fullmatch(part):
            if part[0] in _OPENING and not _WITH_SHORTENED.match(part):
                before, part = [*before, part[0]], part[1:]
            elif dots := re.fullmatch(r"(.*?[^.])(\.\.+)", part):
                part, after = dots[1], [dots[2], *after]
            elif part[-1] in _CLOSING or (part[-1] == "." and i == len(parts) - 1):
                part, after = part[:-1], [part[-1], *after]
            elif stem := _WITH_CLITIC.fullmatch(part):
                part, after = stem[1], [stem[2], *after]
            else:
                break
        tokens += [*before, part, *after]
    return tokens

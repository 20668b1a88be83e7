"""Parses the bracketed trees of the Stanford Sentiment Treebank: (3 (2 so) (4 good))."""

import re


def phrases_of(line: str) -> list[tuple[list[str], int]]:
    """Words and label of each phrase of a tree, every node after its children, the sentence last.

        tree -> "(" label word ")" | "(" label tree tree* ")"

    Raises ValueError saying what was found.
    """
    words: list[str] = []
    opened: list[tuple[int, int]] = []  # the label of a node and where its words begin
    closed: list[tuple[list[str], int]] = []
    tokens = iter(
        re.findall(r"[()]|[^ \t\r\n()]+", line)
    )  # not \s: "8 1/2" is one word with a no-break space
    for token in tokens:
        if closed and not opened:
            raise ValueError(f"{token!r} after the end")
        if token == "(":
            label = next(tokens, "the end")
            if label not in ("0", "1", "2", "3", "4"):
                raise ValueError(f"{label!r} for a label from 0 to 4")
            opened.append((int(label), len(words)))
            continue
        if not opened:
            raise ValueError(f"{token!r} before the first bracket")
        label, first = opened.pop()
        if token == ")":
            if first == len(words):
                raise ValueError("a node without words")
        else:
            after = next(tokens, "the end")
            if first != len(words) or after != ")":
                raise ValueError(
                    f"{token!r} beside other parts of its node" if after != "the end" else "no end"
                )
            words.append(_unescape(token))
        closed.append((words[first:], label))
    if opened or not closed:
        raise ValueError("no end")
    return closed


def _unescape(word: str) -> str:
    word = {"-LRB-": "(", "-RRB-": ")"}.get(word, word)
    return word.replace("\\/", "/").replace("\\*", "*").lower()

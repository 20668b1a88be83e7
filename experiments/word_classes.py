"""Classifies words by closed lists and by their letters, the same for all tasks."""

from common.data.text import EOS, UNKNOWN

_LISTS = {
    "determiner": (
        "a an the this that these those some any no every each all both half several many much most"
        " more few"
    ),
    "pronoun": (
        "i you he she it we they me him her us them my your his its our their mine who whom whose"
        " which what himself herself itself"
    ),
    "preposition": (
        "of in to for on by with at from as into about after between under over through before"
        " during without against near among since until within behind beyond above below across"
        " toward towards upon off out up down"
    ),
    "conjunction": (
        "and or but nor so yet if because while although though when where than whether unless"
    ),
    "auxiliary": (
        "is are was were be been being am has have had do does did will would can could may might"
        " shall should must not n't 's 've 're"
    ),
}
_CLASS_OF = {word: name for name, words in _LISTS.items() for word in words.split()}

NAMES = ("end of sentence", *_LISTS, "number", "punctuation", "unknown word", "other word")


def word_class(word: str) -> str:
    """The class of a word, one of `NAMES`."""
    if word == EOS:
        return "end of sentence"
    if word == UNKNOWN:
        return "unknown word"
    if word == "N" or any(letter.isdigit() for letter in word):  # N stands for numbers in PTB
        return "number"
    if word.lower() in _CLASS_OF:
        return _CLASS_OF[word.lower()]
    return "other word" if any(letter.isalpha() for letter in word) else "punctuation"

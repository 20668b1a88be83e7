"""Reads text files, and makes vocabularies of them."""

import collections
import dataclasses
import functools
import os
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from ..errors import InputError, warn
from ..files import atomic_write, seen_from, still_packed

PADDING = "<pad>"
UNKNOWN = "<unk>"
EOS = "<eos>"
_WORD = re.compile(r"[^ \t\r\n]+")


# Kinds of files that are not text, by their first bytes, and what to do about each.
_UNPACK = "unpack it and give what was in it"
_NO_TEXT = (
    (b"\x1f\x8b", "a gzip file", _UNPACK),
    (b"PK\x03\x04", "a zip file", _UNPACK),
    (b"BZh", "a bzip2 file", _UNPACK),
    (b"\xfd7zXZ\0", "an xz file", _UNPACK),
    (b"(\xb5/\xfd", "a zstd file", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z file", _UNPACK),
    (b"Rar!", "a rar file", _UNPACK),
    (
        b"\0\5\x16\7",
        "what macOS keeps beside a file (its name begins with ._)",
        "give the file itself",
    ),
    (b"\xba\x16O/", "a model in fastText's own format", "give its .vec file"),
    (
        b"version https://git-lfs.github.com/",
        "a pointer of Git LFS",
        "fetch the file itself: git lfs pull",
    ),
    (b"<!DOCTYPE html", "a web page", "download the file itself"),
    (b"<html", "a web page", "download the file itself"),
)


def no_text(head: bytes) -> str:
    """For an error: what kind of file this is, and what to do, if it is known not to be text.

    Decided by its first 512 bytes; "" for text.
    """
    if head[257:262] == b"ustar":
        return f"a tar archive; {_UNPACK}"
    return next((f"{what}; {todo}" for magic, what, todo in _NO_TEXT if head.startswith(magic)), "")


def decode(data: bytes, name: str) -> str:
    """The text of a file or archive member: UTF-8, no byte order mark, newlines as line ends.

    `name` is the name of the file in error messages. Raises `InputError`, with the line number, for
    bytes that are not text.
    """
    if known := no_text(data[:512]):
        raise InputError(f"{name}: expected UTF-8 text, found {known}")
    bad, what = data.find(b"\0"), "a NUL byte"
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if bad < 0 or error.start < bad:
            bad, what = error.start, f"byte 0x{data[error.start]:02x} ({error.reason})"
    if bad >= 0:
        line = data.count(b"\n", 0, bad) + 1
        raise InputError(
            f"{name}:{line}: expected UTF-8 text, found {what}; convert the file to UTF-8"
        )
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if not text:
        raise InputError(f"{name}: expected text, found an empty file; get or write it again")
    return text


def lines(text: str) -> list[str]:
    """The lines of a text.

    Only a newline ends a line: `str.splitlines` would break at U+0085 and U+2028 too.
    """
    return text.removesuffix("\n").split("\n")


def words_of(line: str) -> list[str]:
    """The words of a line, separated by spaces, tabs and line ends only; used by every reader.

    `str.split` would also break words at no-break spaces ("5 000 euros"), form feeds and U+2028.
    """
    return _WORD.findall(line)


READ_AS_UNKNOWN = dict.fromkeys((PADDING, UNKNOWN), "it is read as the unknown word")


def notice_reserved(
    name: str, words: Iterable[str], meanings: Mapping[str, str] = READ_AS_UNKNOWN
) -> None:
    """Warn if a text contains words that have a special meaning here.

    Says which words, how often, and how they are treated.
    """
    counts = collections.Counter(words)
    for word, meaning in meanings.items():
        if counts[word]:
            warn(f"{name}: the reserved word {word} occurs {counts[word]:,} times: {meaning}")


def read_lines(path: str | os.PathLike) -> list[str]:
    """The lines of a UTF-8 text file, without their ends.

    Raises `InputError` with the name of the file (and the line, if there is one) if it is missing,
    empty or not UTF-8.
    """
    path = pathlib.Path(path)
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        packed = still_packed(path.parent, path.name)
        found = (
            f"nothing there, {packed}"
            if packed
            else f"nothing there{seen_from(path)}; check the path"
        )
        raise InputError(f"{path}: expected a text file, found {found}") from None
    except IsADirectoryError:
        raise InputError(
            f"{path}: expected a text file, found a folder; give the file itself"
        ) from None
    return lines(decode(data, str(path)))


def typed_lines() -> Iterator[str]:
    """The lines of standard input, with their ends, each as soon as it is there.

    Raises `InputError` with the line number at a line that is not UTF-8.
    """
    for number, line in enumerate(sys.stdin, 1):
        try:
            line.encode()
        except UnicodeEncodeError as error:  # Python's mark for a byte that it could not decode
            raise InputError(
                f"standard input:{number}: expected UTF-8 text, found byte"
                f" 0x{ord(line[error.start]) & 0xFF:02x}; convert it to UTF-8"
            ) from None
        yield line


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """V words; the id of a word is its position.

    If `<unk>` is one of them, it stands for every unknown word.
    """

    words: tuple[str, ...]

    def __post_init__(self):
        object.__setattr__(self, "words", tuple(self.words))
        if len(self.ids) != len(self.words):
            twice = next(
                word for word, count in collections.Counter(self.words).items() if count > 1
            )
            raise InputError(
                f"expected a list of different words, found {twice!r} more than once; remove it"
            )
        for word in self.words:
            if not word or any(mark in word for mark in "\n\r\0"):
                raise InputError(
                    f"expected words that fit on a line each, found {word!r}; clean the text"
                )

    @classmethod
    def build(
        cls,
        tokens: Iterable[str],
        max_size: int | None = None,
        min_count: int = 1,
        specials: Sequence[str] = (),
    ) -> "Vocabulary":
        """A vocabulary of `specials` in the order given, then the other words by frequency.

        Words of equal frequency are sorted alphabetically.

        Args:
            tokens: the training text.
            max_size: the most words to keep, specials included; None keeps all.
            min_count: words seen less often are left out, except specials.
            specials: words that are in the vocabulary whether the text has them or not; or one.
        """
        specials = (specials,) if isinstance(specials, str) else tuple(specials)
        if max_size is not None and max_size < max(1, len(specials)):
            raise InputError(
                f"expected max_size of at least {max(1, len(specials))}, found {max_size}; raise it"
            )
        counts = collections.Counter(tokens)
        for word in specials:
            counts.pop(word, None)
        kept = sorted(
            (word for word, count in counts.items() if count >= min_count),
            key=lambda w: (-counts[w], w),
        )
        return cls((*specials, *kept)[:max_size])

    @functools.cached_property
    def ids(self) -> dict[str, int]:
        """The id of every word."""
        return {word: place for place, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.ids

    def encode(self, tokens: Iterable[str], padding: str | None = None) -> np.ndarray:
        """The ids of the tokens, int32 [N].

        A text that contains the word `padding` does not mean this vocabulary's padding: there it is
        an unknown word. Raises `InputError` with the unknown word if there is no `<unk>`.
        """
        unknown = self.ids.get(UNKNOWN)
        tokens = list(tokens)
        found = [unknown if token == padding else self.ids.get(token, unknown) for token in tokens]
        if unknown is None and None in found:
            word = tokens[found.index(None)]
            raise InputError(
                f"the word {word!r} is not in the vocabulary, which has no {UNKNOWN} for it: give"
                " words that it has"
            )
        return np.array(found, np.int32)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The words of the ids."""
        ids = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids), np.int64)
        if ids.size and not 0 <= ids.min() <= ids.max() < len(self):
            raise InputError(
                f"expected word ids from 0 to {len(self) - 1}, found {ids.min()} to {ids.max()}"
            )
        return [self.words[place] for place in ids]

    def save(self, path: str | os.PathLike) -> None:
        """Write one word per line, in the order of the ids."""
        text = "".join(word + "\n" for word in self.words)
        # A first word that starts with U+FEFF would be read as a byte order mark: put a real one
        # before it.
        atomic_write(path, "\ufeff" + text if text.startswith("\ufeff") else text)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Vocabulary":
        """Read what `save` wrote. Raises `InputError` if the file is not such a list."""
        found: dict[str, int] = {}
        for number, word in enumerate(read_lines(path), 1):
            if not word:
                raise InputError(
                    f"{path}:{number}: expected one word a line, found an empty line; remove it"
                )
            if word in found:
                raise InputError(
                    f"{path}:{number}: {word!r} is in line {found[word]} already; remove one of"
                    " them"
                )
            found[word] = number
        return cls(tuple(found))

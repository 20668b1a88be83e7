"""Writes a text to be read by characters: Python's own standard library, as any machine has it.

    python LanguageModeling/produce_text.py
    python LanguageModeling/RL_train.py --data_dir data/python --preset char_text

The same version of Python gives the same text.
"""

import dataclasses
import os
import pathlib
import sys
import sysconfig
import zlib
from collections.abc import Iterator

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting  # noqa: E402
from common.errors import InputError  # noqa: E402
from common.files import write_data  # noqa: E402
from LanguageModeling.reader import SPLITS  # noqa: E402

# Tests, what was installed later, and files that are tables rather than programs.
_LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "encodings"}
_LARGEST = 50_000  # characters of a file: so that each text has several
_SHARES = {"train": 0.9, "valid": 0.05, "test": 0.05}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Write Python's standard library as train.txt, valid.txt and test.txt."""

    data_dir: str = setting("data/python", "folder to write to", path=True)
    characters: int = setting(1_200_000, "characters of the three texts together", minimum=1000)


def programs() -> Iterator[str]:
    """The texts of the library's files, in an order that depends on their names alone.

    Those of printable ASCII only, so that whatever is read later is in the training text.
    """
    root, names = pathlib.Path(sysconfig.get_path("stdlib")), []
    for folder, below, files in os.walk(root):
        below[:] = set(below) - _LEFT_OUT
        where = pathlib.Path(folder).relative_to(root)
        names += [(where / file).as_posix() for file in files if file.endswith(".py")]
    for name in sorted(names, key=lambda name: (zlib.crc32(name.encode()), name)):
        data = (root / name).read_bytes().replace(b"\r\n", b"\n")
        if len(data) <= _LARGEST and all(32 <= byte < 127 or byte == 10 for byte in data):
            yield data.decode("ascii")


def produce(config: TextConfig) -> pathlib.Path:
    """Write the three texts, whole files one after the other, and return their folder.

    Raises `InputError` where the library has too few, or the folder has other texts.
    """
    folder, found, contents, said = pathlib.Path(config.data_dir), programs(), {}, []
    for split in SPLITS:
        texts: list[str] = []
        while (n := sum(map(len, texts))) < config.characters * _SHARES[split]:
            if (text := next(found, None)) is None:
                raise InputError(
                    f"--characters {config.characters} expects a larger library than this"
                    f" Python's; its {split} text would have {n}: ask for fewer"
                )
            texts.append(text)
        path = folder / f"{split}.txt"
        contents[path] = "".join(texts).encode()
        said.append(f"{path}: {n:,} characters of {len(texts)} files")
    write_data(contents)
    print("\n".join(said))
    return folder


if __name__ == "__main__":
    main(TextConfig, {}, produce)

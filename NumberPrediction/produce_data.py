"""Writes the data of number prediction: train.npz, dev.npz, test.npz.

    python NumberPrediction/produce_data.py --length 10

Each file holds `numbers` [N, length + 1] (digits, the last column is the index), `labels` [N] and
`settings` (JSON). The same seed gives the same bytes. `NumberPrediction/reader.py` defines the
rules and reads the files.
"""

import dataclasses
import io
import json
import pathlib
import sys

import numpy as np

# A plain checkout is not installed: let the script find `common` and its own package from any
# directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from common.config import main, setting  # noqa: E402
from common.files import write_data  # noqa: E402
from NumberPrediction.reader import LABEL_RULES, SPLITS, generate  # noqa: E402


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProduceConfig:
    """Write the data of number prediction."""

    length: int = setting(
        10, "digits before the index (paper: 10 and 20; release: 100 written)", minimum=10
    )
    label_rule: str = setting(
        "paper",
        "paper: among the first ten digits; last_ten: among the last ten; released: what the"
        " release trains on, noise unless the length is 100",
        choices=LABEL_RULES,
    )
    data_dir: str = setting(
        "", "folder to write to (empty: data/numbers-<length>-<label_rule>)", path=True
    )
    n_train: int = setting(100_000, "number of training examples", minimum=1)
    n_dev: int = setting(10_000, "number of development examples", minimum=1)
    n_test: int = setting(10_000, "number of test examples", minimum=1)
    seed: int = setting(0, "seed of every random number", minimum=0, maximum=2**31 - 1)


def produce(config: ProduceConfig) -> pathlib.Path:
    """Write the three files and return their folder.

    Raises `InputError` for settings that no data have, or where the folder has other data.
    """
    folder = pathlib.Path(config.data_dir or f"data/numbers-{config.length}-{config.label_rule}")
    contents, said = {}, []
    sizes = dict(zip(SPLITS, (config.n_train, config.n_dev, config.n_test), strict=True))
    for split, n in sizes.items():
        numbers, labels = generate(config.length, config.label_rule, n, config.seed, split)
        settings = {
            "length": config.length,
            "label_rule": config.label_rule,
            "n": n,
            "seed": config.seed,
            "split": split,
        }
        arrays = {"numbers": numbers, "labels": labels, "settings": np.array(json.dumps(settings))}
        path, file = folder / f"{split}.npz", io.BytesIO()
        np.savez(file, **arrays)
        contents[path] = file.getvalue()
        said.append(
            f"{path}: {n} examples of {numbers.shape[1]} inputs, label rule {config.label_rule},"
            f" seed {config.seed}"
        )
    write_data(contents)
    print("\n".join(said))
    return folder


if __name__ == "__main__":
    main(ProduceConfig, {}, produce)

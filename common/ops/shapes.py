"""The letters in which this package writes shapes, and a check of them.

B  sequences in a batch       T  steps             D  features of an input
H  units of a layer           K  distances         A  hidden units of an agent
N  any number                 V  words, classes or tags
"""

import re

import tensorflow as tf


def expect(shapes: str, *tensors: tf.Tensor | None) -> None:
    """Check tensors against their shapes, such as `expect("[B, T] [B, T, K]", rewards, probs)`.

    A letter has one size in all of them; `4H` is four times H; `...` in front stands for any axes.
    A size that is unknown while a graph is made is not checked, nor is None in place of a tensor.

    Raises:
        ValueError: a tensor of another rank, or of two sizes for one letter.
    """
    expected = [re.findall(r"[^\[\], ]+", one) for one in re.findall(r"\[[^\]]*\]", shapes)]
    sizes: dict[str, float] = {}
    for axes, tensor in zip(expected, tensors, strict=True):
        if tensor is None or tensor.shape.rank is None:
            continue
        found = list(tensor.shape)
        if axes[:1] == ["..."]:
            axes = axes[1:]
            fits = len(found) >= len(axes)
            found = found[len(found) - len(axes) :]
        else:
            fits = len(found) == len(axes)
        for axis, size in zip(axes, found, strict=False):
            times, letter = re.fullmatch(r"(\d*)(\w+)", axis).groups()
            if size is not None:
                size /= int(times or 1)
                fits &= sizes.setdefault(letter, size) == size
        if not fits:
            received = ", ".join("None" if a is None else str(a.shape) for a in tensors)
            raise ValueError(f"expected tensors of shapes {shapes}; received {received}")

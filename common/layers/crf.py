"""Linear-chain conditional random field: pure functions on batches, and a layer with the weights.

Letters: B sequences, T steps, N tags. The functions take sequences that are padded on the right:
`mask [B, T]` is true on real steps, which come first. The layer takes any mask: a masked step is as
if it were not there. A row without any real step scores 0 everywhere. Everything runs eagerly, as a
graph and under XLA; the loops count over T, so nothing is unrolled.

Lafferty, McCallum & Pereira (2001), "Conditional Random Fields"; the form with emissions from a
network is Lample et al. (2016), "Neural Architectures for Named Entity Recognition", section 2.2.
"""

from collections.abc import Callable, Sequence
from typing import Any, Unpack

import keras
import numpy as np
import tensorflow as tf

from ..cells.arguments import LayerArguments
from ..cells.settings import Settings
from ..ops import agent
from ..ops.shapes import expect
from .compaction import Compaction

# the score of a forbidden transition: finite, so that gradients and masked rows stay finite
FORBIDDEN = -1e4
_START, _END = "<start>", "<end>"


def allowed_transitions(
    tags: Sequence[str], scheme: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The transitions that a tagging scheme allows, as scores: 0 if allowed, -1e4 if forbidden.

    Args:
        tags: the N tag names, "O" or prefix-type as in "B-PER".
        scheme: "BIOES" (S alone, else B I* E) or "BIO" (B I*, IOB2).

    Returns:
        transitions [N, N] (row: from, column: to), start [N], end [N]; float32.

    Raises:
        ValueError: for another scheme, or a tag that is not of the scheme.
    """
    if scheme not in ("BIOES", "BIO"):
        raise ValueError(f"scheme must be 'BIOES' or 'BIO', received {scheme!r}")
    for tag in tags:
        if not isinstance(tag, str):
            raise ValueError(f"tags of a scheme must be names, such as 'B-PER', received {tag!r}")
        if tag != "O" and (tag[:1] == "O" or tag[:1] not in scheme or tag[1:2] != "-"):
            raise ValueError(
                f"tags must be of the scheme {scheme}, such as 'O' or 'B-PER', received {tag!r}"
            )

    def follows(before: str, after: str) -> bool:
        if after[0] in "IE":  # inside: only within the entity that is open
            return before[0] in "BI" and before[2:] == after[2:]
        # under BIOES an open entity must be ended by E
        return scheme == "BIO" or before[0] not in "BI"

    def score(before: Sequence[str], after: Sequence[str]) -> np.ndarray:
        return np.array(
            [[0.0 if follows(a, b) else FORBIDDEN for b in after] for a in before], np.float32
        )

    return score(tags, tags), score([_START], tags)[0], score(tags, [_END])[:, 0]


def _forward(
    emissions: tf.Tensor,
    transitions: tf.Tensor,
    start: tf.Tensor,
    mask: tf.Tensor,
    reduce: Callable,
) -> tf.Tensor:
    """Scores of all paths that end in a tag, reduced over the paths, for every step: [T, B, N].

        alpha_0(j) = start_j + e_0j
        alpha_t(j) = reduce_i( alpha_{t-1}(i) + A_ij ) + e_tj     on real steps
        alpha_t(j) = alpha_{t-1}(j)                                on padding

    `reduce` is logsumexp for the partition function and max for the best path.
    """
    expect("[B, T, N] [N, N] [N] [B, T]", emissions, transitions, start, mask)
    emissions = tf.transpose(emissions, [1, 0, 2])
    mask = tf.transpose(mask)[:, :, None]
    steps = emissions.shape[0] or tf.shape(emissions)[0]
    alpha = start + emissions[0]
    alphas = tf.TensorArray(emissions.dtype, size=steps, element_shape=alpha.shape).write(0, alpha)

    def step(t: tf.Tensor, alpha: tf.Tensor, alphas: tf.TensorArray) -> tuple:
        following = reduce(alpha[:, :, None] + transitions, axis=1) + emissions[t]
        alpha = tf.where(mask[t], following, alpha)
        return t + 1, alpha, alphas.write(t, alpha)

    # maximum_iterations: XLA needs the bound to lay out what the gradient keeps of each step.
    _, _, alphas = tf.while_loop(
        lambda t, *_: t < steps, step, (1, alpha, alphas), maximum_iterations=steps
    )
    return alphas.stack()


def log_partition(
    emissions: tf.Tensor, transitions: tf.Tensor, start: tf.Tensor, end: tf.Tensor, mask: tf.Tensor
) -> tf.Tensor:
    """log Z [B]: the log of the sum of exp(score) over all N^length paths, in nats.

    Args:
        emissions: [B, T, N] score of each tag at each step.
        transitions: [N, N] score of going from tag (row) to tag (column).
        start: [N] score of beginning with a tag.
        end: [N] score of ending with a tag.
        mask: [B, T] bool, true on real steps.
    """
    alpha = _forward(emissions, transitions, start, mask, tf.reduce_logsumexp)[-1]
    return tf.where(mask[:, 0], tf.reduce_logsumexp(alpha + end, axis=-1), 0.0)


def path_score(
    emissions: tf.Tensor,
    tags: tf.Tensor,
    transitions: tf.Tensor,
    start: tf.Tensor,
    end: tf.Tensor,
    mask: tf.Tensor,
) -> tf.Tensor:
    """s(x, y) [B], the score of the paths `tags [B, T]` (int), as in `log_likelihood`.

    Other arguments as for `log_partition`.
    """
    # One-hot products, not gathers: their gradients are dense, and XLA has no scatter to do.
    real = tf.cast(mask, emissions.dtype)
    chosen = tf.one_hot(tags, emissions.shape[-1], dtype=emissions.dtype) * real[:, :, None]
    last = real - tf.pad(real[:, 1:], [[0, 0], [0, 1]])
    emitted = tf.reduce_sum(emissions * chosen, axis=[1, 2])
    moved = tf.reduce_sum((chosen[:, :-1] @ transitions) * chosen[:, 1:], axis=[1, 2])
    ended = tf.reduce_sum(chosen * end * last[:, :, None], axis=[1, 2])
    return emitted + moved + tf.linalg.matvec(chosen[:, 0], start) + ended


def log_likelihood(
    emissions: tf.Tensor,
    tags: tf.Tensor,
    transitions: tf.Tensor,
    start: tf.Tensor,
    end: tf.Tensor,
    mask: tf.Tensor,
) -> tf.Tensor:
    """log p(y | x) [B] of the tag sequences `tags [B, T]` (int), in nats, at most 0 up to rounding.

        s(x, y)      = start_{y_0} + sum_{t=0}^{n-1} e_{t, y_t}
                       + sum_{t=1}^{n-1} A_{y_{t-1}, y_t} + end_{y_{n-1}}
        log p(y | x) = s(x, y) - log sum_{y'} exp s(x, y')

    (Lafferty et al. 2001, equation 1; Lample et al. 2016, section 2.2.) Other arguments as for
    `log_partition`.
    """
    score = path_score(emissions, tags, transitions, start, end, mask)
    return score - log_partition(emissions, transitions, start, end, mask)


def viterbi(
    emissions: tf.Tensor, transitions: tf.Tensor, start: tf.Tensor, end: tf.Tensor, mask: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The best path, tags [B, T] (int32, 0 on padding), and its score [B].

    The forward scores are kept and the best predecessor is looked up on the way back:
    y_t = argmax_i( alpha_t(i) + A_{i, y_{t+1}} ), Lample et al. 2016, section 2.2. Of equal paths
    the one with the lower tag wins. Arguments as for `log_partition`.
    """
    alphas = _forward(emissions, transitions, start, mask, tf.reduce_max)
    final = alphas[-1] + end  # padding repeats alpha, so this is the last real step of every row
    steps = emissions.shape[1] or tf.shape(emissions)[1]
    into, inside = tf.transpose(transitions), tf.transpose(mask)
    tag = tf.argmax(final, axis=-1, output_type=tf.int32)
    tags = tf.TensorArray(tf.int32, size=steps, element_shape=tag.shape).write(steps - 1, tag)

    def step(t: tf.Tensor, tag: tf.Tensor, tags: tf.TensorArray) -> tuple:
        before = tf.argmax(alphas[t] + tf.gather(into, tag), axis=-1, output_type=tf.int32)
        tag = tf.where(inside[t + 1], before, tag)  # on padding, carries the last real tag
        return t - 1, tag, tags.write(t, tag)

    _, _, tags = tf.while_loop(
        lambda t, *_: t >= 0, step, (steps - 2, tag, tags), maximum_iterations=steps
    )
    score = tf.where(mask[:, 0], tf.reduce_max(final, axis=-1), 0.0)
    return tf.where(mask, tf.transpose(tags.stack()), 0), score


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class CRF(Settings, keras.layers.Layer):
    """A linear-chain CRF over tag scores: `call` decodes, `log_likelihood` is trained.

    With `scheme`, paths that violate it are excluded both from decoding and from the partition
    function: p(y | x) is then a distribution over the well-formed tag sequences.

    Weights: `transitions [N, N]`, `start [N]`, `end [N]`, float32 in every dtype policy, initially
    zero: the CRF begins as independent softmaxes over the tags.

    Args:
        tags: the N tag names, in the order of the scores.
        scheme: "BIOES", "BIO", or None for no constraint.

    Raises:
        ValueError: no tags; another scheme, or a tag that is not of the scheme; scores of another
            number of tags, tags that are none of them (see `log_likelihood`).

    Example:
        ```python
        crf = CRF(["O", "B-PER", "I-PER"], scheme="BIO")
        scores = keras.random.normal([2, 5, 3])
        tags = crf(scores)  # [2, 5]
        loss = -keras.ops.mean(crf.log_likelihood(scores, tags))
        ```
    """

    def __init__(
        self, tags: Sequence[str], scheme: str | None = None, **kwargs: Unpack[LayerArguments]
    ):
        # scores add up to hundreds: bfloat16 would not hold them
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        if isinstance(tags, str) or not np.iterable(tags) or not len(tags):
            raise ValueError(
                f"tags must be the names of the tags, such as ['O', 'B-PER']; received {tags!r}"
            )
        self.take(tags=list(tags), scheme=scheme)
        self._constraint = allowed_transitions(self.tags, scheme) if scheme else (0.0, 0.0, 0.0)
        self.settle()

    def build(self, input_shape: tuple) -> None:
        n = len(self.tags)
        if input_shape[-1] != n:
            raise ValueError(
                f"CRF expects scores [B, T, {n}] for its {n} tags, received shape"
                f" {tuple(input_shape)}"
            )
        self.transitions, self.start, self.end = (
            self.add_weight(
                name=name, shape=shape, initializer="zeros", dtype="float32", autocast=False
            )
            for name, shape in [("transitions", (n, n)), ("start", (n,)), ("end", (n,))]
        )

    def call(self, emissions: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """The best tags [B, T] (int32, 0 on padding) for emissions [B, T, N].

        mask: [B, T] bool, None for no padding.
        """
        emissions, mask, order = _inputs(emissions, mask)
        found = viterbi(emissions, *self._scores(), mask)[0]
        return found if order is None else order.spread(found, hold=False)

    def log_likelihood(
        self, emissions: tf.Tensor, tags: tf.Tensor, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """log p(tags | emissions) [B] in nats.

        emissions: [B, T, N]. mask: [B, T] bool, by default the one that Keras attached to the
        emissions, if any. tags: [B, T] int in 0..N-1, at masked steps anything; others raise a
        ValueError, from a running graph `tf.errors.InvalidArgumentError`, and are NaN under XLA.
        """
        mask = getattr(emissions, "_keras_mask", None) if mask is None else mask
        emissions, mask, order = _inputs(emissions, mask)
        if not self.built:
            self.build(emissions.shape)
        tags, scores = tf.convert_to_tensor(tags), self._scores()
        expect("[B, T, N] [B, T] [B, T] [N, N]", emissions, tags, mask, scores[0])
        tags = tags if order is None else order.compact(tags)
        tags, emissions = agent.checked(tags, len(self.tags), emissions, mask, name="tags", first=0)
        return log_likelihood(emissions, tags, *scores, mask)

    def _scores(self) -> list[tf.Tensor]:
        weights = (self.transitions, self.start, self.end)
        return [
            tf.convert_to_tensor(own) + allowed
            for own, allowed in zip(weights, self._constraint, strict=True)
        ]

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape[:-1])

    def compute_output_spec(self, emissions: Any, mask: Any = None) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(emissions.shape), "int32")

    def get_config(self) -> dict:
        return {**super().get_config(), "tags": list(self.tags), "scheme": self.scheme}


def _inputs(
    emissions: tf.Tensor, mask: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor, Compaction | None]:
    """Emissions in float32 and a mask, with the real steps in front; what brought them there."""
    emissions = tf.cast(emissions, tf.float32)
    if mask is None:
        return emissions, tf.ones(tf.shape(emissions)[:2], tf.bool), None
    expect("[B, T, N] [B, T]", emissions, mask := tf.convert_to_tensor(mask))
    order = Compaction(mask)
    mask = tf.sequence_mask(order.lengths, tf.shape(mask)[1])
    return order.compact(order.clear(emissions)), mask, order

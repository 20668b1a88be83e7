"""The agent's policy: which of the K past states a step connects to.

    s_t  = stop_gradient([x_t ; h])                              observation, [B, D + H]
    pi_t = softmax(W2 tanh(W1 s_t + b1) + b2)                    over K distances, [B, K]
    k_t  ~ Categorical(pi_t),  k_t in {1..K}                     "take the state of step t - k_t"

(Gui et al. 2019.) W1 is kept in two parts, for the input and for the state, so that the
input's part is one product for a whole sequence. Pure functions of tensors; the weights belong to
the cell. This is the only file that touches TensorFlow Probability.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from . import replicas
from .products import product
from .shapes import expect

_TINY = np.finfo(np.float32).tiny  # the smallest uniform number, as its logarithm is taken


class AgentWeights(NamedTuple):
    """The two layers of the policy."""

    input_kernel: tf.Tensor  # [D, A]
    recurrent_kernel: tf.Tensor  # [H, A]
    bias: tf.Tensor  # [A]
    action_kernel: tf.Tensor  # [A, K]
    action_bias: tf.Tensor  # [K]


class Trace(NamedTuple):
    """What the agent did over a sequence; zeros at masked steps.

    Without an agent log_probs are 0 and probs one-hot; of attention probs are its weights, and
    nothing is differentiable.
    """

    distances: tf.Tensor  # [B, T] int32, 1..K
    log_probs: tf.Tensor  # [B, T] log pi_t(k_t), differentiable in the agent's weights alone
    entropies: tf.Tensor  # [B, T] H(pi_t) in nats, likewise
    probs: tf.Tensor  # [B, T, K] pi_t, likewise
    mask: tf.Tensor  # [B, T] float, 1 where there was a step

    def entries(self) -> dict[str, tf.Tensor]:
        """Those named in `ENTRIES`."""
        return {name: getattr(self, name) for name in ENTRIES}


ENTRIES = ("distances", "log_probs", "entropies", "probs")


def project(x: tf.Tensor, weights: AgentWeights) -> tf.Tensor:
    """The input's part of the hidden layer, W1x x + b1: [..., D] -> [..., A].

    No gradient reaches x.
    """
    return product(tf.stop_gradient(x), weights.input_kernel) + weights.bias


def logits(projected: tf.Tensor, h: tf.Tensor, weights: AgentWeights) -> tf.Tensor:
    """Unnormalised log pi over the distances 1..K: [..., A] and [..., H] -> [..., K].

    No gradient reaches h.
    """
    _, recurrent_kernel, _, action_kernel, action_bias = weights
    expect("[..., A] [..., H] [H, A] [A, K]", projected, h, recurrent_kernel, action_kernel)
    hidden = tf.tanh(projected + product(tf.stop_gradient(h), recurrent_kernel))
    return product(hidden, action_kernel) + action_bias


def sample(logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Distances 1..K drawn from the policy: [B, K] -> [B] int32.

    `seed`: int32 [2], stateless.
    """
    # Its import takes half a second. Layers, and so commands, draw by `gumbel_noise` instead.
    import tensorflow_probability as tfp

    n = replicas.count()  # a row's numbers depend on its place in the whole batch
    whole = logits if n == 1 else tf.tile(logits, [n, 1])
    policy = tfp.distributions.Categorical(logits=whole)
    return replicas.rows(lambda _: policy.sample(seed=seed), tf.shape(logits)[:-1]) + 1


def greedy(logits: tf.Tensor) -> tf.Tensor:
    """The most probable distances 1..K: [..., K] -> [...] int32."""
    return tf.argmax(logits, -1, output_type=tf.int32) + 1


def checked(
    distances: tf.Tensor,
    n_actions: int,
    x: tf.Tensor,
    mask: tf.Tensor | None = None,
    *,
    name: str = "distances",
    first: int = 1,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Given distances [...] as int32, and the inputs x [..., D] of their steps.

    Or other choices of that `name`, one of K that are counted from `first`. Where `mask` [...] is
    false there is no step: the distance becomes the first.

    Raises:
        ValueError: a distance that is none of the K. `tf.errors.InvalidArgumentError` where a graph
            that runs finds it. XLA has no such errors: there the inputs of these steps, and all
            that follows from them, become NaN.
    """
    given = tf.convert_to_tensor(distances)
    if mask is not None:
        given = tf.where(tf.cast(mask, tf.bool), given, tf.cast(first, given.dtype))
    distances, last = tf.cast(given, tf.int32), first + n_actions - 1
    message = f"{name} must lie in {first}..{last}; received"
    if (known := tf.get_static_value(given)) is not None:
        if (parts := known[known != np.floor(known)]).size:
            raise ValueError(f"{name} must be whole numbers; received {parts[0]}")
        if known.size and not first <= known.min() <= known.max() <= last:
            raise ValueError(f"{message} {known.min()} to {known.max()}")
        return distances, x
    within = (first <= distances) & (distances <= last) & (tf.cast(distances, given.dtype) == given)
    tf.debugging.Assert(tf.reduce_all(within), [message, given])
    return tf.clip_by_value(distances, first, last), tf.where(
        within[..., None], x, tf.constant(float("nan"), x.dtype)
    )


def gumbel_noise(shape: tf.Tensor | list, seed: tf.Tensor) -> tf.Tensor:
    """Noise g [T, B, K] for which `greedy(logits + g)` is a draw from Categorical(logits).

    It is all of a sequence's randomness at once, the numbers of `tfd.Gumbel(0.0, 1.0)` in a tenth
    of its operations.
    """
    uniform = replicas.rows(
        lambda shape: tf.random.stateless_uniform(shape, seed, minval=_TINY), shape, axis=1
    )
    return -tf.math.log(-tf.math.log(uniform))


def statistics(logits: tf.Tensor, distances: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """log pi(k) [...], H(pi) [...] in nats and pi [..., K].

    Of logits [..., K] and distances [...] in 1..K.
    """
    expect("[..., B, K] [..., B]", logits, distances)
    # as `tfd.Categorical` has them, in a third of its operations
    log_policy = tf.nn.log_softmax(logits)
    policy = tf.exp(log_policy)
    log_policy = tf.where(policy > 0, log_policy, 0.0)  # a distance ruled out, by a logit of -inf
    of_chosen = -tf.nn.sparse_softmax_cross_entropy_with_logits(distances - 1, logits)
    return of_chosen, -tf.reduce_sum(policy * log_policy, -1), policy

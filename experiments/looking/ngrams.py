"""Character n-gram models, to tell what a network does not predict from what counting would."""

import numpy as np

LONGEST = 9


class NGrams:
    """n-gram models of a text for n = 1 .. 9, each interpolated with the next shorter one.

    (Witten & Bell 1991.) With N(c) different characters seen behind a context c, n(c) in all:

        p_n(w | c) = (n(c w) + N(c) p_{n-1}(w | c'))  / (n(c) + N(c)),    c' = c without its first
        p_0(w)     = 1 / V

    Args:
        tokens: the training text, ids [N] below n_words.
        n_words: V.
    """

    def __init__(self, tokens: np.ndarray, n_words: int):
        self.n_words, self.bits = n_words, max(int(n_words - 1).bit_length(), 1)
        self.orders = range(1, min(LONGEST, 63 // self.bits) + 1)
        self.counts = [np.unique(self._codes(tokens, n), return_counts=True) for n in self.orders]

    def probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """p_n of each token of a text given those before it, [orders, N].

        Where fewer than n - 1 tokens come before, that of the longest model that fits.
        """
        found = np.full(len(tokens), 1 / self.n_words)
        rows = []
        for n, (codes, counts) in zip(self.orders, self.counts, strict=True):
            here = self._codes(tokens, n)
            contexts, first, different = np.unique(
                codes >> self.bits, return_index=True, return_counts=True
            )
            totals = np.add.reduceat(counts, first)
            context = here >> self.bits
            n_total, n_different = (
                _look_up(contexts, values, context) for values in (totals, different)
            )
            seen, known = _look_up(codes, counts, here), n_total > 0
            shorter = found[n - 1 :]
            mixed = (seen + n_different * shorter) / np.maximum(n_total + n_different, 1)
            found = np.concatenate([found[: n - 1], np.where(known, mixed, shorter)])
            rows.append(found)
        return np.stack(rows)

    def _codes(self, tokens: np.ndarray, n: int) -> np.ndarray:
        """Each n tokens in a row as one number, the last in its lowest bits: [N - n + 1]."""
        tokens = np.asarray(tokens, np.int64)
        n_codes = max(len(tokens) - n + 1, 0)
        codes = np.zeros(n_codes, np.int64)
        for i in range(n):
            codes = (codes << self.bits) | tokens[i : i + n_codes]
        return codes


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The values of sorted keys, 0 for others."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)

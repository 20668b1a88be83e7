"""The CRF against brute force over every path, in eager mode, as a graph and under XLA."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.modes import MODES

from common.layers import crf

TAGS = ["O", "B-PER", "I-PER", "E-PER", "S-PER", "B-LOC", "I-LOC", "E-LOC", "S-LOC"]
LENGTHS = np.array([4, 1, 3, 2])


@pytest.fixture(params=MODES)
def mode(request):
    return MODES[request.param]


@pytest.fixture
def problem():
    """Emissions [4, 4, 3], tags, weights, mask of unequal lengths; the padding is large and must
    not count.
    """
    rng = np.random.default_rng(3)
    emissions, transitions, start, end = (
        rng.normal(size=s).astype("float32") for s in [(4, 4, 3), (3, 3), 3, 3]
    )
    mask = np.arange(4) < LENGTHS[:, None]
    emissions[~mask] = 50.0
    tags = rng.integers(0, 3, (4, 4)).astype("int32")
    return [tf.constant(a) for a in (emissions, tags, transitions, start, end, mask)]


def every_path(emissions, transitions, start, end, length):
    """[(path, score)] of all N^length paths of one sequence, by the definition."""
    n = len(start)
    for path in itertools.product(range(n), repeat=length):
        score = start[path[0]] + end[path[-1]] + sum(emissions[t, y] for t, y in enumerate(path))
        yield path, score + sum(transitions[a, b] for a, b in itertools.pairwise(path))


def brute(emissions, tags, transitions, start, end, mask):
    """log Z, log p(tags), best path and its score of every row, from float64 arrays."""
    arrays = [np.asarray(a, "float64") for a in (emissions, transitions, start, end)]
    log_z, log_p, best, best_score = [], [], [], []
    for row, length in enumerate(np.asarray(mask).sum(1)):
        paths = list(every_path(arrays[0][row], *arrays[1:], length))
        log_z.append(np.logaddexp.reduce([s for _, s in paths]))
        log_p.append(dict(paths)[tuple(np.asarray(tags)[row, :length].tolist())] - log_z[-1])
        path, score = max(paths, key=lambda p: p[1])
        best.append(list(path) + [0] * (mask.shape[1] - length))
        best_score.append(score)
    return map(np.array, (log_z, log_p, best, best_score))


def test_values_equal_brute_force(problem, mode):
    emissions, tags, *weights, mask = problem
    log_z, log_p, best, best_score = brute(*problem)
    np.testing.assert_allclose(mode(crf.log_partition)(emissions, *weights, mask), log_z, rtol=1e-5)
    np.testing.assert_allclose(mode(crf.path_score)(*problem), log_p + log_z, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mode(crf.log_likelihood)(*problem), log_p, rtol=1e-5, atol=1e-5)
    found, score = mode(crf.viterbi)(emissions, *weights, mask)
    np.testing.assert_array_equal(found, best)
    np.testing.assert_allclose(score, best_score, rtol=1e-5)


def test_gradients_equal_central_differences_of_brute_force(problem, mode):
    emissions, tags, *weights, mask = problem
    # rows of unequal weight, so that no row can stand in for another
    weigh = np.array([1.0, -2.0, 0.5, 3.0])

    def gradients(emissions, transitions, start, end):
        with tf.GradientTape() as tape:
            tape.watch([emissions, transitions, start, end])
            value = crf.log_likelihood(emissions, tags, transitions, start, end, mask)
            loss = tf.reduce_sum(value * tf.constant(weigh, tf.float32))
        return tape.gradient(loss, [emissions, transitions, start, end])

    def loss(arrays):
        return float(np.sum(weigh * list(brute(arrays[0], tags, *arrays[1:], mask))[1]))

    arrays = [a.numpy().astype("float64") for a in (emissions, *weights)]
    for found, array in zip(mode(gradients)(emissions, *weights), arrays, strict=True):
        expected = np.zeros_like(array)
        for at in np.ndindex(array.shape):
            centre = array[at]
            array[at] = centre + 1e-4
            above = loss(arrays)
            array[at] = centre - 1e-4
            expected[at] = (above - loss(arrays)) / 2e-4
            array[at] = centre
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


def test_gradient_of_log_partition_is_the_marginals(problem):
    emissions, _, *weights, mask = problem
    with tf.GradientTape() as tape:
        tape.watch(emissions)
        value = crf.log_partition(emissions, *weights, mask)
    marginals = tape.gradient(value, emissions)
    np.testing.assert_allclose(tf.reduce_sum(marginals, -1), tf.cast(mask, tf.float32), atol=1e-5)


def test_a_hand_computed_case():
    """Two tags, two steps: scores 1+3=4 (00), 1+2+4=7 (01), 2 (10), 0 (11) once the weights are
    added by hand.
    """
    emissions = tf.constant([[[1.0, 0.0], [3.0, 4.0]]])
    transitions = tf.constant([[0.0, 2.0], [-1.0, -4.0]])
    zeros, mask = tf.zeros(2), tf.ones([1, 2], tf.bool)
    expected = np.log(np.exp(4) + np.exp(7) + np.exp(2) + np.exp(0))
    np.testing.assert_allclose(
        crf.log_partition(emissions, transitions, zeros, zeros, mask), [expected], rtol=1e-6
    )
    tags, score = crf.viterbi(emissions, transitions, zeros, zeros, mask)
    assert tags.numpy().tolist() == [[0, 1]] and score.numpy().tolist() == [7.0]


def test_rows_without_a_real_step_score_zero(problem):
    emissions, tags, *weights, mask = problem
    mask = tf.concat([mask[:3], tf.zeros([1, 4], tf.bool)], 0)
    assert crf.log_likelihood(emissions, tags, *weights, mask)[3] == 0
    found, score = crf.viterbi(emissions, *weights, mask)
    assert not found[3].numpy().any() and score[3] == 0


def test_unknown_number_of_steps(problem):
    emissions, tags, *weights, mask = problem
    kinds = [((None, None, 3), tf.float32), ((None, None), tf.int32), ((None, None), tf.bool)]

    @tf.function(input_signature=[tf.TensorSpec(*kind) for kind in kinds])
    def both(emissions, tags, mask):
        return (
            crf.log_likelihood(emissions, tags, *weights, mask),
            crf.viterbi(emissions, *weights, mask)[0],
        )

    log_p, best = both(emissions, tags, mask)
    np.testing.assert_allclose(
        log_p, crf.log_likelihood(emissions, tags, *weights, mask), rtol=1e-5
    )
    np.testing.assert_array_equal(best, crf.viterbi(emissions, *weights, mask)[0])


def well_formed_bioes(tags):
    """By a little state machine: the type that is open, or None."""
    open_type = None
    for tag in tags:
        prefix, kind = tag[0], tag[2:]
        if prefix in "OSB" and open_type is not None or prefix in "IE" and open_type != kind:
            return False
        open_type = kind if prefix in "BI" else None
    return open_type is None


def well_formed_bio(tags):
    return all(
        b[0] != "I" or (a != "O" and a[2:] == b[2:]) for a, b in itertools.pairwise(["O", *tags])
    )


@pytest.mark.parametrize(
    ("scheme", "well_formed"), [("BIOES", well_formed_bioes), ("BIO", well_formed_bio)]
)
def test_allowed_transitions_are_the_well_formed_sequences(scheme, well_formed):
    names = [tag for tag in TAGS if tag[0] in scheme]
    transitions, start, end = crf.allowed_transitions(names, scheme)
    zeros = np.zeros((3, len(names)))
    for length in (1, 2, 3):
        for path, score in every_path(zeros, transitions, start, end, length):
            assert (score == 0) == well_formed([names[y] for y in path])


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [(["O"], "IOB"), (["O", "E-PER"], "BIO"), (["PER"], "BIOES"), (["O-X"], "BIO")],
)
def test_tags_outside_the_scheme_are_refused(tags, scheme):
    with pytest.raises(ValueError, match="received"):
        crf.allowed_transitions(tags, scheme)


def test_layer_decodes_only_well_formed_sequences_and_sums_over_them():
    layer = crf.CRF(TAGS, "BIOES")
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 8, 20)
    mask = np.arange(8) < lengths[:, None]
    found = layer(rng.normal(scale=3, size=(20, 8, 9)).astype("float32"), mask=mask).numpy()
    assert all(
        well_formed_bioes([TAGS[y] for y in row[:n]]) for row, n in zip(found, lengths, strict=True)
    )
    # With all scores zero, p is one over the number of well-formed sequences.
    count = sum(well_formed_bioes(p) for p in itertools.product(TAGS, repeat=3))
    log_p = layer.log_likelihood(np.zeros((1, 3, 9), "float32"), np.zeros((1, 3), "int32"))
    np.testing.assert_allclose(log_p, [-np.log(count)], rtol=1e-5)


def test_layer_learns_transitions(mode):
    """Emissions that say nothing: the weights alone must learn that tag 1 follows tag 0 and the
    other way round.
    """
    layer = crf.CRF(["O", "B-X"])
    layer.build((None, 6, 2))
    emissions, tags = tf.zeros([1, 6, 2]), tf.constant([[0, 1, 0, 1, 0, 1]])

    @mode
    def gradients():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(layer.log_likelihood(emissions, tags))
        return loss, tape.gradient(loss, layer.trainable_weights)

    for _ in range(30):
        loss, slopes = gradients()
        for weight, slope in zip(layer.trainable_weights, slopes, strict=True):
            weight.assign_sub(0.5 * slope)
    assert loss < 0.2
    assert layer(emissions).numpy().tolist() == tags.numpy().tolist()


def test_layer_saves_loads_and_stays_float32(tmp_path):
    scores = keras.Input([None, 9], dtype="float32")
    model = keras.Model(scores, crf.CRF(TAGS, "BIOES", name="crf", dtype="mixed_bfloat16")(scores))
    layer = model.get_layer("crf")
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    assert {w.dtype for w in layer.weights} == {"float32"}
    inputs = rng.normal(size=(3, 5, 9)).astype("float32")
    tags = model(inputs)
    plain = crf.CRF(TAGS, "BIOES")
    plain.build((None, None, 9))
    plain.set_weights(layer.get_weights())
    np.testing.assert_array_equal(plain(inputs), tags)
    np.testing.assert_array_equal(
        plain.log_likelihood(inputs, tags), layer.log_likelihood(inputs, tags)
    )
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(inputs), tags)


def test_tags_are_whole_numbers_for_the_layers_behind():
    """Before there are values, too, whatever the dtype policy."""
    for policy in ("float32", "mixed_bfloat16"):
        scores = keras.Input([5, 3])
        tags = crf.CRF(["a", "b", "c"], dtype=policy)(scores)
        assert tags.dtype == "int32" and tags.shape == (None, 5)
        model = keras.Model(scores, keras.layers.Embedding(3, 2)(tags))
        assert model(np.ones([2, 5, 3])).shape == (2, 5, 2)
    assert crf.CRF(["a", "b"])(np.ones([2, 5, 2])).dtype == tf.int32


def test_layer_names_the_shape_it_wants():
    with pytest.raises(ValueError, match=r"expects scores \[B, T, 2\].*received shape"):
        crf.CRF(["O", "B-X"])(np.zeros((1, 4, 3), "float32"))


def small(problem):
    """A layer with the problem's weights, and the problem's emissions and tags."""
    emissions, tags, *weights, _ = problem
    layer = crf.CRF(["a", "b", "c"])
    layer.build([None, None, 3])
    layer.set_weights(weights)
    return layer, tf.where(tf.abs(emissions) < 9, emissions, 1.0), tags


def test_the_layer_takes_any_mask(problem):
    """Padding in front, holes, no real step: as the real steps alone. NaN there reaches nothing."""
    layer, emissions, tags = small(problem)
    mask = np.array([[0, 1, 1, 1], [1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]], bool)
    hidden = tf.where(mask[..., None], emissions, np.nan)
    with tf.GradientTape() as tape:
        found = tf.function(layer.log_likelihood)(hidden, tf.where(mask, tags, -1), mask)
    assert all(np.isfinite(slope).all() for slope in tape.gradient(found, layer.trainable_weights))
    decoded = layer(hidden, mask=mask).numpy()
    assert not decoded[~mask].any() and found[2] == 0
    for row in (0, 1, 3):
        real = tf.boolean_mask(emissions[row], mask[row])[None]
        alone = layer.log_likelihood(real, tags.numpy()[row][mask[row]][None])
        np.testing.assert_allclose(found[row], alone[0], rtol=1e-5)
        assert decoded[row][mask[row]].tolist() == layer(real).numpy()[0].tolist()


def test_the_layer_takes_the_mask_of_keras(problem):
    layer, _, tags = small(problem)
    words = np.array([[1, 2, 0, 0], [0, 1, 2, 0]])
    emissions = keras.layers.Embedding(3, 3, mask_zero=True)(words)
    given = layer.log_likelihood(tf.identity(emissions), tags[:2], words != 0)
    np.testing.assert_array_equal(layer.log_likelihood(emissions, tags[:2]), given)


def test_tags_that_do_not_fit(problem):
    layer, emissions, tags = small(problem)
    with pytest.raises(ValueError, match=r"tags must lie in 0\.\.2; received -1 to 1"):
        layer.log_likelihood(emissions, tags - 1)
    graph = tf.function(layer.log_likelihood)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"tags must lie in 0\.\.2"):
        graph(emissions, tags + 1)
    with pytest.raises(ValueError, match=r"expected tensors of shapes \[B, T, N\] \[B, T\]"):
        layer.log_likelihood(emissions, tags[:1])


@pytest.mark.parametrize(
    ("tags", "scheme", "message"),
    [
        (3, None, "names of the tags, such as .*; received 3"),
        ("abc", None, "names of the tags"),
        ([], None, "names of the tags"),
        ([1, 2], "BIO", "tags of a scheme must be names"),
    ],
)
def test_what_are_no_names_of_tags(tags, scheme, message):
    with pytest.raises(ValueError, match=message):
        crf.CRF(tags, scheme)

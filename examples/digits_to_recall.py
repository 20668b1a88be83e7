"""Digits to recall: an LSTM that learns to look back at the one step that matters.

Ten digits, then an index: which digit does it point to? The answer stands one to ten steps back,
the index says where. A plain LSTM has to carry all ten digits along in its state. An LSTM with
dynamic skip connections (Gui et al., AAAI 2019) takes at each step one of its last K states in
place of the previous one, and an agent chooses which: here it learns to read the index and connect
the last step to the digit itself.

    python examples/digits_to_recall.py    # half a minute on two cores
"""

import keras
import numpy as np
from dynamic_skip_lstm import DynamicSkipLSTM, PolicyGradientModel

N_TRAIN, N_TEST, N_DIGITS = 10_000, 2_000, 10
UNITS, BATCH_SIZE, EPOCHS = 32, 50, 5
keras.utils.set_random_seed(0)

# ## The data
#
# The index counts from 0; digit and index are one-hot vectors.

numbers = np.random.default_rng(0).integers(0, N_DIGITS, (N_TRAIN + N_TEST, N_DIGITS + 1))
answers = np.take_along_axis(numbers, numbers[:, -1:], axis=1)[:, 0]
inputs = np.eye(N_DIGITS, dtype="float32")[numbers]
train, test = slice(N_TRAIN), slice(N_TRAIN, None)
print("digits", numbers[0, :-1], "index", numbers[0, -1], "answer", answers[0])


# ## A plain LSTM, and two ways to train the agent
#
# `DynamicSkipLSTM` takes the place of `keras.layers.LSTM`. Which state a step connects to is drawn
# at random, and a draw has no gradient. `PolicyGradientModel` rewards the agent with the
# log-probability of the right answer, as the paper does; `estimator="straight_through"` gives it
# the gradient that the mean of the states would have, in any Keras model.


def train_and_test(name: str, layer: keras.layers.Layer, model_class: type = keras.Model) -> tuple:
    """The model with this layer, and its accuracy on the test numbers."""
    x = keras.Input([N_DIGITS + 1, N_DIGITS])
    model = model_class(x, keras.layers.Dense(N_DIGITS)(layer(x)), name=name)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.005), loss, metrics=["accuracy"])
    model.fit(inputs[train], answers[train], BATCH_SIZE, EPOCHS, verbose=2)
    accuracy = model.evaluate(inputs[test], answers[test], verbose=0, return_dict=True)["accuracy"]
    return model, accuracy


skips = DynamicSkipLSTM(UNITS, n_actions=N_DIGITS)
accuracy = {}
_, accuracy["LSTM"] = train_and_test("lstm", keras.layers.LSTM(UNITS))
_, accuracy["straight through"] = train_and_test(
    "straight_through",
    DynamicSkipLSTM(UNITS, n_actions=N_DIGITS, estimator="straight_through"),
)
model, accuracy["policy gradient"] = train_and_test("policy_gradient", skips, PolicyGradientModel)

# ## Where the last step connects to
#
# The layer's `trace`, read right after a call, has the distance that each step chose. Index i
# points to the digit 10 - i steps before the last step: the diagonal of this table.

model(inputs[test])
chosen = skips.trace.distances.numpy()[:, -1]
print("\nindex   share of test numbers whose last step connects 1, 2, ... 10 steps back")
for index in range(N_DIGITS):
    of_index = chosen[numbers[test][:, -1] == index]
    shares = [np.mean(of_index == k) if len(of_index) else 0 for k in range(1, N_DIGITS + 1)]
    print(f"{index:5}   {' '.join(f'{share:.2f}' for share in shares)}")

print()
for name, value in accuracy.items():
    print(f"{name:16} test accuracy {value:.3f}")

"""Initial weights of the released code's skip cell (`--initializers released`)."""

import keras


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class OrthogonalGates(keras.initializers.Initializer):
    """A recurrent kernel [H, 4H] of four orthogonal matrices, one for each gate."""

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None):
        size = shape[0]
        return keras.ops.concatenate(
            [keras.initializers.Orthogonal()((size, size), dtype) for _ in range(shape[1] // size)],
            -1,
        )


def of_skip_cell() -> dict[str, keras.initializers.Initializer]:
    """The released skip cell's initializers, as arguments of `DynamicSkipLSTM`."""
    return {
        "recurrent_initializer": OrthogonalGates(),
        "agent_initializer": keras.initializers.RandomNormal(0, 0.3),
        "agent_bias_initializer": keras.initializers.Constant(0.1),
    }

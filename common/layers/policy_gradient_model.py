"""A `keras.Model` whose `fit` trains the agents of the layers in it too."""

import contextlib
import inspect
import warnings
from typing import Any, Unpack

import keras
import tensorflow as tf

from .. import objective
from ..cells.agent_warnings import NOBODY_LEARNS, NOT_CALLED, warn_of_equal_seeds
from ..cells.arguments import LayerArguments, WholeSignature
from ..cells.checks import number, whole_number
from ..cells.settings import check_known
from ..choices import BASELINES, CREDITS, ENTROPIES, ESTIMATORS, POLICY_GRADIENT, one_of
from ..ops import replicas
from ..ops.mixture import repeated
from .dynamic_skip_lstm import DynamicSkipLSTM
from .functional_class import check_tensors, functional_class
from .rewards import agent_of, check_cells, check_names, heard_of, rewards_of


def _option(name: str):
    """An option of the agents' loss as an attribute of the model."""

    def refuse(model: "PolicyGradientModel", value: Any):
        anew = f"{{**model.agent_options, {name!r}: {value!r}}}"
        raise AttributeError(
            f"{name} of {model.name} is {model.agent_options[name]!r} as compiled: set it with"
            f" model.configure_agent(**{anew}), and compile the model again"
        )

    return property(lambda model: model.agent_options[name], refuse)


@keras.saving.register_keras_serializable(package="dynamic_skip_lstm")
class PolicyGradientModel(WholeSignature, keras.Model):
    """`keras.Model` that adds the agents' loss to the compiled one.

    For each `DynamicSkipLSTM` in it, nested or in `Bidirectional` too:

        loss = compiled loss + model.losses + sum over the layers of policy_gradient(trace, r)
        r    = - the compiled loss of each example, before it is reduced

    with `losses.policy_gradient`.

    The reward is the negative loss of the truth: with a cross-entropy its log-likelihood (Gui et
    al. 2019). It stands at the last step of each sequence or, where the layer returns its T steps
    and the loss has T values, at those, masked ones too where the loss counts them; sample weights
    and masks count as in the loss. An agent's weights learn from their own loss alone (with
    `estimator="straight_through"` or "reinmax" from the compiled one and their entropy), all others
    from the compiled loss and `model.losses` alone.

    `type(model).from_config(model.get_config())` is a copy without the weights;
    `keras.models.clone_model` makes a plain model, whose agents do not learn. A subclass with a
    `call` of its own works alike. A layer that is called several times in one call of the model, as
    by `TimeDistributed`, learns from each; one that is not called in it learns nothing. A
    `train_step` of one's own begins with `repeat_samples` where n_samples is not 1.

    Made and compiled in the scope of `tf.distribute.MirroredStrategy`, `fit` trains the weights of
    one device on the same batches where these divide evenly. Some things Keras does on each device
    by itself: the mean over steps that are not masked (use a loss with `reduction="sum"`), the
    clipping of gradients, and what layers of its own draw, such as `Dropout`.

    Args:
        inputs, outputs: as for `keras.Model`: the model is a functional one then, with `layers`,
            `summary`, `export` and the rest, and `model.network` is the plain `keras.Model` of the
            same layers. None in a subclass with a `call` of its own.
        credit: "total", each choice is credited with the rewards of all steps; "to_go", with those
            from its step on as the layer reads: less noise, right only where no loss depends on a
            later choice (no layer above that mixes steps or reads the other way; the outputs of a
            backward layer are turned round before the loss, as `Bidirectional` does).
        baseline: "leave_one_out", the mean of the batch's other sequences is subtracted from the
            returns (nothing where there are none: a batch of one, of which a warning tells, where
            the size is known as the step is traced); or "none".
        entropy: "analytic" or "sampled".
        rl_weight, entropy_weight: of the rewards, and of the policy's entropy in nats.
        n_samples: S, how often `fit` repeats each example, with choices of its own each time. With
            S > 1 the leave-one-out baseline is the mean over the other samples of the same example:
            far less noise, for S times the work.

    Raises:
        ValueError: an unknown option; other inputs and outputs than tensors; a compiled loss that
            gives no value for each example; a metric called agent_loss or entropy; a
            `DynamicSkipLSTMCell` whose agent would never learn, because it is not that of a
            `DynamicSkipLSTM`.

    Example:
        ```python
        words, labels = np.random.randint(1, 9, [8, 5]), np.random.randint(0, 2, 8)
        inputs = keras.Input([None], dtype="int32")
        x = keras.layers.Embedding(9, 4, mask_zero=True)(inputs)
        x = DynamicSkipLSTM(8, n_actions=3)(x)
        outputs = keras.layers.Dense(2, activation="softmax")(x)
        model = PolicyGradientModel(inputs, outputs, entropy_weight=0.01)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(words, labels, batch_size=4)  # with agent_loss, entropy
        model.evaluate(words, labels)  # loss without the agents' part
        model.save("model.keras")
        ```
    """

    _given_class = None
    credit, baseline, entropy = map(_option, ("credit", "baseline", "entropy"))
    rl_weight, entropy_weight, n_samples = map(
        _option, ("rl_weight", "entropy_weight", "n_samples")
    )

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        *,
        credit: str = "total",
        baseline: str = POLICY_GRADIENT.baseline,
        entropy: str = POLICY_GRADIENT.entropy,
        rl_weight: float = POLICY_GRADIENT.rl_weight,
        entropy_weight: float = POLICY_GRADIENT.entropy_weight,
        n_samples: int = 1,
        **kwargs: Unpack[LayerArguments],
    ):
        if inputs is None and outputs is None:
            super().__init__(**kwargs)
        else:
            check_tensors(inputs, outputs)
            known = [*inspect.signature(PolicyGradientModel).parameters]  # Keras ignores all others
            check_known("PolicyGradientModel", kwargs, known)
            network = keras.Model(inputs, outputs)
            self.__class__ = functional_class(type(self), type(network))
            super().__init__(network.input, network.output, **kwargs)
            self.network = network
            # Keras looks for weights under the names of attributes: there they lay before the model
            # was a functional one itself.
            setattr(self, "layers/functional", network)
        self.configure_agent(credit, baseline, entropy, rl_weight, entropy_weight, n_samples)
        self.agent_loss_tracker = keras.metrics.Mean(name="agent_loss")
        self.entropy_tracker = keras.metrics.Mean(name="entropy")

    def __reduce__(self):  # by the class that a module has under this name
        _, file = super().__reduce__()
        return (self._given_class or type(self))._unpickle_model, file

    # whose attributes Keras takes for weights: as a functional model's it would ask the layers
    # twice, and give up
    def _obj_type(self):
        return "Layer"

    def configure_agent(
        self,
        credit: str = "total",
        baseline: str = POLICY_GRADIENT.baseline,
        entropy: str = POLICY_GRADIENT.entropy,
        rl_weight: float = POLICY_GRADIENT.rl_weight,
        entropy_weight: float = POLICY_GRADIENT.entropy_weight,
        n_samples: int = 1,
    ) -> None:
        """Set the options anew; `compile` has to follow.

        A training step that is compiled keeps those it has.
        """
        self.agent_options = {
            "credit": one_of("credit", credit, CREDITS),
            "baseline": one_of("baseline", baseline, BASELINES),
            "entropy": one_of("entropy", entropy, ENTROPIES),
            "rl_weight": float(number("rl_weight", rl_weight)),
            "entropy_weight": float(number("entropy_weight", entropy_weight)),
            "n_samples": whole_number("n_samples", n_samples),
        }
        self._has_repeated = n_samples == 1

    def repeat_samples(self, data: Any) -> Any:
        """Tensors [B, ...] in any structure with `n_samples` rows in place of each, side by side.

        `train_step` does so by itself.
        """
        self._has_repeated, n_samples = True, self.agent_options["n_samples"]
        return tf.nest.map_structure(
            lambda a: a if a is None or n_samples == 1 else repeated(a, n_samples), data
        )

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """As of `keras.Model`, on `n_samples` samples of each example."""
        return super().train_step(self.repeat_samples(data))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As of `keras.Model`; each layer keeps what its agent does in all of its calls."""
        layers = self._flatten_layers(include_self=False)
        with contextlib.ExitStack() as stack:
            for layer in layers:
                if isinstance(layer, DynamicSkipLSTM):
                    stack.enter_context(layer._traces.together())
            return super().__call__(*args, **kwargs)

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer | str = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """As `keras.Model.compile`."""
        super().compile(optimizer, loss, loss_weights, *args, **kwargs)
        self.loss_weights = loss_weights

    def get_metrics_result(self) -> dict[str, tf.Tensor]:
        """As of `keras.Model`."""
        check_names(self.metrics, [self.agent_loss_tracker, self.entropy_tracker])
        return super().get_metrics_result()

    def compile_from_config(self, config: dict) -> None:
        """Compile as the saved model was.

        Keras leaves that to whoever has a `compile` of their own.
        """
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    @property
    def skip_layers(self) -> list[DynamicSkipLSTM]:
        """The layers with an agent, wherever in the model they are."""
        layers = self._flatten_layers(include_self=False)
        return [
            layer
            for layer in layers
            if isinstance(layer, DynamicSkipLSTM) and layer.built and layer.cell.has_agent
        ]

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """The compiled loss and `model.losses`; in training the agents' loss too.

        In evaluation the agents' loss is shown, but no part of the sum.
        """
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        check_cells(self._flatten_layers(include_self=False), training)
        with_agent, options = self.skip_layers, self.agent_options
        calls = heard_of(with_agent, training, options["entropy_weight"])
        learn = {ESTIMATORS[layer.cell.estimator] for layer, _ in calls if layer.cell.lamda}
        if training and "reward" not in learn and not (calls and options["entropy_weight"]):
            message = NOT_CALLED if with_agent and not calls else NOBODY_LEARNS
            warnings.warn(message, stacklevel=1)
        if training:
            warn_of_equal_seeds(with_agent)
        if not calls:
            return loss
        if training and not self._has_repeated:
            raise ValueError(
                f"n_samples={options['n_samples']}, and each example is there once: begin the"
                " train_step with data = self.repeat_samples(data)"
            )
        rewards = []
        if "reward" in learn:
            names = getattr(self, "output_names", None)
            rewards = rewards_of(self.loss, self.loss_weights, y, y_pred, sample_weight, names)
        if not training:
            alone = calls[0][1].mask.shape[0] == 1  # that is no fault here
            baseline = "none" if alone else options["baseline"]
            options = {**options, "n_samples": 1, "baseline": baseline}
        agents = {str(i): agent_of(*one, rewards, options) for i, one in enumerate(calls)}
        combined, metrics = objective.combine(loss, agents)
        n = replicas.count()  # of which each has its part of the losses
        # By rows, as `loss`; a constant weight TensorFlow counts once more where a dataset ends.
        n_rows = replicas.total(tf.cast(tf.shape(calls[0][1].mask)[0], tf.float32))
        for tracker, n_parts in ((self.agent_loss_tracker, 1), (self.entropy_tracker, len(calls))):
            of_calls = tf.add_n([metrics[f"{tracker.name}_{i}"][0] for i in agents])
            tracker.update_state(n * of_calls / n_parts, n_rows)
        return combined if training else loss

    def get_config(self) -> dict:
        """The constructor's arguments; the network in place of inputs and outputs.

        Without the network where a subclass makes it itself, in a constructor without these.
        """
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
        }
        takes = inspect.getfullargspec(type(self).__init__).args
        if hasattr(self, "network") and {"inputs", "outputs"} <= {*takes}:
            config["network"] = keras.saving.serialize_keras_object(self.network)
        return {**config, **self.agent_options}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> "PolicyGradientModel":
        """The model of a `get_config()`."""
        config = dict(config)
        if "network" in config:
            network = keras.saving.deserialize_keras_object(config.pop("network"), custom_objects)
            config |= {"inputs": network.input, "outputs": network.output}
        return cls(**config)

"""What the agent of a layer did in its latest calls, for whoever may still read it."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf

from ..ops import agent, replicas
from ..ops.scratch_graph import in_scratch_graph


class _Call(NamedTuple):
    trace: agent.Trace
    training: bool
    drawn: bool  # or given; not the most probable distances
    scratch: bool  # made for its shapes alone, as where Keras builds a model before its first call


class Traces:
    """By replica, because these take turns, each with tensors of its own.

    `heard` says whether anybody has ever read the trace of a call in training, or was given it.
    """

    def __init__(self):
        self.heard = False
        # of the latest call of the model that the layer is in, or of the layer alone
        self._calls: dict[int, list[_Call]] = {}
        self._within: set[int] = set()

    def record(self, trace: agent.Trace, training: bool, drawn: bool, heard: bool = False) -> None:
        """Keep this as the replica's latest trace; within a model's call those before it, too."""
        self.heard = self.heard or (training and heard)
        before = self._calls[replicas.index()] if replicas.index() in self._within else []
        before = [one for one in before if not one.scratch]
        call = _Call(trace, training, drawn, in_scratch_graph())
        self._calls[replicas.index()] = [*before, call]

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """A call of the model: nothing older is kept, and all that the layer does in it."""
        index = replicas.index()
        if index in self._within:  # of a model in a model
            yield
            return
        self._calls[index] = []
        self._within.add(index)
        try:
            yield
        finally:
            self._within.discard(index)

    def read(self, name: str) -> agent.Trace:
        """The latest one, of the layer of that name.

        Raises:
            RuntimeError: there is none, or none that has values here.
        """
        if not self._calls.get(replicas.index()):
            raise RuntimeError(
                f"{name} has no trace yet: call the layer first, with values (on a keras.Input it "
                "computes nothing), and read the trace right after that, in the same function; "
                "Bidirectional calls copies of the layer, its forward_layer and backward_layer"
            )
        return self._read(self._calls[replicas.index()][-1], name)

    def read_all(self, name: str, needed: bool, rewarded: bool = False) -> list[agent.Trace]:
        """Those of the model's latest call; of the layer's calls in training, if there are any.

        `rewarded`: only those that drew, of whose choices alone a reward tells anything. `needed`:
        for a loss; of choices that were not drawn log_probs are zeros then. One made in a loop has
        no values outside: it is left out, unless it is needed.

        Raises:
            RuntimeError: a needed one has no values here.
        """
        calls = self._calls.get(replicas.index(), [])
        calls = [one for one in calls if one.training] or calls
        calls = [one for one in calls if one.drawn or not rewarded]
        found = [one for one in calls if needed or _alive(one.trace.mask)]
        return [self._of_loss(one, name) if needed else self._read(one, name) for one in found]

    def _of_loss(self, call: _Call, name: str) -> agent.Trace:
        trace = self._read(call, name)
        if call.drawn:
            return trace
        return trace._replace(log_probs=tf.zeros_like(trace.log_probs))

    def _read(self, call: _Call, name: str) -> agent.Trace:
        if not _alive(call.trace.mask):
            raise RuntimeError(
                f"the trace of {name} is that of a compiled function (predict, fit, evaluate or a "
                "tf.function) or of a loop (tf.map_fn, tf.while_loop) and has no values outside: "
                "read it inside, right after the call, or call the layer or its model eagerly, as "
                "in model(x), and read it then"
            )
        self.heard = self.heard or call.training
        return call.trace


def _alive(tensor: tf.Tensor):
    """Whether a tensor is a value, or of a graph that is being made; or nobody asks for values."""
    if not tf.is_symbolic_tensor(tensor) or in_scratch_graph():
        return True
    graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
    while graph is not None and graph is not tensor.graph:
        graph = getattr(graph, "outer_graph", None)
    return graph is not None

"""What the agent of a layer did in its latest call, for whoever may still read it."""

import tensorflow as tf

from ..ops import agent, replicas
from ..ops.scratch import in_scratch_graph


class Traces:
    """By replica, because these take turns, each with tensors of its own.

    `heard` says whether anybody has ever read the trace of a call in training.
    """

    def __init__(self):
        self.latest = {}
        self.heard = False

    def record(self, trace: agent.Trace, training: bool) -> None:
        """Keep this as the replica's latest trace, in place of the one before."""
        self.latest[replicas.index()] = trace, training

    def forget(self) -> None:
        """The replica's latest trace; until the next call there is none."""
        self.latest.pop(replicas.index(), None)

    @property
    def there(self) -> bool:
        """Whether the replica has a trace."""
        return replicas.index() in self.latest

    @property
    def alive(self) -> bool:
        """Whether that trace has values here: one made in a loop has none outside."""
        return self.there and _alive(self.latest[replicas.index()][0].mask)

    def read(self, name: str) -> agent.Trace:
        """The latest one, of the layer of that name.

        Raises:
            RuntimeError: there is none, or none that has values here.
        """
        if not self.there:
            raise RuntimeError(
                f"{name} has no trace yet: call the layer first, with values (on a keras.Input it "
                "computes nothing), and read the trace right after that, in the same function"
            )
        trace, training = self.latest[replicas.index()]
        if not _alive(trace.mask):
            raise RuntimeError(
                f"the trace of {name} is that of a compiled function (predict, fit, evaluate or a "
                "tf.function) or of a loop (tf.map_fn, tf.while_loop) and has no values outside: "
                "read it inside, right after the call, or call the layer or its model eagerly, as "
                "in model(x), and read it then"
            )
        self.heard = self.heard or training
        return trace


def _alive(tensor: tf.Tensor):
    """Whether a tensor is a value, or of a graph that is being made; or nobody asks for values."""
    if not tf.is_symbolic_tensor(tensor) or in_scratch_graph():
        return True
    graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
    while graph is not None and graph is not tensor.graph:
        graph = getattr(graph, "outer_graph", None)
    return graph is not None

"""What the agent of a layer did in its latest calls, for whoever may still read it."""

import tensorflow as tf

from ..ops import agent, replicas
from ..ops.scratch import in_scratch_graph

_Call = tuple[agent.Trace, bool]  # and whether it was one in training


class Traces:
    """By replica, because these take turns, each with tensors of its own.

    `heard` says whether anybody has ever read the trace of a call in training.
    """

    def __init__(self):
        self.heard = False
        self._latest: dict[int, _Call] = {}
        self._of_step: dict[int, list[_Call]] = {}  # between `begin` and `end`

    def record(self, trace: agent.Trace, training: bool) -> None:
        """Keep this as the replica's latest trace; in a step those before it, too."""
        self._latest[replicas.index()] = call = trace, training
        if replicas.index() in self._of_step:
            self._of_step[replicas.index()].append(call)

    def begin(self) -> None:
        """A training step begins: forget the replica's latest trace, and keep all to come."""
        self._latest.pop(replicas.index(), None)
        self._of_step[replicas.index()] = []

    def end(self) -> None:
        """The step is over: only the latest trace is kept."""
        self._of_step.pop(replicas.index(), None)

    def read(self, name: str) -> agent.Trace:
        """The latest one, of the layer of that name.

        Raises:
            RuntimeError: there is none, or none that has values here.
        """
        if replicas.index() not in self._latest:
            raise RuntimeError(
                f"{name} has no trace yet: call the layer first, with values (on a keras.Input it "
                "computes nothing), and read the trace right after that, in the same function"
            )
        return self._read(self._latest[replicas.index()], name)

    def read_all(self, name: str, needed: bool) -> list[agent.Trace]:
        """Those of the step, or else the latest; of calls in training, if there are any.

        One made in a loop has no values outside: it is left out, unless it is `needed`.

        Raises:
            RuntimeError: a needed one has no values here.
        """
        latest = self._latest.get(replicas.index())
        calls = self._of_step.get(replicas.index()) or [latest] * (latest is not None)
        calls = [one for one in calls if one[1]] or calls
        return [self._read(one, name) for one in calls if needed or _alive(one[0].mask)]

    def _read(self, call: _Call, name: str) -> agent.Trace:
        trace, training = call
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

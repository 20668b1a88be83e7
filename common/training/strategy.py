"""`--strategy`: the devices and workers that train together, and what they must agree on."""

import contextlib
import json
import os
import re
import sys
import time
import typing
from collections.abc import Sequence

import tensorflow as tf

from ..errors import InputError
from ..ops.replicas import total

# What TensorFlow raises in a worker when another one is lost.
_errors = tf.errors
LOST = (
    _errors.UnavailableError,
    _errors.AbortedError,
    _errors.InternalError,
    _errors.CancelledError,
    _errors.DeadlineExceededError,
)


def make_strategy(name: str) -> tf.distribute.Strategy | None:
    """The strategy that `--strategy` names, None for one device.

    To be called before TensorFlow computes anything. "mirrored" takes all GPUs of this machine, or
    without a GPU all logical CPUs. "multi_worker" finds the workers in TF_CONFIG or, under Slurm,
    in its environment variables, and waits until all of them have started.

    Raises:
        InputError: no workers are named, or in a form that cannot be read.
    """
    if name == "none":
        return None
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        if len(devices) == 1:
            print(f"note: --strategy mirrored found one device, {devices[0].name}", flush=True)
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    cluster = _cluster()
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster)
    except LOST as error:
        begin_again(error)


def _cluster() -> tf.distribute.cluster_resolver.ClusterResolver:
    if "TF_CONFIG" in os.environ:
        _check_tf_config(os.environ["TF_CONFIG"])
        return tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if "SLURM_PROCID" not in os.environ:
        raise InputError(
            "--strategy multi_worker needs to know the workers: set TF_CONFIG, "
            """such as {"cluster": {"worker": ["host1:2222", "host2:2222"]}, """
            """"task": {"type": "worker", "index": 0}}, or start with srun"""
        )
    try:
        if tf.config.list_physical_devices("GPU"):
            return tf.distribute.cluster_resolver.SlurmClusterResolver()
        # Without GPUs the resolver would divide 0 by 0: give it one "GPU" per task, and
        # let it set none.
        tasks = os.environ.get("SLURM_STEP_TASKS_PER_NODE", "")
        most = max(int(n) for n in re.findall(r"\d+(?![\d)])", re.sub(r"\(x\d+\)", "", tasks)))
        return tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=most, gpus_per_task=1, auto_set_gpu=False
        )
    except (RuntimeError, ValueError, KeyError) as error:
        raise InputError(
            f"--strategy multi_worker cannot read Slurm's environment ({error}): start with srun,"
            " or set TF_CONFIG"
        ) from None


def _check_tf_config(text: str) -> None:
    try:
        value = json.loads(text)
        cluster, task = value["cluster"], value["task"]
        found = set(cluster) <= {"chief", "worker"} and cluster[task["type"]][task["index"]]
    except (ValueError, TypeError, KeyError, IndexError):
        found = None
    if not found:
        raise InputError(
            """TF_CONFIG expects {"cluster": {"worker": ["host:port", ...]}, """
            """"task": {"type": "worker", "index": i}}, """
            f"i the place of this worker in the list, got {text[:200]!r}"
        )


class Workers:
    """The processes that train together: one, or those of a multi-worker strategy.

    Only the chief writes what comes of the training; all make the same decisions.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None):
        self._strategy = strategy
        resolver = getattr(strategy, "cluster_resolver", None)
        cluster = resolver.cluster_spec().as_dict() if resolver else {}
        self.n = sum(map(len, cluster.values())) or 1
        first = "chief" if "chief" in cluster else "worker"
        self.is_chief = self.n == 1 or (resolver.task_type == first and resolver.task_id == 0)
        if strategy is not None:
            self._sum = tf.function(lambda a: strategy.run(total, (a,)), autograph=False)

    def from_chief(self, values: Sequence[float]) -> list[float]:
        """The chief's numbers, on every worker; all of them have to call this."""
        return list(values) if self.n == 1 else self._total(values, self.is_chief)

    def any(self, flag: bool) -> bool:
        """Whether `flag` is true on any worker; all of them have to call this."""
        return flag if self.n == 1 else self._total([float(flag)], True)[0] > 0

    def _total(self, values: Sequence[float], counts: bool) -> list[float]:
        n_local = len(self._strategy.extended.worker_devices)

        def part(context: tf.distribute.experimental.ValueContext):
            here = counts and context.replica_id_in_sync_group % n_local == 0
            return tf.constant(list(values) if here else [0.0] * len(values), tf.float64)

        summed = self._sum(self._strategy.experimental_distribute_values_from_function(part))
        return self._strategy.experimental_local_results(summed)[0].numpy().tolist()


def begin_again(why: Exception) -> typing.NoReturn:
    """Restart this process with the same command.

    TensorFlow cannot take a lost worker back into a running cluster. The new process waits for all
    workers, then resumes with them from the last checkpoint.
    """
    line = " ".join(str(why).split())[:200]
    print(
        f"a worker is gone, or came back ({line} ...): starting again with all of them",
        file=sys.stderr,
        flush=True,
    )
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        if int(name) > 2:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name), False)  # the port must be free again
    time.sleep(1)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])

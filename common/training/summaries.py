"""Writes summaries for TensorBoard, which need not be installed."""

import pathlib
from typing import Any

import tensorflow as tf

from ..errors import one_line, warn

_SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data={"plugin_name": "scalars"}, data_class="DATA_CLASS_SCALAR"
)


def write(folder: pathlib.Path, record: dict[str, Any]) -> None:
    """Write the floats of an epoch's record as scalars, at the step `record["epoch"]`.

    Where they cannot be written, a line on stderr says so: a run can do without.
    """
    try:
        with tf.summary.create_file_writer(str(folder)).as_default(step=record["epoch"]):
            for name, value in record.items():
                if isinstance(value, float):
                    # `tf.summary.scalar` needs TensorBoard installed; what it would write does not
                    tf.summary.write(name, tf.constant(value, tf.float32), metadata=_SCALAR)
    except tf.errors.OpError as error:
        why = one_line(error.message)[:200]
        warn(
            f"no summaries for TensorBoard in {folder} ({why}): make room there, or give"
            " --notensorboard"
        )

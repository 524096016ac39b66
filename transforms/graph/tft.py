"""TFT's tracing of a preprocessing function: the one place that touches TFT's internals.

Its public way writes a SavedModel, which would be loaded for the functions around it and saved
again as a part of them: each of these takes as long as the tracing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf
from tensorflow.lookup import StaticVocabularyTable
from tensorflow_transform import analyzer_nodes, impl_helper
from tensorflow_transform.graph_context import TFGraphContext
from tensorflow_transform.saved import saved_transform_io_v2

Tensors = dict[str, tf.Tensor]


def traced_by_tft(
    preprocess: Callable[[Tensors], Tensors], specs: Mapping[str, tf.TensorSpec]
) -> tf.Module:
    """Returns a module with TFT's function of a declaration, `transform_fn`, and its tables.

    Args:
        preprocess: The preprocessing function; its statistics are known, so TFT has nothing to
            analyze.
        specs: What it takes.

    Raises:
        ValueError: A kind asks TFT to analyze rows.
    """
    module = tf.Module()
    context = TFGraphContext(module_to_export=module, temp_dir=None, evaluated_replacements=None)
    traced = saved_transform_io_v2.trace_and_update_module(
        module,
        impl_helper.get_traced_transform_fn(preprocess, dict(specs), context),
        "transform_fn",
        strip_control_dependencies=False,
    )
    if traced.graph.get_collection(analyzer_nodes.TENSOR_REPLACEMENTS):
        raise ValueError("a kind's `encode` calls an analyzer of TFT; its `requests` has to ask")
    # A table with buckets for unknown terms is another table inside and a hash: what the inner one
    # takes to be saved and loaded would be taken twice.
    module.resources = [r for r in module.resources if not isinstance(r, StaticVocabularyTable)]
    return module

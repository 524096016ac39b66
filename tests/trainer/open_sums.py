"""The sums of a compiled function whose order is not fixed: see `trainer.network.sums`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tensorflow.python.eager import context

# Their result is the memory of their first input.
_SAME_MEMORY = {"Identity", "Reshape", "ExpandDims", "Squeeze", "StopGradient", "PreventGradient"}


def open_sums(call: Callable[[], Any]) -> list[str]:
    """Returns the sums of three and more in what runs, of which others read a part too.

    Args:
        call: Calls a `tf.function` for the first time, which is when TensorFlow rewrites it.
    """
    context.context().enable_graph_collection()
    try:
        call()
        graphs = context.context().export_run_metadata().function_graphs
    finally:
        context.context().disable_graph_collection()
    assert graphs
    return [found for graph in graphs for found in _in_graph(graph.post_optimization_graph)]


def _in_graph(graph: Any) -> Iterator[str]:
    nodes = {node.name: node for node in graph.node}
    read = Counter(i for node in graph.node for i in node.input if not i.startswith("^"))

    def is_shared(tensor: str) -> bool:
        node = nodes[tensor.split(":")[0]]
        return read[tensor] > 1 or (node.op in _SAME_MEMORY and is_shared(node.input[0]))

    for node in graph.node:
        terms = [tensor for tensor in node.input if not tensor.startswith("^")]
        if node.op in ("AddN", "_MklAddN") and len(terms) > 2:
            shared = [term for term in terms if is_shared(term)]
            if shared:
                yield f"{node.name}: {', '.join(shared)}"

"""Batches of graphs of different sizes, padded to fixed shapes so that a program compiles once.

Two layouts: `pad_graphs` pads each graph to the largest, with dense adjacency matrices, for small
graphs; `batch_graphs` concatenates all nodes to one graph without edges between its parts (a
block-diagonal matrix; Kipf & Welling's repository suggests it for graph classification), for sparse
ones, with names as in Battaglia et al. 2018 and jraph. In both `nodes_valid` tells nodes from
padding. Both are made of numpy arrays, before the program runs.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from cnnlab.errors import UserError
from cnnlab.layers.graph.graph_conv import Edges
from cnnlab.utils.registry import pick

# Nodes [n, c], senders [e], receivers [e], and weights [e] unless all are 1.
Graph = Sequence[Any]


class PaddedGraphs(NamedTuple):
    """Graphs padded to one size; `nodes_valid` is True for nodes and False for padding."""

    nodes: Float[Array, "graphs n c"]
    adjacency: Float[Array, "graphs n n"]
    nodes_valid: Bool[Array, "graphs n"]


class BatchedGraphs(NamedTuple):
    """Graphs as parts of one; padding nodes belong to a graph after the last.

    Attributes:
        nodes: of all graphs.
        edges: senders, receivers and weights, by the numbers of the nodes here.
        nodes_valid: True for nodes, False for padding.
        graph: number of the graph of each node.
        n_node: number of nodes of each graph, without padding; 0 for graphs that are padding.
    """

    nodes: Float[Array, "n c"]
    edges: Edges
    nodes_valid: Bool[Array, " n"]
    graph: Int[Array, " n"]
    n_node: Int[Array, " graphs"]


def pad_graphs(graphs: Sequence[Graph], *, n_node: int | None = None) -> PaddedGraphs:
    """Return the graphs padded to `n_node` nodes each; None takes those of the largest.

    Raises:
        UserError: for a graph with more nodes, or whose arrays do not fit.
    """
    checked = [_checked(graph, n) for n, graph in enumerate(graphs)]
    most = max((len(h) for h, *_ in checked), default=0)
    size = most if n_node is None else n_node
    if most > size:
        raise UserError(f"graph_batch: n_node={size} is less than the {most} of the largest graph")
    features, dtype = _features(checked)
    h = np.zeros((len(checked), size, features), dtype)
    a = np.zeros((len(checked), size, size), dtype)
    valid = np.zeros((len(checked), size), bool)
    for n, (one, senders, receivers, weights) in enumerate(checked):
        h[n, : len(one)], valid[n, : len(one)] = one, True
        # Not `+=`: an edge that is listed twice counts twice, as in `Edges`.
        np.add.at(a[n], (receivers, senders), weights)
    return PaddedGraphs(jnp.asarray(h), jnp.asarray(a), jnp.asarray(valid))


def batch_graphs(
    graphs: Sequence[Graph],
    *,
    n_node: int | None = None,
    n_edge: int | None = None,
    n_graph: int | None = None,
) -> BatchedGraphs:
    """Return the graphs as one, padded to `n_node` nodes, `n_edge` edges and `n_graph` graphs.

    None adds no padding. Padding edges have weight 0 and go from node 0 to itself.

    Raises:
        UserError: for more nodes, edges or graphs, or a graph whose arrays do not fit.
    """
    checked = [_checked(graph, n) for n, graph in enumerate(graphs)]
    features, dtype = _features(checked)
    sizes = np.array([len(h) for h, *_ in checked], np.int32)
    starts = np.cumsum([0, *sizes])
    links = sum(len(senders) for _, senders, _, _ in checked)
    size = _room("n_node", n_node, int(starts[-1]))
    lines = _room("n_edge", n_edge, links)
    count = _room("n_graph", n_graph, len(checked))
    h = np.zeros((size, features), dtype)
    owner = np.full(size, count, np.int32)
    ends = np.zeros((2, lines), np.int32)
    strengths = np.zeros(lines, dtype)
    line = 0
    for n, (one, senders, receivers, weights) in enumerate(checked):
        h[starts[n] : starts[n + 1]], owner[starts[n] : starts[n + 1]] = one, n
        part = slice(line, line + len(senders))
        ends[0, part], ends[1, part] = senders + starts[n], receivers + starts[n]
        strengths[part] = weights
        line += len(senders)
    whole = Edges(*(jnp.asarray(a) for a in (*ends, strengths)))
    sizes = np.pad(sizes, (0, count - len(checked)))
    return BatchedGraphs(
        jnp.asarray(h), whole, jnp.asarray(owner < count), jnp.asarray(owner), jnp.asarray(sizes)
    )


def _room(name: str, limit: int | None, count: int) -> int:
    if limit is not None and count > limit:
        raise UserError(f"graph_batch: {name}={limit} is less than the {count} of the graphs")
    return count if limit is None else limit


def _checked(graph: Graph, n: int) -> tuple[np.ndarray, ...]:
    if len(graph) not in (3, 4):
        raise UserError(f"graph_batch: graph {n} must be (nodes, senders, receivers[, weights])")
    nodes, senders, receivers = (np.asarray(a) for a in graph[:3])
    weights = np.asarray(graph[3]) if len(graph) == 4 else np.ones(senders.shape, nodes.dtype)
    if (
        nodes.ndim != 2
        or senders.ndim != 1
        or not senders.shape == receivers.shape == weights.shape
    ):
        shapes = [a.shape for a in (nodes, senders, receivers, weights)]
        raise UserError(f"graph_batch: graph {n}: {shapes} must be [n, c] and [e] three times")
    for ends in (senders, receivers):
        if ends.size and (ends.min() < 0 or ends.max() >= len(nodes)):
            raise UserError(
                f"graph_batch: graph {n} has edges of nodes {ends.min()} to {ends.max()}, and "
                f"{len(nodes)} nodes, counted from 0"
            )
    return nodes, senders.astype(np.int32), receivers.astype(np.int32), weights


def _features(checked) -> tuple[int, np.dtype]:
    widths = {h.shape[1] for h, *_ in checked}
    if len(widths) != 1:
        raise UserError(f"graph_batch: graphs have {sorted(widths)} features a node: need one size")
    return widths.pop(), np.result_type(*(h.dtype for h, *_ in checked))


def pool(
    nodes: Float[Array, "n c"],
    graph: Int[Array, " n"],
    n_node: Int[Array, " graphs"],
    how: str = "mean",
) -> Float[Array, "graphs c"]:
    """Return one row for each graph: the mean, sum or maximum of its nodes.

    Args:
        nodes: of all graphs, as in `BatchedGraphs`.
        graph: number of the graph of each node; nodes of graphs beyond the last do not count.
        n_node: number of nodes of each graph.
        how: "mean", "sum" or "max"; a graph without nodes gets zeros.

    Raises:
        UserError: for an unknown `how`.
    """
    pick(dict.fromkeys(("mean", "sum", "max")), how, "pooling of graphs")
    count = n_node[:, None].astype(nodes.dtype)
    reduce: Callable[..., Array] = jax.ops.segment_max if how == "max" else jax.ops.segment_sum
    total = reduce(nodes, graph, len(n_node))
    if how == "mean":
        total = total / jnp.maximum(count, 1)
    return jnp.where(count > 0, total, 0)

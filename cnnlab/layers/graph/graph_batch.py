"""Batches of graphs of different sizes, padded to fixed shapes so that a program compiles once.

Two layouts: `pad_graphs` pads each graph to the largest, with dense adjacency matrices and a mask,
for small graphs; `batch_graphs` concatenates all nodes to one graph without edges between its parts
(a block-diagonal matrix; Kipf & Welling's repository suggests it for graph classification), for
sparse ones, with names as in Battaglia et al. 2018. Both are made of numpy arrays, before the
program runs.
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
    """Graphs padded to one size; `mask` is True for nodes and False for padding."""

    nodes: Float[Array, "graphs n c"]
    adjacency: Float[Array, "graphs n n"]
    mask: Bool[Array, "graphs n"]


class BatchedGraphs(NamedTuple):
    """Graphs as parts of one; padding nodes belong to a graph after the last.

    Attributes:
        nodes: of all graphs.
        edges: senders, receivers and weights, by the numbers of the nodes here.
        mask: True for nodes, False for padding.
        graph: number of the graph of each node.
    """

    nodes: Float[Array, "n c"]
    edges: Edges
    mask: Bool[Array, " n"]
    graph: Int[Array, " n"]


def pad_graphs(graphs: Sequence[Graph], *, nodes: int | None = None) -> PaddedGraphs:
    """Return the graphs padded to `nodes` nodes each; None takes those of the largest.

    Raises:
        UserError: for a graph with more nodes, or whose arrays do not fit.
    """
    checked = [_checked(graph, n) for n, graph in enumerate(graphs)]
    most = max((len(h) for h, *_ in checked), default=0)
    size = most if nodes is None else nodes
    if most > size:
        raise UserError(f"graph_batch: nodes={nodes} is less than the {most} of the largest graph")
    features, dtype = _features(checked)
    h = np.zeros((len(checked), size, features), dtype)
    a = np.zeros((len(checked), size, size), dtype)
    mask = np.zeros((len(checked), size), bool)
    for n, (one, senders, receivers, weights) in enumerate(checked):
        h[n, : len(one)], mask[n, : len(one)] = one, True
        # Not `+=`: an edge that is listed twice counts twice, as in `Edges`.
        np.add.at(a[n], (receivers, senders), weights)
    return PaddedGraphs(jnp.asarray(h), jnp.asarray(a), jnp.asarray(mask))


def batch_graphs(
    graphs: Sequence[Graph], *, nodes: int | None = None, edges: int | None = None
) -> BatchedGraphs:
    """Return the graphs as one, padded to `nodes` nodes and `edges` edges in all.

    None adds no padding. Padding edges have weight 0 and go from node 0 to itself.

    Raises:
        UserError: for more nodes or edges than that, or a graph whose arrays do not fit.
    """
    checked = [_checked(graph, n) for n, graph in enumerate(graphs)]
    features, dtype = _features(checked)
    starts = np.cumsum([0, *(len(h) for h, *_ in checked)])
    n_edge = sum(len(senders) for _, senders, _, _ in checked)
    room = {"nodes": (nodes, int(starts[-1])), "edges": (edges, n_edge)}
    for name, (limit, count) in room.items():
        if limit is not None and count > limit:
            raise UserError(f"graph_batch: {name}={limit} is less than the {count} of the graphs")
    size, lines = (count if limit is None else limit for limit, count in room.values())
    h = np.zeros((size, features), dtype)
    owner = np.full(size, len(checked), np.int32)
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
    mask = jnp.asarray(owner < len(checked))
    return BatchedGraphs(jnp.asarray(h), whole, mask, jnp.asarray(owner))


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
    nodes: Float[Array, "n c"], graph: Int[Array, " n"], graphs: int, how: str = "mean"
) -> Float[Array, "graphs c"]:
    """Return one row for each graph: the mean, sum or maximum of its nodes.

    Args:
        nodes: of all graphs, as in `BatchedGraphs`.
        graph: number of the graph of each node; nodes of graphs beyond the last do not count.
        graphs: how many.
        how: "mean", "sum" or "max"; a graph without nodes gets zeros.

    Raises:
        UserError: for an unknown `how`.
    """
    pick(dict.fromkeys(("mean", "sum", "max")), how, "pooling of graphs")
    count = jax.ops.segment_sum(jnp.ones(graph.shape, nodes.dtype), graph, graphs)[:, None]
    reduce: Callable[..., Array] = jax.ops.segment_max if how == "max" else jax.ops.segment_sum
    total = reduce(nodes, graph, graphs)
    if how == "mean":
        total = total / jnp.maximum(count, 1)
    return jnp.where(count > 0, total, 0)

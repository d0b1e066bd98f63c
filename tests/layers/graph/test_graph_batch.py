"""Batches of graphs: each comes out as it does alone, whatever the padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.graph import graph_batch
from cnnlab.layers.graph.graph_conv import GraphConv

RNG = np.random.default_rng(0)


def graphs():
    """Graphs of 3, 1 and 4 nodes; the second without edges, the third with weights."""
    sizes, links = (3, 1, 4), (4, 0, 6)
    made = []
    for n, e in zip(sizes, links, strict=True):
        nodes = RNG.normal(size=(n, 2)).astype(np.float32)
        made.append((nodes, RNG.integers(0, n, e), RNG.integers(0, n, e)))
    return [*made[:2], (*made[2], RNG.random(6).astype(np.float32))]


def close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def alone(module, variables, graph):
    one = graph_batch.pad_graphs([graph])
    return module.apply(variables, one.nodes[0], one.adjacency[0])


@pytest.fixture(scope="module")
def layer():
    module = GraphConv(3)
    variables = module.init(jax.random.key(0), jnp.zeros((2, 2)), jnp.zeros((2, 2)))
    return module, jax.tree.map(lambda p: p + 0.5, variables)


@pytest.mark.parametrize("n_node", [None, 7])
def test_padded_graphs_equal_each_alone(layer, n_node):
    module, variables = layer
    batch = graphs()
    whole = graph_batch.pad_graphs(batch, n_node=n_node)
    y = module.apply(variables, *whole)
    for n, graph in enumerate(batch):
        size = len(graph[0])
        close(y[n, :size], alone(module, variables, graph))
        assert not np.any(y[n, size:])


@pytest.mark.parametrize(("n_node", "n_edge"), [(None, None), (12, 10), (8, 17)])
def test_batched_graphs_equal_each_alone(layer, n_node, n_edge):
    module, variables = layer
    batch = graphs()
    whole = graph_batch.batch_graphs(batch, n_node=n_node, n_edge=n_edge)
    assert len(whole.nodes) == (n_node or 8) and len(whole.edges.senders) == (n_edge or 10)
    y = module.apply(variables, whole.nodes, whole.edges, whole.nodes_valid)
    for n, graph in enumerate(batch):
        close(y[np.asarray(whole.graph) == n], alone(module, variables, graph))
    assert not np.any(y[8:])


@pytest.mark.parametrize("how", ["mean", "sum", "max"])
def test_pooling_is_over_the_nodes_of_each_graph(how):
    batch = graphs()
    whole = graph_batch.batch_graphs(batch, n_node=11, n_graph=4)
    np.testing.assert_array_equal(whole.n_node, [3, 1, 4, 0])
    assert int(np.sum(whole.nodes_valid)) == 8
    # Values of the padding do not count.
    nodes = jnp.where(whole.nodes_valid[:, None], whole.nodes, 1e6)
    pooled = graph_batch.pool(nodes, whole.graph, whole.n_node, how)
    close(pooled[:3], [getattr(np, how)(h, axis=0) for h, *_ in batch])
    np.testing.assert_array_equal(pooled[3], [0, 0])


def test_a_graph_without_nodes_pools_to_zeros():
    empty = (np.zeros((0, 2), np.float32), np.zeros(0, int), np.zeros(0, int))
    whole = graph_batch.batch_graphs([empty, graphs()[0]])
    for how in ("mean", "sum", "max"):
        pooled = graph_batch.pool(whole.nodes, whole.graph, whole.n_node, how)
        np.testing.assert_array_equal(pooled[0], [0, 0])


def test_an_edge_listed_twice_counts_twice_in_both_layouts(layer):
    module, variables = layer
    graph = (RNG.normal(size=(2, 2)).astype(np.float32), [0, 0], [1, 1])
    whole = graph_batch.batch_graphs([graph])
    assert graph_batch.pad_graphs([graph]).adjacency[0, 1, 0] == 2
    y = module.apply(variables, whole.nodes, whole.edges, whole.nodes_valid)
    close(y, alone(module, variables, graph))


def test_one_program_serves_batches_of_one_padded_size():
    compiled = []

    @jax.jit
    def total(batch):
        compiled.append(1)
        return graph_batch.pool(batch.nodes, batch.graph, batch.n_node, "sum")

    for _ in range(2):
        total(graph_batch.batch_graphs(graphs(), n_node=20, n_edge=30, n_graph=3))
        total(graph_batch.batch_graphs(graphs()[1:], n_node=20, n_edge=30, n_graph=3))
    assert len(compiled) == 1


NODES = np.zeros((2, 2), np.float32)


@pytest.mark.parametrize(
    ("message", "graph", "sizes"),
    [
        ("must be .nodes, senders", (NODES, [0]), {}),
        ("graph 0: .* must be", (NODES, [0, 1], [0]), {}),
        ("edges of nodes 0 to 2, and 2", (NODES, [0, 2], [0, 1]), {}),
        ("n_node=1 is less than the 2", (NODES, [0], [1]), {"n_node": 1}),
    ],
)
def test_graphs_that_cannot_be_are_named(message, graph, sizes):
    for function in (graph_batch.batch_graphs, graph_batch.pad_graphs):
        with pytest.raises(UserError, match=message):
            function([graph], **sizes)


def test_too_many_edges_or_graphs_other_features_and_no_graphs_are_named():
    with pytest.raises(UserError, match="n_edge=3 is less than the 10"):
        graph_batch.batch_graphs(graphs(), n_edge=3)
    with pytest.raises(UserError, match="n_graph=2 is less than the 3"):
        graph_batch.batch_graphs(graphs(), n_graph=2)
    with pytest.raises(UserError, match=r"\[2, 3\] features"):
        graph_batch.batch_graphs([*graphs(), (np.zeros((1, 3)), [], [])])
    with pytest.raises(UserError, match="features"):
        graph_batch.pad_graphs([])
    with pytest.raises(UserError, match="pooling of graphs"):
        graph_batch.pool(jnp.zeros((1, 1)), *2 * [jnp.ones(1, jnp.int32)], "median")

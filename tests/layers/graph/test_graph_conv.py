"""Graph convolution: the path graph, dense and sparse, padding, symmetry, and a torus."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.layers.graph.graph_conv import (
    Edges,
    GraphConv,
    aggregate,
    graph_conv,
    graph_conv_backward,
    normalized_adjacency,
    normalized_edges,
)

RNG = np.random.default_rng(0)
PATH = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32)


def normal(*shape, dtype=np.float32):
    return jnp.asarray(RNG.normal(size=shape), dtype)


def close(ours, expected, tolerance=2e-6):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def graph(n=6, dtype=np.float32):
    """A directed graph with weights and an isolated node, dense and as edges."""
    a = RNG.random((n, n)) * (RNG.random((n, n)) < 0.5)
    a[0], a[:, 0] = 0, 0
    receivers, senders = np.nonzero(a)
    lists = (senders, receivers, a[receivers, senders].astype(dtype))
    return jnp.asarray(a, dtype), Edges(*map(jnp.asarray, lists))


def test_path_graph_has_the_numbers_of_the_slide():
    s = 0.408248
    expected = [[0.5, s, 0], [s, 1 / 3, s], [0, s, 0.5]]
    close(normalized_adjacency(jnp.asarray(PATH)), np.array(expected), 1e-6)


def test_an_isolated_node_keeps_to_itself():
    a, _ = graph()
    first = np.eye(6)[0]
    close(normalized_adjacency(a)[0], first)
    close(normalized_adjacency(a)[:, 0], first)
    kernel = normal(3, 2)
    nodes = normal(6, 3)
    close(graph_conv(nodes, normalized_adjacency(a), kernel)[0], nodes[0] @ kernel)


@pytest.mark.parametrize("features", [2, 5])  # Spreading after and before the product.
def test_dense_equals_sparse_equals_a_loop_over_edges(features):
    a, edges = graph()
    nodes, kernel, bias = normal(6, 3), normal(3, features), normal(features)
    nodes_valid = jnp.ones(6, bool)
    degree = np.asarray(a).sum(1) + 1
    expected = np.asarray(nodes) / degree[:, None]
    for j, i, w in zip(*edges, strict=True):
        expected[i] += w / np.sqrt(degree[i] * degree[j]) * nodes[j]
    expected = expected @ kernel + bias
    close(graph_conv(nodes, normalized_adjacency(a), kernel, bias), expected)
    close(graph_conv(nodes, normalized_edges(edges, nodes_valid), kernel, bias), expected)


def test_permuted_nodes_permute_the_result():
    a, _ = graph()
    nodes, order = normal(6, 3), RNG.permutation(6)
    module = GraphConv(4)
    variables = module.init(jax.random.key(0), nodes, a)
    moved = module.apply(variables, nodes[order], a[order][:, order])
    close(moved, module.apply(variables, nodes, a)[order])


def test_on_a_torus_it_is_a_convolution_with_one_weight_for_all_neighbors():
    side = 4
    places = np.arange(side * side).reshape(side, side)
    a = np.zeros((side * side, side * side), np.float32)
    for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
        a[places.ravel(), np.roll(places, shift, axis).ravel()] = 1
    image, kernel = normal(2, side, side, 3), normal(3, 5)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])[..., None, None] / 5
    expected = conv(image, jnp.asarray(cross * kernel, jnp.float32), padding_mode="circular")
    nodes = image.reshape(2, side * side, 3)
    adjacency = jnp.broadcast_to(normalized_adjacency(jnp.asarray(a)), (2, *a.shape))
    close(graph_conv(nodes, adjacency, kernel).reshape(expected.shape), expected)


def test_nodes_that_are_not_valid_do_not_matter():
    a, edges = graph()
    nodes = normal(6, 3)
    nodes_valid = jnp.arange(6) < 4
    module = GraphConv(4)
    variables = module.init(jax.random.key(0), nodes, a)
    variables = jax.tree.map(lambda p: p + 0.5, variables)
    alone = module.apply(variables, nodes[:4], a[:4, :4])
    for adjacency in (a, edges):
        y = module.apply(variables, nodes, adjacency, nodes_valid)
        close(y[:4], alone)
        assert not np.any(y[4:])


def test_examples_of_a_batch_have_graphs_of_their_own():
    graphs = jnp.stack([graph()[0], graph()[0]])
    nodes, kernel = normal(2, 6, 3), normal(3, 2)
    together = graph_conv(nodes, normalized_adjacency(graphs), kernel)
    for n in range(2):
        close(together[n], graph_conv(nodes[n], normalized_adjacency(graphs[n]), kernel))


def test_vmap_takes_edges_of_several_graphs():
    pairs = [graph() for _ in range(2)]
    count = min(len(e.weights) for _, e in pairs)
    edges = jax.tree.map(
        lambda *parts: jnp.stack([p[:count] for p in parts]), *(e for _, e in pairs)
    )
    nodes = normal(2, 6, 3)
    together = jax.vmap(aggregate)(edges, nodes)
    for n in range(2):
        close(together[n], aggregate(Edges(*(p[n] for p in edges)), nodes[n]))


@pytest.mark.parametrize("kind", ["dense", "batch", "sparse"])
@pytest.mark.sample(1)
def test_backward_equals_automatic_differentiation(kind):
    with jax.enable_x64(True):
        a, edges = graph(dtype=np.float64)
        batch = (2,) if kind == "batch" else ()
        nodes, kernel, bias = (normal(*s, dtype=np.float64) for s in ((*batch, 6, 3), (3, 2), (2,)))
        adjacency = {"dense": a, "batch": jnp.stack([a, a.T]), "sparse": edges}[kind]
        dz = normal(*batch, 6, 2, dtype=np.float64)
        pull = jax.vjp(lambda h, w, b: graph_conv(h, adjacency, w, b), nodes, kernel, bias)[1]
        close(graph_conv_backward(nodes, adjacency, kernel, dz), pull(dz), 1e-12)


def test_gradients_of_the_layer_equal_finite_differences():
    with jax.enable_x64(True):
        a, edges = graph(dtype=np.float64)
        nodes, kernel, nodes_valid = normal(6, 3, dtype=np.float64), normal(3, 2), jnp.arange(6) < 5

        @jax.jit
        def dense(nodes, a):
            return graph_conv(
                nodes, normalized_adjacency(a, nodes_valid), kernel.astype(nodes.dtype)
            )

        @jax.jit
        def sparse(nodes, weights):
            normalized = normalized_edges(edges._replace(weights=weights), nodes_valid)
            return graph_conv(nodes, normalized, kernel.astype(nodes.dtype))

        check_grads(dense, (nodes, a), order=2)
        check_grads(sparse, (nodes, edges.weights), order=2)


def test_graphs_without_nodes_or_edges_are_fine():
    kernel = normal(3, 2)
    assert graph_conv(normal(0, 3), normalized_adjacency(jnp.zeros((0, 0))), kernel).shape == (0, 2)
    nodes, none = normal(4, 3), jnp.zeros(0, jnp.int32)
    edges = normalized_edges(Edges(none, none, jnp.zeros(0)), jnp.ones(4, bool))
    close(graph_conv(nodes, edges, kernel), nodes @ kernel)


def test_a_normalized_adjacency_is_taken_as_it_is():
    a, edges = graph()
    nodes = normal(6, 3)
    layer, bare = GraphConv(4, use_bias=False), GraphConv(4, normalize=False, use_bias=False)
    variables = layer.init(jax.random.key(0), nodes, a)
    assert list(variables["params"]) == ["kernel"]
    close(bare.apply(variables, nodes, normalized_adjacency(a)), layer.apply(variables, nodes, a))
    close(bare.apply(variables, nodes, edges), bare.apply(variables, nodes, a))


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("nodes .* for kernel", {"nodes": jnp.zeros((6, 4))}),
        ("adjacency .* does not fit", {"adjacency": jnp.zeros((5, 5))}),
        ("edges .* one graph", {"adjacency": graph()[1], "nodes": jnp.zeros((2, 6, 3))}),
        ("bias", {"bias": jnp.zeros(3)}),
        ("dtypes", {"nodes": jnp.zeros((6, 3), jnp.bfloat16)}),
    ],
)
def test_arrays_that_do_not_fit_are_named(message, change):
    arguments = {"nodes": normal(6, 3), "adjacency": graph()[0], "kernel": normal(3, 2)}
    with pytest.raises(UserError, match=message):
        # Without the run-time check of shapes, which would speak first.
        getattr(graph_conv, "__wrapped__", graph_conv)(**(arguments | change))


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("square", (jnp.zeros((2, 3)),)),
        ("nodes_valid", (jnp.zeros((3, 3)), jnp.ones(2, bool))),
    ],
)
def test_adjacency_and_nodes_valid_must_be_of_the_same_nodes(message, arguments):
    with pytest.raises(UserError, match=message):
        getattr(normalized_adjacency, "__wrapped__", normalized_adjacency)(*arguments)

"""Graph convolution: each node aggregates its neighbors, with weights that all nodes share.

Kipf & Welling 2017, equation 2, with A~ = A + I and D~ the diagonal of its row sums:

    H' = A^ H W + b,   A^ = D~^-1/2 A~ D~^-1/2

Dense graphs are adjacency matrices [*batch, n, n], where A[i, j] is the weight of the edge from j
to i. Sparse ones are `Edges`, lists of senders j, receivers i and weights; an undirected edge is
listed in both directions. Both give the same result. Graphs of different sizes in one batch: see
`graph_batch`. Permuting the nodes permutes the result.
Deviation: a bias, which the authors' code has and the paper leaves out; no activation.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from cnnlab.errors import UserError
from cnnlab.layers.initializers import xavier_uniform, zeros


class Edges(NamedTuple):
    """Edges of one graph: sender, receiver and weight of each."""

    senders: Int[Array, " e"]
    receivers: Int[Array, " e"]
    weights: Float[Array, " e"]


def normalized_adjacency(
    adjacency: Float[Array, "*batch n n"], nodes_valid: Bool[Array, "*batch n"] | None = None
) -> Float[Array, "*batch n n"]:
    """Return D~^-1/2 (A + I) D~^-1/2.

    Args:
        adjacency: weights of the edges, not negative.
        nodes_valid: True for nodes, False for padding, whose rows are zeros.

    Raises:
        UserError: for a matrix that is not square, or `nodes_valid` of another size.
    """
    if adjacency.ndim < 2 or adjacency.shape[-1] != adjacency.shape[-2]:
        raise UserError(f"graph_conv: adjacency {adjacency.shape} must be square, [*batch, n, n]")
    if nodes_valid is not None and nodes_valid.shape != adjacency.shape[:-1]:
        raise UserError(
            f"graph_conv: nodes_valid {nodes_valid.shape} must be {adjacency.shape[:-1]}"
        )
    a = adjacency + jnp.eye(adjacency.shape[-1], dtype=adjacency.dtype)
    if nodes_valid is not None:
        a = jnp.where(nodes_valid[..., :, None] & nodes_valid[..., None, :], a, 0)
    root = _inverse_root(jnp.sum(a, axis=-1))
    return root[..., :, None] * a * root[..., None, :]


def normalized_edges(edges: Edges, nodes_valid: Bool[Array, " n"]) -> Edges:
    """Return the edges of `normalized_adjacency`: those given, then the self-loops.

    Args:
        edges: with weights that are not negative; those of weight 0 may go anywhere (padding).
        nodes_valid: True for nodes, False for padding, whose edges get weight 0.
    """
    nodes = jnp.arange(nodes_valid.shape[0], dtype=edges.senders.dtype)
    senders = jnp.concatenate([edges.senders, nodes])
    receivers = jnp.concatenate([edges.receivers, nodes])
    own = jnp.ones(nodes_valid.shape, edges.weights.dtype)
    weights = jnp.concatenate([edges.weights, own])
    weights = jnp.where(nodes_valid[senders] & nodes_valid[receivers], weights, 0)
    root = _inverse_root(jax.ops.segment_sum(weights, receivers, nodes_valid.shape[0]))
    return Edges(senders, receivers, root[receivers] * weights * root[senders])


def _inverse_root(degree):
    # Twice `where`: else the gradient of the branch not taken, infinite at 0, becomes NaN.
    positive = degree > 0
    return jnp.where(positive, jax.lax.rsqrt(jnp.where(positive, degree, 1)), 0)


def aggregate(
    adjacency: Float[Array, "*batch n n"] | Edges, nodes: Float[Array, "*batch n c"]
) -> Float[Array, "*batch n c"]:
    """Return A H: for each node the sum of its neighbors, with the given weights."""
    if isinstance(adjacency, Edges):
        sent = adjacency.weights[:, None] * nodes[adjacency.senders]
        return jax.ops.segment_sum(sent, adjacency.receivers, nodes.shape[0])
    return adjacency @ nodes


def graph_conv(
    nodes: Float[Array, "*batch n c"],
    adjacency: Float[Array, "*batch n n"] | Edges,
    kernel: Float[Array, "c features"],
    bias: Float[Array, " features"] | None = None,
) -> Float[Array, "*batch n features"]:
    """Return A^ H W + b, aggregated before or after the product, where there are fewer channels.

    Args:
        nodes: H. With `Edges` of a single graph, [n, c]; use jax.vmap for more.
        adjacency: A^, already normalized.
        kernel: W.
        bias: b.

    Raises:
        UserError: for shapes or dtypes that do not fit.
    """
    check(nodes, adjacency, kernel, bias)
    if kernel.shape[0] <= kernel.shape[1]:
        y = aggregate(adjacency, nodes) @ kernel
    else:
        y = aggregate(adjacency, nodes @ kernel)
    return y if bias is None else y + bias


def graph_conv_backward(
    nodes: Float[Array, "*batch n c"],
    adjacency: Float[Array, "*batch n n"] | Edges,
    kernel: Float[Array, "c features"],
    dz: Float[Array, "*batch n features"],
) -> tuple[Float[Array, "*batch n c"], Float[Array, "c features"], Float[Array, " features"]]:
    """Return the gradients (dnodes, dkernel, dbias) of `graph_conv`, given that of its result.

    dW = (A^ H)^T dZ, summed over the batch; dH = A^^T dZ W^T: the gradient is aggregated along
    the reversed edges; db = sum of dZ. For an undirected graph A^ is its own transpose.
    """
    check(nodes, adjacency, kernel, None)
    if isinstance(adjacency, Edges):
        senders, receivers, weights = adjacency
        back: Any = Edges(receivers, senders, weights)
    else:
        back = adjacency.mT
    dkernel = jnp.einsum("...c,...f->cf", aggregate(adjacency, nodes), dz)
    return aggregate(back, dz) @ kernel.T, dkernel, dz.reshape(-1, dz.shape[-1]).sum(axis=0)


def check(nodes, adjacency, kernel, bias) -> None:
    """Raise a `UserError` for arrays that do not fit each other."""
    if nodes.ndim < 2 or kernel.ndim != 2 or nodes.shape[-1] != kernel.shape[0]:
        raise UserError(
            f"graph_conv: nodes {nodes.shape} must be [*batch, n, c] for kernel {kernel.shape}, "
            "which is [c, features]"
        )
    arrays = {"nodes": nodes, "kernel": kernel}
    if isinstance(adjacency, Edges):
        sizes = [a.shape for a in adjacency]
        if nodes.ndim != 2 or len(set(sizes)) > 1 or len(sizes[0]) != 1:
            raise UserError(
                f"graph_conv: edges {sizes} are of one graph, [e] each, with nodes [n, c], not "
                f"{nodes.shape}: use jax.vmap, or graph_batch.batch_graphs"
            )
        arrays["weights"] = adjacency.weights
    else:
        if adjacency.shape != (*nodes.shape[:-1], nodes.shape[-2]):
            raise UserError(
                f"graph_conv: adjacency {adjacency.shape} does not fit nodes {nodes.shape}"
            )
        arrays["adjacency"] = adjacency
    if bias is not None:
        if bias.shape != kernel.shape[1:]:
            raise UserError(f"graph_conv: bias {bias.shape} for {kernel.shape[1]} features")
        arrays["bias"] = bias
    dtypes = {str(a.dtype) for a in arrays.values()}
    if len(dtypes) > 1:
        raise UserError(f"graph_conv: {', '.join(arrays)} have dtypes {sorted(dtypes)}")


class GraphConv(nn.Module):
    """Graph convolution with parameters `kernel` [c, features] and `bias` [features].

    Attributes:
        features: of each node in the result.
        normalize: whether to add self-loops and normalize; without, the adjacency is used as it is
            (normalized once, for all layers of a network).
        use_bias: one number a feature.
        kernel_init: initial weights; Glorot & Bengio's uniform ones, as in the paper.
        bias_init: initial bias.
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    features: int
    normalize: bool = True
    use_bias: bool = True
    kernel_init: Callable[..., Array] = xavier_uniform
    bias_init: Callable[..., Array] = zeros
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        nodes: Float[Array, "*batch n c"],
        adjacency: Float[Array, "*batch n n"] | Edges,
        nodes_valid: Bool[Array, "*batch n"] | None = None,
    ) -> Float[Array, "*batch n features"]:
        """Return the new nodes; padding, by `nodes_valid`, is zero. Errors as `graph_conv`."""
        shape = (nodes.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
        sparse = adjacency if isinstance(adjacency, Edges) else None
        nodes, weights, kernel, bias = nn.dtypes.promote_dtype(
            nodes, sparse.weights if sparse else adjacency, kernel, bias, dtype=self.dtype
        )
        graph: Any = sparse._replace(weights=weights) if sparse else weights
        if self.normalize and sparse:
            present = jnp.ones(nodes.shape[:-1], bool) if nodes_valid is None else nodes_valid
            graph = normalized_edges(graph, present)
        elif self.normalize:
            graph = normalized_adjacency(graph, nodes_valid)
        y = graph_conv(nodes, graph, kernel, bias)
        return y if nodes_valid is None else jnp.where(nodes_valid[..., None], y, 0)

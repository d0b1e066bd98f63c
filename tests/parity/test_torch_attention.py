"""Attention and ConvLSTM against PyTorch, in float64, over sizes and masks that hypothesis finds.

pip install -r requirements-parity.txt
python -m pytest -m parity tests/parity/test_torch_attention.py
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("hypothesis")

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.layers.attention import dot_product as file
from cnnlab.layers.attention.dot_product import attention, causal_mask
from cnnlab.layers.attention.multi_head import MultiHeadAttention
from cnnlab.layers.recurrent.conv_lstm import conv_lstm

pytestmark = pytest.mark.parity
few = st.integers(1, 4)


def close(ours, theirs):
    """Equal to 1e-9 of the largest value there is."""
    theirs = [tensor.detach().numpy() for tensor in theirs]
    for one, other in zip(jax.tree.leaves(ours), theirs, strict=True):
        size = max(1.0, np.abs(other).max(initial=0))
        np.testing.assert_allclose(one / size, other / size, rtol=0, atol=1e-9)


def pulled(function, arrays, dy):
    """Return the value and the gradients of its product with `dy`, in one program."""

    @jax.jit
    def both(arrays, dy):
        y, pull = jax.vjp(function, *arrays)
        return y, *pull(dy)

    return both(arrays, jnp.asarray(dy))


def pulled_by_torch(function, arrays, dy):
    tensors = [torch.tensor(np.asarray(a), requires_grad=True) for a in arrays]
    y = function(*tensors)
    y.backward(torch.tensor(dy))
    return [y, *(t.grad for t in tensors)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    batch=st.lists(st.integers(1, 3), min_size=1, max_size=2),
    queries=st.integers(1, 5),
    keys=st.integers(1, 5),
    d=few,
    d_v=few,
    kind=st.sampled_from(["none", "boolean", "causal", "bias"]),
    scale=st.sampled_from([None, 1.0, 0.3]),
    grouped=st.booleans(),
    seed=st.integers(0, 999),
)
def test_attention(batch, queries, keys, d, d_v, kind, scale, grouped, seed):
    rng = np.random.default_rng(seed)
    shapes = [(*batch, queries, d), (*batch, keys, d), (*batch, keys, d_v)]
    mask = rng.random((*batch, queries, keys)) < 0.6
    mask[..., 0] = True  # Where nothing may be seen PyTorch has NaN, and we zeros.
    bias = rng.normal(size=(queries, keys))
    with jax.enable_x64(True), pytest.MonkeyPatch.context() as patch:
        if grouped:
            patch.setattr(file, "SCORES_AT_A_TIME", 1)
        arrays = [jnp.asarray(rng.normal(size=s)) for s in shapes]
        ours, theirs = {
            "none": ({}, {}),
            "boolean": ({"mask": jnp.asarray(mask)}, {"attn_mask": torch.tensor(mask)}),
            "causal": ({"mask": causal_mask(queries, keys)}, {"is_causal": True}),
            "bias": ({"bias": jnp.asarray(bias)}, {"attn_mask": torch.tensor(bias)}),
        }[kind]
        dy = rng.normal(size=(*batch, queries, d_v))
        result = pulled(lambda *a: attention(*a, scale=scale, **ours), arrays, dy)

        def peer(*tensors):
            return F.scaled_dot_product_attention(*tensors, scale=scale, **theirs)

        close(result, pulled_by_torch(peer, arrays, dy))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    batch=st.integers(1, 3),
    queries=few,
    keys=few,
    heads=st.integers(1, 3),
    d=st.integers(1, 3),
    c_k=few,
    c_v=few,
    use_bias=st.booleans(),
    masked=st.booleans(),
    seed=st.integers(0, 999),
)
def test_multi_head_attention(batch, queries, keys, heads, d, c_k, c_v, use_bias, masked, seed):
    rng, features = np.random.default_rng(seed), heads * d
    peer = torch.nn.MultiheadAttention(
        features, heads, bias=use_bias, kdim=c_k, vdim=c_v, batch_first=True, dtype=torch.float64
    )
    # With all widths equal PyTorch packs the three kernels in one.
    packed = peer.in_proj_weight
    inputs = (
        [peer.q_proj_weight, peer.k_proj_weight, peer.v_proj_weight]
        if packed is None
        else list(packed.chunk(3))
    )
    mask = rng.random((batch, queries, keys)) < 0.6
    mask[..., 0] = True

    def array(tensor, *shape):
        return jnp.asarray(tensor.detach().numpy().T.reshape(shape))

    with jax.enable_x64(True), torch.no_grad():
        if use_bias:
            peer.in_proj_bias.copy_(torch.tensor(rng.normal(size=3 * features)))
            peer.out_proj.bias.copy_(torch.tensor(rng.normal(size=features)))
        params = {"out": {"kernel": array(peer.out_proj.weight, heads, d, features)}}
        names = ("query", "key", "value")
        for name, kernel, width in zip(names, inputs, (features, c_k, c_v), strict=True):
            params[name] = {"kernel": array(kernel, width, heads, d)}
        if use_bias:
            params["out"]["bias"] = array(peer.out_proj.bias, features)
            for name, bias in zip(names, peer.in_proj_bias.chunk(3), strict=True):
                params[name]["bias"] = array(bias, heads, d)
        module = MultiHeadAttention(heads, use_bias=use_bias, param_dtype=jnp.float64)
        more = {"mask": jnp.asarray(mask)} if masked else {}
        shapes = [(batch, queries, features), (batch, keys, c_k), (batch, keys, c_v)]
        arrays = [jnp.asarray(rng.normal(size=s)) for s in shapes]
        theirs = torch.tensor(~mask).repeat_interleave(heads, 0) if masked else None

        def ours(*inputs):
            return module.apply({"params": params}, *inputs, **more)

        dy = rng.normal(size=shapes[0])
        result = pulled(ours, arrays, dy)
        with torch.enable_grad():

            def peer_call(*tensors):
                return peer(*tensors, attn_mask=theirs, need_weights=False)[0]

            close(result, pulled_by_torch(peer_call, arrays, dy))


def recurrent(x, kernel_x, kernel_h, bias, peepholes=None):
    """Shi et al. 2015, equation 3, with PyTorch's convolution; [b, time, h, w, c]."""

    def conv(image, kernel):
        image, kernel = image.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1)
        # Width first; of an even kernel the odd place at the end, as padding="same" has it.
        pads = [n for k in kernel.shape[:1:-1] for n in ((k - 1) // 2, k // 2)]
        return F.conv2d(F.pad(image, pads), kernel).permute(0, 2, 3, 1)

    h = c = x.new_zeros((*x[:, 0].shape[:-1], kernel_h.shape[2]))
    hs = []
    to = [0, 0, 0] if peepholes is None else peepholes
    for t in range(x.shape[1]):
        gates = conv(x[:, t], kernel_x) + conv(h, kernel_h) + bias
        i, f, g, o = gates.chunk(4, dim=-1)
        i, f = torch.sigmoid(i + to[0] * c), torch.sigmoid(f + to[1] * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + to[2] * c) * torch.tanh(c)
        hs.append(h)
    return torch.stack(hs, dim=1)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    batch=st.integers(1, 2),
    time=st.integers(1, 4),
    size=st.tuples(few, few),
    c=st.integers(1, 3),
    features=st.integers(1, 3),
    window=st.tuples(few, few),
    peepholes=st.sampled_from(["none", "own", "shared"]),
    seed=st.integers(0, 999),
)
def test_conv_lstm(batch, time, size, c, features, window, peepholes, seed):
    rng = np.random.default_rng(seed)
    shapes = {
        "x": (batch, time, *size, c),
        "kernel_x": (*window, c, 4 * features),
        "kernel_h": (*window, features, 4 * features),
        "bias": (4 * features,),
    }
    if peepholes != "none":
        shapes["peepholes"] = (3, *(size if peepholes == "own" else (1, 1)), features)
    with jax.enable_x64(True):
        arrays = [jnp.asarray(rng.normal(size=s)) for s in shapes.values()]

        def ours(*arrays):
            return conv_lstm(**dict(zip(shapes, arrays, strict=True)))[0]

        dy = rng.normal(size=(batch, time, *size, features))
        result = pulled(ours, arrays, dy)
        close(result, pulled_by_torch(recurrent, arrays, dy))

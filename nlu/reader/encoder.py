"""The encoder as functions of its arrays, in torch: for tuning only."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from nlu.reader.pieces import SPECIALS
from nlu.reader.weights import Base

Tensor = Any  # torch is not installed where the types are checked
PAD = SPECIALS.index("<pad>")


def padded(numbers: Sequence[Sequence[int]]) -> Tensor:
    """Messages as one matrix (messages, longest), filled up with PAD."""
    longest = max(map(len, numbers))
    return torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in numbers])


def pooled(arrays: Mapping[str, Tensor], base: Base, numbers: Tensor, drop: float = 0.0) -> Tensor:
    """The mean of the last layer over each message's own tokens: (messages, width).

    arrays: those of `base` as they are by now. drop: the share of numbers left out at random while tuning.
    """

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, arrays[f"{name}.w"], arrays[f"{name}.b"])

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], arrays[f"{name}.w"], arrays[f"{name}.b"], base.epsilon)

    def fewer(x: Tensor) -> Tensor:
        return F.dropout(x, drop, drop > 0)

    def split(x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], base.parts, -1).transpose(1, 2)

    real = numbers != PAD
    seen = real[:, None, None, :]
    x = F.embedding(numbers, arrays["emb.word"]) + arrays["emb.pos"][: numbers.shape[1]] + arrays["emb.type"][0]
    x = fewer(norm(x, "emb.ln"))
    for i in range(base.layers):
        q, k, v = (split(linear(x, f"l{i}.{part}")) for part in "qkv")
        found = F.scaled_dot_product_attention(q, k, v, seen, dropout_p=drop)
        found = found.transpose(1, 2).reshape(x.shape)
        x = norm(x + fewer(linear(found, f"l{i}.ao")), f"l{i}.aln")
        x = norm(x + fewer(linear(F.gelu(linear(x, f"l{i}.fi")), f"l{i}.fo")), f"l{i}.oln")
    weight = real.unsqueeze(-1).to(x.dtype)
    return (x * weight).sum(1) / weight.sum(1)

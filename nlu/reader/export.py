"""Writes a tuned encoder as an ONNX graph with whole-number weights.

Weights are rounded to 7 bits (a scale for each column): with 8, processors without VNNI instructions add up pairs of
products beyond 16 bits, and would answer otherwise than those with them. Activations are rounded to 8 bits at run time,
for each message by itself; so messages are read one at a time, and an answer never depends on its neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]
STEPS = 63  # either side of zero
OPSET, IR = 18, 10
CONTRIB = "com.microsoft"  # fused operators that every build of ONNX Runtime for processors has


@dataclass(frozen=True)
class Tuned:
    """What is written.

    arrays: as `nlu.reader.weights.Base.arrays`, and for each head `head.<name>.w` (labels, width) and `head.<name>.b`
    (labels,); a head that looks at the context too has a wider w: (labels, width + context).
    heads: their names, in the order of the columns. parts: attention heads. context: how many tokens. places: the
    longest message, in pieces.
    """

    arrays: Mapping[str, Floats]
    heads: Sequence[str]
    layers: int
    parts: int
    epsilon: float
    context: int
    places: int


class _Graph:
    """Collects the nodes; every method gives the name of what it makes."""

    def __init__(self, tuned: Tuned, whole: bool) -> None:
        self.tuned = tuned
        self.whole = whole
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def node(self, kind: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, domain=domain, **attributes))
        return name

    def array(self, name: str) -> str:
        return self.constant(name, self.tuned.arrays[name].astype(np.float32))

    def words(self) -> str:
        table = self.tuned.arrays["emb.word"]
        if self.whole:
            rounded, scale = rounded_rows(table)
            rows = self.node(
                "Cast", self.node("Gather", self.constant("word", rounded), "pieces"), to=TensorProto.FLOAT
            )
            found = self.node("Mul", rows, self.node("Gather", self.constant("word.scale", scale[:, None]), "pieces"))
        else:
            found = self.node("Gather", self.array("emb.word"), "pieces")
        # All tokens are of kind 0, so its row is added to every place beforehand.
        places = self.tuned.arrays["emb.pos"][: self.tuned.places] + self.tuned.arrays["emb.type"][0]
        first, length = self.constant("zero", np.array([0])), self.node("Shape", "pieces", start=1)
        spot = self.node("Slice", self.constant("places", places.astype(np.float32)), first, length)
        return self.norm(self.node("Add", found, spot), "emb.ln")

    def norm(self, x: str, name: str) -> str:
        scale, offset = self.array(f"{name}.w"), self.array(f"{name}.b")
        return self.node("LayerNormalization", x, scale, offset, epsilon=self.tuned.epsilon)

    def linear(self, x: str, *names: str) -> str:
        """x times the weights of `names` side by side, and their offsets."""
        weights = np.concatenate([self.tuned.arrays[f"{name}.w"] for name in names])
        bias = self.constant(f"{names[0]}.b", np.concatenate([self.tuned.arrays[f"{name}.b"] for name in names]))
        return self.node("Add", self.product(x, names[0], weights), bias)

    def product(self, x: str, name: str, weights: Floats) -> str:
        if not self.whole:
            return self.node("MatMul", x, self.constant(f"{name}.w", weights.T))
        rounded, scale = rounded_rows(weights)
        matrix, steps = self.constant(f"{name}.w", rounded.T), self.constant(f"{name}.s", scale)
        return self.node("DynamicQuantizeMatMul", x, matrix, steps, domain=CONTRIB)

    def by_token(self, x: str, name: str) -> str:
        """`linear`, each token rounded to its own scale.

        The inner numbers of the first token, <s>, are some thirty times those of all others; by one scale for the
        message the others would be rounded away (cosine to 32-bit floats .93 instead of .99, six layers).
        """
        if not self.whole:
            return self.linear(x, name)
        largest = self.node("ReduceMax", self.node("Abs", x), self.constant("inner", np.array([2])), keepdims=1)
        largest = self.node("Max", largest, self.constant("least", np.array([1e-6], dtype=np.float32)))
        found = self.product(self.node("Div", x, largest), name, self.tuned.arrays[f"{name}.w"])
        return self.node("Add", self.node("Mul", found, largest), self.array(f"{name}.b"))

    def layer(self, x: str, i: int) -> str:
        inputs = [f"l{i}.{part}" for part in ("q", "k", "v")]
        thirds = [f"l{i}.third{part}" for part in range(3)]
        self.nodes.append(
            helper.make_node("Split", [self.linear(x, *inputs)], thirds, name=thirds[0], axis=2, num_outputs=3)
        )
        seen = self.node("MultiHeadAttention", *thirds, domain=CONTRIB, num_heads=self.tuned.parts)
        x = self.norm(self.node("Add", x, self.linear(seen, f"l{i}.ao")), f"l{i}.aln")
        inner = self.node("Gelu", self.linear(x, f"l{i}.fi"), domain=CONTRIB)
        return self.norm(self.node("Add", x, self.by_token(inner, f"l{i}.fo")), f"l{i}.oln")

    def head(self, name: str, pooled: str) -> str:
        weights = self.tuned.arrays[f"head.{name}.w"]
        wide = weights.shape[1] > len(self.tuned.arrays["emb.ln.w"])
        x = self.node("Concat", pooled, "context", axis=1) if wide else pooled
        matrix = self.constant(f"head.{name}.w", weights.T.astype(np.float32))
        return self.node("Add", self.node("MatMul", x, matrix), self.array(f"head.{name}.b"))


def rounded_rows(weights: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Each row as whole numbers from -STEPS to STEPS, and what one step is worth in it."""
    scale = np.maximum(np.abs(weights).max(axis=1), 1e-12).astype(np.float32) / STEPS
    return np.rint(weights / scale[:, None]).astype(np.int8), scale


def model(tuned: Tuned, *, whole: bool = True) -> onnx.ModelProto:
    """The graph: `pieces` (1, n) int64 and `context` (1, context) float32 in, `scores` (1, columns) float32 out.

    whole: with whole-number weights; otherwise 32-bit floats, to compare with.
    """
    graph = _Graph(tuned, whole)
    x = graph.words()
    for i in range(tuned.layers):
        x = graph.layer(x, i)
    pooled = graph.node("ReduceMean", x, graph.constant("tokens", np.array([1])), keepdims=0)
    found = [graph.head(name, pooled) for name in tuned.heads]
    graph.nodes.append(helper.make_node("Concat", found, ["scores"], name="scores", axis=1))
    columns = sum(len(tuned.arrays[f"head.{name}.b"]) for name in tuned.heads)
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "reader",
            [
                helper.make_tensor_value_info("pieces", TensorProto.INT64, [1, "length"]),
                helper.make_tensor_value_info("context", TensorProto.FLOAT, [1, tuned.context]),
            ],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, columns])],
            list(graph.constants.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)],
        ir_version=IR,
    )


def write(tuned: Tuned, file: Path, *, whole: bool = True) -> None:
    """`model` as a file; the file is whole or not there."""
    fresh = file.with_name(file.name + ".new")
    onnx.save(model(tuned, whole=whole), str(fresh))
    fresh.replace(file)

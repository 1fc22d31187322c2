"""The encoder as an ONNX graph, written node by node: what is run is what is read here, and no exporter chooses it.

`ids` and `mask` (int64, windows by tokens) go in, `logits` (float, one for each window) comes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
#: The node that is left in floats: it adds up what everything before has found.
HEAD = "head"


class Graph:
    """Nodes and constants on their way into a model."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: np.ndarray) -> str:
        """A tensor that is part of the model; one of each name."""
        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def whole(self, *numbers: int) -> str:
        """Whole numbers: shapes, axes."""
        return self.constant("whole_" + "_".join(map(str, numbers)), np.array(numbers, dtype=np.int64))

    def number(self, value: float) -> str:
        """One number."""
        return self.constant(f"number_{value:g}", np.array(value, dtype=np.float32))

    def node(self, kind: str, inputs: Sequence[str], name: str, outputs: int = 1, **attributes: object) -> str:
        """An operator; its output has its name, of several outputs the first is `name_0`."""
        names = [name] if outputs == 1 else [f"{name}_{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=name, **attributes))
        return names[0]

    def linear(self, x: str, weights: Mapping[str, np.ndarray], source: str, name: str) -> str:
        """A linear map."""
        weight = self.constant(f"{name}_weight", weights[f"{source}.weight"].T)
        product = self.node("MatMul", (x, weight), name if name == HEAD else f"{name}_product")
        return self.node("Add", (product, self.constant(f"{name}_bias", weights[f"{source}.bias"])), f"{name}_sum")

    def bytewise(self, name: str, table: np.ndarray, rows: str) -> str:
        """Rows of a table that is kept as signed bytes with one scale for each row."""
        scale = np.maximum(np.abs(table).max(1, keepdims=True), 1e-9) / 127
        small = self.constant(name, np.rint(table / scale).astype(np.int8))
        picked = self.node("Cast", (self.node("Gather", (small, rows), f"{name}_bytes"),), f"{name}_cast", to=1)
        scales = self.constant(f"{name}_scale", scale.astype(np.float32))
        return self.node("Mul", (picked, self.node("Gather", (scales, rows), f"{name}_scales")), f"{name}_vectors")

    def norm(self, x: str, weights: Mapping[str, np.ndarray], source: str, name: str) -> str:
        """Layer norm."""
        gain = self.constant(f"{name}_gain", weights[f"{source}.weight"])
        bias = self.constant(f"{name}_bias", weights[f"{source}.bias"])
        return self.node("LayerNormalization", (x, gain, bias), name, axis=-1, epsilon=1e-12)


def build(weights: Mapping[str, np.ndarray], heads: int) -> onnx.ModelProto:
    """The model of weights that `encoder.py` names, with so many heads of attention."""
    graph = Graph()
    width = weights["words.weight"].shape[1]
    layers = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("layers."))

    words = graph.bytewise("words", weights["words.weight"], "ids")
    length = graph.node("Shape", ("ids",), "length", start=1, end=2)
    places = graph.constant("positions", weights["positions.weight"])
    place = graph.node("Slice", (places, graph.whole(0), length), "place_vectors")
    x = graph.norm(graph.node("Add", (words, place), "embedded"), weights, "norm", "embedded_norm")

    seen = graph.node("Cast", ("mask",), "seen", to=TensorProto.FLOAT)
    absent = graph.node("Sub", (seen, graph.number(1.0)), "absent")
    hidden = graph.node("Mul", (absent, graph.number(1e4)), "hidden")
    hidden = graph.node("Unsqueeze", (hidden, graph.whole(1, 2)), "hidden_keys")

    for number in range(layers):
        source, name = f"layers.{number}", f"layer{number}"
        qkv = graph.linear(x, weights, f"{source}.qkv", f"{name}_qkv")
        qkv = graph.node("Reshape", (qkv, graph.whole(0, 0, 3, heads, width // heads)), f"{name}_heads")
        qkv = graph.node("Transpose", (qkv,), f"{name}_turned", perm=[2, 0, 3, 1, 4])
        graph.node("Split", (qkv,), f"{name}_part", outputs=3, axis=0, num_outputs=3)
        q, k, v = (
            graph.node("Squeeze", (f"{name}_part_{at}", graph.whole(0)), f"{name}_{part}")
            for at, part in enumerate("qkv")
        )
        q = graph.node("Mul", (q, graph.number((width // heads) ** -0.5)), f"{name}_scaled")
        k = graph.node("Transpose", (k,), f"{name}_keys", perm=[0, 1, 3, 2])
        fit = graph.node("Add", (graph.node("MatMul", (q, k), f"{name}_fit"), hidden), f"{name}_fit_seen")
        share = graph.node("Softmax", (fit,), f"{name}_share", axis=-1)
        mixed = graph.node("MatMul", (share, v), f"{name}_mixed")
        mixed = graph.node("Transpose", (mixed,), f"{name}_back", perm=[0, 2, 1, 3])
        mixed = graph.node("Reshape", (mixed, graph.whole(0, 0, width)), f"{name}_joined")
        out = graph.linear(mixed, weights, f"{source}.out", f"{name}_out")
        x = graph.norm(graph.node("Add", (x, out), f"{name}_kept"), weights, f"{source}.norm1", f"{name}_norm1")
        up = graph.node("Gelu", (graph.linear(x, weights, f"{source}.up", f"{name}_up"),), f"{name}_gelu")
        down = graph.linear(up, weights, f"{source}.down", f"{name}_down")
        x = graph.norm(graph.node("Add", (x, down), f"{name}_added"), weights, f"{source}.norm2", f"{name}_norm2")

    each = graph.node("Unsqueeze", (seen, graph.whole(2)), "each")
    summed = graph.node("ReduceSum", (graph.node("Mul", (x, each), "there"), graph.whole(1)), "summed", keepdims=0)
    count = graph.node("ReduceSum", (seen, graph.whole(1)), "count", keepdims=1)
    mean = graph.node("Div", (summed, count), "mean")
    gone = graph.node(
        "Unsqueeze", (graph.node("Mul", (absent, graph.number(1e4)), "gone"), graph.whole(2)), "gone_each"
    )
    most = graph.node("ReduceMax", (graph.node("Add", (x, gone), "or_gone"), graph.whole(1)), "most", keepdims=0)
    pooled = graph.node("Concat", (mean, most), "pooled", axis=1)
    graph.node("Squeeze", (graph.linear(pooled, weights, "head", HEAD), graph.whole(1)), "logits")

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "injection-encoder",
            [helper.make_tensor_value_info(name, TensorProto.INT64, ["windows", "tokens"]) for name in ("ids", "mask")],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["windows"])],
            list(graph.constants.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="",
        ir_version=9,
    )
    onnx.checker.check_model(model, full_check=True)
    return model

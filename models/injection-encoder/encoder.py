"""The encoder in plain torch: BERT's layers (Devlin et al., 2019), three of six kept, and one number for a window.

Mean and maximum of the last layer's tokens go to one linear unit: the mean is what the base model was trained with,
the maximum lets a short attack stand out from the rest of its window.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional


class Shape(NamedTuple):
    """Sizes of a model."""

    vocabulary: int
    layers: int = 3
    width: int = 384
    heads: int = 12
    inner: int = 1536
    positions: int = 256


class Layer(nn.Module):
    """Attention and two linear maps, each with what went in added and normed."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.norm1 = nn.LayerNorm(shape.width, eps=1e-12)
        self.up = nn.Linear(shape.width, shape.inner)
        self.down = nn.Linear(shape.inner, shape.width)
        self.norm2 = nn.LayerNorm(shape.width, eps=1e-12)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`mask`: True where a token is."""
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        x = self.norm1(x + self.out(seen.transpose(1, 2).reshape(batch, length, width)))
        return self.norm2(x + self.down(functional.gelu(self.up(x))))


class Encoder(nn.Module):
    """Log-odds of windows."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.words = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.positions, shape.width)
        self.norm = nn.LayerNorm(shape.width, eps=1e-12)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(2 * shape.width, 1)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Log-odds, one for each row of ids; `mask` is 1 where a token is."""
        seen = mask.bool()
        x = self.norm(self.words(ids) + self.positions.weight[: ids.shape[1]])
        for layer in self.layers:
            x = layer(x, seen)
        share = mask[:, :, None].to(x.dtype)
        mean = (x * share).sum(1) / share.sum(1)
        most = x.masked_fill(~seen[:, :, None], -1e4).amax(1)
        return self.head(self.drop(torch.cat((mean, most), 1)))[:, 0]

    @classmethod
    def pruned(cls, path: Path, kept_words: list[int], layers: tuple[int, ...], positions: int) -> Encoder:
        """From the base model's weights: these words, these layers, this many positions."""
        weights = load_file(path)
        model = cls(Shape(len(kept_words), len(layers), positions=positions))
        with torch.no_grad():
            # All tokens are of the first segment: its vector is a part of every position.
            segment = weights["embeddings.token_type_embeddings.weight"][0]
            model.words.weight.copy_(weights["embeddings.word_embeddings.weight"][kept_words])
            model.positions.weight.copy_(weights["embeddings.position_embeddings.weight"][:positions] + segment)
            _copy(model.norm, weights, "embeddings.LayerNorm")
            for layer, number in zip(model.layers, layers, strict=True):
                base = f"encoder.layer.{number}"
                for kind in ("weight", "bias"):
                    parts = [weights[f"{base}.attention.self.{name}.{kind}"] for name in ("query", "key", "value")]
                    getattr(layer.qkv, kind).copy_(torch.cat(parts))
                _copy(layer.out, weights, f"{base}.attention.output.dense")
                _copy(layer.norm1, weights, f"{base}.attention.output.LayerNorm")
                _copy(layer.up, weights, f"{base}.intermediate.dense")
                _copy(layer.down, weights, f"{base}.output.dense")
                _copy(layer.norm2, weights, f"{base}.output.LayerNorm")
            nn.init.normal_(model.head.weight, std=0.02)
            nn.init.zeros_(model.head.bias)
        return model


def _copy(module: nn.Module, weights: dict[str, Tensor], name: str) -> None:
    module.weight.copy_(weights[f"{name}.weight"])
    module.bias.copy_(weights[f"{name}.bias"])

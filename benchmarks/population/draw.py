"""Descriptions of models, drawn at random: the same for the same seed and number, on every machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import exp, log
from random import Random
from typing import Any

from benchmarks.population.sizes import Description, Shape, estimate, measure

#: Milliseconds of a step on two cores, as far as `estimate` knows them.
LEAST, MOST = 0.5, 200.0
#: So many models are drawn for each number. That whose step is nearest to the time that is wanted is taken.
_CANDIDATES = 100
#: Between these the time is wanted, each doubling as often as another.
_WANTED = (0.8, 120.0)
_ACTIVATIONS = ("relu", "relu", "gelu", "silu", "tanh", "elu", "leaky_relu")
_NORMS = ("", "batch", "layer", "group", "rms")
_OPTIMIZERS = ("adam", "adam", "adamw", "sgd", "momentum", "rmsprop", "nadam", "adagrad", "lion")
_PRECISIONS = ("float32",) * 8 + ("mixed_bfloat16", "mixed_float16")
_DROPOUTS = (0.0, 0.0, 0.0, 0.1, 0.3)
_BATCHES = (8, 16, 32, 64, 128, 256)
_LOSSES = ("mse", "mae", "huber", "binary_crossentropy")
#: Sides of images over so many dimensions.
_SIDES = {1: (64, 128, 256, 512), 2: (16, 24, 32, 48, 64), 3: (8, 12, 16, 20)}
_POOL_FROM = 8  # of images that are smaller, nothing is left soon

Block = dict[str, Any]
#: Inputs and blocks.
Parts = tuple[list[Block], list[Block]]


def describe_all(seed: int, count: int) -> Iterator[Description]:
    """Yield the descriptions of the numbers below ``count``."""
    return (describe(seed, number) for number in range(count))


def describe(seed: int, number: int) -> Description:
    """Return the description of a model; the families take turns."""
    family = list(FAMILIES)[number % len(FAMILIES)]
    low, high = map(log, _WANTED)
    wanted = Random(f"{seed} {number}").uniform(low, high)  # noqa: S311 - a draw, not a secret
    drawn = [_draw_model(family, Random(f"{seed} {number} {each}")) for each in range(_CANDIDATES)]  # noqa: S311
    fitting = [each for each in drawn if LEAST <= estimate(each) <= MOST]
    found = min(fitting, key=lambda each: abs(log(estimate(each)) - wanted))
    about = {"seed": seed, "number": number, "family": family, "wanted_ms": round(exp(wanted), 2)}
    return {**about, "estimated_ms": round(estimate(found), 2), **found}


def _draw_model(family: str, draw: Random) -> Block:
    style = {
        "activation": draw.choice(_ACTIVATIONS),
        "norm": draw.choice(_NORMS),
        "dropout": draw.choice(_DROPOUTS),
    }
    inputs, blocks = FAMILIES[family](draw, style)
    if draw.random() < (0.2 if family == "recommender" else 0.7):
        loss, units = "sparse_categorical_crossentropy", draw.choice((2, 5, 10, 100))
    else:
        loss, units = draw.choice(_LOSSES), draw.choice((1, 1, 4))
    return {
        "inputs": inputs,
        "blocks": blocks,
        "head": {"units": units, "logits": draw.random() < 0.5},
        "loss": loss,
        "metrics": draw.random() < 0.5,
        "optimizer": draw.choice(_OPTIMIZERS),
        "precision": draw.choice(_PRECISIONS),
        "batch": draw.choice(_BATCHES),
    }


def _reals(*shape: int) -> Block:
    return {"kind": "reals", "shape": list(shape)}


def _ids(words: int, length: int) -> Block:
    return {"kind": "ids", "shape": [length], "words": words}


def _dense(units: int, style: Mapping[str, Any]) -> Block:
    return {"kind": "dense", "units": units, **style}


def _end(
    draw: Random, style: Mapping[str, Any], ways: Sequence[str] = ("average", "max", "flatten")
) -> list[Block]:
    """Return what makes a vector of images or a sequence, and perhaps a layer behind it."""
    vector = {"kind": "vector", "by": draw.choice(ways)}
    return [vector, *([_dense(draw.choice((32, 64, 128)), style)] if draw.random() < 0.5 else [])]


def _draw_dense(draw: Random, style: Mapping[str, Any]) -> Parts:
    widths = [draw.choice((32, 64, 128, 256, 512, 1024)) for _ in range(draw.randint(1, 6))]
    if draw.random() < 0.5:
        widths = [widths[0]] * len(widths)
    return [_reals(draw.choice((16, 64, 128, 784)))], [_dense(width, style) for width in widths]


def _convolution(draw: Random, style: Mapping[str, Any], shape: Shape, **chosen: Any) -> Block:
    """Return a convolution over images of ``shape``, with what is ``chosen``."""
    rank, side = len(shape) - 1, min(shape[:-1])
    is_wide = side >= _POOL_FROM
    block = {
        "kind": "conv",
        "form": "plain",
        "rank": rank,
        "filters": draw.choice((8, 16, 32, 64)),
        "kernel": 3 if rank == 3 else draw.choice((3, 3, 5)),
        "stride": draw.choice((1, 1, 1, 2)) if is_wide else 1,
        "dilation": 1,
        "padding": "same",
        "pool": draw.choice(("", "max", "average")) if is_wide else "",
        # XLA takes no pooling with padding from the trial: some have it.
        "pool_padding": draw.choice(("valid", "valid", "valid", "same")),
        **style,
        **chosen,
    }
    if side > 2 * _POOL_FROM + block["dilation"] * block["kernel"] and block["form"] != "transposed":
        block["padding"] = draw.choice(("same", "valid"))
    return block


def _convolve(draw: Random, style: Mapping[str, Any], shape: Shape, **chosen: Any) -> list[Block]:
    """Return convolutions one after the other, which get more filters as the images get smaller."""
    blocks: list[Block] = []
    filters = draw.choice((8, 16, 32, 64))
    for _ in range(draw.randint(1, 5)):
        block = _convolution(draw, style, shape, filters=filters, **chosen)
        blocks.append(block)
        smaller = measure(block, shape).shape
        filters = min(256, 2 * filters) if smaller[0] < shape[0] else filters
        shape = smaller
    return blocks


def _images(draw: Random, rank: int) -> Shape:
    return (*[draw.choice(_SIDES[rank])] * rank, draw.choice((1, 3, 8)))


def _draw_images(rank: int) -> Callable[[Random, Mapping[str, Any]], Parts]:
    def draw_images(draw: Random, style: Mapping[str, Any]) -> Parts:
        shape = _images(draw, rank)
        return [_reals(*shape)], [*_convolve(draw, style, shape), *_end(draw, style)]

    return draw_images


def _draw_separable(draw: Random, style: Mapping[str, Any]) -> Parts:
    shape = _images(draw, draw.choice((1, 2, 2, 2)))
    form = draw.choice(("separable", "depthwise"))
    # The first is plain, as it is in such networks.
    first = _convolution(draw, style, shape)
    rest = _convolve(draw, style, measure(first, shape).shape, form=form)
    return [_reals(*shape)], [first, *rest, *_end(draw, style, ("average", "max"))]


def _draw_dilated(draw: Random, style: Mapping[str, Any]) -> Parts:
    shape = _images(draw, draw.choice((1, 1, 2)))
    filters = draw.choice((8, 16, 32, 64))
    same = {"stride": 1, "pool": "", "filters": filters}
    blocks = [
        _convolution(draw, style, shape, dilation=2**power, **same) | {"padding": "same"}
        for power in range(draw.randint(2, 4))
    ]
    return [_reals(*shape)], [*blocks, *_end(draw, style, ("average", "max"))]


def _draw_transposed(draw: Random, style: Mapping[str, Any]) -> Parts:
    rank = draw.choice((1, 2, 2, 2, 3))
    shape = _images(draw, rank)
    depth = draw.randint(1, 2)
    # Each side can be halved so often: what comes out is as large as what goes in.
    shape = (*(side - side % 2**depth for side in shape[:-1]), shape[-1])
    widths = [draw.choice((8, 16, 32)) * 2**each for each in range(depth)]
    same = {"stride": 2, "pool": ""}
    down = [_convolution(draw, style, shape, filters=each, **same) | {"padding": "same"} for each in widths]
    up = [_convolution(draw, style, shape, filters=each, form="transposed", **same) for each in widths[::-1]]
    return [_reals(*shape)], [*down, *up]


def _draw_recurrent(draw: Random, style: Mapping[str, Any]) -> Parts:
    length, width = draw.choice((8, 16, 32, 64, 128)), draw.choice((8, 32, 64))
    layer = {
        "kind": "recurrent",
        "cell": draw.choice(("lstm", "gru", "rnn")),
        "units": draw.choice((16, 32, 64, 128)),
        "both": draw.random() < 0.4,
    }
    depth = draw.randint(1, 3)
    layers = [{**layer, "sequences": each < depth - 1} for each in range(depth)]
    last = [_dense(64, style)] if draw.random() < 0.5 else []
    if draw.random() < 0.3:
        embedding = {"kind": "embedding", "width": width, "positions": False}
        return [_ids(draw.choice((1000, 10_000)), length)], [embedding, *layers, *last]
    return [_reals(length, width)], [*layers, *last]


def _draw_attention(draw: Random, style: Mapping[str, Any]) -> Parts:
    length, width = draw.choice((16, 32, 64, 128)), draw.choice((32, 64, 128))
    heads, form = draw.choice((1, 2, 4, 8)), draw.choice(("self", "causal", "cross"))
    block = {
        "kind": "attention",
        "heads": heads,
        "width": max(8, width // heads),
        "units": draw.choice((2, 4)) * width,
        **style,
        "norm": draw.choice(("layer", "rms")),
    }
    depth = draw.randint(1, 4)
    blocks = [
        {**block, "cross": form == "cross" and each % 2 == 0, "causal": form == "causal"}
        for each in range(depth)
    ]
    ends = _end(draw, style, ("average", "max"))
    if form != "cross" and draw.random() < 0.5:
        embedding = {"kind": "embedding", "width": width, "positions": True}
        return [_ids(draw.choice((1000, 10_000)), length)], [embedding, *blocks, *ends]
    memory = [_reals(draw.choice((16, 64)), draw.choice((32, 64)))] if form == "cross" else []
    return [_reals(length, width), *memory], [*blocks, *ends]


def _draw_text(draw: Random, style: Mapping[str, Any]) -> Parts:
    length, width = draw.choice((16, 64, 128, 256)), draw.choice((16, 32, 64, 128))
    blocks: list[Block] = [{"kind": "embedding", "width": width, "positions": False}]
    if draw.random() < 0.4:
        blocks.append(_convolution(draw, style, (length, width)))
    ends = _end(draw, style, ("average", "max"))
    return [_ids(draw.choice((1000, 5000, 20_000)), length)], [*blocks, *ends]


def _draw_recommender(draw: Random, style: Mapping[str, Any]) -> Parts:
    count = draw.randint(2, 8)
    inputs = [_ids(draw.choice((100, 1000, 10_000, 50_000)), 1) for _ in range(count)]
    if draw.random() < 0.5:
        inputs.append(_reals(draw.choice((4, 13, 64))))
    features = {"kind": "features", "width": draw.choice((8, 16, 32, 64)), "crosses": draw.random() < 0.5}
    widths = [draw.choice((32, 64, 128, 256)) for _ in range(draw.randint(1, 4))]
    return inputs, [features, *(_dense(width, style) for width in widths)]


def _vectors(draw: Random) -> Shape:
    """Return the shape of a vector, or of a sequence of them."""
    width = draw.choice((32, 64, 128, 256))
    return (width,) if draw.random() < 0.6 else (draw.choice((16, 64)), width)


def _draw_experts(draw: Random, style: Mapping[str, Any]) -> Parts:
    shape = _vectors(draw)
    block = {
        "kind": "experts",
        "count": draw.choice((2, 4, 8, 16)),
        "units": draw.choice((32, 64, 128, 256)),
        "activation": style["activation"],
    }
    ends = [] if len(shape) == 1 else _end(draw, style, ("average", "max"))
    return [_reals(*shape)], [*[block] * draw.randint(1, 3), *ends]


def _draw_residual(draw: Random, style: Mapping[str, Any]) -> Parts:
    shape = _images(draw, draw.choice((1, 2, 2))) if draw.random() < 0.7 else _vectors(draw)[-1:]
    blocks, width = [], draw.choice((16, 32, 64))
    for _ in range(draw.randint(1, 6)):
        if len(shape) == 1:
            inner = [_dense(4 * width, style)] * 2
        else:
            same = {"stride": 1, "pool": "", "filters": width, "kernel": 3}
            inner = [_convolution(draw, style, shape, **same) | {"padding": "same"}] * 2
        blocks.append({"kind": "residual", "blocks": inner, "activation": style["activation"]})
    if len(shape) > 1:
        blocks = [_convolution(draw, style, shape, filters=width), *blocks]
    return [_reals(*shape)], [*blocks, *(_end(draw, style, ("average", "max")) if len(shape) > 1 else [])]


def _draw_gated(draw: Random, style: Mapping[str, Any]) -> Parts:
    shape, form = _vectors(draw), draw.choice(("glu", "highway"))
    # A highway is as wide as what goes in.
    units = shape[-1] if form == "highway" else draw.choice((64, 128, 256))
    block = {"kind": "gated", "form": form, "units": units, **style}
    ends = [] if len(shape) == 1 else _end(draw, style, ("average", "max"))
    return [_reals(*shape)], [*[block] * draw.randint(1, 6), *ends]


#: What draws the inputs and the blocks of each family.
FAMILIES: Mapping[str, Callable[[Random, Mapping[str, Any]], Parts]] = {
    "dense": _draw_dense,
    "conv1d": _draw_images(1),
    "conv2d": _draw_images(2),
    "conv3d": _draw_images(3),
    "separable": _draw_separable,
    "dilated": _draw_dilated,
    "transposed": _draw_transposed,
    "recurrent": _draw_recurrent,
    "attention": _draw_attention,
    "text": _draw_text,
    "recommender": _draw_recommender,
    "experts": _draw_experts,
    "residual": _draw_residual,
    "gated": _draw_gated,
}

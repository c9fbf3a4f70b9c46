"""Writes a model file of one of the classic shapes with random weights (uniform within 1/sqrt(hidden), as PyTorch begins),
for benchmarks and tests that need a network of that size and no skill:

    python3 bench/random_model.py classic-5x200|blocks-2x50|small-2x64 OUT [--price MIDDLE]

It is an imported price-level model: columns in, the price itself out, scaled around MIDDLE (100)."""
import array
import json
import math
import random
import struct
import sys

SHAPES = {  # layers, hidden, window, block, columns
    "classic-5x200": (5, 200, 200, 1, ("price", "volume", "transactions", "high", "low")),
    "blocks-2x50": (2, 50, 10, 100, ("volume", "price", "high", "low", "transactions")),
    "small-2x64": (2, 64, 60, 1, ("price", "volume", "transactions", "high", "low")),
}


def tensors(layers, hidden, inputs):
    for layer in range(layers):
        yield f"lstm.weight_ih_l{layer}", (4 * hidden, hidden if layer else inputs)
        yield f"lstm.weight_hh_l{layer}", (4 * hidden, hidden)
        yield f"lstm.bias_ih_l{layer}", (4 * hidden,)
        yield f"lstm.bias_hh_l{layer}", (4 * hidden,)
    yield "output.weight", (1, hidden)
    yield "output.bias", (1,)


def write(shape, path, middle=100.0, seed=7):
    layers, hidden, window, block, columns = SHAPES[shape]
    span = {"price": middle / 5, "high": middle / 5, "low": middle / 5, "volume": 1e4, "transactions": 100.0}
    low = {"price": 0.9 * middle, "high": 0.9 * middle, "low": 0.9 * middle, "volume": 0.0, "transactions": 0.0}
    meta = {
        "format": "tickcast-model-1", "kind": "lstm", "name": shape, "mode": "window", "window": str(window),
        "inputs": "columns", "feature_hash": "as-named", "features": json.dumps(columns),
        "scaler_mean": json.dumps([low[c] for c in columns]), "scaler_sd": json.dumps([span[c] for c in columns]),
        "scaler_clip": "1e6", "target_unit": "price", "interval_ms": "1000",
        "targets": json.dumps([{"kind": "next", "horizon_ms": 0, "scale": span["price"], "offset": low["price"],
                                "shrink": 1}]),
        "trained_from": "", "trained_to": "", "validated_from": "", "validated_to": "", "symbols": "",
        "trained_rows": "0", "version": "0", "data_sha256": "",
    }
    if block > 1:
        meta["block"] = str(block)
    rng, bound = random.Random(seed), 1 / math.sqrt(hidden)
    header, data = {"__metadata__": meta}, array.array("f")
    for name, dims in tensors(layers, hidden, len(columns) * (4 if block > 1 else 1)):
        start = 4 * len(data)
        data.extend(rng.uniform(-bound, bound) for _ in range(math.prod(dims)))
        header[name] = {"dtype": "F32", "shape": dims, "data_offsets": [start, 4 * len(data)]}
    if sys.byteorder == "big":
        data.byteswap()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + data.tobytes())


if __name__ == "__main__":
    price = float(sys.argv[4]) if sys.argv[3:4] == ["--price"] else 100.0
    write(sys.argv[1], sys.argv[2], price)

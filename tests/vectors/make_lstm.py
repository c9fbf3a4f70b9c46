"""Writes the frozen test of the network: model files and what they say, computed here in plain float64.

    python3 make_lstm.py        (in this folder; writes lstm-*.safetensors and lstm-*.txt)

Shares nothing with the program: its own file writer, its own LSTM, by the definitions of docs/formats.md, "Model file".
Each line of the text is one bar: the raw features, then the forecasts ("-" while a window is not full).
"""
import json
import math
import random
import struct


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def product(w, x):
    return [sum(a * b for a, b in zip(row, x)) for row in w]


def add(*vectors):
    return [sum(v) for v in zip(*vectors)]


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def matrix(rng, rows, cols, size):
    return [[f32(rng.uniform(-size, size)) for _ in range(cols)] for _ in range(rows)]


def vector(rng, n, size):
    return [f32(rng.uniform(-size, size)) for _ in range(n)]


def make_net(rng, d, units, layers, hidden, targets, skip):
    net = {}
    if units:
        net["input.weight"], net["input.bias"] = matrix(rng, units, d, 0.8), vector(rng, units, 0.5)
    for layer in range(layers):
        inputs = hidden if layer else units or d
        net[f"lstm.weight_ih_l{layer}"] = matrix(rng, 4 * hidden, inputs, 0.9)
        net[f"lstm.weight_hh_l{layer}"] = matrix(rng, 4 * hidden, hidden, 0.9)
        net[f"lstm.bias_ih_l{layer}"], net[f"lstm.bias_hh_l{layer}"] = (vector(rng, 4 * hidden, 0.5) for _ in "ab")
    net["output.weight"], net["output.bias"] = matrix(rng, targets, hidden, 1), vector(rng, targets, 0.3)
    if skip:
        net["skip.weight"] = matrix(rng, targets, d, 0.4)
    return net


def step(net, layers, hidden, z, state):
    x = z
    if "input.weight" in net:
        x = [math.tanh(v) for v in add(product(net["input.weight"], z), net["input.bias"])]
    for layer in range(layers):
        h, c = state[layer]
        pre = add(product(net[f"lstm.weight_ih_l{layer}"], x), product(net[f"lstm.weight_hh_l{layer}"], h),
                  net[f"lstm.bias_ih_l{layer}"], net[f"lstm.bias_hh_l{layer}"])
        i, f, g, o = (pre[k * hidden:(k + 1) * hidden] for k in range(4))
        c = [sigmoid(b) * e + sigmoid(a) * math.tanh(d) for a, b, d, e in zip(i, f, g, c)]
        h = [sigmoid(a) * math.tanh(b) for a, b in zip(o, c)]
        state[layer] = h, c
        x = h
    y = add(product(net["output.weight"], x), net["output.bias"])
    return add(y, product(net["skip.weight"], z)) if "skip.weight" in net else y


def write_safetensors(path, meta, net):
    header, data = {"__metadata__": meta}, b""
    for name, value in net.items():
        shape = [len(value), len(value[0])] if isinstance(value[0], list) else [len(value)]
        flat = [v for row in value for v in row] if len(shape) == 2 else value
        piece = struct.pack(f"<{len(flat)}f", *flat)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def make(name, seed, window, d, units, layers, hidden, targets, skip, bars=40):
    rng = random.Random(seed)
    net = make_net(rng, d, units, layers, hidden, targets, skip)
    mean, sd = [rng.uniform(-1, 1) for _ in range(d)], [rng.uniform(0.5, 2) for _ in range(d)]
    heads = [{"kind": "last" if j else "next", "horizon_ms": 1000 * j, "scale": round(rng.uniform(0.5, 2), 3),
              "shrink": round(rng.uniform(0.5, 1), 3), "val_ratio": None, "val_dm_t": None} for j in range(targets)]
    meta = {"format": "tickcast-model-1", "kind": "lstm", "name": name, "mode": "window" if window else "stateful",
            "inputs": "TEST", "feature_hash": "0" * 16, "features": json.dumps([f"f{i}" for i in range(d)]),
            "scaler_mean": json.dumps(mean), "scaler_sd": json.dumps(sd), "scaler_clip": "6",
            "targets": json.dumps(heads), "target_unit": "move_scale", "interval_ms": "1000", "trained_from": "",
            "trained_to": "", "validated_from": "", "validated_to": "", "symbols": "", "trained_rows": "0",
            "version": "test", "data_sha256": ""}
    if window:
        meta["window"] = str(window)
    write_safetensors(name + ".safetensors", meta, net)
    rows, lines, state = [], [], None
    for bar in range(bars):
        x = [rng.gauss(0, 4 if bar % 9 == 8 else 1) for _ in range(d)]
        rows.append([max(-6, min(6, (v - m) / s)) for v, m, s in zip(x, mean, sd)])
        say = ["-"] * targets
        if not window or bar + 1 >= window:
            if window or state is None:
                state = [([0.0] * hidden, [0.0] * hidden) for _ in range(layers)]
            for z in rows[-window:] if window else rows[-1:]:
                y = step(net, layers, hidden, z, state)
            say = [repr(v * t["scale"] * t["shrink"]) for v, t in zip(y, heads)]
        lines.append(" ".join([repr(v) for v in x] + say))
    with open(name + ".txt", "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")


make("lstm-stateful", 1, 0, d=3, units=5, layers=1, hidden=6, targets=2, skip=True)
make("lstm-window", 2, 7, d=4, units=0, layers=3, hidden=9, targets=3, skip=False)

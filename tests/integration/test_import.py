"""tickcast model import and eval: against a float64 forward pass written here, and against PyTorch and
scikit-learn themselves where they are installed (Debian: apt-get install python3-torch python3-sklearn)."""
import json
import math
import re
import sqlite3
import struct
import subprocess
import sys
import zlib

import numpy
import pytest
import safetensors.numpy

from conftest import ROOT
from models import eval_all, eval_rows, python_with

CORPUS = ROOT / "tests" / "fuzz" / "corpus"
TOLERANCE = 1e-5
COLUMNS = ("price", "volume", "transactions", "high", "low")
LOW = (100.0, 464.5, 464.25, 464.0, 1.0)  # of the scalers in the corpus: volume, price, high, low, transactions
SPAN = (1000000.0, 48.0, 48.5, 49.0, 4000.0)


def value(i):
    return ((i * 389 + 71) % 1023 - 511) / 1024


def forward(rows, features, hidden=3, layers=2):
    """The corpus's network in float64: weights are value(0), value(1), ... in the order of the storage."""
    at, weights = 0, {}
    for n, size in [(f"{k}{l}", 4 * hidden * (hidden if l or k == "hh" else features))
                    for l in range(layers) for k in ("ih", "hh")] + \
                   [(f"{k}{l}", 4 * hidden) for l in range(layers) for k in ("bi", "bh")]:
        weights[n] = [value(at + i) for i in range(size)]
        at += size
    h, c = [[0.0] * hidden for _ in range(layers)], [[0.0] * hidden for _ in range(layers)]
    sigmoid = lambda v: 1 / (1 + math.exp(-v))
    for row in rows:
        x = list(row)
        for l in range(layers):
            n, gates = len(x), []
            for g in range(4 * hidden):
                gates.append(weights[f"bi{l}"][g] + weights[f"bh{l}"][g] +
                             sum(weights[f"ih{l}"][g * n + k] * x[k] for k in range(n)) +
                             sum(weights[f"hh{l}"][g * hidden + k] * h[l][k] for k in range(hidden)))
            for u in range(hidden):
                i, f, g, o = (gates[u + k * hidden] for k in range(4))
                c[l][u] = sigmoid(f) * c[l][u] + sigmoid(i) * math.tanh(g)
            h[l] = [sigmoid(gates[u + 3 * hidden]) * math.tanh(c[l][u]) for u in range(hidden)]
            x = h[l]
    return value(6000) + sum(value(5000 + u) * h[-1][u] for u in range(hidden))


def bars(n):
    """Rows of volume, price, high, low, transactions."""
    return [(5000.0 + 731 * i % 9000, 480 + math.sin(i), 480.5 + math.sin(i), 479.5 + math.sin(i), 40.0 + i % 7)
            for i in range(n)]


def scaled(rows):
    return [[(v - l) / s for v, l, s in zip(row, LOW, SPAN)] for row in rows]


def imported(tickcast, tmp_path, *flags, pth="shared", scaler="minmax", preset="classic-5x200"):
    out = tmp_path / f"{pth}.safetensors"
    words = ["--scaler", CORPUS / "joblib" / scaler] if scaler else []
    done = tickcast("model", "import", "--pth", CORPUS / "torch" / pth, *words, "--preset", preset, "-o", out,
                    *flags)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_the_corpus_is_what_its_script_writes(tmp_path):
    subprocess.run([sys.executable, ROOT / "tests" / "fuzz" / "make_import.py", tmp_path], check=True)
    for made in sorted(tmp_path.rglob("*")):
        if made.is_file():
            assert made.read_bytes() == (CORPUS / made.relative_to(tmp_path)).read_bytes(), made


def test_an_imported_model_gives_the_networks_output_and_the_price(tickcast, binary, environment, tmp_path):
    model, said = imported(tickcast, tmp_path)
    assert "volume price high low transactions" in said, "the scaler's own names are in force"
    rows = bars(30)
    expected = forward(scaled(rows), 5)
    raw, price = eval_rows(binary, environment, model, rows)
    assert abs(raw - expected) < TOLERANCE
    assert abs(price - (expected * SPAN[1] + LOW[1])) < TOLERANCE * SPAN[1]
    again, _ = eval_rows(binary, environment, model, scaled(rows), "--scaled")
    assert abs(again - expected) < TOLERANCE
    one, _ = eval_rows(binary, environment, model, [[0.0] * 5], "--scaled")
    assert abs(one - forward([[0.0] * 5], 5)) < TOLERANCE


def test_a_block_model_reads_mean_max_min_and_deviation(tickcast, binary, environment, tmp_path):
    model, _ = imported(tickcast, tmp_path, pth="blocks", scaler="standard", preset="blocks-2x50")
    rows, steps = bars(300), []
    for at in range(0, 300, 100):
        columns = list(zip(*scaled(rows[at:at + 100])))
        mean = [sum(c) / 100 for c in columns]
        steps.append([*mean, *map(max, columns), *map(min, columns),
                      *(math.sqrt(sum((v - m) ** 2 for v in c) / 100) for c, m in zip(columns, mean))])
    raw, _ = eval_rows(binary, environment, model, rows)
    assert abs(raw - forward(steps, 20)) < TOLERANCE
    again, _ = eval_rows(binary, environment, model, steps, "--scaled")
    assert abs(again - forward(steps, 20)) < TOLERANCE


def test_a_window_leaves_out_rows_before_it_and_says_so(tickcast, binary, environment, tmp_path):
    model, _ = imported(tickcast, tmp_path, "--window", "4")
    rows = bars(9)
    assert eval_rows(binary, environment, model, rows) == eval_rows(binary, environment, model, rows[-4:])


@pytest.mark.parametrize("flags, because", [
    (["--scaler", CORPUS / "joblib" / "minmax", "--features", ",".join(COLUMNS)], 'fitted with "volume" there'),
    (["--scaler", CORPUS / "joblib" / "old"], "probe bar"),
    (["--scaler", CORPUS / "joblib" / "refused-other-class"], "RobustScaler"),
    (["--features", "price,volume"], "the columns give it 2"),
    (["--features", "price,volume,high,low,colour"], '"colour"'),
    (["--features", "price,volume,high,low,close"], "twice"),
    (["--block", "10"], "the columns give it 20"),
    (["--pth", CORPUS / "torch" / "refused-legacy"], "torch.save(torch.load"),
    (["--pth", CORPUS / "torch" / "strided"], "no LSTM in the file"),
    (["--target", "next,last:1s"], "1 outputs, 2 targets"),
    (["--pth", ROOT / "models" / "default.safetensors"], "nothing else"),
    (["--pth", ROOT / "README.md"], "no zip archive"),
])
def test_what_does_not_fit_is_refused_with_the_reason(tickcast, tmp_path, flags, because):
    words = flags if "--pth" in flags else ["--pth", CORPUS / "torch" / "shared", *flags]
    done = tickcast("model", "import", *words, "--preset", "classic-5x200", "-o", tmp_path / "m.safetensors")
    assert done.returncode == 4 and because in done.stderr, done.stderr
    assert not (tmp_path / "m.safetensors").exists()


def test_an_imported_model_says_what_it_is_and_runs_live_and_in_back_tests(tickcast, tmp_path):
    model, _ = imported(tickcast, tmp_path)
    shown = tickcast("model", "show", model)
    assert "the price itself" in shown.stdout and "imported" in shown.stdout
    card = json.loads(tickcast("model", "show", "--json", model).stdout)
    assert card["target_unit"] == "price" and card["window"] == 200 and card["layers"] == 2
    assert "forecasts the price itself from 5 columns" in tickcast("doctor", "--model", model).stdout
    done = tickcast("backtest", "--model", model, "--history", "10m", "--symbols", "SPY", "--csv", tmp_path / "t.csv")
    assert done.returncode == 0, done.stderr
    rows = [line.split(",") for line in (tmp_path / "t.csv").read_text().splitlines()]
    mine = [dict(zip(rows[0], row)) for row in rows[1:] if row[rows[0].index("model")] == card["id"]]
    assert len(mine) == 1 and mine[0]["kind"] == "next" and int(mine[0]["n"]) > 50
    done = tickcast("run", "--model", model, "--data", tmp_path / "data", "--duration", "6s", "--history", "10m",
                    "--symbols", "SPY", "--no-serve", timeout=120)
    assert done.returncode == 0, done.stderr
    db = next((tmp_path / "data").rglob("tickcast.db"))
    with sqlite3.connect(db) as store:
        kept = store.execute("SELECT count(*), min(flags & 16) FROM forecasts WHERE model = ?",
                             (card["id"],)).fetchone()
        assert kept[0] > 50 and kept[1] == 16  # flagged price_level
        scored = store.execute("SELECT sum(n) FROM score_sums WHERE model = ?",
                               (card["id"],)).fetchone()
        assert scored[0] > 50


PEER = """
import json, sys, torch
torch.manual_seed(int(sys.argv[2])); features, hidden, layers, steps = map(int, sys.argv[3:7])
bias = sys.argv[7] == "1"
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.LSTM(features, hidden, layers, batch_first=True, bias=bias, dropout=0)
        self.head = torch.nn.Linear(hidden, 1)
    def forward(self, x):
        return self.head(self.body(x)[0][:, -1])
net = Net().eval()
torch.save(net.state_dict(), sys.argv[1])
x = torch.rand(1, steps, features)
with torch.no_grad():
    print(json.dumps({"x": x[0].double().tolist(), "y": float(net(x))}))
"""


@pytest.mark.parametrize("features, hidden, layers, steps, bias, preset", [
    (5, 200, 5, 200, 1, "classic-5x200"), (20, 50, 2, 10, 1, "blocks-2x50"), (1, 1, 1, 1, 1, None),
    (3, 7, 3, 13, 0, None), (7, 33, 1, 50, 1, None), (2, 65, 4, 21, 1, None), (6, 128, 2, 31, 0, None),
])
def test_the_output_is_pytorchs(tickcast, binary, environment, tmp_path, features, hidden, layers, steps, bias,
                                preset):
    python = python_with("torch")
    made = subprocess.run([python, "-c", PEER, *map(str, (tmp_path / "odd name.v2.pth", hidden, features, hidden,
                                                          layers, steps, bias))],
                          capture_output=True, text=True, check=True, timeout=300)
    peer = json.loads(made.stdout)
    names = ("price", "volume", "transactions", "high", "low", "open", "vwap")[:features]
    how = ["--preset", preset] if preset else ["--features", ",".join(names), "--window", steps]
    done = tickcast("model", "import", "--pth", tmp_path / "odd name.v2.pth", *how, "-o", tmp_path / "m")
    assert done.returncode == 0, done.stderr
    raw, _ = eval_rows(binary, environment, tmp_path / "m", peer["x"], "--scaled")
    assert abs(raw - peer["y"]) < TOLERANCE


def test_a_file_of_the_old_form_is_refused_and_its_line_converts_it(tickcast, tmp_path):
    python = python_with("torch")
    save = ("import torch; n = torch.nn.ModuleDict({'lstm': torch.nn.LSTM(5, 4), 'out': torch.nn.Linear(4, 1)}); "
            "torch.save(n.state_dict(), 'OLD.pth', _use_new_zipfile_serialization=False)")
    subprocess.run([python, "-c", save], cwd=tmp_path, check=True)
    words = ["--preset", "classic-5x200", "-o", "m.safetensors"]
    done = tickcast("model", "import", "--pth", "OLD.pth", *words)
    line = re.search(r'python3 -c "(.*)"', done.stderr)
    assert done.returncode == 4 and line, done.stderr
    subprocess.run([python, "-c", line[1]], cwd=tmp_path, check=True)
    assert tickcast("model", "import", "--pth", "NEW.pth", *words).returncode == 0


FIT = """
import json, sys, joblib, numpy
from sklearn.preprocessing import MinMaxScaler, StandardScaler
makers = {"minmax": MinMaxScaler, "standard": StandardScaler, "clip": lambda: MinMaxScaler((-1, 2), clip=True)}
kind, named = sys.argv[2], sys.argv[3] == "1"
rng = numpy.random.default_rng(3)
x = rng.normal(size=(200, 5)) * [3, 900, 20, 3, 3] + [480, 5000, 90, 480.5, 479.5]
scaler = makers[kind]().fit(x)
x = x[:20] * [1.01, 2, 1, 0.99, 1]  # some of it beyond what was fitted
z = scaler.transform(x)
if named:
    scaler.feature_names_in_ = numpy.array(["curr_price", "volume", "n_transactions", "high_price", "low_price"],
                                           dtype=object)
joblib.dump(scaler, sys.argv[1], compress=int(sys.argv[4]))
print(json.dumps({"x": x.tolist(), "z": z.tolist(), "far": float(abs(z).max())}))
"""


@pytest.mark.parametrize("kind", ["minmax", "standard", "clip"])
@pytest.mark.parametrize("named", ["0", "1"])
def test_rows_are_scaled_as_scikit_learn_does(tickcast, binary, environment, tmp_path, kind, named):
    python = python_with("sklearn", "joblib")
    made = subprocess.run([python, "-c", FIT, tmp_path / "s.joblib", kind, named, "0"], capture_output=True,
                          text=True, check=True)
    peer = json.loads(made.stdout)
    done = tickcast("model", "import", "--pth", CORPUS / "torch" / "shared", "--scaler", tmp_path / "s.joblib",
                    "--preset", "classic-5x200", "-o", tmp_path / "m")
    assert done.returncode == 0, done.stderr
    assert " ".join(COLUMNS) in done.stdout
    raw, _ = eval_rows(binary, environment, tmp_path / "m", peer["x"])
    same, _ = eval_rows(binary, environment, tmp_path / "m", peer["z"], "--scaled")
    assert abs(raw - same) < 1e-6
    assert ("kept within its range" in done.stdout) == (kind == "clip")
    assert kind != "clip" or peer["far"] == 2


def test_a_compressed_scaler_is_refused_with_the_line_that_helps(tickcast, tmp_path):
    python = python_with("sklearn", "joblib")
    subprocess.run([python, "-c", FIT, tmp_path / "s.joblib", "minmax", "0", "3"], check=True, capture_output=True)
    done = tickcast("model", "import", "--pth", CORPUS / "torch" / "shared", "--scaler", tmp_path / "s.joblib",
                    "--preset", "classic-5x200", "-o", tmp_path / "m")
    assert done.returncode == 4 and "compress=0" in done.stderr


def test_a_weight_that_is_no_number_is_refused(tickcast, tmp_path):
    """The last storage of the file, one float, becomes NaN, and its CRC with it."""

    data = bytearray((CORPUS / "torch" / "shared").read_bytes())
    good = struct.pack("<f", value(6000))
    data = data.replace(good, struct.pack("<f", math.nan))
    data = data.replace(struct.pack("<I", zlib.crc32(good)),
                        struct.pack("<I", zlib.crc32(struct.pack("<f", math.nan))))
    (tmp_path / "nan.pth").write_bytes(data)
    done = tickcast("model", "import", "--pth", "nan.pth", "--preset", "classic-5x200", "-o", "m")
    assert done.returncode == 4 and "no number up to a million" in done.stderr, done.stderr


def lstm_tensors(rng, features, hidden, layers, outputs, dtype):
    """A foreign file's tensors under names of its own."""
    out = {"head.weight": rng.normal(size=(outputs, hidden)), "head.bias": rng.normal(size=outputs)}
    for l in range(layers):
        out[f"encoder.rnn.weight_ih_l{l}"] = rng.normal(size=(4 * hidden, hidden if l else features)) / 3
        out[f"encoder.rnn.weight_hh_l{l}"] = rng.normal(size=(4 * hidden, hidden)) / 3
        out[f"encoder.rnn.bias_ih_l{l}"] = rng.normal(size=4 * hidden)
        out[f"encoder.rnn.bias_hh_l{l}"] = rng.normal(size=4 * hidden)
    return {name: v.astype(dtype) for name, v in out.items()}


def numpy_forward(tensors, rows, hidden, layers):
    """In float64 from the tensors as they were rounded."""
    w = {name: v.astype(numpy.float64) for name, v in tensors.items()}
    sigmoid = lambda v: 1 / (1 + numpy.exp(-v))
    x = numpy.array(rows)
    for l in range(layers):
        h = c = numpy.zeros(hidden)
        out = []
        for row in x:
            i, f, g, o = numpy.split(w[f"encoder.rnn.weight_ih_l{l}"] @ row + w[f"encoder.rnn.weight_hh_l{l}"] @ h +
                                     w[f"encoder.rnn.bias_ih_l{l}"] + w[f"encoder.rnn.bias_hh_l{l}"], 4)
            c = sigmoid(f) * c + sigmoid(i) * numpy.tanh(g)
            h = sigmoid(o) * numpy.tanh(c)
            out.append(h)
        x = numpy.array(out)
    return w["head.weight"] @ x[-1] + w["head.bias"]


@pytest.mark.parametrize("dtype, outputs", [("float32", 1), ("float64", 3), ("float16", 12)])
def test_safetensors_of_others_and_several_outputs(tickcast, binary, environment, tmp_path, dtype, outputs):
    rng = numpy.random.default_rng(outputs)
    tensors = lstm_tensors(rng, 3, 5, 2, outputs, dtype)
    safetensors.numpy.save_file(tensors, tmp_path / "net.safetensors", metadata={"format": "pt"})
    kinds = ["next", "mid:500ms", *(f"last:{k}s" for k in range(1, 11))][:outputs]
    done = tickcast("model", "import", "--pth", tmp_path / "net.safetensors", "--features", "price,high,low",
                    "--window", "9", "--target", ",".join(kinds), "-o", tmp_path / "m.safetensors")
    assert done.returncode == 0, done.stderr
    assert "price high low" in done.stdout
    card = json.loads(tickcast("model", "show", "--json", tmp_path / "m.safetensors").stdout)
    assert [(t["kind"], t["horizon_ms"]) for t in card["targets"]][:3] == \
        [("next", 0), ("mid", 500), ("last", 1000)][:outputs]
    rows = rng.normal(size=(9, 3)).tolist()
    raw, value_ = eval_all(binary, environment, tmp_path / "m.safetensors", rows)
    expected = numpy_forward(tensors, rows, 5, 2)
    assert numpy.abs(numpy.array(raw) - expected).max() < TOLERANCE * max(1, numpy.abs(expected).max())
    assert raw == value_, "without a scaler the output is the value"


def test_targets_that_make_no_sense_are_refused(tickcast, tmp_path):
    words = ["model", "import", "--pth", CORPUS / "torch" / "shared", "--preset", "classic-5x200", "-o", "m"]
    for target, because in (("close", "next, last, mid"), ("last", "--horizon"), ("next:1s", "--horizon"),
                            ("last:1s,last:1000ms", "twice"), ("mid:2h", "at most 1h"), ("mid:soon", "mid:soon"),
                            (",".join(f"last:{k}s" for k in range(1, 20)), "1 to 12")):
        done = tickcast(*words, "--target", target)
        assert done.returncode == 2 and because in done.stderr, done.stderr
    done = tickcast(*words, "--target", "last", "--horizon", "5s")
    assert done.returncode == 0 and "last:5s" in done.stdout, done.stderr


def test_a_safetensors_file_that_lies_is_refused(tickcast, tmp_path):
    good = tmp_path / "good"
    rng = numpy.random.default_rng(1)
    safetensors.numpy.save_file(lstm_tensors(rng, 1, 2, 1, 1, "float32"), good)
    data = good.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    def with_header(change):
        changed = json.loads(json.dumps(header))
        change(changed)
        text = json.dumps(changed).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + length:]
    def entry(**fields):
        return with_header(lambda h: h["head.bias"].update(fields))
    cases = {
        "cut": data[:-5], "length": struct.pack("<Q", 1 << 40) + data[8:], "shape": entry(shape=[2]),
        "type": entry(dtype="F99"), "overlap": entry(data_offsets=[0, 4]), "minus": entry(shape=[-1]),
        "overflow": entry(shape=[1 << 62, 1 << 62]), "text": entry(dtype="I32"),
        "deep": struct.pack("<Q", 6000) + b'{"a":' + b"[" * 5995,
        "nobody": with_header(lambda h: h.pop("head.bias")),
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        done = tickcast("model", "import", "--pth", tmp_path / name, "--features", "price", "--window", "3", "-o",
                        tmp_path / "m")
        assert done.returncode == 4 and name in done.stderr, (name, done.stderr)
        assert not (tmp_path / "m").exists()

"""tickcast model export: ONNX Runtime and PyTorch give our output from what it writes."""
import json
import re
import subprocess

import numpy
import onnxruntime
import pytest
import safetensors.numpy

from conftest import ROOT
from models import eval_all, python_with

CORPUS = ROOT / "tests" / "fuzz" / "corpus"
SHIPPED = ROOT / "models" / "default.safetensors"
TOLERANCE = 1e-5


def card_of(tickcast, model):
    return json.loads(tickcast("model", "show", "--json", model).stdout)


def export(tickcast, model, out, *flags):
    done = tickcast("model", "export", model, "-o", out, *flags)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_onnx(path, rows, states=None):
    """{output: array} of ONNX Runtime, from zero state unless one is given."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    first, *state = session.get_inputs()
    kind = numpy.float64 if first.type == "tensor(double)" else numpy.float32
    feed = {first.name: numpy.array(rows, kind)}
    batch = feed[first.name].shape[0]
    for s in state:
        feed[s.name] = (states or {}).get(s.name, numpy.zeros((s.shape[0], batch, s.shape[2]), numpy.float32))
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feed)))


def same(found, expected):
    found, expected = numpy.array(found), numpy.array(expected)
    assert found.shape == expected.shape
    assert numpy.abs(found - expected).max() <= TOLERANCE * max(1, numpy.abs(expected).max())


def random_model(folder, features, hidden, layers, units, targets, skip, stateful, block=1, seed=1):
    """A model file of any shape, written by the safetensors library itself."""
    rng = numpy.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape).astype(numpy.float32) / numpy.float32(numpy.sqrt(shape[-1]))
    inputs = features * (4 if block > 1 else 1)
    tensors = {}
    if units:
        tensors |= {"input.weight": draw(units, inputs), "input.bias": draw(units)}
    for l in range(layers):
        tensors |= {f"lstm.weight_ih_l{l}": draw(4 * hidden, hidden if l else units or inputs),
                    f"lstm.weight_hh_l{l}": draw(4 * hidden, hidden),
                    f"lstm.bias_ih_l{l}": draw(4 * hidden), f"lstm.bias_hh_l{l}": draw(4 * hidden)}
    tensors |= {"output.weight": draw(targets, hidden), "output.bias": draw(targets)}
    if skip:
        tensors["skip.weight"] = draw(targets, inputs)
    names = [f"f{i}" for i in range(features)]
    meta = {"format": "tickcast-model-1", "kind": "lstm", "name": "random", "inputs": "T14", "feature_hash": "x",
            "mode": "stateful" if stateful else "window", "features": json.dumps(names), "scaler_clip": "3",
            "scaler_mean": json.dumps(rng.normal(size=features).tolist()),
            "scaler_sd": json.dumps((rng.random(features) + 0.5).tolist()),
            "targets": json.dumps([{"kind": "last", "horizon_ms": 1000 * (j + 1), "scale": 1.5 + j, "shrink": 0.75,
                                    "offset": j / 4, "val_ratio": None, "val_dm_t": None} for j in range(targets)]),
            "target_unit": "move_scale", "interval_ms": "1000", "trained_from": "", "trained_to": "",
            "validated_from": "", "validated_to": "", "symbols": "", "trained_rows": "0", "version": "test",
            "data_sha256": ""}
    if not stateful:
        meta["window"] = "30"
    if block > 1:
        meta["block"] = str(block)
    path = folder / "random.safetensors"
    safetensors.numpy.save_file(tensors, path, metadata=meta)
    return path


SHAPES = [(5, 200, 5, 0, 1, 0, 0, 1), (5, 50, 2, 0, 1, 0, 0, 100), (1, 1, 1, 0, 1, 0, 0, 1), (3, 7, 3, 9, 4, 1, 0, 1),
          (14, 48, 1, 48, 7, 1, 1, 1), (6, 33, 2, 0, 2, 0, 1, 1), (2, 65, 4, 3, 1, 1, 0, 6), (4, 17, 2, 5, 3, 1, 1, 7)]
FIELDS = "features, hidden, layers, units, targets, skip, stateful, block"


@pytest.mark.parametrize(FIELDS, SHAPES)
def test_onnx_runtime_gives_our_output(tickcast, binary, environment, tmp_path, features, hidden, layers, units,
                                       targets, skip, stateful, block):
    model = random_model(tmp_path, features, hidden, layers, units, targets, skip, stateful, block)
    rng = numpy.random.default_rng(5)
    rows = 2 * rng.normal(size=(2, 20 * block, features))  # two of a batch; some beyond the scaler's clip
    export(tickcast, model, tmp_path / "m.onnx")
    found = run_onnx(tmp_path / "m.onnx", rows)
    for i in range(2):
        raw, value = eval_all(binary, environment, model, rows[i].tolist())
        same(found["raw"][i], raw)
        same(found["value"][i], value)
    steps = rng.normal(size=(1, 13, features * (4 if block > 1 else 1))).astype(numpy.float32)
    export(tickcast, model, tmp_path / "s.onnx", "--scaled")
    raw, value = eval_all(binary, environment, model, steps[0].tolist(), "--scaled")
    found = run_onnx(tmp_path / "s.onnx", steps)
    same(found["raw"][0], raw)
    same(found["value"][0], value)


def test_the_shipped_model_carries_its_state_from_call_to_call(tickcast, binary, environment, tmp_path):
    said = export(tickcast, SHIPPED, tmp_path / "m.onnx")
    card = card_of(tickcast, SHIPPED)
    assert " ".join(card["features"]) in said and "h_next" in said
    rows = numpy.random.default_rng(2).normal(size=(1, 40, len(card["features"])))
    states = None
    for at in range(0, 40, 8):
        found = run_onnx(tmp_path / "m.onnx", rows[:, at:at + 8], states)
        states = {"h": found["h_next"], "c": found["c_next"]}
    raw, value = eval_all(binary, environment, SHIPPED, rows[0].tolist())
    same(found["raw"][0], raw)
    same(found["value"][0], value)


def test_the_card_stands_in_the_file(tickcast, tmp_path):
    export(tickcast, SHIPPED, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    meta, card = session.get_modelmeta().custom_metadata_map, card_of(tickcast, SHIPPED)
    assert json.loads(meta["features"]) == card["features"] and meta["target_unit"] == card["target_unit"]
    assert session.get_modelmeta().producer_name == "tickcast"


PEER = """
import json, sys, types, numpy, torch
def load_file(path):
    data = open(path, "rb").read()
    n = int.from_bytes(data[:8], "little")
    head = json.loads(data[8:8 + n]); head.pop("__metadata__")
    at = lambda t: numpy.frombuffer(data[8 + n:], "<f4")[t["data_offsets"][0] // 4:t["data_offsets"][1] // 4]
    return {name: torch.tensor(at(t).copy()).reshape(t["shape"]) for name, t in head.items()}
sys.modules["safetensors"] = types.ModuleType("safetensors")
sys.modules["safetensors.torch"] = types.ModuleType("safetensors.torch"); sys.modules["safetensors.torch"].load_file = load_file
code, model, shown = sys.argv[1:]
exec(code)
net = Net(model).eval()
with torch.no_grad():
    y = net(torch.tensor(json.loads(shown), dtype=torch.float32))
print(json.dumps(y.double().tolist()))
"""


def snippet():
    """The class that docs/model.md gives for PyTorch, as it stands there."""
    code, = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "model.md").read_text(), re.S)
    return code


@pytest.mark.parametrize("shape", [None, *SHAPES])
def test_pytorch_gives_our_output_from_safetensors(tickcast, binary, environment, tmp_path, shape):
    """The class in docs/model.md, run by PyTorch on the exported tensors."""
    python = python_with("torch")
    model = random_model(tmp_path, *shape) if shape else SHIPPED
    export(tickcast, model, tmp_path / "out.safetensors")
    tensors = safetensors.numpy.load_file(tmp_path / "out.safetensors")
    inputs = tensors["input.weight" if "input.weight" in tensors else "lstm.weight_ih_l0"].shape[1]
    steps = numpy.random.default_rng(3).normal(size=(1, 25, inputs)).astype(numpy.float32)
    done = subprocess.run([python, "-c", PEER, snippet(), tmp_path / "out.safetensors", json.dumps(steps.tolist())],
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    raw, _ = eval_all(binary, environment, model, steps[0].tolist(), "--scaled")
    same(json.loads(done.stdout)[0], raw)


@pytest.mark.parametrize("model", [SHIPPED, CORPUS / "model" / "lstm-blocks.safetensors"])
def test_a_safetensors_export_is_the_model_again(tickcast, tmp_path, model):
    export(tickcast, model, tmp_path / "a.safetensors")
    export(tickcast, tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    ours, theirs = map(safetensors.numpy.load_file, (tmp_path / "a.safetensors", model))
    assert ours.keys() == theirs.keys() and all((ours[k] == theirs[k]).all() for k in ours)
    before, after = card_of(tickcast, model), card_of(tickcast, tmp_path / "a.safetensors")
    assert {**before, "id": ""} == {**after, "id": ""}


def test_what_cannot_be_exported_is_refused(tickcast, tmp_path):
    for out, flags, because in (("m.pth", [], ".onnx or .safetensors"), ("m.safetensors", ["--scaled"], "no graph")):
        done = tickcast("model", "export", SHIPPED, "-o", tmp_path / out, *flags)
        assert done.returncode == 2 and because in done.stderr and not (tmp_path / out).exists()
    assert tickcast("model", "export", SHIPPED).returncode == 2
    assert tickcast("model", "export", tmp_path / "none", "-o", tmp_path / "m.onnx").returncode == 4
    (tmp_path / "bad").write_bytes(SHIPPED.read_bytes()[:-4])
    assert tickcast("model", "export", tmp_path / "bad", "-o", tmp_path / "m.onnx").returncode == 4
    assert not (tmp_path / "m.onnx").exists()

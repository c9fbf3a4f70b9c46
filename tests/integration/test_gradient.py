"""Gradients of back-propagation through time and steps of the optimizers, against PyTorch's in float64."""
import json
import os
import struct
import subprocess

import pytest

from conftest import BINARY
from models import python_with

HARNESS = BINARY.parent / "tests" / "harness" / "gradient"

PEER = """
import json, struct, subprocess, sys, torch
harness, shape = sys.argv[1], json.loads(sys.argv[2])
torch.manual_seed(shape["seed"]); torch.set_num_threads(1)
d, units, layers, h, k, skip = (shape[n] for n in ("features", "units", "layers", "hidden", "targets", "skip"))
steps, rows = shape["steps"], shape["rows"]
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        if units: self.input = torch.nn.Linear(d, units)
        self.lstm = torch.nn.LSTM(units or d, h, layers)
        self.output = torch.nn.Linear(h, k)
        if skip: self.skip = torch.nn.Linear(d, k, bias=False)
    def forward(self, z):
        y = self.output(self.lstm(torch.tanh(self.input(z)) if units else z)[0])
        return y + self.skip(z) if skip else y
net = Net()
for p in net.parameters(): p.data.mul_(shape.get("spread", 1.0))
z, y = torch.randn(steps, rows, d), torch.randn(steps, rows, k)
w = torch.rand(steps, rows, k) * (torch.rand(steps, rows, k) < 0.6)
flat = torch.cat([p.detach().ravel() for p in net.parameters()])
start = {n: v.double() for n, v in net.state_dict().items()}
floats = lambda t: struct.pack("<%df" % t.numel(), *t.ravel().tolist())
arrays = b"".join(map(floats, (flat, z, y, w)))
net, z, y, w = net.double(), z.double(), y.double(), w.double()
def loss_of(kind):
    e = y - net(z)
    if kind == 0: return (w * e ** 2).sum()
    if kind == 1: return (w * 2 * torch.nn.functional.huber_loss(net(z), y, reduction="none", delta=0.7)).sum()
    return (w * torch.maximum(0.3 * e, -0.7 * e)).sum()
for kind in range(3):
    net.load_state_dict(start); net.zero_grad()
    adam = (kind + shape["seed"]) % 2
    numbers = struct.pack("<11i5d", d, units, layers, h, k, skip, steps, rows, kind, adam, 6, 0.7, 0.3, 0.05, 0.01, 0.5)
    done = subprocess.run([harness], input=numbers + arrays, stdout=subprocess.PIPE, check=True)
    found = struct.unpack("<d%df" % (2 * flat.numel()), done.stdout)
    loss = loss_of(kind); loss.backward()
    at, report = 1, {"loss": [found[0], float(loss)], "parts": []}
    for name, p in net.named_parameters():
        ours = torch.tensor(found[at:at + p.numel()], dtype=torch.float64).reshape(p.shape); at += p.numel()
        off = (ours - p.grad).abs() / (p.grad.abs() + 1e-2 * p.grad.abs().max() + 1e-300)
        report["parts"].append([name, float(off.max())])
    optimizer = (torch.optim.Adam if adam else torch.optim.AdamW)(net.parameters(), lr=0.01, weight_decay=0.05)
    for _ in range(6):
        optimizer.zero_grad(); loss_of(kind).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5); optimizer.step()
    after = torch.tensor(found[1 + flat.numel():], dtype=torch.float64)
    theirs = torch.cat([p.detach().ravel() for p in net.parameters()])
    report["moved"] = float((theirs - flat.double()).abs().mean())
    report["after"] = float((after - theirs).abs().mean())
    print(json.dumps(report))
"""

SHAPES = [dict(features=24, units=0, layers=2, hidden=64, targets=1, skip=0, steps=60, rows=16),
          dict(features=5, units=0, layers=5, hidden=200, targets=1, skip=0, steps=40, rows=3),
          dict(features=14, units=48, layers=1, hidden=48, targets=7, skip=1, steps=33, rows=24),
          dict(features=3, units=5, layers=3, hidden=7, targets=2, skip=1, steps=11, rows=5),
          dict(features=1, units=0, layers=1, hidden=1, targets=1, skip=0, steps=1, rows=1),
          dict(features=6, units=1, layers=2, hidden=33, targets=3, skip=0, steps=21, rows=9, spread=3.0)]


@pytest.mark.parametrize("seed, shape", enumerate(SHAPES))
def test_gradients_and_steps_are_pytorchs(seed, shape):
    """Squared, Huber's and the quantile loss; then six steps of Adam and of AdamW with a clipped gradient."""
    python = python_with("torch")
    done = subprocess.run([python, "-c", PEER, HARNESS, json.dumps({**shape, "seed": seed})], capture_output=True, text=True,
                          timeout=300, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(reports) == 3
    for report in reports:
        ours, theirs = report["loss"]
        assert abs(ours - theirs) <= 1e-5 * max(abs(theirs), 1e-3)
        for name, off in report["parts"]:
            assert off <= 1e-4, f"{name}: a slope is off by {off:g} of itself"
        # On average: where a slope is nearly nothing, its sign, all that Adam sees of it, is a matter of rounding.
        assert report["moved"] > 0.005 and report["after"] < 1e-3 * report["moved"]


def test_an_input_that_is_cut_short_is_refused():
    done = subprocess.run([HARNESS], input=struct.pack("<11i", *range(11)), capture_output=True, check=False)
    assert done.returncode == 1 and b"too short" in done.stderr

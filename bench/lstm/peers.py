"""One peer in a process of its own, asked line by line by bench/lstm/compare. See there for the cases.

    peers.py NAME THREADS FOLDER        NAME: torch, ort or openvino
"""
import json
import os
import pathlib
import sys
import time

import numpy

NAME, THREADS, FOLDER = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
SHAPES = json.loads((FOLDER / "shapes.json").read_text())


def windows(shape, batch):
    s = SHAPES[shape]
    return numpy.fromfile(FOLDER / f"{shape}.f32", numpy.float32).reshape(-1, s["steps"], s["features"])[:batch]


class Torch:
    modes = ("f32", "bf16", "int8")

    def __init__(self):
        import torch  # here, not above: each peer pays for its own modules alone
        self.torch = torch
        torch.set_num_threads(THREADS)
        torch.set_flush_denormal(True)
        self.version = torch.__version__
        self.nets = {}

    def net(self, shape, mode="f32"):
        if (shape, mode) not in self.nets:
            torch, s = self.torch, SHAPES[shape]

            class Net(torch.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.lstm = torch.nn.LSTM(s["features"], s["hidden"], s["layers"], batch_first=True)
                    self.linear = torch.nn.Linear(s["hidden"], 1)

                def forward(self, x):
                    return self.linear(self.lstm(x)[0][:, -1])

            net = Net().eval()
            net.load_state_dict(torch.load(FOLDER / f"{shape}.pth"))
            if mode == "bf16":
                net = net.to(torch.bfloat16)
            elif mode == "int8":
                net = torch.ao.quantization.quantize_dynamic(net, {torch.nn.LSTM, torch.nn.Linear})
            self.nets[shape, mode] = net
        return self.nets[shape, mode]

    def cold(self, shape, mode, batch):
        torch, net = self.torch, self.net(shape, mode)
        x = torch.from_numpy(windows(shape, batch)).to(torch.bfloat16 if mode == "bf16" else torch.float32)

        def call():
            with torch.inference_mode():
                return net(x)
        return call, lambda y: y.float().numpy().ravel()

    def flight(self, shape, mode, symbols):
        """Windows in flight as anybody could do it in PyTorch: all of a layer's open windows are one batch of a
        cell. Gives (to the forecast, after it) for one bar."""
        torch, net, s = self.torch, self.net(shape, "f32"), SHAPES[shape]
        kind = torch.bfloat16 if mode == "bf16" else torch.float32
        lstm, steps = net.lstm, s["steps"]
        w = [[getattr(lstm, f"{n}_l{l}").detach().to(kind) for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
             for l in range(s["layers"])]
        head = [v.detach().to(kind) for v in (net.linear.weight, net.linear.bias)]
        h = [torch.zeros(steps, symbols, s["hidden"], dtype=kind) for _ in w]
        c = [torch.zeros_like(v) for v in h]
        rows = torch.rand(64, symbols, s["features"], generator=torch.Generator().manual_seed(3)).to(kind)
        at = 0

        def advance(x, low, high):
            n = (high - low) * symbols
            for l, part in enumerate(w):
                hs, cs = h[l][low:high].view(n, -1), c[l][low:high].view(n, -1)
                x, cell = torch._VF.lstm_cell(x, (hs, cs), *part)
                hs.copy_(x)
                cs.copy_(cell)
            return x

        def bar():
            nonlocal at
            with torch.inference_mode():
                slot, x = at % steps, rows[at % 64]
                start = time.perf_counter_ns()
                y = torch.nn.functional.linear(advance(x, slot, slot + 1), *head)
                first = time.perf_counter_ns()
                for low, high in ((0, slot), (slot + 1, steps)):
                    if high > low:
                        advance(x.repeat(high - low, 1), low, high)
                for l in range(len(w)):
                    h[l][slot].zero_()
                    c[l][slot].zero_()
                at += 1
                return first - start, time.perf_counter_ns() - first, y
        return bar

    def train(self, shape, mode, batch):
        torch, s = self.torch, SHAPES[shape]
        net = self.net(shape, "train").train()
        for p in net.parameters():
            p.requires_grad_(True)
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        x = torch.from_numpy(windows(shape, batch).copy())
        y = torch.rand(x.shape[0], 1, generator=torch.Generator().manual_seed(5))

        def call():
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=mode == "bf16"):
                loss = torch.nn.functional.mse_loss(net(x).float(), y)
            loss.backward()
            optimizer.step()
            return loss.detach()
        return call, lambda v: v.numpy().ravel()


class Ort:
    modes = ("f32", "int8")

    def __init__(self):
        import onnxruntime
        self.ort = onnxruntime
        self.version = onnxruntime.__version__
        self.sessions = {}

    def cold(self, shape, mode, batch):
        if (shape, mode) not in self.sessions:
            options = self.ort.SessionOptions()
            options.intra_op_num_threads, options.log_severity_level = THREADS, 3
            self.sessions[shape, mode] = self.ort.InferenceSession(
                FOLDER / f"{shape}{'.int8' if mode == 'int8' else ''}.onnx", options, providers=["CPUExecutionProvider"])
        session, x = self.sessions[shape, mode], windows(shape, batch)
        return (lambda: session.run(["raw"], {"inputs": x})[0]), lambda y: y.ravel()


class OpenVino:
    modes = ("f32", "bf16")

    def __init__(self):
        import openvino
        self.ov = openvino
        self.version = openvino.__version__.split("-")[0]
        self.requests = {}

    def cold(self, shape, mode, batch):
        if (shape, mode, batch) not in self.requests:
            core, s = self.ov.Core(), SHAPES[shape]
            model = core.read_model(FOLDER / f"{shape}.onnx")
            model.reshape([batch, s["steps"], s["features"]])
            compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": mode, "PERFORMANCE_HINT": "LATENCY",
                                                         "INFERENCE_NUM_THREADS": THREADS, "NUM_STREAMS": 1})
            self.requests = {k: v for k, v in self.requests.items() if k[2] < 200}  # large ones one at a time
            self.requests[shape, mode, batch] = compiled.create_infer_request()
        request, x = self.requests[shape, mode, batch], windows(shape, batch)

        def call():
            request.infer({"inputs": x}, share_inputs=True)
            return request.get_tensor("raw").data
        return call, lambda y: numpy.array(y).ravel()


def timed(call, seconds, least):
    """Nanoseconds of each call."""
    ns, end = [], time.perf_counter() + seconds
    while len(ns) < least or time.perf_counter() < end:
        start = time.perf_counter_ns()
        call()
        ns.append(time.perf_counter_ns() - start)
    return ns


def answer(peer, what, shape, mode, number, seconds):
    if mode not in peer.modes or not hasattr(peer, what):
        return {"none": f"{NAME} has no {what} in {mode}"}
    if what == "flight":
        bar = peer.flight(shape, mode, number)
        filling = time.perf_counter() + seconds
        for _ in range(SHAPES[shape]["steps"] if seconds > 0 else 1):
            bar()
            if time.perf_counter() > filling:
                break
        first, after, end = [], [], time.perf_counter() + seconds
        while len(first) < 3 or time.perf_counter() < end:
            a, b, _ = bar()
            first.append(a)
            after.append(b)
        return {"ns": first, "after": after}
    call, numbers = peer.__getattribute__(what)(shape, mode, number)
    out = numbers(call())
    return {"ns": timed(call, seconds, 1 if number > 64 else 3), "out": [float(v) for v in out[:64]]}


def main():
    peer = {"torch": Torch, "ort": Ort, "openvino": OpenVino}[NAME]()
    print(json.dumps({"version": peer.version, "pid": os.getpid()}), flush=True)
    for line in sys.stdin:
        what, shape, mode, number, seconds = line.split()
        try:
            found = answer(peer, what, shape, mode, int(number), float(seconds))
        except Exception as error:  # one mode that a peer lacks must not end the others
            found = {"none": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(found), flush=True)


main()

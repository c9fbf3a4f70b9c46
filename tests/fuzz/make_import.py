#!/usr/bin/env python3
"""Writes corpus/torch, corpus/joblib and corpus/pickle: model files as PyTorch and joblib write them, and
files that lie (refused-...). Fuzz seeds and, by name, the input of unit and integration tests.

Only the standard library: the zip and pickle bytes are put together here, so that the readers are tested
where PyTorch and scikit-learn are not installed (tests/integration/test_import.py runs those). The values are
small fixed fractions. Run again after a change here; a test compares the folders with what this writes.

    python3 tests/fuzz/make_import.py [FOLDER]
"""
import json
import pathlib
import struct
import sys
import zlib


# --- pickle opcodes ---------------------------------------------------------------------------------------
def text(s):
    b = s.encode()
    return b"X" + struct.pack("<I", len(b)) + b


def integer(i):
    if 0 <= i < 256:
        return b"K" + bytes([i])
    return b"J" + struct.pack("<i", i) if abs(i) < 2**31 else b"\x8a\x08" + struct.pack("<q", i)


def real(f):
    return b"G" + struct.pack(">d", f)


def truth(v):
    return b"\x88" if v else b"\x89"


def tup(*items):
    return b"(" + b"".join(items) + b"t"


def name(module, what):
    return f"c{module}\n{what}\n".encode()


def call(cls, *args):
    return cls + tup(*args) + b"R"


def dictionary(pairs, start=b"}"):
    return start + b"(" + b"".join(text(k) + v for k, v in pairs) + b"u"


def pickle(body, protocol=2):
    return b"\x80" + bytes([protocol]) + body + b"."


ORDERED = name("collections", "OrderedDict") + b")R"


# --- zip --------------------------------------------------------------------------------------------------
def archive(members, method=0):
    """As PyTorch's writer: sizes after the data (flag bit 3), data at multiples of 64, ZIP64 end record."""
    out, directory = b"", b""
    for path, data in members:
        n, crc = path.encode(), zlib.crc32(data)
        packed = data
        if method == 8:
            c = zlib.compressobj(9, zlib.DEFLATED, -15)
            packed = c.compress(data) + c.flush()
        at = len(out)
        gap = -(at + 30 + len(n) + 4) % 64
        extra = b"FB" + struct.pack("<H", gap) + b"Z" * gap
        out += struct.pack("<IHHHHHIIIHH", 0x04034B50, 0, 0x0808, method, 0, 0, 0, 0, 0, len(n), len(extra))
        out += n + extra + packed + struct.pack("<IIII", 0x08074B50, crc, len(packed), len(data))
        directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 0, 0, 0x0808, method, 0, 0, crc,
                                 len(packed), len(data), len(n), 0, 0, 0, 0, 0, at) + n
    at = len(out)
    end64 = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, len(members), len(members),
                        len(directory), at)
    locator = struct.pack("<IIQI", 0x07064B50, 0, at + len(directory), 1)
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, len(members), len(members), len(directory), at, 0)
    return out + directory + end64 + locator + end


# --- PyTorch ----------------------------------------------------------------------------------------------
def storage(cls, key, count):
    return tup(text("storage"), name("torch", cls), text(key), text("cuda:0"), integer(count)) + b"Q"


def tensor(store, offset, size, stride):
    return call(name("torch._utils", "_rebuild_tensor_v2"), store, integer(offset),
                tup(*map(integer, size)), tup(*map(integer, stride)), truth(False), ORDERED)


def value(i):
    """Fractions of 1024 within (-1, 1): exact as half and as single; their upper 7 bits as bfloat16."""
    return ((i * 389 + 71) % 1023 - 511) / 1024


def torch_file(body, storages, stem="net", method=0, more=()):
    members = [(f"{stem}/data.pkl", pickle(body)), (f"{stem}/byteorder", b"little")]
    members += [(f"{stem}/data/{k}", v) for k, v in storages]
    members += [(f"{stem}/version", b"3\n"), *more]
    return archive(members, method)


def lstm_shapes(layers, hidden, features):
    for l in range(layers):
        yield f"weight_ih_l{l}", (4 * hidden, hidden if l else features)
        yield f"weight_hh_l{l}", (4 * hidden, hidden)
    for l in range(layers):
        yield f"bias_ih_l{l}", (4 * hidden,)
        yield f"bias_hh_l{l}", (4 * hidden,)


def strides(shape):
    return (shape[1], 1) if len(shape) == 2 else (1,)


def shared(layers=2, hidden=3, features=5, prefix="net.lstm.", linear="net.linear.", stem="net"):
    """Every LSTM tensor a view of storage 0, as after training on a GPU."""
    pairs, at = [], 0
    total = sum(s[0] * (s[1] if len(s) == 2 else 1) for _, s in lstm_shapes(layers, hidden, features))
    for n, s in lstm_shapes(layers, hidden, features):
        pairs.append((prefix + n, tensor(storage("FloatStorage", "0", total), at, s, strides(s))))
        at += s[0] * (s[1] if len(s) == 2 else 1)
    weight, bias = storage("FloatStorage", "1", hidden), storage("FloatStorage", "2", 1)
    pairs.append((linear + "weight", tensor(weight, 0, (1, hidden), (hidden, 1))))
    pairs.append((linear + "bias", tensor(bias, 0, (1,), (1,))))
    body = dictionary(pairs, ORDERED) + b"}" + text("_metadata") + ORDERED + b"sb"
    floats = [struct.pack("<%df" % n, *map(value, range(k, k + n))) for k, n in
              ((0, total), (5000, hidden), (6000, 1))]
    return torch_file(body, [("0", floats[0]), ("1", floats[1]), ("2", floats[2])], stem)


def strided():
    """A checkpoint: dicts in a dict, other element types, a transposed and an offset view."""
    half = struct.pack("<6e", *map(value, range(6)))
    double = struct.pack("<7d", *map(value, range(7)))
    bfloat = b"".join(struct.pack("<f", value(i))[2:] for i in range(4))
    whole = struct.pack("<1q", 7)
    state = dictionary([
        ("half.t", tensor(storage("HalfStorage", "h", 6), 0, (3, 2), (1, 3))),
        ("double.tail", tensor(storage("DoubleStorage", "d", 7), 3, (2, 2), (2, 1))),
        ("bfloat", tensor(storage("BFloat16Storage", "b", 4), 0, (4,), (1,))),
        ("scalar", tensor(storage("DoubleStorage", "d", 7), 6, (), ())),
        ("count", tensor(storage("LongStorage", "l", 1), 0, (), ())),
    ], ORDERED)
    parameter = call(name("torch._utils", "_rebuild_parameter"),
                     tensor(storage("DoubleStorage", "d", 7), 0, (1,), (1,)), truth(True), ORDERED)
    body = dictionary([("epoch", integer(3)), ("model", state), ("loss", real(0.25)), ("p", parameter)])
    return torch_file(body, [("h", half), ("d", double), ("b", bfloat), ("l", whole)], "checkpoint")


def one_tensor(view, storages=(("0", bytes(16)),), **more):
    return torch_file(dictionary([("w", view)], ORDERED), list(storages), **more)


def torch_refused():
    floats = lambda count=4: storage("FloatStorage", "0", count)
    good = tensor(floats(), 0, (2, 2), (2, 1))
    yield "legacy", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
    yield "runs-a-command", torch_file(call(name("os", "system"), text("echo no")), [])
    yield "whole-model", torch_file(name("__main__", "Forecaster") + b")\x81}b", [])
    yield "compressed", one_tensor(good, method=8)
    yield "view-past-end", one_tensor(tensor(floats(), 1, (2, 2), (2, 1)))
    yield "stride-past-end", one_tensor(tensor(floats(), 0, (2, 2), (3, 1)))
    yield "expanded", one_tensor(tensor(floats(), 0, (1000000, 1000000), (0, 0)))
    yield "sizes-overflow", one_tensor(tensor(floats(), 0, (2147483647,) * 4, (0,) * 4))
    yield "storage-lies", one_tensor(tensor(floats(5), 0, (5,), (1,)))
    yield "storage-missing", one_tensor(good, storages=())
    yield "big-endian", archive([("a/data.pkl", pickle(dictionary([("w", good)]))), ("a/byteorder", b"big"),
                                 ("a/data/0", bytes(16))])
    yield "program", one_tensor(good, more=[("net/constants.pkl", pickle(b")"))])
    yield "loop", torch_file(b"}q\x00(" + b"".join(text("k%d" % i) + b"h\x00" for i in range(40)) + b"u", [])
    yield "twice", torch_file(dictionary([("w", good), ("w", good)]), [("0", bytes(16))])
    yield "list", torch_file(b"](" + good + b"e", [("0", bytes(16))])
    yield "empty", torch_file(b"}", [])
    yield "no-pickle", archive([("a/version", b"3\n")])
    yield "safetensors-overflow", safetensors([("w", [0, 1 << 62, 1 << 62], "F32", b"")])
    yield "safetensors-none", safetensors([])


# --- safetensors ------------------------------------------------------------------------------------------
def safetensors(tensors):
    """tensors: name, shape, dtype, bytes."""
    header, at = {}, 0
    for n, shape, dtype, data in tensors:
        header[n] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text_ = json.dumps(header).encode()
    return struct.pack("<Q", len(text_)) + text_ + b"".join(t[3] for t in tensors)


def foreign(hidden=2, features=5):
    """An LSTM of one layer as another program might write it: half floats, names of its own."""
    sizes = [("rnn.weight_ih_l0", [4 * hidden, features]), ("rnn.weight_hh_l0", [4 * hidden, hidden]),
             ("rnn.bias_ih_l0", [4 * hidden]), ("rnn.bias_hh_l0", [4 * hidden]), ("fc.weight", [1, hidden]),
             ("fc.bias", [1])]
    count = lambda shape: shape[0] * (shape[1] if len(shape) == 2 else 1)
    return safetensors([(n, s, "F16", struct.pack("<%de" % count(s), *map(value, range(count(s)))))
                        for n, s in sizes])


# --- joblib -----------------------------------------------------------------------------------------------
def short(s):
    return b"\x8c" + bytes([len(s)]) + s.encode()


def known(module, what):
    return short(module) + short(what) + b"\x93"


def dtype(code, order):
    return (known("numpy", "dtype") + tup(short(code), truth(False), truth(True)) + b"R" +
            tup(integer(3), short(order), b"N", b"N", b"N", integer(-1), integer(-1),
                integer(63 if code == "O8" else 0)) + b"b")


class Dump:
    """A joblib dump under construction: arrays know where in the file they stand."""

    def __init__(self, padded):
        self.padded, self.out = padded, b"\x80\x04\x95" + bytes(8)

    def add(self, b):
        self.out += b

    def array(self, code, order, count):
        self.add(known("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81}(")
        self.add(short("subclass") + known("numpy", "ndarray") + short("shape") + integer(count) + b"\x85")
        self.add(short("order") + short("C") + short("dtype") + dtype(code, order))
        self.add(short("allow_mmap") + truth(code != "O8"))
        if self.padded:
            self.add(short("numpy_array_alignment_bytes") + integer(16))
        self.add(b"ub")

    def numbers(self, attribute, values):
        self.add(short(attribute))
        self.array("f8", "<", len(values))
        if self.padded:
            gap = 16 - (len(self.out) + 1) % 16
            self.add(bytes([gap]) + b"\xff" * gap)
        self.add(struct.pack("<%dd" % len(values), *values) + b"\x95" + bytes(8))

    def names(self, attribute, values):
        self.add(short(attribute))
        self.array("O8", "|", len(values))
        encode = call(name("_codecs", "encode"), text("b"), text("latin1"))
        nested = call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"),
                      tup(integer(0)), encode)
        kind = call(name("numpy", "dtype"), text("O8"), truth(False), truth(True)) + tup(
            integer(3), text("|"), b"N", b"N", b"N", integer(-1), integer(-1), integer(63)) + b"b"
        nested += tup(integer(1), tup(integer(len(values))), kind, truth(False),
                      b"](" + b"".join(map(text, values)) + b"e") + b"b"
        self.add(pickle(nested) + b"\x95" + bytes(8))


LOW = (100.0, 464.5, 464.25, 464.0, 1.0)
SPAN = (1000000.0, 48.0, 48.5, 49.0, 4000.0)
NAMES = ("volume", "curr_price", "high_price", "low_price", "n_transactions")


def minmax(padded=True, named=True, clip=False, cls="MinMaxScaler", length=5, scale=None):
    d = Dump(padded)
    d.add(known("sklearn.preprocessing._data", cls) + b")\x81}(")
    d.add(short("feature_range") + integer(0) + integer(1) + b"\x86" + short("copy") + truth(True))
    d.add(short("clip") + truth(clip))
    if named:
        d.names("feature_names_in_", NAMES)
    d.add(short("n_features_in_") + integer(5) + short("n_samples_seen_") + integer(975997))
    d.numbers("scale_", scale or [1 / s for s in SPAN])
    d.numbers("min_", [-l / s for l, s in zip(LOW, SPAN)][:length])
    d.numbers("data_min_", LOW)
    d.numbers("data_range_", SPAN)
    d.add(short("_sklearn_version") + short("1.4.1.post1") + b"ub.")
    return d.out


def standard():
    """As joblib before 1.2 writes: no padding; counts as a numpy number."""
    d = Dump(False)
    d.add(known("sklearn.preprocessing._data", "StandardScaler") + b")\x81}(")
    d.add(short("copy") + truth(True) + short("with_mean") + truth(True) + short("with_std") + truth(True))
    d.add(short("n_samples_seen_") + known("numpy.core.multiarray", "scalar") + dtype("i8", "<") +
          b"C\x08" + struct.pack("<q", 1000) + b"\x86R")
    d.numbers("mean_", LOW)
    d.numbers("var_", [s * s for s in SPAN])
    d.numbers("scale_", SPAN)
    d.add(b"ub.")
    return d.out


def scalers_refused():
    good = minmax()
    yield "compressed", zlib.compress(good)
    yield "other-class", good.replace(b"MinMaxScaler", b"RobustScaler")
    yield "short-column", minmax(length=4)
    yield "zero-scale", minmax(scale=[1.0, 1.0, 0.0, 1.0, 1.0])
    yield "nan-scale", minmax(scale=[1.0, float("nan"), 1.0, 1.0, 1.0])
    yield "big-endian", good.replace(short("<"), short(">"))
    yield "more-behind", good + b"."
    yield "unfitted", pickle(known("sklearn.preprocessing._data", "MinMaxScaler") + b")\x81}b", 4)
    yield "nested", nest(4)


def nest(depth):
    """Object arrays in object arrays."""
    d = Dump(False)
    for _ in range(depth):
        d.array("O8", "|", 1)
        d.add(b"\x80\x02")
    return d.out


def opcodes():
    """Small pickles on their own: plain data, and what breaks the machine's rules."""
    yield "data", pickle(dictionary([("a", tup(integer(-3), real(0.5), b"N", truth(True))),
                                     ("b", b"](K\x01K\x02e"), ("c", b"C\x02\xff\x00"), ("d", b"\x8a\x03\x00\x00\x80"),
                                     ("e", b"]q\x07h\x07a")]), 4)
    yield "refused-marks", b"\x80\x02" + b"(" * 300
    yield "refused-no-mark", b"\x80\x02t."
    yield "refused-empty-stack", b"\x80\x02R."
    yield "refused-below-mark", b"\x80\x02K\x01(\x85."
    yield "refused-memo", b"\x80\x02h\x05."
    yield "refused-memo-far", b"\x80\x02Nr\xff\xff\xff\x7f."
    yield "refused-two-left", b"\x80\x02NN."
    yield "refused-long-text", b"\x80\x02\x8d" + b"\xff" * 8 + b"abc"
    yield "refused-odd-pairs", b"\x80\x02}(X\x01\x00\x00\x00au."
    yield "refused-utf8", b"\x80\x02X\x02\x00\x00\x00\xc0\x80."
    yield "refused-no-class", b"\x80\x02K\x01)R."
    yield "refused-protocol", b"\x80\x09N."
    yield "refused-inst", b"\x80\x02(ios\nsystem\n."
    yield "refused-ext", b"\x80\x02\x82\x01."


def main(folder):
    torch = {"shared": shared(), "strided": strided(), "blocks": shared(2, 3, 20), "safetensors": foreign()}
    torch |= {f"refused-{n}": b for n, b in torch_refused()}
    joblib = {"minmax": minmax(), "old": minmax(False, False), "standard": standard(),
              "clip": minmax(clip=True)}
    joblib |= {f"refused-{n}": b for n, b in scalers_refused()}
    together = {n: struct.pack("<I", len(net)) + net + scaler for n, net, scaler in (
        ("shared-minmax", torch["shared"], joblib["minmax"]), ("shared-clip", torch["shared"], joblib["clip"]),
        ("safetensors-standard", torch["safetensors"], joblib["standard"]), ("blocks", torch["blocks"], b""))}
    for kind, files in ("torch", torch), ("joblib", joblib), ("import", together), ("pickle", dict(opcodes())):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for n, b in files.items():
            (folder / kind / n).write_bytes(b)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "corpus"))

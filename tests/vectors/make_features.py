#!/usr/bin/env python3
"""Makes features.csv: generated bars and what the feature formulas of docs/forecasting.md say of them.

Written from the formulas alone, over whole arrays, so that it shares nothing with the streaming C code that
tests/unit/test_features.c compares with it. Needs numpy. Run: python3 make_features.py > features.csv
"""
import numpy as np

N, TICK = 240, 0.01
T14 = "d1 c_ema2 c_ema4 c_ema16 tr_dec c_hl2 c_pH c_pL rmax5 rmin5 c_vw c_emavw4 c_emavw8 c_ema64".split()
K11 = "d1 c_ema2 c_ema4 c_ema16 tr_dec c_tm5 c_tm20 up_c dn_c sg20 lit_c".split()
PLAIN = {"tr_dec", "sg20"}


def generate(rng):
    mid = 5000 + np.cumsum(rng.integers(-1, 2, N) * (rng.random(N) < 0.4))
    c = mid + rng.integers(-1, 2, N)
    o = mid + rng.integers(-1, 2, N)
    h = np.maximum(c, o) + rng.integers(0, 2, N)
    lo = np.minimum(c, o) - rng.integers(0, 2, N)
    h[100] += 152  # one bad print, there and back
    c[100] += 152
    vw = lo + (h - lo) * np.round(rng.random(N), 3)
    vw[rng.random(N) < 0.1] = np.nan  # the source does not say
    vw[50] = c[50] + 75  # absurd
    bars = {"open": o / 100, "high": h / 100, "low": lo / 100, "close": c / 100, "vwap": vw / 100}
    for name, spread in (("tm5", 1), ("tm20", 2), ("up", 1), ("dn", 1), ("lit", 1)):
        bars[name] = np.round((c + spread * rng.standard_normal(N)) / 100, 4)
    bars["sg20"] = rng.integers(-20, 21, N) / 20
    return bars


def ema(x, span):
    n = len(x)
    w = (1 - 1 / span) ** np.arange(n)
    return np.array([(w[:i][::-1] @ x[1 : i + 1]) / span + w[i] * x[0] for i in range(n)])


def features(b):
    c, h, lo = b["close"] * 100, b["high"] * 100, b["low"] * 100
    vw = b["vwap"] * 100
    vw = np.where(np.isfinite(vw) & (np.abs(vw - c) < np.maximum(60, 0.003 * c)), vw, c)
    f = {"d1": np.r_[0, np.diff(c)]}
    f["d1"] = np.round(f["d1"], 9)
    for s in (2, 4, 16, 64):
        f[f"c_ema{s}"] = c - ema(c, s)
    sign = np.sign(f["d1"])
    where = np.where(sign != 0, np.arange(N), -1)
    last = np.maximum.accumulate(where)
    f["tr_dec"] = np.where(last < 0, 0, sign[last] / (1.0 + np.arange(N) - last))
    f["c_hl2"] = c - (h + lo) / 2
    f["c_pH"] = c - np.r_[h[0], h[:-1]]
    f["c_pL"] = c - np.r_[lo[0], lo[:-1]]
    f["rmax5"] = np.array([h[max(0, i - 4) : i + 1].max() for i in range(N)]) - c
    f["rmin5"] = c - np.array([lo[max(0, i - 4) : i + 1].min() for i in range(N)])
    f["c_vw"] = c - vw
    for s in (4, 8):
        f[f"c_emavw{s}"] = c - ema(vw, s)
    f["c_tm5"], f["c_tm20"] = c - 100 * b["tm5"], c - 100 * b["tm20"]
    f["up_c"], f["dn_c"], f["lit_c"] = 100 * b["up"] - c, 100 * b["dn"] - c, 100 * b["lit"] - c
    f["sg20"] = b["sg20"]
    return f


def scales(d1):
    """Price units. The plain mean of the start value (10 times) and the moves, then weights of 1/512."""
    out, s, n = [], TICK, 10
    for i, d in enumerate(np.abs(d1) / 100):
        if i > 0:
            n = min(n + 1, 512)
            s += (min(d, 8 * max(s, 0.1 * TICK)) - s) / n
        out.append(max(s, 0.1 * TICK))
    return np.array(out)


def main():
    bars = generate(np.random.default_rng(20131007))
    f = features(bars)
    s = scales(f["d1"])
    cols = list(bars.values())
    cols += [f[n] for n in T14] + [f[n] for n in K11[5:]]
    cols += [f[n] if n in PLAIN else f[n] / 100 / s for n in T14] + [s]
    print(",".join(list(bars) + T14 + K11[5:] + ["scaled_" + n for n in T14] + ["scale"]))
    for row in zip(*cols):
        print(",".join("" if np.isnan(v) else f"{v:.7g}" for v in row))


if __name__ == "__main__":
    main()

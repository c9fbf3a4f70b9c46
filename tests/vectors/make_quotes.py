#!/usr/bin/env python3
"""Makes quotes.csv: generated seconds with bars, tape and quotes, and what the feature formulas of docs/forecasting.md
say of every traded one whose quotes are usable.

Written from the formulas alone, over whole arrays, so that it shares nothing with the streaming C code that
tests/unit/test_features.c compares with it. Needs numpy. Run: python3 make_quotes.py > quotes.csv
"""
import numpy as np

N, TICK = 260, 0.01
PRICES = "open high low close vwap tm5 tm20 up dn lit bid ask".split()
PLAIN = "volume trades sg20 sv bid_size ask_size lag traded".split()
HOLE = range(120, 124)  # the quote feed is silent for more than a second


def generate(rng):
    bid = 5000 + np.cumsum(rng.integers(-1, 2, N) * (rng.random(N) < 0.4))
    s = {"bid": bid, "ask": bid + rng.integers(1, 4, N), "traded": rng.random(N) < 0.6}
    s["traded"][[0, 1, 119, 121, 124, 125]] = True
    s["close"] = np.where(rng.random(N) < 0.5, s["bid"], s["ask"])
    s["open"] = s["close"] + rng.integers(-1, 2, N)
    s["high"] = np.maximum(s["close"], s["open"]) + rng.integers(0, 2, N)
    s["low"] = np.minimum(s["close"], s["open"]) - rng.integers(0, 2, N)
    s["vwap"] = s["low"] + (s["high"] - s["low"]) * np.round(rng.random(N), 3)
    for name, spread in (("tm5", 1), ("tm20", 2), ("up", 1), ("dn", 1), ("lit", 1)):
        s[name] = np.round(s["close"] + spread * rng.standard_normal(N), 2)
    s["sg20"] = rng.integers(-20, 21, N) / 20
    s["volume"] = 100 * rng.integers(1, 60, N)
    s["trades"] = rng.integers(1, 30, N)
    s["sv"] = np.round(s["sg20"] * np.sqrt(s["volume"]) * rng.random(N), 3)
    s["bid_size"], s["ask_size"] = 100 * rng.integers(1, 40, N), 100 * rng.integers(1, 40, N)
    s["lag"] = np.zeros(N)
    s["lag"][list(HOLE)] = 1500
    s["bid"][200], s["ask"][200] = s["ask"][200], s["bid"][200]  # crossed
    return s


def ema(x, span):
    w = (1 - 1 / span) ** np.arange(len(x))
    return np.array([(w[:i][::-1] @ x[1 : i + 1]) / span + w[i] * x[0] for i in range(len(x))])


def capped_mean(x, cap, start_n, start):
    """The plain mean of the start value (counted start_n times) and x, later weights of 1/512; x within cap means."""
    out, m, n = [], start, start_n
    for v in x:
        v = min(v, cap * max(m, 0.1 * TICK * 100)) if n else v
        n = min(n + 1, 512)
        m += (v - m) / n
        out.append(m)
    return np.array(out)


def bars(s):
    at = np.flatnonzero(s["traded"])
    b = {k: v[at].astype(float) for k, v in s.items()}
    c, h, lo, vw = b["close"], b["high"], b["low"], b["vwap"]
    n = len(c)
    f = {"d1": np.r_[0, np.diff(c)]}
    f["d2"] = np.r_[0, f["d1"][1:] + f["d1"][:-1]]
    for span in (2, 4, 16, 64):
        f[f"c_ema{span}"] = c - ema(c, span)
    sign = np.sign(f["d1"])
    last = np.maximum.accumulate(np.where(sign != 0, np.arange(n), -1))
    tick_sign = np.where(last < 0, 0, sign[last])
    f["tr_dec"] = tick_sign / (1.0 + np.arange(n) - last)
    f["c_hl2"], f["c_o"], f["h_l"] = c - (h + lo) / 2, c - b["open"], h - lo
    f["c_pH"], f["c_pL"] = c - np.r_[h[0], h[:-1]], c - np.r_[lo[0], lo[:-1]]
    f["rmax5"] = np.array([h[max(0, i - 4) : i + 1].max() for i in range(n)]) - c
    f["rmin5"] = c - np.array([lo[max(0, i - 4) : i + 1].min() for i in range(n)])
    f["c_vw"] = c - vw
    for span in (4, 8):
        f[f"c_emavw{span}"] = c - ema(vw, span)
    lv, ln = np.log(b["volume"]), np.log(b["trades"])
    f["lv_rel"], f["ln_rel"] = lv - ema(lv, 50), ln - ema(ln, 50)
    wait = np.r_[1, np.diff(at)]
    f["dt"], f["act"] = np.log(wait), ema(np.log(wait), 30)
    scale = np.maximum(np.r_[1, capped_mean(np.abs(f["d1"][1:]), 8, 10, 1)], 0.1)
    f["vola"] = ema(np.minimum(np.abs(f["d1"]), 8 * scale), 30)
    root = np.sqrt(b["volume"])
    vs = np.r_[root[0], capped_mean(root[1:], 8, 1, root[0])]
    time = np.cumsum(wait)
    flow = tick_sign * root / (10 * vs)
    f["sv10"] = np.array([flow[: i + 1] @ np.exp(-(time[i] - time[: i + 1]) / 10) for i in range(n)])
    for name in ("tm5", "tm20"):
        f["c_" + name] = c - b[name]
    for name in ("up", "dn", "lit"):
        f[name + "_c"] = b[name] - c
    f["sg20"] = b["sg20"]
    return at, f, scale, vs


def mean(x, half, clock):
    """Weights 2^(-age / half): age in seconds of `clock`, divided by their sum over the seconds counted one by one."""
    keep = 0.5 ** (1 / half)
    n = np.arange(1, len(x) + 1)
    w = np.tril(keep ** (clock[:, None] - clock[None, :]).astype(float))
    return (1 - keep) * (w @ x) / (1 - keep**n)


def quotes(s, at, scale, vs):
    """Over the usable seconds u; moves and flows do not reach across holes."""
    u = np.flatnonzero((s["lag"] <= 1000) & (s["ask"] >= s["bid"]))
    b, a = s["bid"][u].astype(float), s["ask"][u].astype(float)
    bs, az = s["bid_size"][u].astype(float), s["ask_size"][u].astype(float)
    mid, micro, tilt = (a + b) / 2, (b * az + a * bs) / (bs + az), (bs - az) / (bs + az)
    start = np.flatnonzero(np.r_[True, np.diff(u) > 1])
    run = np.arange(len(u)) - start[np.searchsorted(start, np.arange(len(u)), side="right") - 1]

    def move(x, k):
        back = np.r_[np.zeros(k), x[k:] - x[:-k]]
        return np.where(run >= k, back, 0)

    count = np.arange(len(u))
    depth = mean((bs + az) / 2, 300, count)
    pb, pa, pbs, pas = (np.r_[x[0], x[:-1]] for x in (b, a, bs, az))
    flow = np.where(b >= pb, bs, 0) - np.where(b <= pb, pbs, 0) - np.where(a <= pa, az, 0) + np.where(a >= pa, pas, 0)
    flow = np.where(run > 0, np.clip(flow / depth, -5, 5), 0)
    bar = np.searchsorted(at, u, side="right") - 1
    trade = np.where(s["traded"][u], s["sv"][u] / (3 * vs[bar]), 0)
    square = np.minimum(np.abs(move(mid, 1)), 10 * scale[bar]) ** 2
    q = {"mid": mid, "micro": micro, "I": tilt, "I3": tilt**3, "Ispr": tilt * (a - b), "bid": b, "ask": a}
    q.update({f"m{k}": move(mid, k) for k in (1, 2, 5, 30)} | {f"mic{k}": move(micro, k) for k in (1, 2)})
    q.update({f"ofi{h}": mean(flow, h, u) for h in (1, 3, 10)})
    q["Ie10"], q["rv"] = mean(tilt, 10, count), np.sqrt(mean(square, 120, count))
    q["tsv1"], q["tsv10"] = mean(trade, 1, u), 10**0.5 * mean(trade, 10, u)
    q["lspr"] = np.log(np.maximum(a - b, 0.5))
    q["lbs"], q["las"] = np.log(bs / depth), np.log(az / depth)
    q["pm"] = mid - q["m1"]
    return u, q


def main():
    s = generate(np.random.default_rng(20131008))
    at, f, scale, vs = bars(s)
    u, q = quotes(s, at, scale, vs)
    c, vw = s["close"][at], s["vwap"][at]
    where = np.searchsorted(u, at)
    fresh = np.isin(at, u)
    here = {k: np.where(fresh, v[np.minimum(where, len(u) - 1)], np.nan) for k, v in q.items()}
    f.update({k: v for k, v in here.items() if k not in ("mid", "micro", "bid", "ask", "pm")})
    f["mid_c"], f["mic_c"], f["c_pm"] = here["mid"] - c, here["micro"] - c, c - here["pm"]
    f["bid_c"], f["ask_c"], f["vw_mid"] = here["bid"] - c, here["ask"] - c, vw - here["mid"]
    assert max(np.nanmax(np.abs(f[k])) for k in ("bid_c", "ask_c")) < 20
    out = {k: np.full(N, np.nan) for k in list(f) + ["scale"]}
    for k in f:
        out[k][at] = f[k]
    out["scale"][at] = scale / 100
    given = {k: s[k] / 100 for k in PRICES} | {k: s[k].astype(float) for k in PLAIN}
    print(",".join(list(given) + list(out)))
    for row in zip(*given.values(), *out.values()):
        print(",".join("" if np.isnan(v) else f"{v:.7g}" for v in row))


if __name__ == "__main__":
    main()

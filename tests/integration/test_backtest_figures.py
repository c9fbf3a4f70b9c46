"""Every figure that the back-test prints, computed again with numpy and pandas from what a run stored of the same day: own
formulas, own reading of the market (last prices and quotes from the stored bars), nothing of the program's code."""
import json
import sqlite3

import numpy as np
import pandas as pd
import pytest

from make_lean import make_lean

DAY = "2013-10-07"
SECOND = 1_000_000_000
LAGS = {0: 10, 1000: 10, 10000: 20, 60000: 120}


def data(request, tmp_path_factory, name):
    if name == "real":
        return request.getfixturevalue("real_data"), ("SPY", "IBM")
    return make_lean(tmp_path_factory.mktemp("lean"), days=(DAY,), symbols=("SPY", "AIG"), seed=23), ("SPY", "AIG")


@pytest.fixture(scope="module", params=["generated", "real"])
def run(request, binary, tmp_path_factory):
    """What a run stored and what the back-test prints of one day."""
    import os
    import subprocess
    lean, symbols = data(request, tmp_path_factory, request.param)
    out = tmp_path_factory.mktemp("out")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TICKCAST_", "XDG_"))}
    feed = ["--feed", "replay", "--path", lean, "--symbols", ",".join(symbols), "--from", DAY, "--to", DAY, "--bars-from", "merged"]

    def call(*words):
        done = subprocess.run([str(w) for w in (binary, *words)], env={**clean, "HOME": str(out / "home")}, cwd=out,
                              capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout
    call("run", *feed, "--speed", "max", "--until-end", "--no-serve", "--data", out / "data")
    printed = json.loads(call("backtest", *feed, "--json"))
    return sqlite3.connect(out / "data" / "tickcast.db"), printed, symbols


def samples(store, symbol, model):
    """A row a forecast with its outcome, and with what the market was at its origin."""
    rows = []
    came = {o: {(v["kind"], v["horizon_ms"]): v for v in json.loads(values)} for o, values in store.execute(
        'SELECT origin_time, "values" FROM outcomes WHERE symbol = ?', (symbol,))}
    for origin, reference, mid, inputs, points in store.execute(
            "SELECT origin_time, reference, reference_mid, inputs, points FROM forecasts WHERE symbol = ? AND model = ? ORDER BY "
            "origin_time", (symbol, model)):
        for p in json.loads(points):
            outcome = came.get(origin, {}).get((p["kind"], p["horizon_ms"]))
            if outcome is None or outcome["value"] is None:
                continue
            base = mid if p["kind"] == "mid" else reference
            rows.append((origin, p["kind"], p["horizon_ms"], base, outcome["value"], p["value"], p["lo"], p["hi"],
                         p.get("p_down"), p.get("p_none"), p.get("p_up"), p["gate_open"], inputs))
    frame = pd.DataFrame(rows, columns="origin kind ms base came said lo hi p_down p_none p_up open inputs".split())
    bars = pd.read_sql("SELECT start, bid, ask, bid_size, ask_size, quote_lag_ms FROM bars WHERE symbol = ? AND interval_ms = 1000",
                       store, params=(symbol,))
    fresh = (bars.quote_lag_ms <= 1000) & (bars.ask >= bars.bid) & (bars.bid > 0)
    sized = fresh & (bars.bid_size > 0) & (bars.ask_size > 0)
    bars["micro"] = ((bars.bid * bars.ask_size + bars.ask * bars.bid_size) / (bars.bid_size + bars.ask_size)).where(sized)
    bars["half_spread"] = ((bars.ask - bars.bid) / 2).where(fresh & (bars.ask > bars.bid))
    bars["origin"] = bars.start + SECOND
    frame = frame.merge(bars[["origin", "micro", "half_spread"]], on="origin", how="left")
    frame["y"], frame["f"] = frame.came - frame.base, frame.said - frame.base
    for name in ("y", "f"):  # equal middles of quotes may differ in their last bits
        frame.loc[frame[name].abs() <= 1e-9 * frame.base, name] = 0
    frame["e"], frame["m"] = frame.y - frame.f, frame.micro - frame.base
    return frame


def newey_west(d, lags):
    """t of mean(d): Bartlett weights."""
    u = d - d.mean()
    n = len(d)
    variance = u @ u / n
    for k in range(1, min(lags, n - 1) + 1):
        variance += 2 * (1 - k / (lags + 1)) * (u[k:] @ u[:-k]) / n
    se = np.sqrt(variance / n)
    return d.mean() / se, se


def wilson(hits, n):
    z = 1.959963984540054
    p = hits / n
    centre, spread = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return p, (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)


def close(printed, mine, tolerance, what):
    if mine is None or not np.isfinite(mine):
        assert printed is None, what
    else:
        assert printed == pytest.approx(mine, rel=tolerance, abs=tolerance), what


def errors(s):
    """Figures of a part, as the program names them."""
    y, e = s.y.to_numpy(), s.e.to_numpy()
    ratio = np.sqrt((e @ e) / (y @ y))
    flagged = np.abs(y) > 0.003 * s.base.abs() * np.sqrt(np.maximum(1, s.ms / 1000))
    calm = ~flagged.to_numpy()
    return {"ratio": ratio, "r2": 1 - ratio ** 2, "rmse": np.sqrt(np.mean(e * e)), "mae": np.mean(np.abs(e)),
            "mae_ratio": np.abs(e).sum() / np.abs(y).sum(),
            "ratio_clean": np.sqrt((e[calm] @ e[calm]) / (y[calm] @ y[calm])),
            "n_flagged": int(flagged.sum()), "n": len(s)}


def test_every_printed_figure_follows_from_what_was_stored(run):
    store, printed, symbols = run
    rows = [r for r in printed["rows"] if r["model"] not in ("persistence", "reversal", "microprice") and r["n"]]
    assert len(rows) >= 7 * len(symbols)
    for symbol in symbols:
        ridge = samples(store, symbol, "ridge").set_index(["origin", "kind", "ms"]).e
        for model in {r["model"] for r in rows if r["symbol"] == symbol}:
            frame = samples(store, symbol, model)
            for r in (r for r in rows if r["symbol"] == symbol and r["model"] == model):
                check_row(r, frame[(frame.kind == r["kind"]) & (frame.ms == r["horizon_ms"])], ridge)


def check_row(r, s, ridge):
    what = (r["symbol"], r["model"], r["kind"], r["horizon_ms"])
    y, e, f = s.y.to_numpy(), s.e.to_numpy(), s.f.to_numpy()
    mine = errors(s)
    with_quote = s.m.notna()
    mine["n_microprice"] = int(with_quote.sum())
    mine["ratio_microprice"] = np.sqrt((s.e[with_quote] ** 2).sum() / ((s.y - s.m)[with_quote] ** 2).sum()) if with_quote.any() else None
    t, se = newey_west(y * y - e * e, LAGS[r["horizon_ms"]])
    half = 1.959963984540054 * se / (2 * mine["ratio"] * np.mean(y * y))
    mine.update(dm_t=t, ratio_lo=mine["ratio"] - half, ratio_hi=mine["ratio"] + half)
    er = ridge.loc[pd.MultiIndex.from_frame(s[["origin", "kind", "ms"]])].to_numpy()
    mine["ratio_ridge"] = np.sqrt((e @ e) / (er @ er))
    if r["model"] != "ridge":
        mine["dm_t_ridge"] = newey_west(er * er - e * e, LAGS[r["horizon_ms"]])[0]
    width = (s.hi - s.lo).to_numpy()
    mine["width"] = width.mean()
    mine["winkler"] = np.mean(width + 20 * np.maximum(0, np.abs(e) - width / 2))
    known = s.half_spread.notna()
    mine["n_spread"] = int(known.sum())
    for name, value in mine.items():
        close(r[name], value, 1e-6 if "dm_t" not in name and name not in ("ratio_lo", "ratio_hi") else 1e-4, (*what, name))
    assert abs(r["coverage"] * len(s) - (np.abs(e) <= width / 2).sum()) <= 2, what  # errors that equal the half width
    if known.any():
        assert abs(r["beyond"] * known.sum() - (s.f.abs()[known] > s.half_spread[known]).sum()) <= 1, what
    check_direction(r, s, y, f, what)
    check_probabilities(r, s, what)
    check_parts(r, s, what)
    assert r["gate_open"] == pytest.approx(s.open.mean(), abs=1e-9), what
    shown = np.where(s.open, e, y)
    close(r["ratio_shown"], np.sqrt((shown @ shown) / (y @ y)), 1e-6, (*what, "shown"))


def check_direction(r, s, y, f, what):
    moves = (y != 0) & (f != 0)
    hits = ((y > 0) == (f > 0)) & moves
    assert r["direction"]["moves"] == moves.sum() and r["direction"]["hits"] == hits.sum(), what
    for name, value in zip(("share", "lo", "hi"), wilson(hits.sum(), moves.sum())):
        close(r["direction"][name], value, 1e-9, (*what, name))
    m = s.m.to_numpy()
    foreseen = (y != 0) & ~np.isnan(m) & (np.abs(m) > 1e-9 * s.base)
    if foreseen.any():
        close(r["direction"]["microprice"], ((y > 0) == (m > 0))[foreseen].mean(), 1e-9, (*what, "microprice"))


def check_probabilities(r, s, what):
    p = s[["p_down", "p_none", "p_up"]].dropna().astype(float)
    assert r["n_prob"] == len(p), what
    if not len(p):
        assert r["brier"] is None
        return
    y = s.y[p.index]
    came = np.stack([y < 0, y == 0, y > 0], axis=1).astype(float)
    close(r["brier"], np.mean(((p.to_numpy() - came) ** 2).sum(axis=1)), 1e-6, (*what, "brier"))
    close(r["brier_base"], 1 - (came.mean(axis=0) ** 2).sum(), 1e-9, (*what, "brier_base"))


def check_parts(r, s, what):
    assert {p["inputs"] for p in r["levels"]} == set(s.inputs), what
    for p in r["levels"]:
        for name, value in errors(s[s.inputs == p["inputs"]]).items():
            close(p[name], value, 1e-6, (*what, p["inputs"], name))
    common = r["ridge_on_common"]
    if r["model"] == "ridge" and common and len(r["levels"]) == 1:  # all levels spoke each time
        assert common["n"] == r["n"]
        close(common[r["inputs"]], r["ratio"], 1e-9, (*what, "common"))
        assert len(common) > 2, what
    local = pd.to_datetime(s.origin - SECOND, utc=True).dt.tz_convert("America/New_York")
    slots = local.dt.hour * 2 + local.dt.minute // 30
    assert [p["begin"] for p in r["half_hours"]] == [f"{k // 2:02d}:{k % 2 * 30:02d}" for k in sorted(slots.unique())], what
    for p, slot in zip(r["half_hours"], sorted(slots.unique())):
        for name, value in errors(s[slots == slot]).items():
            close(p[name], value, 1e-6, (*what, p["begin"], name))
    assert [p["day"] for p in r["days"]] == [DAY]
    for name, value in errors(s).items():
        close(r["days"][0][name], value, 1e-6, (*what, "day", name))


def test_the_table_and_the_page_say_the_same_figures(tickcast, run, tmp_path):
    _, printed, symbols = run
    command = printed["command"].split()[1:]
    page = tmp_path / "page.html"
    done = tickcast(*[w for w in command if w != "--json"], "--by", "half-hour", "--report", page)
    assert done.returncode == 0, done.stderr
    html = page.read_text()
    for r in printed["rows"]:
        if r["n"]:
            assert f"{r['model']:<22}{r['n']:>8} {r['ratio']:7.4f}" in done.stdout
            assert f"<td>{r['n']}</td>" in html and f">{r['ratio']:.4f}</td>" in html
    assert "ratio, half hour from" in done.stdout
    assert "http" not in html and "<script" not in html


def test_reference_and_json_do_not_go_together(tickcast, run):
    _, printed, _ = run
    done = tickcast(*printed["command"].split()[1:], "--reference", "--train-to", "2013-10-06", "--report-from", DAY)
    assert done.returncode == 2 and "--json" in done.stderr

"""Forecasts and scores of a replay against a computation of their own from the stored bars, quotes and forecasts; the
back-test against the store; and the published ridge reference on real days."""
import csv
import datetime
import json
import math
import sqlite3
import zoneinfo

import pytest

from make_lean import make_lean

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
SECOND = 1_000_000_000
DAYS = ("2013-10-07", "2013-10-08")
SYMBOLS = ("SPY", "AIG")


def utc(day, clock):
    local = datetime.datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=NEW_YORK)
    return int(local.timestamp()) * SECOND


@pytest.fixture(scope="module")
def lean(tmp_path_factory):
    return make_lean(tmp_path_factory.mktemp("lean"), days=DAYS, symbols=SYMBOLS, seed=5)


@pytest.fixture(scope="module")
def store(lean, binary, tmp_path_factory):
    import os
    import subprocess
    out = tmp_path_factory.mktemp("out")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TICKCAST_", "XDG_"))}
    done = subprocess.run([binary, "run", "--feed", "replay", "--path", lean, "--symbols", ",".join(SYMBOLS), "--speed",
                           "max", "--until-end", "--no-serve", "--data", out], env={**clean, "HOME": str(out / "home")},
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return sqlite3.connect(out / "tickcast.db")


class Market:
    """What was known of one symbol on one day, from the stored bars and quotes."""

    def __init__(self, store, symbol, day):
        self.open, self.close = utc(day, "09:30:00"), utc(day, "16:00:00")
        bars = store.execute("SELECT start, close, bid, ask, high FROM bars WHERE symbol = ? AND interval_ms = 1000 "
                             "AND start >= ? AND start < ? ORDER BY start", (symbol, utc(day, "00:00:00"),
                                                                             utc(day, "23:59:59"))).fetchall()
        quotes = store.execute("SELECT second, bid, ask FROM quotes WHERE symbol = ? AND second >= ? AND second < ?",
                               (symbol, utc(day, "00:00:00"), utc(day, "23:59:59"))).fetchall()
        moves = {s: (b, a) for s, b, a in quotes}
        moves.update({start: (bid, ask) for start, _, bid, ask, _ in bars})
        self.traded = {start: close for start, close, *_ in bars if self.open <= start < self.close}
        self.starts = sorted(self.traded)
        self.last, self.mid = {}, {}
        price = quote = None
        for second in range(utc(day, "00:00:00"), self.close, SECOND):
            quote = moves.get(second, quote)
            price = self.traded.get(second, price)
            if second >= self.open:
                self.last[second + SECOND] = price
                known = quote and quote[0] and quote[1] and quote[0] > 0 and quote[1] > 0
                self.mid[second + SECOND] = (quote[0] + quote[1]) / 2 if known else None

    def outcomes(self):
        """origin -> {(kind, horizon_ms): (base, value)} of every target that becomes known."""
        out = {}
        for i, start in enumerate(self.starts):
            if start < self.open + 60 * SECOND:
                continue
            origin, base = start + SECOND, self.traded[start]
            known = out[origin] = {}
            if i + 1 < len(self.starts):
                known["next", 0] = (base, self.traded[self.starts[i + 1]])
            for ms in (1000, 10000, 60000):
                target = origin + ms * 1_000_000
                if target > self.close:
                    continue
                known["last", ms] = (base, self.last[target])
                if self.mid[origin] is not None and self.mid[target] is not None:
                    known["mid", ms] = (self.mid[origin], self.mid[target])
        return out


@pytest.fixture(scope="module")
def truth(store):
    return {(symbol, day): Market(store, symbol, day).outcomes() for symbol in SYMBOLS for day in DAYS}


def test_each_traded_second_after_the_first_minute_has_one_ridge_forecast(store, truth):
    for (symbol, day), known in truth.items():
        stored = {o for o, in store.execute("SELECT origin_time FROM forecasts WHERE symbol = ? AND day = ? AND "
                                            "model = 'ridge'", (symbol, day))}
        expected = {o for o in known if o < utc(day, "16:00:00")}
        assert stored == expected
        assert len(stored) > 1000


def test_outcomes_are_the_first_prices_after_the_forecast(store, truth):
    for (symbol, day), known in truth.items():
        rows = store.execute('SELECT origin_time, "values" FROM outcomes WHERE symbol = ? AND day = ?', (symbol, day))
        for origin, values in rows:
            for v in json.loads(values):
                mine = known[origin].get((v["kind"], v["horizon_ms"]))
                if v["value"] is None:
                    assert mine is None
                else:
                    assert mine[1] == pytest.approx(v["value"], abs=1e-9)


def sums(store, truth, symbol, day, model):
    """(kind, horizon) -> sums over all samples of the day, and DM sums over minutes."""
    out = {}
    rows = store.execute("SELECT origin_time, points FROM forecasts WHERE symbol = ? AND day = ? AND model = ? "
                         "ORDER BY origin_time", (symbol, day, model))
    for origin, points in rows:
        for p in json.loads(points):
            pair = truth[symbol, day][origin].get((p["kind"], p["horizon_ms"]))
            if pair is None:
                continue
            y, f, half = pair[1] - pair[0], p["value"] - pair[0], (p["hi"] - p["lo"]) / 2
            s = out.setdefault((p["kind"], p["horizon_ms"]), [])
            s.append((y, f, half))
    return out


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_score_sums_equal_those_of_an_independent_computation(store, truth, symbol):
    for day in DAYS:
        for (kind, ms), samples in sums(store, truth, symbol, day, "ridge").items():
            row = store.execute(
                "SELECT sum(n), sum(n_late), sum(abs_err), sum(sq_err), sum(abs_persist), sum(sq_persist), sum(moves + ties), "
                "sum(banded), sum(covered), sum(width), sum(winkler), sum(dm_n), sum(dm_d) FROM score_sums WHERE symbol = ? "
                "AND model = 'ridge' AND kind = ? AND horizon_ms = ? AND day = ?", (symbol, kind, ms, day)).fetchone()
            n = len(samples)
            err = [y - f for y, f, _ in samples]
            assert row[0] == n and row[1] == 0 and row[6] == n and row[7] == n
            assert row[2] == pytest.approx(math.fsum(map(abs, err)), rel=1e-6)
            assert row[3] == pytest.approx(math.fsum(e * e for e in err), rel=1e-6)
            assert row[4] == pytest.approx(math.fsum(abs(y) for y, _, _ in samples), rel=1e-6)
            assert row[5] == pytest.approx(math.fsum(y * y for y, _, _ in samples), rel=1e-6)
            covered = sum(abs(e) <= h for e, (_, _, h) in zip(err, samples))
            assert abs(row[8] - covered) <= 2  # an error that equals the half width may fall on either side
            assert row[9] == pytest.approx(math.fsum(2 * h for _, _, h in samples), rel=1e-6)
            winkler = math.fsum(2 * h + 20 * max(0, abs(e) - h) for e, (_, _, h) in zip(err, samples))
            assert row[10] == pytest.approx(winkler, rel=1e-5)
            assert row[11] == n  # every block was closed with the session
            assert row[12] == pytest.approx(row[5] - row[3], rel=1e-6, abs=1e-9)


def overlap(seconds):
    """What overlapping outcomes add to the variance between blocks of a minute."""
    if seconds <= 1:
        return 1
    return 1 / (1 - seconds / 180) if seconds <= 60 else seconds / (60 - 1200 / seconds)


def figures(row, seconds):
    """Of summed sums: ratio with interval, share with Wilson's interval, t by blocks. By the formulas of
    docs/forecasting.md."""
    n, err, base = row["n"], row["sq_err"], row["sq_persist"]
    ratio = math.sqrt(err / base)
    mean = row["dm_d"] / row["dm_n"]
    blocks = row["dm_blocks"]
    square = row["dm_d2"] - 2 * mean * row["dm_nd"] + mean * mean * row["dm_n2"]
    se = math.sqrt(square * overlap(seconds) * blocks / (blocks - 1)) / row["dm_n"]
    half = 1.959963984540054 * se / (2 * ratio * base / n)
    p, m, z = row["hits"] / row["moves"], row["moves"], 1.959963984540054
    centre, spread = p + z * z / (2 * m), z * math.sqrt(p * (1 - p) / m + z * z / (4 * m * m))
    return {"ratio": ratio, "lo": ratio - half, "hi": ratio + half, "dm_t": mean / se, "share": p,
            "share_lo": (centre - spread) / (1 + z * z / m), "share_hi": (centre + spread) / (1 + z * z / m),
            "coverage": row["covered"] / row["banded"], "width": row["width"] / row["banded"]}


def test_shown_figures_follow_from_the_sums(tickcast, store):
    data = store.execute("PRAGMA database_list").fetchone()[2].rsplit("/", 1)[0]
    done = tickcast("show", "scores", "--data", data, "--csv")
    assert done.returncode == 0, done.stderr
    shown = [r for r in csv.DictReader(done.stdout.splitlines()) if r["model"] == "ridge"]
    assert len(shown) == len(SYMBOLS) * 7
    names = [d[1] for d in store.execute("PRAGMA table_info(score_sums)")][7:]
    query = ("SELECT " + ", ".join(f"sum({n})" for n in names) + " FROM score_sums WHERE symbol = ? AND model = 'ridge' "
             "AND kind = ? AND horizon_ms = ?")
    for r in shown:
        kind, _, seconds = r["target"].partition("+")
        horizon = int(seconds[:-1]) if seconds else 0
        row = store.execute(query, (r["symbol"], kind, 1000 * horizon)).fetchone()
        for name, value in figures(dict(zip(names, row)), horizon).items():
            assert float(r[name]) == pytest.approx(value, rel=1e-9), (r["target"], name)


def test_bands_cover_ninety_percent(store):
    for kind in ("next", "last"):
        covered, banded = store.execute("SELECT sum(covered), sum(banded) FROM score_sums WHERE model = 'ridge' AND "
                                        "kind = ? AND horizon_ms <= 1000", (kind,)).fetchone()
        assert banded > 5000 and abs(covered / banded - 0.9) < 0.01


def backtest(tickcast, tmp_path, *words):
    table = tmp_path / "table.csv"
    done = tickcast("backtest", "--feed", "replay", *words, "--csv", table, timeout=300)
    assert done.returncode == 0, done.stderr
    with table.open() as f:
        return list(csv.DictReader(f)), done.stdout


def test_the_backtest_says_what_the_store_says(tickcast, tmp_path, lean, store):
    page = tmp_path / "report.html"
    rows, text = backtest(tickcast, tmp_path, "--path", lean, "--symbols", ",".join(SYMBOLS), "--report", page)
    ridge = [r for r in rows if r["model"] == "ridge"]
    assert len(ridge) == len(SYMBOLS) * 7
    for r in ridge:
        n, err, base = store.execute("SELECT sum(n), sum(sq_err), sum(sq_persist) FROM score_sums WHERE symbol = ? AND "
                                     "model = 'ridge' AND kind = ? AND horizon_ms = ?",
                                     (r["symbol"], r["kind"], r["horizon_ms"])).fetchone()
        assert int(r["n"]) == n
        assert float(r["ratio"]) == pytest.approx(math.sqrt(err / base), rel=1e-9)
    assert "SPY next" in text
    html = page.read_text()
    assert html.startswith("<!doctype html>") and "<svg" in html and "http" not in html and "<script" not in html


# Ridge on real days (docs/forecasting.md): train 7 and 8 October, report 10 October, merged inputs. n and RMSE ratios of SPY,
# AIG, BAC, IBM.
SHARES = ("SPY", "AIG", "BAC", "IBM")
COUNTS = {
    ("next", 0): (18362, 6573, 14585, 4954),
    ("mid", 1000): (18362, 6573, 14585, 4954),
    ("mid", 10000): (18353, 6564, 14576, 4950),
    ("last", 10000): (18353, 6564, 14576, 4950),
}
REFERENCE = {
    "T5": {("next", 0): (0.9681, 0.9812, 0.7981, 0.9277),
           ("mid", 1000): (0.9998, 0.9999, 0.9986, 0.9936), ("mid", 10000): (0.9991, 1.0008, 0.9945, 0.9946),
           ("last", 10000): (0.9932, 0.9931, 0.8417, 0.9729)},
    "T14": {("next", 0): (0.9418, 0.9672, 0.79, 0.9168),
           ("mid", 1000): (0.9998, 0.9998, 0.997, 0.9939), ("mid", 10000): (0.9987, 1.0023, 0.9878, 0.9919),
           ("last", 10000): (0.9863, 0.9893, 0.8368, 0.9648)},
    "K11": {("next", 0): (0.9012, 0.919, 0.7677, 0.8756),
           ("mid", 1000): (0.9989, 0.9996, 0.9942, 0.9875), ("mid", 10000): (0.9984, 1.0013, 0.9784, 0.9875),
           ("last", 10000): (0.9781, 0.9711, 0.8168, 0.9379)},
    "Q18": {("next", 0): (0.844, 0.8218, 0.7551, 0.8298),
           ("mid", 1000): (0.9745, 0.976, 0.9829, 0.9785), ("mid", 10000): (0.9923, 0.984, 0.9563, 0.9744),
           ("last", 10000): (0.9685, 0.9363, 0.8015, 0.9253)},
}
MICROPRICE = {"SPY": 0.8663, "AIG": 0.8395, "BAC": 0.8843, "IBM": 0.9077}


@pytest.mark.parametrize("inputs", REFERENCE)
def test_ridge_reaches_the_published_reference_on_real_days(tickcast, tmp_path, real_data, inputs):
    rows, text = backtest(tickcast, tmp_path, "--path", real_data, "--symbols", ",".join(SHARES), "--bars-from", "merged",
                          "--baselines", "--inputs", inputs, "--reference", "--train-to", "2013-10-08", "--report-from",
                          "2013-10-10")
    found = {(r["symbol"], r["kind"], int(r["horizon_ms"])): r for r in rows if r["model"] == "reference"}
    for target, ratios in REFERENCE[inputs].items():
        for symbol, n, ratio in zip(SHARES, COUNTS[target], ratios):
            assert int(found[symbol, *target]["n"]) == n
            assert float(found[symbol, *target]["ratio"]) == pytest.approx(ratio, abs=0.002), (symbol, target)
    for r in rows:
        if r["model"] == "microprice" and r["kind"] == "next":
            assert float(r["ratio"]) == pytest.approx(MICROPRICE[r["symbol"]], abs=0.0002)
        if r["model"] == "ridge" and r["kind"] == "next":
            assert 0.89 <= float(r["coverage"]) <= 0.91
    assert "know the future" not in text


def test_one_shot_forecast_speaks_of_the_newest_bar_of_each_symbol(tickcast, store):
    data = store.execute("PRAGMA database_list").fetchone()[2].rsplit("/", 1)[0]
    done = tickcast("forecast", "--data", data, "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for symbol in SYMBOLS:
        newest, = store.execute("SELECT max(origin_time) FROM forecasts WHERE symbol = ? AND model = 'ridge'",
                                (symbol,)).fetchone()
        assert {f["origin_time"] for f in lines if f["symbol"] == symbol} == {newest}
        stored, = store.execute("SELECT points FROM forecasts WHERE symbol = ? AND model = 'ridge' AND origin_time = ?",
                                (symbol, newest)).fetchone()
        mine, = [f for f in lines if f["symbol"] == symbol and f["model"] == "ridge"]
        for now, live in zip(mine["points"], json.loads(stored)):  # live, ridge also learnt from the other symbol
            assert now["value"] == pytest.approx(live["value"], rel=2e-4)
    assert tickcast("forecast", "--data", data, "--symbol", "NONE").returncode == 4

"""Bars of a replay against a computation of their own from the raw files, and replays of faulty files.

The computation below shares nothing with the program: it reads the zips with Python and follows the definitions in
src/market/bars.h word by word, over whole lists.
"""
import datetime
import json
import math
import sqlite3
import zipfile
import zoneinfo

import pytest

from make_lean import make_lean

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
SECOND = 1_000_000_000
DAYS = ("2013-10-07", "2013-10-08")
SYMBOLS = ("SPY", "AIG")


# ---- the independent computation ----

def rows(root, resolution, symbol, day, kind):
    path = root / "equity/usa" / resolution / symbol.lower() / f"{day.replace('-', '')}_{kind}.zip"
    with zipfile.ZipFile(path) as z:
        text = z.read(z.namelist()[0]).decode()
    return [line.split(",") for line in text.splitlines()]


def midnight(day):
    local = datetime.datetime.fromisoformat(day).replace(tzinfo=NEW_YORK)
    return int(local.timestamp()) * SECOND


def second_of(ms):
    return int(ms.split(".")[0]) // 1000


def trades_of(root, symbol, day):
    """second -> [(price, size, off_exchange)] of the prints not flagged suspicious, in file order."""
    out = {}
    for ms, price, size, exchange, _, suspicious in rows(root, "tick", symbol, day, "trade"):
        if suspicious == "0":
            out.setdefault(second_of(ms), []).append((int(price) / 10000, float(size), exchange == "D"))
    return out


def quotes_of(root, symbol, day):
    """second -> (bid, ask, bid_size, ask_size) in force at its end, where the file has a two-sided quote."""
    out = {}
    for r in rows(root, "second", symbol, day, "quote"):
        if int(r[4] or 0) > 0 and int(r[9] or 0) > 0:
            out[second_of(r[0])] = (int(r[4]) / 10000, int(r[9]) / 10000, float(r[5]), float(r[10]))
    return out


class Tape:
    def __init__(self):
        self.prints, self.clean, self.up, self.dn, self.lit = [], [], None, None, None

    def add(self, price, size, off_exchange, mid):
        """What the print adds to sv; nothing when the cleaning drops it."""
        self.prints.append(price)
        window = sorted(self.prints[-21:])
        median = (window[len(window) // 2] + window[(len(window) - 1) // 2]) / 2
        if not abs(price - median) < 0.003 * median:
            return 0.0
        sign = 0
        if self.clean:
            before, sign = self.clean[-1]
            sign = sign if price == before else (1 if price > before else -1)
        self.clean.append((price, sign))
        if sign > 0:
            self.up = price
        if sign < 0:
            self.dn = price
        if not off_exchange:
            self.lit = price
        return 0.0 if mid is None else math.copysign(1, price - mid) * math.sqrt(size) * (price != mid)

    def summary(self, sv):
        last = self.clean[-20:]
        mean = lambda xs: sum(xs) / len(xs) if xs else None
        return {"tm5": mean([p for p, _ in last[-5:]]), "tm20": mean([p for p, _ in last]),
                "sg20": mean([s for _, s in last]), "up": self.up, "dn": self.dn, "lit": self.lit, "sv": sv}


def vwap(trades):
    size = sum(t[1] for t in trades)
    return sum(t[0] * t[1] for t in trades) / size if size else None


def expected_day(root, symbol, day, mode):
    """(bars, quotes) as the store should hold them, by second of the day."""
    trades, quotes = trades_of(root, symbol, day) if mode != "seconds" else {}, quotes_of(root, symbol, day)
    vendor = {} if mode == "trades" else {second_of(r[0]): r for r in rows(root, "second", symbol, day, "trade")}
    tape, quote, bars, moved = Tape(), None, {}, {}
    for second in range(86400):
        mid = (quote[0] + quote[1]) / 2 if quote else None
        now = trades.get(second, [])
        sv = sum(tape.add(*t, mid) for t in now)
        sv = sv if mid is not None and tape.prints else None
        before, quote = quote, quotes.get(second, quote)
        if second in (trades if mode == "trades" else vendor):
            bars[second] = {"quote": quote, "tape": tape.summary(sv), "trades": len(now), "vwap": vwap(now)}
            if mode == "trades":
                prices = [t[0] for t in now]
                values = (prices[0], max(prices), min(prices), prices[-1], sum(t[1] for t in now))
            else:
                r = vendor[second]
                values = (*(int(x) / 10000 for x in r[1:5]), float(r[5]))
            bars[second]["values"] = values
        elif quote != before:
            moved[second] = quote
    return bars, moved


# ---- comparing ----

def near(a, b):
    return a == b or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-9))


def compare_bars(db, root, symbol, day, mode):
    start = midnight(day)
    want, moved = expected_day(root, symbol, day, mode)
    got = db.execute("SELECT start, open, high, low, close, volume, vwap, trades, bid, ask, bid_size, ask_size, "
                     "quote_lag_ms, tape, available, revision, origin FROM bars WHERE symbol = ? AND interval_ms = 1000 "
                     "AND start BETWEEN ? AND ?", (symbol, start, start + 86400 * SECOND - 1)).fetchall()
    assert [r[0] for r in got] == [start + s * SECOND for s in sorted(want)]
    for r in got:
        bar = want[(r[0] - start) // SECOND]
        assert r[1:6] == bar["values"], f"{symbol} {day} {r}"
        assert near(r[6], bar["vwap"]) and r[7] == bar["trades"], f"{symbol} {day} {r}"
        assert r[8:12] == (bar["quote"] or (None,) * 4), f"{symbol} {day} {r}"
        assert r[12] == (0 if bar["quote"] else None)
        tape = json.loads(r[13]) if r[13] else dict.fromkeys(bar["tape"])
        assert tape.keys() == bar["tape"].keys()
        assert all(near(tape[k], bar["tape"][k]) for k in tape), f"{symbol} {day} {r} {bar}"
        assert r[14] == r[0] + SECOND and r[15] == 0 and r[16] == "replay"
    stored = db.execute("SELECT second, bid, ask, bid_size, ask_size FROM quotes WHERE symbol = ? AND second BETWEEN ? "
                        "AND ?", (symbol, start, start + 86400 * SECOND - 1)).fetchall()
    assert {(r[0] - start) // SECOND: r[1:] for r in stored} == moved
    return want


def compare_quality(db, symbol, day, bars):
    traded = sum(34200 <= s < 57600 for s in bars)
    row = db.execute("SELECT traded, no_trade, unknown, duplicates, late, revised, backfilled, gaps FROM quality WHERE "
                     "symbol = ? AND day = ?", (symbol, day)).fetchone()
    assert row == (traded, 23400 - traded, 0, 0, 0, 0, 0, 0)


@pytest.fixture
def replay(tickcast, tmp_path):
    def call(path, *more, symbols=SYMBOLS, days=(DAYS[0], DAYS[-1]), out="out", code=0):
        done = tickcast("run", "--feed", "replay", "--path", path, "--symbols", ",".join(symbols), "--from", days[0], "--to",
                        days[1], "--speed", "max", "--until-end", "--no-forecast", "--no-serve", "--data", out, *more)
        assert (done.returncode == 0) == (code == 0) and done.returncode >= 0, done.stderr
        return done, sqlite3.connect(tmp_path / out / "tickcast.db") if code == 0 else None
    return call


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    return make_lean(tmp_path_factory.mktemp("lean"), DAYS, SYMBOLS, seed=3, trades=6000)


# ---- bars ----

@pytest.mark.parametrize("mode", ["trades", "seconds", "merged"])
def test_bars_of_generated_days_equal_an_independent_computation(replay, generated, mode):
    _, db = replay(generated, "--bars-from", mode)
    for symbol in SYMBOLS:
        for day in DAYS:
            bars = compare_bars(db, generated, symbol, day, mode)
            assert len(bars) > 1000
            compare_quality(db, symbol, day, bars)
    assert db.execute("SELECT count(*) FROM gaps").fetchone() == (0,)


@pytest.mark.parametrize("mode, symbols", [("trades", ("SPY", "AIG", "BAC", "IBM")), ("merged", ("AIG", "IBM"))])
def test_bars_of_real_days_equal_an_independent_computation(replay, real_data, mode, symbols):
    day = "2013-10-10"  # the day with suspicious prints
    _, db = replay(real_data, "--bars-from", mode, symbols=symbols, days=(day, day))
    for symbol in symbols:
        compare_quality(db, symbol, day, compare_bars(db, real_data, symbol, day, mode))


def test_minute_bars_are_exactly_what_the_seconds_give(replay, generated, tickcast):
    _, db = replay(generated)
    done = tickcast("show", "bars", "--data", "out", "--symbol", "SPY", "--interval", "1m", "--limit", "2000", "--json")
    if done.returncode:
        pytest.skip("tickcast show bars is not there: " + done.stderr.strip())
    minutes = {}
    for start, high, low, close, volume in db.execute("SELECT start, high, low, close, volume FROM bars WHERE symbol = 'SPY' "
                                                      "ORDER BY start"):
        m = minutes.setdefault(start - start % (60 * SECOND), [high, low, close, 0.0])
        m[:] = max(m[0], high), min(m[1], low), close, m[3] + volume
    text = done.stdout.strip()
    shown = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    shown = shown[0]["bars"] if shown and "bars" in shown[0] else shown
    assert shown
    for b in shown:
        assert [b["high"], b["low"], b["close"], b["volume"]] == minutes[b["start"]]


def test_a_finished_folder_is_left_as_it_is(replay, generated):
    _, db = replay(generated)
    before = list(db.iterdump())
    db.close()
    _, db = replay(generated)
    assert list(db.iterdump()) == before


# ---- faults ----

def read_lines(path):
    with zipfile.ZipFile(path) as z:
        return z.namelist()[0], z.read(z.namelist()[0]).decode().splitlines()


def write_lines(path, name, lines):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(name, "\n".join(lines) + "\n")


@pytest.fixture
def broken(tmp_path):
    """A folder of one day and one symbol, and the path of its trades."""
    root = make_lean(tmp_path / "lean", DAYS[:1], SYMBOLS[:1], seed=5, trades=1500)
    return root, root / "equity/usa/tick/spy/20131007_trade.zip"


ONE = {"symbols": SYMBOLS[:1], "days": (DAYS[0], DAYS[0])}


@pytest.mark.parametrize("bad", ["garbage", "34200000,1,2", "34200000,-5,100,P,0,0", "1,1674100,100,P,0,0", "\xff\x00\x01"])
def test_a_bad_line_is_named_and_skipped_or_refused(replay, broken, bad):
    root, path = broken
    name, lines = read_lines(path)
    write_lines(path, name, lines[:200] + [bad] + lines[200:])
    done, db = replay(root, **ONE)
    assert f"{path} line 201: " in done.stderr and "skipped" in done.stderr
    write_lines(path, name, lines)
    compare_bars(db, root, "SPY", DAYS[0], "trades")
    write_lines(path, name, lines[:200] + [bad] + lines[200:])
    done, _ = replay(root, "--on-error", "refuse", out="refused", code=1, **ONE)
    assert f"{path} line 201: " in done.stderr


def test_time_running_backwards_is_a_bad_line(replay, broken):
    root, path = broken
    name, lines = read_lines(path)
    late = lines[10]
    write_lines(path, name, lines[:300] + [late] + lines[300:])
    done, _ = replay(root, **ONE)
    assert f"{path} line 301: time runs backwards" in done.stderr


def test_a_damaged_file_is_named_and_what_it_lost_is_a_gap(replay, broken):
    root, path = broken
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle:middle + 40] = bytes(40)
    path.write_bytes(data)
    done, db = replay(root, **ONE)
    assert f"{path}: damaged after line" in done.stderr
    gaps = db.execute('SELECT symbol, start, "end", reason FROM gaps').fetchall()
    assert len(gaps) == 1 and gaps[0][0] == "SPY" and gaps[0][3] == "damaged_file"
    assert gaps[0][2] == midnight(DAYS[0]) + 57600 * SECOND
    unknown, total = db.execute("SELECT unknown, traded + no_trade + unknown FROM quality").fetchone()
    assert unknown == (gaps[0][2] - gaps[0][1]) // SECOND > 0 and total == 23400
    done, _ = replay(root, "--on-error", "refuse", out="refused", code=1, **ONE)
    assert str(path) in done.stderr  # what the damage unpacked to may be the first bad line


def test_a_file_that_is_no_zip_is_named(replay, broken):
    root, path = broken
    path.write_bytes(b"not a zip file")
    done, db = replay(root, **ONE)
    assert str(path) in done.stderr
    assert db.execute("SELECT unknown FROM quality").fetchone() == (23400,)


def test_a_missing_day_is_a_gap_of_the_whole_session(replay, generated, tmp_path):
    done, db = replay(generated, days=("2013-10-05", "2013-10-09"))  # Saturday to a Wednesday without files
    assert "2013-10-09" in done.stderr and "2013-10-05" not in done.stderr
    start = midnight("2013-10-09")
    assert db.execute('SELECT symbol, start, "end", reason FROM gaps').fetchall() == [
        ("*", start + 34200 * SECOND, start + 57600 * SECOND, "missing_day")]
    assert db.execute("SELECT symbol, unknown, gaps FROM quality WHERE day = '2013-10-09' ORDER BY symbol").fetchall() == [
        ("AIG", 23400, 1), ("SPY", 23400, 1)]
    done, _ = replay(generated, "--on-error", "refuse", days=("2013-10-07", "2013-10-09"), out="refused", code=1)
    assert "is missing" in done.stderr


def test_an_unknown_symbol_or_folder_is_refused(replay, generated):
    done, _ = replay(generated, symbols=("NOPE",), code=1)
    assert "NOPE" in done.stderr
    done, _ = replay("/nonexistent", out="other", code=1)
    assert "/nonexistent" in done.stderr


# ---- CSV ----

def test_a_csv_of_trades_gives_the_same_bars(replay, generated, tmp_path):
    lines = ["symbol,time,price,size,exchange,suspicious"]
    everything = []
    for order, symbol in enumerate(SYMBOLS):
        for r in rows(generated, "tick", symbol, DAYS[0], "trade"):
            ms, _, fraction = r[0].partition(".")
            ns = midnight(DAYS[0]) + int(ms) * 1_000_000 + int((fraction + "000000")[:6])
            everything.append((ns, order, f"{symbol},{ns},{int(r[1]) / 10000!r},{r[2]},{r[3]},{r[5]}"))
    everything.sort(key=lambda e: e[:2])
    path = tmp_path / "trades.csv"
    path.write_text("\n".join(lines + [e[2] for e in everything]) + "\n")
    _, db = replay(path, days=(DAYS[0], DAYS[0]))
    for symbol in SYMBOLS:
        want, _ = expected_day(generated, symbol, DAYS[0], "trades")
        got = db.execute("SELECT start, open, high, low, close, volume, trades FROM bars WHERE symbol = ?",
                         (symbol,)).fetchall()
        assert {(r[0] - midnight(DAYS[0])) // SECOND: r[1:] for r in got} == {
            s: (*b["values"], b["trades"]) for s, b in want.items()}


# ---- recorded logs ----

BAR_VALUES = ("SELECT symbol, start, open, high, low, close, volume, vwap, trades, bid, ask, bid_size, ask_size, quote_lag_ms, "
              "tape, origin FROM bars ORDER BY symbol, start")
QUOTE_VALUES = "SELECT symbol, second, bid, ask, bid_size, ask_size, quote_lag_ms FROM quotes ORDER BY symbol, second"


def test_a_recorded_log_gives_the_same_bars_quotes_and_gaps_again(replay, generated, tmp_path):
    _, first = replay(generated, days=("2013-10-07", "2013-10-09"))  # the last day is missing
    for path in ("out", "out/bus"):
        _, again = replay(tmp_path / path, days=("2013-10-07", "2013-10-09"), out=path.replace("/", "-") + "-again")
        for query in (BAR_VALUES, QUOTE_VALUES, 'SELECT symbol, start, "end", reason FROM gaps',
                      "SELECT * FROM quality ORDER BY symbol, day"):
            assert again.execute(query).fetchall() == first.execute(query).fetchall()


def test_what_a_recording_lacks_is_a_gap(replay, generated, tmp_path):
    replay(generated, days=(DAYS[0], DAYS[0]))
    log = next((tmp_path / "out/bus/bars").iterdir())
    log.write_bytes(log.read_bytes()[:log.stat().st_size // 2])
    _, db = replay(tmp_path / "out", days=(DAYS[0], DAYS[0]), out="again")
    (symbol, start, end, reason), = db.execute('SELECT symbol, start, "end", reason FROM gaps').fetchall()
    assert symbol == "*" and reason == "not_recorded" and end == midnight(DAYS[0]) + 57600 * SECOND
    for traded, no_trade, unknown in db.execute("SELECT traded, no_trade, unknown FROM quality"):
        assert unknown == (end - start) // SECOND and traded + no_trade + unknown == 23400


def test_a_damaged_recording_is_named(replay, generated, tmp_path):
    replay(generated, days=(DAYS[0], DAYS[0]))
    log = next((tmp_path / "out/bus/bars").iterdir())
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 0x10
    log.write_bytes(data)
    done, db = replay(tmp_path / "out", days=(DAYS[0], DAYS[0]), out="again")
    assert f"{log} is damaged at byte" in done.stderr
    assert db.execute("SELECT reason FROM gaps").fetchall() == [("not_recorded",)]
    done, _ = replay(tmp_path / "out", "--on-error", "refuse", days=(DAYS[0], DAYS[0]), out="refused", code=1)
    assert f"{log} is damaged at byte" in done.stderr


def test_a_recording_of_the_simulated_market_is_refused(tickcast, replay, tmp_path):
    done = tickcast("run", "--no-serve", "--no-forecast", "--history", "60s", "--duration", "1s", "--data", "simulated")
    assert done.returncode == 0, done.stderr
    done, _ = replay(tmp_path / "simulated", symbols=("SPY",), code=1)
    assert "simulated market" in done.stderr

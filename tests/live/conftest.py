"""What the tests of the live feeds share: the program against a fake vendor, and its store against the fake's market."""
import os
import pathlib
import signal
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request

import pytest

import fakes

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = pathlib.Path(os.environ.get("TICKCAST_BIN", ROOT / "build" / "tickcast"))
SYMBOLS = {"coinbase": ["BTC-USD", "ETH-USD"], "binance": ["BTCUSDT", "ETHUSDT"], "kraken": ["BTC/USD", "ETH/USD"],
           "massive": ["AAPL", "SPY"], "alpaca": ["AAPL", "SPY"], "finnhub": ["AAPL", "SPY"]}
VENUES = ("coinbase", "binance", "kraken")
KEYS = {"MASSIVE_API_KEY": fakes.KEY, "APCA_API_KEY_ID": fakes.KEY, "APCA_API_SECRET_KEY": fakes.SECRET,
        "FINNHUB_API_KEY": fakes.KEY}


def wait_until(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"it did not come within {seconds} s")


class Run:
    """tickcast run on one or several fakes."""

    def __init__(self, folder, *fake_vendors, symbols=None, more=(), env=None, serve=False):
        self.folder, self.fakes, self.symbols, self.more, self.serve = folder, fake_vendors, symbols, more, serve
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("TICKCAST_", "XDG_"))}
        self.env = {**clean, "HOME": str(folder / "home"), **KEYS, **(env or {})}
        self.data, self.log, self.process = folder / "data", folder / "log", None

    def words(self):
        names = [f.vendor for f in self.fakes]
        symbols = self.symbols or [f"{f.vendor}:{s}" if f.vendor in VENUES else s for f in self.fakes
                                   for s in f.market.symbols]
        words = [BINARY, "run", "--feed", ",".join(names), "--symbols", ",".join(symbols), "--data", self.data,
                 "--live.history", "0", "--calendar", "always", "--no-forecast", "--store.batch_wait", "200ms"]
        for f in self.fakes:
            words += [f"--{f.vendor}.url", f.ws, f"--{f.vendor}.rest", f.rest]
            if f.vendor == "massive":
                words += [] if "--massive.channels" in self.more else ["--massive.channels", "T"]
        words += ["--listen", "127.0.0.1:0"] if self.serve else ["--no-serve"]
        return [str(w) for w in [*words, *self.more]]

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.words(), env=self.env, stdout=log, stderr=log)
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(15)

    def text(self):
        return self.log.read_text(errors="replace")

    def says(self, words, times=1, seconds=20):
        wait_until(lambda: self.text().count(words) >= times, seconds)

    def url(self, path):
        wait_until(lambda: "page      http" in self.text())
        base = next(line.split()[1] for line in self.text().splitlines() if line.startswith("page "))
        return base.rstrip("/") + path

    def get(self, path):
        try:
            with urllib.request.urlopen(self.url(path), timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def query(self, sql, *values):
        with sqlite3.connect(f"file:{self.data / 'tickcast.db'}?mode=ro", uri=True) as db:
            return db.execute(sql, values).fetchall()

    def gaps(self):
        return self.query("SELECT symbol, start / 1000000000, end / 1000000000, reason, filled, feed FROM gaps ORDER BY start")


def compare(run, fake, allow_unfilled=False):
    """The store against the market, second by second, from the first bar to the last. Returns the number of seconds."""
    unknown = [(g[1], g[2]) for g in run.gaps() if not g[4] and g[5] == fake.vendor]
    compared = 0
    for symbol in fake.market.symbols:
        name = f"{fake.vendor}:{symbol}" if fake.vendor in VENUES else symbol
        rows = {r[0]: r[1:] for r in run.query(
            "SELECT start / 1000000000, open, high, low, close, volume, trades FROM bars WHERE symbol = ?", name)}
        assert rows, f"no bars of {name}"
        truth = fake.market.bars(symbol, min(rows) * 10**9, (max(rows) + 1) * 10**9)
        for second in sorted({*rows, *truth}):
            if any(start <= second < end for start, end in unknown):
                assert allow_unfilled or second < min(rows), f"{name} at {second} is unknown"
                continue
            row = rows.get(second)
            assert row, f"{name} at {second}: {truth[second]} was traded and is not in the store"
            assert (*row[:4], round(row[4], 6), row[5]) == truth.get(second), f"{name} at {second}"
            compared += 1
    return compared


@pytest.fixture
def live(tmp_path):
    """live(fake, ..., more=...) -> a started Run; all are ended afterwards."""
    runs = []

    def start(*fake_vendors, **options):
        run = Run(tmp_path, *fake_vendors, **options)
        runs.append(run)
        return run.start()
    yield start
    for run in runs:
        if run.process and run.process.poll() is None:
            run.process.kill()
            run.process.wait()

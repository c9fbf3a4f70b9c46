"""Seeded market data in the LEAN folder format, for tests on machines without real data.

    python3 make_lean.py FOLDER [--days 2013-10-07,2013-10-08] [--symbols SPY,AIG] [--seed 1] [--trades 8000]

The same arguments give the same bytes of CSV. What it holds on purpose: trades before and after the session, empty
seconds, fractions of a millisecond, off-exchange prints, sale conditions that the second bars leave out, suspicious
prints far off the market, bad prints that are not flagged, quotes that change in seconds without a trade, a spread that
prices bounce in, and a queue imbalance that leads the price a little.
"""
import argparse
import math
import pathlib
import random
import zipfile

OPEN, CLOSE = 34200, 57600
EXCHANGES = "PQZKBJYN"
LEFT_OUT = "20000400"  # a condition that keeps a print out of the vendor's second bars


class Symbol:
    def __init__(self, rng, name):
        self.name = name
        self.bid = rng.randrange(1000, 20000) * 100  # prices x 10,000, whole cents
        self.spread = 100 * rng.choice([1, 1, 1, 2, 4])
        self.sizes = [rng.randrange(1, 20) * 100, rng.randrange(1, 20) * 100]

    @property
    def ask(self):
        return self.bid + self.spread


def intensity(second):
    """Share of the day's busiest rate: a U over the session, little outside it."""
    if not OPEN <= second < CLOSE:
        return 0.02
    x = (second - OPEN) / (CLOSE - OPEN)
    return 0.35 + 0.65 * (2 * x - 1) ** 2


def move_quote(rng, s):
    """True when the quote changed: the fuller side pushes the price."""
    imbalance = (s.sizes[0] - s.sizes[1]) / (s.sizes[0] + s.sizes[1])
    draw = rng.random()
    if draw < 0.10 * (1 + imbalance):
        s.bid += 100
        s.sizes = [rng.randrange(1, 20) * 100, rng.randrange(1, 20) * 100]
    elif draw > 1 - 0.10 * (1 - imbalance) and s.bid > 10000:
        s.bid -= 100
        s.sizes = [rng.randrange(1, 20) * 100, rng.randrange(1, 20) * 100]
    elif draw < 0.55:
        s.sizes[rng.randrange(2)] = rng.randrange(1, 30) * 100
    else:
        return False
    return True


def one_print(rng, s):
    """(price, exchange, condition, suspicious)"""
    draw = rng.random()
    if draw < 0.002:
        return round(s.bid * 1.03), "D", "20000000", rng.random() < 0.6
    lifted = rng.random() < 0.5 + 0.3 * (s.sizes[0] - s.sizes[1]) / sum(s.sizes)
    price = s.ask if lifted else s.bid
    if draw < 0.15:
        return price + rng.choice([-50, 0, 50]), "D", "20000000", False
    condition = LEFT_OUT if draw > 0.97 else rng.choice(["", "0", "20002000"])
    return price, rng.choice(EXCHANGES), condition, False


def second_trades(rng, s, second, rate):
    n = 0
    while rng.random() < rate / (1 + rate) and n < 60:
        n += 1
    times = [rng.randrange(1_000_000) for _ in range(n)]
    rows = []
    for micro in sorted(t if rng.random() < 0.2 else t - t % 1000 for t in times):
        price, exchange, condition, suspicious = one_print(rng, s)
        ms = f"{second * 1000 + micro // 1000}" + (f".{micro % 1000:03d}" if micro % 1000 else "")
        size = 0 if rng.random() < 0.001 else rng.choice([100, 100, 100, 200, 37, 1, 500])
        rows.append((ms, price, size, exchange, condition, suspicious))
    return rows


def second_bar(second, rows):
    kept = [(r[1], r[2]) for r in rows if r[4] != LEFT_OUT and not r[5]]
    if not kept:
        return None
    prices = [p for p, _ in kept]
    return f"{second * 1000},{prices[0]},{max(prices)},{min(prices)},{prices[-1]},{sum(v for _, v in kept)}"


def quote_row(second, before, s):
    low, high = min(before[0], s.bid), max(before[0], s.bid)
    alow, ahigh = min(before[1], s.ask), max(before[1], s.ask)
    return (f"{second * 1000},{before[0]},{high},{low},{s.bid},{s.sizes[0]},"
            f"{before[1]},{ahigh},{alow},{s.ask},{s.sizes[1]}")


def make_day(rng, s, trades):
    """The lines of the day's three files."""
    ticks, bars, quotes = [], [], []
    peak = trades / sum(intensity(t) for t in range(OPEN, CLOSE))
    for second in range(14400, 72000):
        rate = peak * intensity(second) * math.exp(rng.gauss(0, 0.5))
        if rng.random() < min(1.0, 12 * rate):
            before = s.bid, s.ask
            if move_quote(rng, s):
                quotes.append(quote_row(second, before, s))
        rows = second_trades(rng, s, second, rate)
        for ms, price, size, exchange, condition, suspicious in rows:
            ticks.append(f"{ms},{price},{size},{exchange},{condition},{int(suspicious)}")
        bar = second_bar(second, rows)
        if bar:
            bars.append(bar)
    return {("tick", "trade"): ticks, ("second", "trade"): bars, ("second", "quote"): quotes}


def write_zip(path, name, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    info = zipfile.ZipInfo(name, (2013, 10, 7, 0, 0, 0))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr(info, "".join(line + "\n" for line in lines), zipfile.ZIP_DEFLATED)


def make_lean(folder, days=("2013-10-07", "2013-10-08"), symbols=("SPY", "AIG"), seed=1, trades=8000):
    """Writes equity/usa/{tick,second}/symbol/YYYYMMDD_{trade,quote}.zip below folder; about `trades` prints each."""
    root = pathlib.Path(folder) / "equity" / "usa"
    for name in symbols:
        rng = random.Random(f"{seed} {name}")
        s = Symbol(rng, name)
        for day in days:
            compact = day.replace("-", "")
            for (resolution, kind), lines in make_day(rng, s, trades).items():
                path = root / resolution / name.lower() / f"{compact}_{kind}.zip"
                write_zip(path, f"{compact}_{name.lower()}_{resolution}_{kind}.csv", lines)
    return pathlib.Path(folder)


def main():
    parser = argparse.ArgumentParser(description="Seeded market data in the LEAN folder format")
    parser.add_argument("folder")
    parser.add_argument("--days", default="2013-10-07,2013-10-08")
    parser.add_argument("--symbols", default="SPY,AIG")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--trades", type=int, default=8000, help="about this many a symbol and day")
    args = parser.parse_args()
    make_lean(args.folder, args.days.split(","), args.symbols.split(","), args.seed, args.trades)


if __name__ == "__main__":
    main()

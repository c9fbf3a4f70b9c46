#!/usr/bin/env python3
"""The data path beside pandas: trades of one day from zips to second bars, and on into SQLite.

    bench/datapath.py [--data FOLDER] [--day 2013-10-08] [--rounds 5] [--build build]

Four measurements, one after the other in each round, so that all see the same machine:
  decode      files -> lines -> events in order -> bars, one thread; zips with stored (not deflated) members, so that
              inflation does not count
  inflate     the same from the deflated zips
  stored      `tickcast run --no-forecast --no-serve --until-end`: log and SQLite included, start and stop of the program too
  pandas      read_csv of the same zips, groupby second, quotes joined forward; then to_sql
The best round of each counts (the least disturbed one). Without --data a day is generated (tests/integration/make_lean.py).
Needs pandas, and the targets tickcast and bench/bench_datapath built.
"""
import argparse
import json
import os
import pathlib
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))


def files(data, symbols, day):
    """Path below equity/usa of every zip of the day."""
    for symbol in symbols:
        for resolution, kind in (("tick", "trade"), ("second", "quote")):
            path = pathlib.Path(resolution) / symbol.lower() / f"{day.replace('-', '')}_{kind}.zip"
            if (data / path).exists():
                yield path


def store_copy(data, target, names):
    for name in names:
        with zipfile.ZipFile(data / name) as z:
            inner = z.namelist()[0]
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(target / name, "w", zipfile.ZIP_STORED) as out:
                out.writestr(inner, z.read(inner))


def one_core():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def bench_c(build, data, symbols, day):
    done = subprocess.run([build / "bench" / "bench_datapath", data, day.replace("-", ""), *symbols], check=True,
                          capture_output=True, text=True, preexec_fn=one_core)
    return json.loads(done.stdout)


def child_cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def bench_run(build, data, symbols, day, out):
    shutil.rmtree(out, ignore_errors=True)
    cpu, start = child_cpu(), time.monotonic()
    subprocess.run([build / "tickcast", "run", "--feed", "replay", "--path", data, "--symbols", ",".join(symbols), "--from", day,
                    "--to", day, "--speed", "max", "--until-end", "--no-forecast", "--no-serve", "--data", out], check=True,
                   capture_output=True, cwd=out.parent)
    took = time.monotonic() - start
    with sqlite3.connect(out / "tickcast.db") as db:
        bars, trades = db.execute("SELECT count(*), sum(trades) FROM bars").fetchone()
    return {"seconds": took, "cpu": child_cpu() - cpu, "bars": bars, "trades": trades}


def pandas_bars(data, symbols, day):
    import pandas as pd

    everything = []
    compact = day.replace("-", "")
    for symbol in symbols:
        t = pd.read_csv(data / "tick" / symbol.lower() / f"{compact}_trade.zip", header=None,
                        names=["ms", "price", "size", "ex", "cond", "suspicious"], dtype={"ex": "str", "cond": "str"})
        t = t[t.suspicious == 0]
        t["price"] /= 10000
        t["notional"] = t.price * t["size"]
        t["second"] = (t.ms // 1000).astype("int64")
        g = t.groupby("second")
        bars = g.price.agg(open="first", high="max", low="min", close="last")
        bars["volume"], bars["trades"] = g["size"].sum(), g.price.count()
        bars["vwap"] = g.notional.sum() / bars.volume
        path = data / "second" / symbol.lower() / f"{compact}_quote.zip"
        if path.exists():
            q = pd.read_csv(path, header=None, usecols=[0, 4, 5, 9, 10], names=["ms", "bid", "bid_size", "ask", "ask_size"])
            q["second"] = q.ms // 1000
            q = q.drop_duplicates("second", keep="last").set_index("second")
            bars = bars.join(q.reindex(range(86400)).ffill()[["bid", "ask", "bid_size", "ask_size"]])
        bars["symbol"] = symbol
        everything.append(bars.reset_index())
    return pd.concat(everything).sort_values(["second", "symbol"])


def bench_pandas(data, symbols, day, out):
    start = time.monotonic()
    bars = pandas_bars(data, symbols, day)
    made = time.monotonic()
    out.unlink(missing_ok=True)
    with sqlite3.connect(out) as db:
        bars.to_sql("bars", db, index=False)
    return {"bars_s": made - start, "stored_s": time.monotonic() - start, "bars": len(bars), "trades": int(bars.trades.sum())}


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return f"{model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d')}"


def report(best, trades, bars):
    def line(name, seconds, base):
        print(f"| {name} | {seconds:.3f} | {trades / seconds / 1e6:.2f} | {base / seconds:.1f} |")
    print(f"{machine()}; {trades:,} trades -> {bars:,} bars\n")
    print("| what | seconds | million trades/s | times pandas |\n|---|---|---|---|")
    line("tickcast, decode and aggregate, no inflation, one core", best["decode"], best["pandas"])
    line("tickcast, the same with inflation", best["inflate"], best["pandas"])
    line("pandas, zips to bars in memory", best["pandas"], best["pandas"])
    line("tickcast run, zips to log and SQLite, whole program", best["stored"], best["pandas_stored"])
    line("pandas, zips to SQLite", best["pandas_stored"], best["pandas_stored"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="LEAN folder (with equity/usa in it)")
    parser.add_argument("--day", default="2013-10-08")
    parser.add_argument("--symbols", default="SPY,AIG,BAC,IBM")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    args = parser.parse_args()
    symbols, build = args.symbols.split(","), args.build.resolve()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        tmp = pathlib.Path(folder)
        if not args.data:
            from make_lean import make_lean
            args.data = make_lean(tmp / "lean", [args.day], symbols, trades=180000)
        data = args.data.resolve() / "equity" / "usa"
        store_copy(data, tmp / "flat" / "equity" / "usa", files(data, symbols, args.day))
        best, counts = {}, set()
        for _ in range(args.rounds):
            decode = bench_c(build, tmp / "flat", symbols, args.day)
            inflate = bench_c(build, args.data.resolve(), symbols, args.day)
            run = bench_run(build, args.data.resolve(), symbols, args.day, tmp / "out")
            peer = bench_pandas(data, symbols, args.day, tmp / "peer.db")
            counts |= {(r["trades"], r["bars"]) for r in (decode, inflate, run, peer)}
            for name, seconds in (("decode", decode["bars_s"]), ("inflate", inflate["bars_s"]), ("stored", run["seconds"]),
                                  ("pandas", peer["bars_s"]), ("pandas_stored", peer["stored_s"])):
                best[name] = min(seconds, best.get(name, seconds))
        if len(counts) != 1:
            sys.exit(f"they do not agree on trades and bars: {counts}")
        report(best, *counts.pop())


if __name__ == "__main__":
    main()

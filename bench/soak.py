#!/usr/bin/env python3
"""Runs the program and looks at it every few seconds: resident memory, queues, latencies, bytes written.

    bench/soak.py [--every 10] [--page] -- --sim-symbols 1000 --history 0 --duration 10m
    bench/soak.py --page -- --feed replay --path ../shared/data/lean --speed 100x --until-end

What follows -- are flags of `tickcast run`. With --page it asks for bars, forecasts and scores each time, as a
page does. Ends with the highest and the last value of each figure, and with how much lay on the disk. A queue
that grows shows as a last value far over the first.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
QUEUES = ("forecast,bars", "store,bars", "store,forecasts")


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def metrics(url):
    """name or name{labels} -> value"""
    found = {}
    for line in get(url + "/metrics").splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def sample(pid, url):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    written = re.search(r"^write_bytes: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text(), re.M)
    seconds = sum(int(x) for x in pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]) / 100
    m = metrics(url)
    row = {"rss_mib": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024, "cpu_s": seconds,
           "written_mb": int(written[1]) / 1e6, "bars": m.get("tickcast_bars_total", 0),
           "forecast_p99_ms": 1e3 * m.get('tickcast_forecast_seconds{quantile="0.99"}', 0),
           "put_p99_ms": 1e3 * m.get('tickcast_store_write_seconds{quantile="0.99"}', 0)}
    for queue in QUEUES:
        role, topic = queue.split(",")
        row["lag " + queue] = m.get(f'tickcast_lag_records{{role="{role}",topic="{topic}"}}', 0)
    return row


def ask_as_a_page(url):
    for path in ("bars?symbol=SPY&interval=1s&limit=1000", "bars?symbol=SPY&interval=1m&limit=400",
                 "forecasts?symbol=SPY&limit=500", "scores", "status"):
        get(f"{url}/api/v1/{path}")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", default=ROOT / "build" / "tickcast")
    options.add_argument("--every", type=float, default=10, help="seconds between two looks")
    options.add_argument("--port", type=int, default=18080)
    options.add_argument("--page", action="store_true", help="ask as a page does each time")
    options.add_argument("flags", nargs="*", help="of tickcast run, after --")
    o = options.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tickcast-soak-", dir="/var/tmp"))
    url = f"http://127.0.0.1:{o.port}"
    rows = []
    with subprocess.Popen([o.binary, "run", *o.flags, "--data", folder, "--listen", f"127.0.0.1:{o.port}"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
        begin = time.monotonic()
        while program.poll() is None:
            time.sleep(o.every)
            try:
                row = sample(program.pid, url)
            except (OSError, TypeError):  # it ended between two looks
                break
            if not row["bars"] and rows:
                continue
            if o.page:
                ask_as_a_page(url)
            rows.append(row)
            print(f"{time.monotonic() - begin:6.0f} s  " + "  ".join(f"{k} {v:.6g}" for k, v in row.items()),
                  flush=True)
        code = program.wait()
    print(f"exit status {code}")
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        print(f"{name:20} first {values[0]:12.6g}  highest {max(values):12.6g}  last {values[-1]:12.6g}")
    for path in (folder / "bus", folder / "tickcast.db"):
        size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) if path.is_dir() else path.stat().st_size
        print(f"{path.name:20} {size / 1e6:.1f} MB")
    shutil.rmtree(folder)
    return code


if __name__ == "__main__":
    sys.exit(main())

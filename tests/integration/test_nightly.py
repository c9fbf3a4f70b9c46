"""The nightly work on a store filled by a replay: what is flagged, what a comparison with the vendor finds, what is shown."""
import csv
import io
import json
import subprocess
import urllib.request

import pytest


def bars_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("time,symbol,open,high,low,close,volume\n" + "".join(
        f"{t},{symbol},{p},{p},{p},{p},{v}\n" for t, symbol, p, v in sorted(rows)))
    return path


OPEN = {"2024-06-07": 1717767000, "2024-06-10": 1718026200}  # 09:30 in New York


@pytest.fixture
def two_days(tickcast, tmp_path):
    """NVDA's split is in the shipped list, that of AAA is in none; BBB moves as shares do."""
    prices = {"2024-06-07": {"NVDA": 1208.88, "AAA": 90.0, "BBB": 50.0},
              "2024-06-10": {"NVDA": 121.79, "AAA": 30.2, "BBB": 51.0}}
    rows = [(OPEN[day] + s, symbol, p + 0.01 * (s % 3), 100) for day in prices for symbol, p in prices[day].items()
            for s in range(0, 600, 2)]
    source = bars_csv(tmp_path / "own.csv", rows)
    done = tickcast("run", "--feed", "replay", "--path", source, "--bars-from", "seconds", "--speed", "max", "--until-end",
                    "--no-serve", "--no-forecast", "--data", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    return tmp_path / "data", rows


def shown(tickcast, data, kind, *words):
    done = tickcast("show", kind, "--data", data, "--json", *words)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_unexplained_overnight_ratio_is_flagged_and_a_known_split_is_not(tickcast, two_days):
    data, _ = two_days
    done = tickcast("nightly", "quality", "--day", "2024-06-10", "--data", data)
    assert done.returncode == 0, done.stderr
    assert "3 symbols" in done.stdout and "1 flagged" in done.stdout
    flags = shown(tickcast, data, "flags")
    assert [(f["symbol"], f["day"], f["kind"], f["value"]) for f in flags] == [("AAA", 20240610, "split", 3)]
    assert "data/actions.csv has none" in flags[0]["message"]


def test_the_api_applies_splits_to_what_it_reads(binary, environment, two_days, tmp_path):
    data, _ = two_days
    p = subprocess.Popen([binary, "run", "--feed", "replay", "--path", tmp_path / "own.csv", "--bars-from", "seconds", "--speed",
                          "max", "--no-forecast", "--data", data, "--listen", "127.0.0.1:0"], env=environment,
                         stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        url = next(line.split()[1] for line in p.stdout if line.startswith("page")).rstrip("/")

        def bars(symbol, more=""):
            with urllib.request.urlopen(f"{url}/api/v1/bars?symbol={symbol}&interval=1h{more}", timeout=20) as answer:
                return json.load(answer)
        split = bars("NVDA")
        assert [a["value"] for a in split["actions"] if a["day"] == 20240610] == [10]
        assert split["bars"][0]["open"] == pytest.approx(120.888) and split["bars"][1]["open"] == 121.79
        assert split["bars"][0]["volume"] == 10 * split["bars"][1]["volume"]
        raw = bars("NVDA", "&adjusted=no")
        assert raw["bars"][0]["open"] == 1208.88 and raw["actions"] == []
        assert bars("BBB")["bars"][0]["open"] == 50 and bars("BBB")["actions"] == []
    finally:
        p.terminate()
        assert p.wait(10) == 0
        p.stdout.close()


def test_a_split_that_was_added_is_no_longer_flagged_the_next_time(tickcast, two_days, tmp_path):
    data, _ = two_days
    mine = tmp_path / "actions.csv"
    mine.write_text("symbol,day,action,value\nAAA,2024-06-10,split,3\n")
    done = tickcast("nightly", "quality", "--day", "2024-06-10", "--actions", mine, "--data", data)
    assert "1 flagged" in done.stdout  # NVDA is not in this list
    assert [f["symbol"] for f in shown(tickcast, data, "flags")] == ["NVDA"]
    mine.write_text("AAA,2024-06-10,split,3\nNVDA,2024-06-10,split,10\n")
    done = tickcast("nightly", "quality", "--day", "2024-06-10", "--actions", mine, "--data", data)
    assert "0 flagged" in done.stdout and not shown(tickcast, data, "flags")
    done = tickcast("nightly", "quality", "--day", "2024-06-10", "--actions", "/dev/null", "--data", data)
    assert "2 flagged" in done.stdout
    done = tickcast("nightly", "quality", "--day", "2024-06-10", "--actions", tmp_path / "actions.csv", "--data", data)
    mine.write_text("AAA,2024-06-10,split,3\n")
    done = tickcast("nightly", "quality", "--day", "2024-06-10", "--actions", mine, "--data", data)
    assert [f["symbol"] for f in shown(tickcast, data, "flags")] == ["NVDA"]


def test_own_bars_are_compared_with_the_vendors_and_stay_as_they_are(tickcast, two_days, tmp_path):
    data, rows = two_days
    day = [(t, s, p, v) for t, s, p, v in rows if t >= OPEN["2024-06-10"]]
    minutes = {}
    for t, s, p, v in sorted(day):
        m = minutes.setdefault((t // 60 * 60, s), [p, p, p, p, 0])
        m[1], m[2], m[3], m[4] = max(m[1], p), min(m[2], p), p, m[4] + v
    minutes[OPEN["2024-06-10"] + 60, "BBB"][4] += 700  # the vendor knows of one more trade
    del minutes[OPEN["2024-06-10"] + 120, "BBB"]
    minutes[OPEN["2024-06-10"] + 1200, "AAA"] = [30, 30, 30, 30, 5]  # we were not there
    vendor = tmp_path / "vendor.csv"
    vendor.write_text("time,symbol,open,high,low,close,volume\n" + "".join(
        f"{t},{s},{','.join(map(str, m))}\n" for (t, s), m in sorted(minutes.items())))
    before = shown(tickcast, data, "bars", "--symbol", "BBB")
    done = tickcast("nightly", "reconcile", "--day", "2024-06-10", "--schedule.vendor-bars", vendor, "--data", data)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 symbols compared" in done.stdout and "1 minutes differ, 2 are missing on one side" in done.stdout
    got = {(r["symbol"], r["interval_ms"]): r for r in shown(tickcast, data, "reconciled")}
    assert len(got) == 6
    bbb = got["BBB", 60000]
    assert (bbb["compared"], bbb["mismatches"], bbb["missing_vendor"], bbb["missing_own"]) == (9, 1, 1, 0)
    assert bbb["own_volume"] == 30000 and bbb["vendor_volume"] == 30000 + 700 - 3000
    assert bbb["worst"] == (OPEN["2024-06-10"] + 120) * 10**9
    assert got["AAA", 60000]["missing_own"] == 1 and got["NVDA", 60000]["mismatches"] == 0
    assert got["NVDA", 86400000]["own_volume"] == got["NVDA", 86400000]["vendor_volume"] == 30000
    assert shown(tickcast, data, "bars", "--symbol", "BBB") == before  # nothing is corrected


def test_jobs_are_written_down_and_the_report_shows_everything(tickcast, two_days):
    data, _ = two_days
    done = tickcast("nightly", "--day", "2024-06-10", "--data", data)
    assert done.returncode == 0, done.stderr
    jobs = {j["name"]: j for j in shown(tickcast, data, "jobs")}
    assert {n: j["result"] for n, j in jobs.items()} == {"retention": "done", "quality": "done", "reconcile": "skipped"}
    assert all(j["day"] == 20240610 and j["finished"] >= j["started"] for j in jobs.values())
    report = tickcast("show", "report", "--data", data)
    assert report.returncode == 0, report.stderr
    for words in ("Seconds of the sessions", "Gaps", "Own bars against the vendor's", "none", "Flags", "AAA", "Nightly jobs"):
        assert words in report.stdout
    table = list(csv.DictReader(io.StringIO(tickcast("show", "quality", "--csv", "--data", data).stdout)))
    assert len(table) == 6 and all(r["traded"] == "300" for r in table)


def test_what_is_wrong_is_said(tickcast, two_days, tmp_path):
    data, _ = two_days
    done = tickcast("nightly", "sweep", "--data", data)
    assert done.returncode == 2 and "retention, quality, reconcile" in done.stderr
    done = tickcast("nightly", "--day", "2024-06-08", "--data", data)
    assert done.returncode == 4 and "closed on 20240608: weekend" in done.stderr
    done = tickcast("nightly", "reconcile", "--day", "2024-06-10", "--schedule.vendor-bars", tmp_path / "no", "--data", data)
    assert done.returncode == 4 and "schedule.vendor_bars" in done.stderr
    assert shown(tickcast, data, "jobs")[0]["result"] == "failed"
    done = tickcast("run", "--feed", "replay", "--path", tmp_path, "--schedule")
    assert done.returncode == 3 and "a replay has its own time" in done.stderr
    done = tickcast("run", "--schedule", "--sessions", "noon")
    assert done.returncode == 3 and "none of pre, regular, after" in done.stderr
    done = tickcast("run", "--schedule", "--calendar", "xnys", "--data", tmp_path / "sim", "--listen", "127.0.0.1:0")
    assert done.returncode == 3 and "feed simulated cannot sleep" in done.stderr


def test_real_ticks_against_the_vendors_second_bars(tickcast, real_data, tmp_path):
    data = tmp_path / "data"
    done = tickcast("run", "--feed", "replay", "--path", real_data, "--symbols", "BAC", "--from", "2013-10-07", "--to",
                    "2013-10-07", "--speed", "max", "--until-end", "--no-serve", "--no-forecast", "--data", data)
    assert done.returncode == 0, done.stderr
    done = tickcast("nightly", "reconcile", "--day", "2013-10-07", "--schedule.vendor-bars", real_data, "--data", data)
    assert done.returncode == 0, done.stderr
    minute = [r for r in shown(tickcast, data, "reconciled") if r["interval_ms"] == 60000][0]
    assert minute["compared"] == 390 and minute["missing_own"] == minute["missing_vendor"] == 0
    assert 0 < minute["own_volume"] / minute["vendor_volume"] - 1 < 0.03  # the vendor leaves some sale conditions out

"""`tickcast show` on a store made by fill_store: tables for people, JSON and CSV for programs."""
import csv
import io
import json
import pathlib
import sqlite3
import subprocess

import pytest

OPEN = 1381152600  # 2013-10-07 09:30:00 in New York


@pytest.fixture(scope="module")
def fill(binary):
    return pathlib.Path(binary).parent / "tests" / "integration" / "fill_store"


@pytest.fixture
def replay_store(fill, tmp_path):
    subprocess.run([fill, tmp_path, "replay"], check=True)
    return tmp_path


@pytest.fixture
def show(tickcast, replay_store):
    def call(*words):
        done = tickcast("show", "--data", replay_store, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return call


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


def test_a_table_names_its_clock_and_shows_the_newest_rows(show):
    lines = show("bars", "--symbol", "SPY", "--last", "2").splitlines()
    assert lines[0] == "bars of 1s, SPY, newest 2, times in America/New_York"
    assert lines[1].split()[:6] == ["time", "symbol", "open", "high", "low", "close"]
    assert len(lines) == 4
    assert lines[3].startswith("2013-10-07 09:32:29  SPY")
    assert len({len(line.rstrip()) for line in lines[1:]}) == 1, "the columns are not aligned"


def test_utc_is_an_option(show):
    assert "2013-10-07 13:32:29" in show("bars", "--symbol", "SPY", "--last", "1", "--utc")


def test_json_bars_equal_the_rows_of_the_database(show, replay_store):
    shown = objects(show("bars", "--symbol", "SPY", "--json"))
    db = sqlite3.connect(replay_store / "tickcast.db")
    db.row_factory = sqlite3.Row
    rows = db.execute("SELECT * FROM bars WHERE symbol = 'SPY' ORDER BY start").fetchall()
    assert len(shown) == len(rows) == 150
    for bar, row in zip(shown, rows):
        for name, value in bar.items():
            assert value == row[name], name


def test_csv_minutes_equal_what_the_seconds_give(show):
    seconds = objects(show("bars", "--symbol", "SPY", "--json"))
    minutes = list(csv.DictReader(io.StringIO(show("bars", "--symbol", "SPY", "--interval", "1m", "--csv"))))
    assert [int(m["start"]) for m in minutes] == [(OPEN + 60 * i) * 10**9 for i in range(3)]
    for minute in minutes:
        start = int(minute["start"])
        mine = [s for s in seconds if start <= s["start"] < start + 60 * 10**9]
        assert float(minute["open"]) == mine[0]["open"] and float(minute["close"]) == mine[-1]["close"]
        assert float(minute["high"]) == max(s["high"] for s in mine)
        assert float(minute["low"]) == min(s["low"] for s in mine)
        volume = pv = 0.0
        for s in mine:
            volume += s["volume"]
            pv += s["vwap"] * s["volume"]
        assert float(minute["volume"]) == volume and float(minute["vwap"]) == pv / volume
        assert int(minute["seconds"]) == len(mine)


@pytest.mark.parametrize("words, first, count", [
    (("--from", "2013-10-07T09:31:00", "--to", "2013-10-07T09:31:05"), 60, 5),
    (("--from", "2013-10-07T13:31:00Z", "--to", "2013-10-07T13:31:05Z"), 60, 5),
    (("--from", str((OPEN + 60) * 10**9), "--to", str((OPEN + 65) * 10**9)), 60, 5),
    (("--from", "2013-10-07", "--to", "2013-10-07"), 0, 150),
    (("--from", "2013-10-07", "--limit", "3"), 0, 3),
    (("--last", "3"), 147, 3),
])
def test_a_range_is_given_in_days_in_both_clocks_or_in_nanoseconds(show, words, first, count):
    bars = objects(show("bars", "--symbol", "SPY", "--json", *words))
    assert len(bars) == count
    assert bars[0]["start"] == (OPEN + first) * 10**9


def test_forecasts_come_with_every_point_in_json_and_one_row_a_point_in_csv(show):
    forecast, = objects(show("forecasts", "--symbol", "SPY", "--limit", "1", "--json"))
    assert forecast["flags"] == ["late", "cold"]
    assert [p["kind"] for p in forecast["points"]] == ["next", "last"]
    assert forecast["points"][0]["target"] is None
    rows = list(csv.DictReader(io.StringIO(show("forecasts", "--limit", "1", "--csv"))))
    assert [r["kind"] for r in rows] == ["next", "last"]
    assert rows[0]["target"] == "" and float(rows[1]["value"]) == 168.52
    assert "168.51" in show("forecasts", "--last", "1")
    assert show("forecasts", "--model", "none@0", "--json") == ""


def test_scores_are_merged_over_half_hours_and_days_or_by_day(show):
    score, = objects(show("scores", "--json"))
    assert score["n"] == 300 and score["ratio"] == 0.9 and score["direction"]["moves"] == 240
    assert [s["n"] for s in objects(show("scores", "--json", "--by-day"))] == [200, 100]
    one, = objects(show("scores", "--json", "--from", "2013-10-08", "--to", "2013-10-08"))
    assert one["n"] == 100
    assert "0.9000" in show("scores")


def test_gaps_outcomes_quality_and_status_are_shown_in_every_form(show):
    assert "not_running" in show("gaps", "--symbol", "SPY")
    assert objects(show("gaps", "--json"))[0]["symbol"] == "*"
    assert "168.55" in show("outcomes", "--last", "1")
    assert len(objects(show("outcomes", "--json"))) == 150
    assert list(csv.DictReader(io.StringIO(show("quality", "--csv"))))[0]["traded"] == "150"
    status, = objects(show("status", "--json"))
    assert status["world"] == "replay" and status["bars"]["ended"] is True
    assert status["bytes_a_day"] == round(status["bytes"] / 150 * 23400)  # quality knows of 150 seconds
    assert [s["symbol"] for s in status["symbols"]] == ["BAC", "SPY"]
    assert "complete" in show("status")


def test_simulated_data_are_never_shown_without_the_word(fill, tickcast, tmp_path):
    subprocess.run([fill, tmp_path, "simulated"], check=True)
    for kind in ("bars", "forecasts", "scores", "status"):
        assert tickcast("show", "--data", tmp_path, kind).stdout.startswith("SIMULATED")
    bars = tickcast("show", "--data", tmp_path, "bars", "--json", "--last", "1").stdout
    assert objects(bars)[0]["origin"] == "simulated"


@pytest.mark.parametrize("words, code, part", [
    (("brs",), 2, "did you mean bars?"),
    (("bars", "--from", "2013-13-01"), 2, "is no time"),
    (("bars", "--from", "2013-02-30"), 2, "is no time"),
    (("bars", "--from", "2013-10-07T25:00"), 2, "is no time"),
    (("bars", "--from", "2013-10-08", "--to", "2013-10-07"), 2, "--from must be before --to"),
    (("bars", "--json", "--csv"), 2, "give one of them"),
    (("bars", "--limit", "1", "--last", "1"), 2, "give one of them"),
    (("bars", "--interval", "2s"), 2, "interval"),
    ((), 2, "usage"),
])
def test_a_wrong_command_line_is_named(tickcast, replay_store, words, code, part):
    done = tickcast("show", "--data", replay_store, *words)
    assert done.returncode == code
    assert part in done.stderr
    assert done.stdout == ""


def test_a_folder_without_a_store_and_a_damaged_one_are_named(tickcast, tmp_path):
    done = tickcast("show", "status", "--data", tmp_path)
    assert done.returncode == 4 and "no such file" in done.stderr
    (tmp_path / "tickcast.db").write_bytes(b"x" * 5000)
    done = tickcast("show", "status", "--data", tmp_path)
    assert done.returncode == 4 and "not a database" in done.stderr


def test_a_closed_pipe_is_no_crash(binary, environment, replay_store):
    with subprocess.Popen([binary, "show", "--data", replay_store, "bars", "--csv"], env=environment,
                          stdout=subprocess.PIPE) as p:
        p.stdout.close()
        assert p.wait() in (4, -13)

"""The shipped calendar against an independent one (exchange-calendars), by day and by minute."""
import csv
import datetime
import io
import subprocess

import pytest
from conftest import BINARY, ROOT

FIRST, LAST = "2000-01-01", "2035-12-31"
MINUTES = BINARY.parent / "tests" / "integration" / "calendar_minutes"


@pytest.fixture(scope="module")
def reference():
    calendars = pytest.importorskip("exchange_calendars", reason="script/bootstrap test installs it")
    return calendars.get_calendar("XNYS", start=FIRST, end=LAST)


def utc(stamp):
    return stamp.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_every_session_of_36_years_opens_and_closes_as_in_an_independent_calendar(tickcast, reference):
    done = tickcast("calendar", "--exchange", "XNYS", "--from", FIRST, "--to", LAST, "--csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[0] == ["day", "open_utc", "close_utc"]
    table = reference.schedule
    expected = [[day.strftime("%Y-%m-%d"), utc(o), utc(c)]
                for day, o, c in zip(table.index, table["open"], table["close"])]
    assert len(expected) == 9049
    wrong = [pair for pair in zip(rows[1:], expected) if pair[0] != pair[1]]
    assert not wrong[:5] and len(rows) - 1 == len(expected)


def test_every_minute_of_36_years_is_open_or_closed_as_in_an_independent_calendar(reference):
    """Equal changes from closed to open and back, over all minutes, mean that all minutes are equal."""
    first = int(datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc).timestamp())
    last = int(datetime.datetime(2035, 12, 31, 23, 59, tzinfo=datetime.timezone.utc).timestamp())
    done = subprocess.run([MINUTES, ROOT / "data" / "calendars" / "xnys.yaml", str(first), str(last)],
                          capture_output=True, text=True, check=True, timeout=120)
    minutes = reference.minutes.as_unit("s").asi8  # all trading minutes, rising
    breaks = [i for i in range(1, len(minutes)) if minutes[i] - minutes[i - 1] != 60]
    starts, ends = [0, *breaks], [*breaks, len(minutes)]
    expected = [line for a, b in zip(starts, ends)
                for line in (f"open {minutes[a]}", f"closed {minutes[b - 1] + 60}")]
    assert len(minutes) > 3_500_000
    assert done.stdout.splitlines() == expected


def test_early_closes_and_days_that_no_rule_gives(tickcast):
    def close(day):
        done = tickcast("calendar", "--exchange", "xnys", "--from", day, "--to", day, "--csv")
        lines = done.stdout.splitlines()[1:]
        return lines[0].split(",")[2][11:16] if lines else None
    assert close("2024-07-03") == "17:00"  # 13:00 in summer
    assert close("2024-11-29") == "18:00"  # 13:00 in winter
    assert close("2002-07-03") == "20:00" and close("2002-07-05") == "17:00"
    assert close("2025-01-09") is None and close("2001-09-13") is None
    assert close("2027-12-31") == "21:00" and close("2028-01-03") == "21:00"


def test_the_calendar_that_never_closes(tickcast):
    for name in ("always", "24/7"):
        done = tickcast("calendar", "--exchange", name, "--from", "2026-02-28", "--to", "2026-03-01", "--csv")
        assert done.stdout.splitlines() == ["day,open_utc,close_utc", "2026-02-28,2026-02-28T00:00:00Z,2026-03-01T00:00:00Z",
                                            "2026-03-01,2026-03-01T00:00:00Z,2026-03-02T00:00:00Z"]


def test_what_is_wrong_with_a_calendar_is_said(tickcast, tmp_path):
    text = (ROOT / "data" / "calendars" / "xnys.yaml").read_text()
    mine = tmp_path / "mine.yaml"
    mine.write_text(text + "  - {date: 2026-12-25, closed: Christmas again}\n")
    done = tickcast("doctor", "--calendar", mine, "--no-serve")
    assert "exception of 2026-12-25 changes nothing" in done.stdout
    mine.write_text(text.replace("rule: 3rd mon 01", "rule: 3rd mun 01"))
    done = tickcast("doctor", "--calendar", mine, "--no-serve")
    assert done.returncode == 1 and "mine.yaml:15:" in done.stdout and "rule must be" in done.stdout
    done = tickcast("calendar", "--exchange", "xlon")
    assert done.returncode == 3 and "there is no calendar 'xlon'" in done.stderr
    done = tickcast("calendar", "--csv", "--json")
    assert done.returncode == 2 and "one of them" in done.stderr

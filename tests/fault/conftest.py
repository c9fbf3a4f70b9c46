"""What the fault tests share: the program, seeded market data, and how two finished data folders are compared."""
import os
import pathlib
import socket
import sqlite3
import struct
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = pathlib.Path(os.environ.get("TICKCAST_BIN", ROOT / "build" / "tickcast"))
PRELOAD = BINARY.parent / "tests" / "fault" / "liblossy_preload.so"
CRASH = BINARY.parent / "tests" / "fault" / "lossy_crash"

sys.path.insert(0, str(ROOT / "tests" / "integration"))
from make_lean import make_lean  # noqa: E402


def environment(home, **more):
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("TICKCAST_", "XDG_"))}
    return {**clean, "HOME": str(home), **more}


def replay_words(lean, out):
    return [str(BINARY), "run", "--feed", "replay", "--path", str(lean), "--symbols", "SPY,AIG", "--from", "2013-10-07",
            "--to", "2013-10-08", "--speed", "max", "--until-end", "--data", str(out), "--no-serve"]


def finish(lean, out, home):
    """Runs the replay to its end."""
    done = subprocess.run(replay_words(lean, out), env=environment(home), capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="session")
def lean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lean")
    make_lean(folder, trades=3000)
    return folder


@pytest.fixture(scope="session")
def undisturbed(lean, tmp_path_factory):
    """The data folder of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(lean, folder / "data", folder)
    return folder / "data"


@pytest.fixture
def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def log_records(out, topic):
    """The records of a topic as bytes, read by the format's description (docs/formats.md), not by the program."""
    records = []
    for path in sorted((pathlib.Path(out) / "bus" / topic).glob("*.log")):
        data = path.read_bytes()
        assert data[:8] == b"tc-log\r\n"
        assert struct.unpack_from("<q", data, 16)[0] == int(path.stem) == len(records), path
        at = 40
        while at < len(data):
            length, = struct.unpack_from("<I", data, at)
            records.append(data[at + 8:at + 8 + length])
            assert len(records[-1]) == length, path
            at += 8 + length
    return records


def tables(out):
    """{table: sorted rows} of everything in the store but what says when and by whom the file was made."""
    db = sqlite3.connect(f"file:{pathlib.Path(out) / 'tickcast.db'}?mode=ro", uri=True)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    names = [n for n, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
    rows = {name: sorted(db.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in names if name != "meta"}
    db.close()
    return rows


def assert_same_folder(got, want):
    a, b = tables(got), tables(want)
    assert a.keys() == b.keys()
    assert len(b["bars"]) > 1000 and len(b["forecasts"]) > 1000 and len(b["outcomes"]) > 1000
    for name in b:
        assert len(a[name]) == len(b[name]), f"{name}: {len(a[name])} rows, undisturbed {len(b[name])}"
        differ = [(x, y) for x, y in zip(a[name], b[name]) if x != y]
        assert not differ, f"{name}: {len(differ)} rows differ, the first: {str(differ[0])[:1500]}"
    for topic in ("bars", "forecasts"):
        x, y = log_records(got, topic), log_records(want, topic)
        assert len(x) == len(y), topic
        differ = [i for i in range(len(x)) if x[i] != y[i]]
        assert not differ, f"topic {topic}: {len(differ)} records differ, the first at {differ[0]}"


def assert_counts_add_up(out):
    """What the log holds is what the store holds: bars and forecasts by their keys, positions at the log's ends."""
    rows = tables(out)
    bars, forecasts = log_records(out, "bars"), log_records(out, "forecasts")

    def text(record, at):
        return record[at + 1:at + 1 + record[at]], at + 1 + record[at]

    bar_keys, forecast_keys = set(), set()
    for r in bars:
        if r[1] == 1:
            symbol, at = text(r, 10)
            _, at = text(r, at)
            bar_keys.add((symbol.decode(), struct.unpack_from("<q", r, at)[0]))
    for r in forecasts:
        if r[1] == 16:
            symbol, at = text(r, 10)
            model, at = text(r, at)
            _, at = text(r, at)
            _, at = text(r, at)
            forecast_keys.add((symbol.decode(), model.decode(), struct.unpack_from("<q", r, at)[0]))
    assert len(rows["bars"]) == len(bar_keys) == sum(r[1] == 1 for r in bars)
    assert len(rows["forecasts"]) == len(forecast_keys) == sum(r[1] == 16 for r in forecasts)
    assert len(rows["outcomes"]) == sum(r[1] == 17 for r in forecasts)
    assert sorted(row[-1] for row in rows["positions"]) == sorted([len(bars), len(forecasts)])

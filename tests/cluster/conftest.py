"""What the cluster tests share: real servers, started from their packages by script/cluster, and generated market data."""
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = pathlib.Path(os.environ.get("TICKCAST_BIN", ROOT / "build" / "tickcast"))

sys.path.insert(0, str(ROOT / "tests" / "integration"))
from make_lean import make_lean  # noqa: E402


class Cluster:
    """script/cluster on a folder of its own."""

    def __init__(self, folder):
        self.folder = folder

    def call(self, *words):
        done = subprocess.run([ROOT / "script" / "cluster", *words, "--dir", str(self.folder)], capture_output=True,
                              text=True, timeout=400, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def nodes(self):
        return {n["name"]: n for n in json.loads(self.call("status", "--json"))}

    def address(self, name):
        return self.nodes()[name]["address"]

    def pause(self, name):
        os.kill(self.nodes()[name]["pid"], signal.SIGSTOP)

    def resume(self, name):
        os.kill(self.nodes()[name]["pid"], signal.SIGCONT)


@pytest.fixture(scope="session")
def cassandra(tmp_path_factory):
    """One node whose acknowledged writes survive a kill."""
    cluster = Cluster(tmp_path_factory.mktemp("cassandra"))
    cluster.call("up", "--kafka", "0", "--cassandra", "1", "--commitlog", "batch")
    yield cluster
    cluster.call("down", "--purge")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("kafka"))
    cluster.call("up", "--kafka", "1", "--cassandra", "0")
    yield cluster
    cluster.call("down", "--purge")


TABLES = ["bars", "forecasts", "outcomes", "scores", "gaps", "quality"]


def tickcast(environment, *words, timeout=600):
    return subprocess.run([BINARY, *map(str, words)], env=environment, capture_output=True, text=True, timeout=timeout,
                          check=False)


def replay(lean, data, *more):
    return ["run", "--feed", "replay", "--path", lean, "--speed", "max", "--until-end", "--data", data, "--no-serve", *more]


def rows(environment, *where):
    """Every table of the store as CSV, both symbols."""
    out = {}
    for table in TABLES:
        for symbol in ("SPY", "AIG"):
            done = tickcast(environment, "show", table, "--csv", "--utc", "--symbol", symbol, *where)
            assert done.returncode == 0, done.stderr
            out[table, symbol] = done.stdout
    return out


@pytest.fixture(scope="session")
def undisturbed(lean, tmp_path_factory):
    """What log bus and SQLite hold after the replay."""
    folder = tmp_path_factory.mktemp("sqlite")
    home = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
    done = tickcast(home, *replay(lean, folder / "data"))
    assert done.returncode == 0, done.stderr
    found = rows(home, "--data", folder / "data")
    assert found["bars", "SPY"].count("\n") > 500 and found["forecasts", "SPY"].count("\n") > 500
    return found


@pytest.fixture(scope="session")
def lean(tmp_path_factory):
    return make_lean(tmp_path_factory.mktemp("lean"), days=("2013-10-07",), symbols=("SPY", "AIG"), seed=5, trades=1200)


@pytest.fixture
def environment(tmp_path):
    """Settings for one test: a home and a keyspace of its own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("TICKCAST_", "XDG_"))}
    name = "t" + "".join(c for c in tmp_path.name.lower() if c.isalnum())[:24]
    return {**clean, "HOME": str(tmp_path / "home"), "TICKCAST_CASSANDRA_USER": "cassandra",
            "TICKCAST_CASSANDRA_PASSWORD": "cassandra", "TICKCAST_CASSANDRA_KEYSPACE": name,
            "TICKCAST_KAFKA_PREFIX": name}

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
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.call("up", "--kafka", "0", "--cassandra", "1", "--commitlog", "batch")
    yield cluster
    cluster.call("down", "--purge")


@pytest.fixture(scope="session")
def lean(tmp_path_factory):
    return make_lean(tmp_path_factory.mktemp("lean"), days=("2013-10-07",), symbols=("SPY", "AIG"), seed=5, trades=1200)


@pytest.fixture
def environment(tmp_path):
    """Settings for one test: a home and a keyspace of its own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("TICKCAST_", "XDG_"))}
    name = "t" + "".join(c for c in tmp_path.name.lower() if c.isalnum())[:24]
    return {**clean, "HOME": str(tmp_path / "home"), "TICKCAST_CASSANDRA_USER": "cassandra",
            "TICKCAST_CASSANDRA_PASSWORD": "cassandra", "TICKCAST_CASSANDRA_KEYSPACE": name}

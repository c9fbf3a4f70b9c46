"""What the integration tests share: the program, a folder of their own, real data where it is there."""
import os
import pathlib
import socket
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = pathlib.Path(os.environ.get("TICKCAST_BIN", ROOT / "build" / "tickcast"))
REAL_DATA = ROOT.parent / "shared" / "data" / "lean"


@pytest.fixture(scope="session")
def binary():
    assert BINARY.exists(), f"{BINARY} is not built: ninja -C build"
    return BINARY


@pytest.fixture
def environment(tmp_path):
    """A home of the test's own, so that no configuration of the machine is read and nothing is left behind."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("TICKCAST_", "XDG_"))}
    return {**clean, "HOME": str(tmp_path / "home")}


@pytest.fixture
def tickcast(binary, environment, tmp_path):
    """tickcast("run", "--data", ...) -> CompletedProcess with text."""
    def call(*words, env=None, timeout=120):
        return subprocess.run([binary, *map(str, words)], env={**environment, **(env or {})}, cwd=tmp_path,
                              capture_output=True, text=True, timeout=timeout, check=False)
    return call


@pytest.fixture
def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="session")
def real_data():
    if not REAL_DATA.is_dir():
        pytest.skip("real market data (../shared/data) is not there")
    return REAL_DATA

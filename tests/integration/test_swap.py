"""A model file replaced while tickcast runs: the new model takes over, a broken file changes nothing."""
import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request

import pytest

from conftest import ROOT


def write_model(path, price):
    fresh = path.with_suffix(".fresh")
    subprocess.run([sys.executable, ROOT / "bench" / "random_model.py", "small-2x64", fresh, "--price", str(price)],
                   check=True)
    os.replace(fresh, path)


@pytest.fixture
def running(binary, environment, tmp_path):
    model = tmp_path / "net.safetensors"
    write_model(model, 100)
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen([binary, "run", "--model", model, "--data", tmp_path / "data", "--listen", "127.0.0.1:0",
                                "--history", "6m", "--symbols", "SPY", "--duration", "100s"],
                               env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, text=True)
    address = next(line.split()[1] for line in process.stdout if line.startswith("page"))
    token = next((tmp_path / "data").rglob("token"), None)
    request = urllib.request.Request(address.split("?")[0].split("#")[0] + "api/v1/status")
    if token:
        request.add_header("Authorization", f"Bearer {token.read_text().strip()}")

    def status(until, seconds=60):
        end = time.monotonic() + seconds
        while True:
            with urllib.request.urlopen(request, timeout=10) as answer:
                found = json.load(answer)
            if until(found):
                return found
            assert time.monotonic() < end, (found["models"], found["model_swap"], (tmp_path / "log").read_text())
            time.sleep(0.3)

    yield model, status, process
    process.terminate()
    process.wait(30)
    log.close()


def test_a_replaced_file_takes_over_and_a_broken_one_changes_nothing(running, tmp_path):
    model, status, process = running
    first = status(lambda s: s["rates"]["forecasts_per_s"] > 0)
    old = first["models"][0]["id"]
    assert first["models"][0]["since"] is None and first["models"][0]["unit"] == "price"
    assert first["model_swap"]["state"] == "none"

    write_model(model, 300)
    swapped = status(lambda s: s["model_swap"]["state"] == "done")
    new = swapped["models"][0]["id"]
    assert new != old and swapped["model_swap"]["model"] == new and swapped["models"][0]["since"] > 0

    model.write_bytes(b"\2\0\0\0\0\0\0\0{}")
    failed = status(lambda s: s["model_swap"]["state"] == "failed")
    assert failed["models"][0]["id"] == new
    assert failed["model_swap"]["message"].startswith(f"{new} goes on: ")

    db = next((tmp_path / "data").rglob("tickcast.db"))
    end = time.monotonic() + 40
    count = 0
    while count < 5 and time.monotonic() < end:
        time.sleep(1)
        with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as store:
            count, begin = store.execute("SELECT count(*), min(origin_time) FROM forecasts WHERE model = ?",
                                         (new,)).fetchone()
    assert count >= 5
    with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as store:
        assert store.execute("SELECT max(origin_time) FROM forecasts WHERE model = ?", (old,)).fetchone()[0] < begin
    assert process.poll() is None

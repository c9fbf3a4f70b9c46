"""The nightly training: a better model takes the old one's place, one that is not better does not, and a failure changes nothing."""
import json
import subprocess
import sys

import pytest

from conftest import ROOT
from make_lean import make_lean

DAYS = ("2013-10-07", "2013-10-08", "2013-10-09")
FLAGS = "--schedule.retrain-flags=--epochs=2,--hidden=8,--input-size=8"


@pytest.fixture(scope="module")
def recorded(binary, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    lean = make_lean(folder / "lean", DAYS, ("SPY",), seed=5, trades=6000)
    (folder / "none.yaml").write_text("{}\n")
    subprocess.run([binary, "run", "--config", folder / "none.yaml", "--feed", "replay", "--path", lean, "--speed", "max",
                    "--until-end", "--no-serve", "--no-forecast", "--data", folder / "data"], check=True, timeout=120)
    return folder / "data"


def nightly(tickcast, data, model, *words):
    return tickcast("nightly", "retrain", "--day", DAYS[2], "--data", data, "--model", model, *words, timeout=300)


def last_run(tickcast, data):
    return json.loads(tickcast("show", "jobs", "--json", "--data", data).stdout.splitlines()[0])


def test_a_better_model_takes_the_place_and_an_equal_one_does_not(tickcast, recorded, tmp_path):
    model = tmp_path / "net.safetensors"
    subprocess.run([sys.executable, ROOT / "bench" / "random_model.py", "small-2x64", model, "--price", "100"], check=True)
    poor = model.read_bytes()
    done = nightly(tickcast, recorded, model, FLAGS)
    assert done.returncode == 0, done.stderr
    assert " is in place of " in done.stdout and model.read_bytes() != poor
    shown = json.loads(tickcast("model", "show", "--json", model).stdout)
    assert shown["trained_from"] == shown["trained_to"] == DAYS[0] and shown["validated_to"] == DAYS[1]  # never the session judged on
    run = last_run(tickcast, recorded)
    assert (run["name"], run["day"], run["result"]) == ("retrain", 20131009, "done") and shown["id"] in run["message"]

    better = model.read_bytes()
    done = nightly(tickcast, recorded, model, FLAGS)  # the same data and seed give the same model
    assert done.returncode == 0 and f"{shown['id']} stays" in done.stdout, done.stdout + done.stderr
    assert model.read_bytes() == better


def test_what_cannot_be_done_is_said_and_changes_nothing(tickcast, recorded, tmp_path):
    model = tmp_path / "net.safetensors"
    subprocess.run([sys.executable, ROOT / "bench" / "random_model.py", "small-2x64", model, "--price", "100"], check=True)
    before = model.read_bytes()
    done = nightly(tickcast, recorded, model, "--schedule.retrain-flags=--hiden=8")
    assert done.returncode == 6 and "hiden" in done.stderr and "--hidden" in done.stderr
    done = tickcast("nightly", "retrain", "--day", DAYS[0], "--data", recorded, "--model", model)
    assert done.returncode == 6 and "training: " in done.stderr  # nothing is recorded before the first session
    assert model.read_bytes() == before
    assert last_run(tickcast, recorded)["result"] == "failed"


def test_the_shipped_model_is_never_written_over(tickcast, recorded):
    shipped = ROOT / "models" / "default.safetensors"
    before = shipped.read_bytes()
    done = tickcast("nightly", "retrain", "--day", DAYS[2], "--data", recorded, FLAGS, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "skipped" in done.stdout and "trained on" in done.stdout  # the shipped one was trained on that day
    own = recorded / "models" / "own.safetensors"
    assert own.exists() and shipped.read_bytes() == before
    assert own.read_bytes() == before


def test_doctor_says_when_the_log_is_too_short_to_learn_from(tickcast):
    done = tickcast("doctor", "--retrain", "--no-serve")
    assert "hardly be three sessions" in done.stdout
    assert "hardly be" not in tickcast("doctor", "--retrain", "--bus.retain", "10d", "--no-serve").stdout

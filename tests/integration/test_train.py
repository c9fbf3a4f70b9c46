"""tickcast train and model show from outside: on generated data, and on real days where they are there."""
import json
import re
import signal
import subprocess
import sys
import time

import pytest

from conftest import ROOT
from make_lean import make_lean

DAYS = ("2013-10-07", "2013-10-08", "2013-10-09")
SYMBOLS = ("SPY", "AIG")
SMALL = ["--hidden", "8", "--input-size", "8", "--epochs", "2"]


@pytest.fixture(scope="module")
def lean(tmp_path_factory):
    return make_lean(tmp_path_factory.mktemp("lean"), DAYS, SYMBOLS, seed=5, trades=6000)


def train(tickcast, lean, out, *more):
    done = tickcast("train", "--path", lean, "--symbols", ",".join(SYMBOLS), "-o", out, *SMALL, *more)
    assert done.returncode == 0, done.stderr
    return done


def test_training_writes_a_model_that_says_what_it_is_and_runs(tickcast, lean, tmp_path):
    out = tmp_path / "m.safetensors"
    done = train(tickcast, lean, out, "--validate", DAYS[1], "--test", DAYS[2], "--name", "small")
    assert re.search(r"^epoch +2/2", done.stderr, re.M)  # plain lines where there is no terminal
    assert "\r" not in done.stderr
    assert re.search(r"^validate +SPY +next +\d+ +0\.", done.stdout, re.M)
    assert re.search(r"^test +all +next ", done.stdout, re.M)

    shown = json.loads(tickcast("model", "show", "--json", out).stdout)
    assert re.fullmatch(r"small@[0-9a-f]{8}", shown["id"])
    assert (shown["mode"], shown["layers"], shown["hidden"], shown["input_size"]) == ("stateful", 1, 8, 8)
    assert shown["trained_from"] == shown["trained_to"] == DAYS[0]
    assert shown["validated_from"] == shown["validated_to"] == DAYS[1]
    assert shown["symbols"] == "AIG,SPY" and shown["trained_rows"] > 1000
    assert [(t["kind"], t["horizon_ms"]) for t in shown["targets"]] == [
        ("next", 0), ("last", 1000), ("last", 10000), ("last", 60000), ("mid", 1000), ("mid", 10000), ("mid", 60000)]
    assert shown["targets"][0]["val_ratio"] < 1  # prices bounce in the spread of this market
    words = tickcast("model", "show", out).stdout
    assert "small@" in words and "carries its memory" in words

    run = tickcast("run", "--feed", "replay", "--path", lean, "--symbols", "SPY", "--from", DAYS[2], "--to", DAYS[2],
                   "--speed", "max", "--until-end", "--data", tmp_path / "data", "--listen", "127.0.0.1:0",
                   "--forecast.models", out)
    assert run.returncode == 0, run.stderr
    scores = tickcast("show", "scores", "--data", tmp_path / "data", "--json").stdout
    assert shown["id"] in scores


def test_the_same_seed_gives_the_same_bytes(tickcast, lean, tmp_path):
    files = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(tickcast, lean, tmp_path / name, "--seed", seed)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1] != files[2]


def test_a_recorded_folder_trains_to_the_same_bytes_as_the_files_it_was_made_from(tickcast, lean, tmp_path):
    run = tickcast("run", "--feed", "replay", "--path", lean, "--symbols", ",".join(SYMBOLS), "--speed", "max",
                   "--until-end", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--no-forecast")
    assert run.returncode == 0, run.stderr
    train(tickcast, lean, tmp_path / "files")
    done = tickcast("train", "--data", tmp_path / "data", "--symbols", ",".join(SYMBOLS), "-o", tmp_path / "log", *SMALL)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "files").read_bytes() == (tmp_path / "log").read_bytes()


def test_a_window_model_trains_and_its_summary_comes_as_json(tickcast, lean, tmp_path):
    out = tmp_path / "w.safetensors"
    done = train(tickcast, lean, out, "--window", "12", "--layers", "2", "--input-size", "0", "--horizons", "5s",
                 "--json", "--dropout", "0.2")
    summary = json.loads(done.stdout)
    assert {f["span"] for f in summary["figures"]} == {"validate"}
    assert {(f["kind"], f["horizon_ms"]) for f in summary["figures"]} == {("next", 0), ("last", 5000), ("mid", 5000)}
    shown = json.loads(tickcast("model", "show", "--json", out).stdout)
    assert (shown["mode"], shown["window"], shown["layers"]) == ("window", 12, 2)


def test_other_losses_optimizers_and_whole_sessions(tickcast, lean, tmp_path):
    out = tmp_path / "q.safetensors"
    train(tickcast, lean, out, "--loss", "quantile", "--quantile", "0.75", "--optimizer", "adam", "--schedule", "cosine",
          "--truncate", "0", "--batch", "2", "--clip-norm", "0.5", "--weight-decay", "0")
    shown = json.loads(tickcast("model", "show", "--json", out).stdout)
    assert shown["loss"] == "quantile 0.75" and all(t["shrink"] == 1 for t in shown["targets"])
    assert "quantile 0.75" in tickcast("model", "show", out).stdout
    for flag, value in (("--quantile", "1.5"), ("--schedule", "linear"), ("--optimizer", "sgd"), ("--truncate", "-1")):
        assert tickcast("train", "--path", lean, "-o", tmp_path / "x", flag, value).returncode in (2, 3)


def test_what_cannot_be_trained_is_refused_with_a_sentence(tickcast, lean, tmp_path):
    one_day = tickcast("train", "--path", lean, "--from", DAYS[0], "--to", DAYS[0], "-o", tmp_path / "x", *SMALL)
    assert one_day.returncode == 4 and "at least two days" in one_day.stderr
    nothing = tickcast("train", "-o", tmp_path / "x")
    assert nothing.returncode == 2 and "--path" in nothing.stderr
    late = tickcast("train", "--path", lean, "--validate", DAYS[2], "--test", DAYS[1], "-o", tmp_path / "x")
    assert late.returncode == 2 and "--test must be later" in late.stderr
    away = tickcast("train", "--path", lean, "-o", tmp_path / "no" / "such" / "x", *SMALL)
    assert away.returncode == 4 and "No such file" in away.stderr
    assert not (tmp_path / "x").exists()


def test_a_killed_training_resumes_to_the_same_bytes(binary, tickcast, environment, lean, tmp_path):
    words = ["train", "--path", lean, "--epochs", "5", "--dropout", "0.3"]
    assert tickcast(*words, "-o", tmp_path / "whole").returncode == 0
    assert not (tmp_path / "whole.training").exists()
    out = tmp_path / "killed"
    p = subprocess.Popen([binary, *map(str, words), "-o", out], env=environment, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True)
    for line in p.stderr:
        if line.startswith("epoch  2/"):
            break
    p.kill()
    p.wait()
    assert not out.exists() and (tmp_path / "killed.training").exists()
    other = tickcast(*words, "-o", out, "--resume", "--seed", "7")
    assert other.returncode == 3 and "--resume" in other.stderr
    again = tickcast(*words, "-o", out, "--resume")
    assert again.returncode == 0 and not re.search(r"^epoch +1/", again.stderr, re.M)
    assert out.read_bytes() == (tmp_path / "whole").read_bytes()
    assert not (tmp_path / "killed.training").exists()


def test_an_interrupt_keeps_the_best_epoch_so_far(binary, environment, lean, tmp_path):
    out = tmp_path / "i.safetensors"
    p = subprocess.Popen([binary, "train", "--path", lean, "-o", out, "--epochs", "10000", "--patience", "10000"],
                         env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in p.stderr:
        if line.startswith("epoch  1/"):
            break
    p.send_signal(signal.SIGINT)
    began = time.monotonic()
    stdout, stderr = p.communicate(timeout=60)
    assert p.returncode == 0, stderr
    assert "Interrupted" in stdout and out.exists()
    assert time.monotonic() - began < 20


def test_a_file_that_is_no_model_is_refused_by_name(tickcast, tmp_path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    done = tickcast("model", "show", bad)
    assert done.returncode == 4
    assert "bad.safetensors" in done.stderr and '"format"' in done.stderr
    assert tickcast("model", "show", tmp_path / "none").returncode == 4
    assert tickcast("model", "burn", bad).returncode == 2


def test_bench_lstm_lists_every_kernel(tickcast):
    done = tickcast("bench", "lstm", "--json", "--rounds", "3")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"c"} <= {line["kernel"] for line in lines}
    assert {line["shape"] for line in lines if "shape" in line} == {"1x48", "2x50", "5x200"}
    assert [line["symbols"] for line in lines if "model" in line] == [1, 7, 1000, 10000]
    assert all(line["median_us"] > 0 for line in lines)


def test_bench_flight_shows_what_a_window_costs_before_and_after_the_forecast(tickcast, tmp_path):
    model = tmp_path / "m.safetensors"
    subprocess.run([sys.executable, ROOT / "bench" / "random_model.py", "small-2x64", model], check=True)
    done = tickcast("bench", "flight", model, "--json", "--symbols", "1,3", "--bars", "9")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["symbols"] for line in lines] == [1, 3]
    for line in lines:
        assert line["model"].startswith("small-2x64@") and line["bars_per_s"] > 0
        assert 0 < line["forecast_median_us"] < line["afresh_median_us"]
        assert line["after_median_us"] > 0 and line["flight_bytes"] == 64 + 4 * (16 + 60 * 2 * 2 * 64)
    assert tickcast("bench", "flight", model, "--symbols", "0").returncode == 2
    assert tickcast("bench", "flight").returncode == 2


def test_on_real_days_the_network_beats_ridge_and_persistence_at_one_step(tickcast, real_data, tmp_path):
    done = tickcast("train", "--path", real_data, "--symbols", "BAC", "--from", "2013-10-07", "--to", "2013-10-09",
                    "--validate", "2013-10-08", "--test", "2013-10-09", "--epochs", "12", "--json",
                    "-o", tmp_path / "m.safetensors", timeout=600)
    assert done.returncode == 0, done.stderr
    test = {(f["kind"], f["horizon_ms"]): f for f in json.loads(done.stdout)["figures"] if f["span"] == "test"}
    first = test["next", 0]
    assert first["n"] > 10000 and first["dm_t"] > 10 and first["over_ridge_t"] > 2
    assert first["ratio"] < 0.88

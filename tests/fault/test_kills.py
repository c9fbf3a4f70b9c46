"""kill -9 at any moment, and a machine that loses power at any moment: the end result is that of a quiet run."""
import os
import random
import shutil
import signal
import subprocess
import time

from conftest import CRASH, PRELOAD, assert_counts_add_up, assert_same_folder, environment, finish, replay_words

import pytest

KILLS = int(os.environ.get("FAULT_KILLS", "60"))
LOSSES = int(os.environ.get("FAULT_LOSSES", "40"))


def run_and_kill(words, env, seconds):
    """True when it was killed, False when it was done before."""
    with subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            _, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            return True
        assert process.returncode == 0, errors.decode(errors="replace")[-3000:]
        return False


def disturb(lean, undisturbed, folder, times, rng, env, after_kill):
    """Kills until it was done often enough; each run that gets to its end is compared and a new one started."""
    killed = finished = 0
    longest = 0.6
    out = folder / "data0"
    while killed < times:
        # most of the time while data flows, often enough within start and recovery
        delay = rng.uniform(0.005, 0.1) if rng.random() < 0.3 else rng.uniform(0.05, longest)
        if run_and_kill(replay_words(lean, out), env(out), delay):
            killed += 1
            after_kill(killed, out)
            continue
        assert_same_folder(out, undisturbed)
        shutil.rmtree(out)
        finished += 1
        out = folder / f"data{finished}"
    finish(lean, out, folder)
    assert_same_folder(out, undisturbed)
    assert_counts_add_up(out)
    finish(lean, out, folder)  # on a finished folder: nothing to do
    assert_same_folder(out, undisturbed)
    print(f"{killed} kills, {finished + 1} runs came to their end")


def test_counts_of_a_quiet_run_add_up(undisturbed):
    assert_counts_add_up(undisturbed)


def test_two_quiet_runs_are_the_same(lean, undisturbed, tmp_path):
    finish(lean, tmp_path / "data", tmp_path)
    assert_same_folder(tmp_path / "data", undisturbed)


def test_a_replay_killed_at_random_moments_ends_like_a_quiet_one(lean, undisturbed, tmp_path):
    seed = int(os.environ.get("FAULT_SEED", time.time_ns() % 1000000))
    print("seed", seed)
    disturb(lean, undisturbed, tmp_path, KILLS, random.Random(seed), lambda out: environment(tmp_path),
            lambda kills, out: None)


def test_a_replay_whose_machine_loses_power_ends_like_a_quiet_one(lean, undisturbed, tmp_path):
    """What was not synced is lost at random: ends of files, sectors written in place, new names; SQLite's too."""
    if not PRELOAD.exists() or not CRASH.exists():
        pytest.skip("the lossy file layer is not built (sanitizer builds have none)")
    seed = int(os.environ.get("FAULT_SEED", time.time_ns() % 1000000))
    print("seed", seed)
    notes = tmp_path / "notes"
    lost = []

    def lose(kills, out):
        done = subprocess.run([CRASH, notes, str(seed + kills)], capture_output=True, text=True, check=True)
        lost.append(int(done.stdout))

    disturb(lean, undisturbed, tmp_path, LOSSES, random.Random(seed),
            lambda out: environment(tmp_path, LD_PRELOAD=str(PRELOAD), LOSSY_NOTES=str(notes), LOSSY_DATA=str(out)), lose)
    assert sum(n > 0 for n in lost) > LOSSES // 4, lost  # the layer does lose things

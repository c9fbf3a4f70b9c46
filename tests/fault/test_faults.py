"""Full disks, read-only folders, busy ports, second instances, clocks that jump, damaged files: a clear error or a
correct wait, and nothing damaged."""
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import time
import urllib.request

from conftest import BINARY, PRELOAD, assert_counts_add_up, assert_same_folder, environment, finish, log_records, replay_words

import pytest


@pytest.fixture
def own_mounts():
    """The words before a command that may mount within a name space of its own; skips where that is not allowed."""
    words = ["unshare", "--mount", "--map-root-user", "--user"] if os.getuid() else ["unshare", "--mount"]
    probe = subprocess.run([*words, "sh", "-c", "mount -t tmpfs tmpfs /mnt"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"mounting is not allowed here: {probe.stderr.strip()[:200]}")
    return words


def words_of(command):
    return " ".join(f"'{word}'" for word in command)


def test_a_full_disk_stops_with_a_sentence_and_the_run_goes_on_when_there_is_room(own_mounts, lean, undisturbed, tmp_path):
    room = tmp_path / "room"
    room.mkdir()
    needed = sum(path.stat().st_size for path in undisturbed.rglob("*") if path.is_file())
    sizes = [needed * share // 100 >> 10 for share in (5, 20, 50, 85)]
    run = words_of(replay_words(lean, room / "data"))
    script = f"""
        mount -t tmpfs -o size=1m tmpfs '{room}'
        for size in {" ".join(map(str, sizes))}; do
            mount -o remount,size=${{size}}k '{room}'
            {run} >'{tmp_path}/out.'$size 2>'{tmp_path}/err.'$size
            echo $? >'{tmp_path}/rc.'$size
        done
        mount -o remount,size=500m '{room}'
        {run} >/dev/null || exit 1
        cp -r '{room}/data' '{tmp_path}/kept'
    """
    done = subprocess.run([*own_mounts, "sh", "-c", script], env=environment(tmp_path), capture_output=True, text=True,
                          timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for size in sizes:
        said = (tmp_path / f"err.{size}").read_text()
        assert (tmp_path / f"rc.{size}").read_text().strip() not in ("0", "139", "134"), said
        assert re.search(r"no space left|disk is full", said, re.IGNORECASE), said[-2000:]
        assert str(room) in said
    assert_same_folder(tmp_path / "kept", undisturbed)
    assert_counts_add_up(tmp_path / "kept")


def test_a_read_only_folder_is_refused_by_name_and_left_alone(own_mounts, lean, undisturbed, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(undisturbed, data)
    script = f"mount --bind '{data}' '{data}' && mount -o remount,bind,ro '{data}' && {words_of(replay_words(lean, data))}"
    done = subprocess.run([*own_mounts, "sh", "-c", script], env=environment(tmp_path), capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode not in (0, 134, 139)
    assert str(data) in done.stderr and "Read-only file system" in done.stderr, done.stderr
    assert_same_folder(data, undisturbed)


def simulated_words(data, port, *more):
    return [str(BINARY), "run", "--feed", "simulated", "--history", "10m", "--data", str(data), "--listen", f"127.0.0.1:{port}",
            *more]


def test_a_port_in_use_is_named_and_the_folder_left_usable(free_port, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        start = time.monotonic()
        done = subprocess.run(simulated_words(tmp_path / "data", free_port), env=environment(tmp_path), capture_output=True,
                              text=True, timeout=30, check=False)
        assert time.monotonic() - start < 10
    assert done.returncode not in (0, 134, 139)
    assert str(free_port) in done.stderr and "in use" in done.stderr.lower(), done.stderr
    done = subprocess.run(simulated_words(tmp_path / "data", free_port, "--duration", "2s"), env=environment(tmp_path),
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def get(port, path):
    """JSON of the API; None while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None


def wait_for(what, seconds=20):
    stop = time.monotonic() + seconds
    while time.monotonic() < stop:
        value = what()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def data_time(port):
    return (get(port, "/api/v1/status") or {}).get("data_time")


def test_a_second_instance_on_the_same_folder_is_refused_and_the_first_goes_on(free_port, tmp_path):
    data = tmp_path / "data"
    with subprocess.Popen(simulated_words(data, free_port), env=environment(tmp_path), stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as first:
        try:
            before = wait_for(lambda: data_time(free_port))
            second = subprocess.run(simulated_words(data, 0), env=environment(tmp_path), capture_output=True, text=True,
                                    timeout=30, check=False)
            assert second.returncode not in (0, 134, 139)
            assert str(first.pid) in second.stderr and str(data) in second.stderr, second.stderr
            wait_for(lambda: data_time(free_port) > before)
        finally:
            first.send_signal(signal.SIGINT)
            assert first.wait(10) == 0


def is_live(port):
    """The history has been made and the newest second is that of the clock."""
    return (data_time(port) or 0) > time.time_ns() - 2_500_000_000


def set_clock(path, seconds):
    path.write_bytes(struct.pack("<q", int(seconds * 1e9)))


def seconds_of_log(data):
    """(second, available) of every marker on the bus, in order."""
    out = []
    for record in log_records(data, "bars"):
        if record[1] == 3:
            at = 11 + record[10]
            out.append(struct.unpack_from("<qq", record, at))
    return out


def test_a_clock_that_jumps_back_is_waited_for_and_nothing_is_doubled(free_port, tmp_path):
    if not PRELOAD.exists():
        pytest.skip("the preloaded clock is not built (sanitizer builds have none)")
    data, clock = tmp_path / "data", tmp_path / "clock"
    set_clock(clock, 0)
    env = environment(tmp_path, LD_PRELOAD=str(PRELOAD), CLOCK_FILE=str(clock))
    with subprocess.Popen(simulated_words(data, free_port), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        try:
            wait_for(lambda: is_live(free_port))
            with clock.open("r+b") as f:
                f.write(struct.pack("<q", int(-4e9)))
            at_jump = data_time(free_port)
            time.sleep(2)
            assert run.poll() is None
            assert data_time(free_port) <= at_jump + 1_000_000_000  # waits for the clock to come to it again
            wait_for(lambda: data_time(free_port) > at_jump + 2_000_000_000)
        finally:
            run.send_signal(signal.SIGINT)
            assert run.wait(10) == 0
    marks = seconds_of_log(data)
    seconds = [second for second, _ in marks]
    assert seconds == list(range(seconds[0], seconds[-1] + 1, 1_000_000_000)), "a hole or a double"
    assert all(a[1] <= b[1] for a, b in zip(marks, marks[1:])), "`available` ran backwards"
    assert_positions_at_end(data)
    set_clock(clock, -7200)
    done = subprocess.run(simulated_words(data, free_port), env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode not in (0, 134, 139)
    assert "ahead of the clock" in done.stderr, done.stderr
    set_clock(clock, 0)
    done = subprocess.run(simulated_words(data, free_port, "--duration", "2s"), env=env, capture_output=True, text=True,
                          timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    seconds = [second for second, _ in seconds_of_log(data)]
    assert seconds == list(range(seconds[0], seconds[-1] + 1, 1_000_000_000)), "a hole or a double after the restart"


def test_a_simulated_market_killed_at_random_goes_on_without_hole_or_double(free_port, tmp_path):
    """What happens in a second depends on the seed alone, so that a run that nothing happened to has the same bars."""
    rng = random.Random(5)
    data, quiet = tmp_path / "data", tmp_path / "quiet"
    for _ in range(8):
        with subprocess.Popen(simulated_words(data, free_port), env=environment(tmp_path), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as run:
            time.sleep(rng.uniform(0.05, 3))
            run.kill()
    for folder in (data, quiet):
        with subprocess.Popen(simulated_words(folder, free_port), env=environment(tmp_path), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as run:
            wait_for(lambda: is_live(free_port), 60)
            time.sleep(1)
            run.send_signal(signal.SIGINT)
            assert run.wait(10) == 0
    assert_positions_at_end(data)
    seconds = [second for second, _ in seconds_of_log(data)]
    assert seconds == list(range(seconds[0], seconds[-1] + 1, 1_000_000_000)), "a hole or a double"
    bars = []
    for folder in (data, quiet):
        db = sqlite3.connect(f"file:{folder / 'tickcast.db'}?mode=ro", uri=True)
        bars.append({row[:2]: row[2:] for row in db.execute(
            "SELECT symbol, start, open, high, low, close, vwap, volume, trades, bid, ask, bid_size, ask_size FROM bars")})
        assert not db.execute("SELECT * FROM gaps").fetchall()
        db.close()
    # the quiet run began later: at its start it does not know yet what quote is in force
    first, last = min(start for _, start in bars[1]) + 60_000_000_000, min(max(s for _, s in b) for b in bars)
    both = [{k: v for k, v in b.items() if first <= k[1] <= last} for b in bars]
    assert len(both[0]) > 1000
    assert both[0] == both[1]


def test_a_simulated_market_left_for_days_has_one_gap_also_when_it_is_killed_on_the_way(free_port, tmp_path):
    if not PRELOAD.exists():
        pytest.skip("the preloaded clock is not built (sanitizer builds have none)")
    data, clock = tmp_path / "data", tmp_path / "clock"
    set_clock(clock, -3.2 * 86400)
    env = environment(tmp_path, LD_PRELOAD=str(PRELOAD), CLOCK_FILE=str(clock))
    done = subprocess.run(simulated_words(data, free_port, "--duration", "3s"), env=env, capture_output=True, text=True,
                          timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    for seconds in (0.15, 0.3, 0.5, 0.8):
        with subprocess.Popen(simulated_words(data, free_port), env=environment(tmp_path), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as run:
            time.sleep(seconds)
            run.kill()
    with subprocess.Popen(simulated_words(data, free_port), env=environment(tmp_path), stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as run:
        try:
            wait_for(lambda: is_live(free_port), 60)
        finally:
            run.send_signal(signal.SIGINT)
            assert run.wait(10) == 0, run.stderr.read().decode()[-2000:]
    db = sqlite3.connect(f"file:{data / 'tickcast.db'}?mode=ro", uri=True)
    gaps = db.execute("SELECT symbol, start, end, reason FROM gaps").fetchall()
    bars = [start for start, in db.execute("SELECT start FROM bars ORDER BY start")]
    db.close()
    assert len(gaps) == 1 and gaps[0][0] == "*" and gaps[0][3] == "not_running", gaps
    assert gaps[0][2] - gaps[0][1] > 2 * 86400 * 10**9
    assert not [start for start in bars if gaps[0][1] <= start < gaps[0][2]]
    assert bars[0] < gaps[0][1] and bars[-1] >= gaps[0][2]


def assert_positions_at_end(data):
    db = sqlite3.connect(f"file:{data / 'tickcast.db'}?mode=ro", uri=True)
    got = {row[0]: row[1] for row in db.execute("SELECT topic, position FROM positions")}
    db.close()
    assert got == {topic: len(log_records(data, topic)) for topic in ("bars", "forecasts", "posts")}


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_within_two_seconds_and_the_run_goes_on_later(sig, lean, undisturbed, tmp_path):
    rng = random.Random(int(sig))
    for _ in range(6):
        with subprocess.Popen(replay_words(lean, tmp_path / "data"), env=environment(tmp_path), stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) as run:
            time.sleep(rng.uniform(0.02, 0.6))
            start = time.monotonic()
            run.send_signal(sig)
            _, said = run.communicate(timeout=20)
            took = time.monotonic() - start
            assert run.returncode == 0 or (run.returncode == -sig and took < 0.1), said.decode()[-2000:]
            assert took < 2
    finish(lean, tmp_path / "data", tmp_path)
    assert_same_folder(tmp_path / "data", undisturbed)


def test_a_signal_while_a_large_file_is_looked_through_ends_it_at_once(tmp_path):
    lines = "".join(f"2013-10-07T13:30:{i % 60:02}Z,SPY,100.{i % 100:02},5\n" for i in range(60))
    with (tmp_path / "large.csv").open("w") as f:
        f.write("time,symbol,price,size\n")
        for _ in range(50):
            f.write(lines * 1000)
    # SIGINT ignored, as a shell leaves it to what it starts in the background
    words = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", BINARY, "run", "--feed", "replay", "--path", tmp_path / "large.csv",
             "--data", tmp_path / "data", "--listen", "127.0.0.1:0"]
    run = subprocess.Popen(words, env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        time.sleep(0.1)
        run.send_signal(signal.SIGINT)
        start = time.monotonic()
        _, said = run.communicate(timeout=20)
        assert time.monotonic() - start < 2
    finally:
        run.kill()
        run.wait()
    assert run.returncode in (-signal.SIGINT, 0), said.decode()[-2000:]  # 0: a quick machine was through already


def test_nohup_keeps_it_running_over_a_hangup(tmp_path):
    run = subprocess.Popen(["nohup", BINARY, "run", "--history", "0", "--data", tmp_path / "data", "--listen", "127.0.0.1:0"],
                           env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        time.sleep(1)
        run.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert run.poll() is None
        run.send_signal(signal.SIGTERM)
        assert run.wait(timeout=20) == 0
    finally:
        run.kill()
        run.wait()
        run.stderr.close()


def damage(path, at, n=16):
    with path.open("r+b") as f:
        f.seek(at)
        old = f.read(n)
        f.seek(at)
        f.write(bytes(b ^ 0xFF for b in old))


def test_a_damaged_log_is_named_with_its_place_and_not_cut(lean, undisturbed, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(undisturbed, data)
    last = sorted((data / "bus" / "bars").glob("*.log"))[-1]
    size = last.stat().st_size
    damage(last, size // 2)
    done = subprocess.run(replay_words(lean, data), env=environment(tmp_path), capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode not in (0, 134, 139)
    assert str(last) in done.stderr and "damaged at byte" in done.stderr, done.stderr
    assert last.stat().st_size == size


def test_a_damaged_store_is_named(lean, undisturbed, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(undisturbed, data)
    damage(data / "tickcast.db", 0, 4096)
    done = subprocess.run(replay_words(lean, data), env=environment(tmp_path), capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode not in (0, 134, 139)
    assert str(data / "tickcast.db") in done.stderr, done.stderr


def test_a_lost_store_is_made_again_from_the_log(lean, undisturbed, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(undisturbed, data)
    for path in pathlib.Path(data).glob("tickcast.db*"):
        path.unlink()
    finish(lean, data, tmp_path)
    assert_same_folder(data, undisturbed)

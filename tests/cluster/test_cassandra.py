"""The store over a real Cassandra: the same rows as SQLite holds, and faults that it must come through."""
import subprocess
import time

import pytest

from conftest import BINARY, ROOT, replay, rows, tickcast

ON_IT = ["--store", "cassandra"]

@pytest.fixture
def ready(cassandra, environment):
    """Settings with the tables made."""
    settings = {**environment, "TICKCAST_CASSANDRA_NODES": cassandra.address("cassandra-1")}
    done = tickcast(settings, "store", "--migrate", "--feed", "replay")
    assert done.returncode == 0, done.stderr
    return settings


def expect_same(settings, undisturbed):
    found = rows(settings, "--feed", "replay", *ON_IT)
    for key, text in undisturbed.items():
        assert found[key] == text, f"{key} differs"


def test_the_store_passes_the_tests_of_sqlite(cassandra):
    binary = BINARY.parent / "tests" / "unit" / "test_store"
    done = subprocess.run([binary], env={"TICKCAST_TEST_CASSANDRA": cassandra.address("cassandra-1")},
                          capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0 and "[  FAILED  ]" not in done.stdout + done.stderr, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("[       OK ]") >= 15


def test_a_replay_leaves_the_same_rows_as_in_sqlite(ready, lean, undisturbed, tmp_path):
    done = tickcast(ready, *replay(lean, tmp_path / "data", *ON_IT))
    assert done.returncode == 0, done.stderr
    expect_same(ready, undisturbed)
    again = tickcast(ready, "score", "--recompute", "--feed", "replay", *ON_IT)
    assert again.returncode == 0 and "same" in again.stdout, again.stdout + again.stderr


def test_a_killed_node_costs_time_but_no_row(cassandra, ready, lean, undisturbed, tmp_path):
    run = subprocess.Popen([BINARY, *map(str, replay(lean, tmp_path / "data", *ON_IT, "--store.batch_rows", "200"))],
                           env=ready, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(1.0)
        assert run.poll() is None, "the replay was over before the fault"
        cassandra.call("kill", "cassandra-1")
        time.sleep(5)
        cassandra.call("start", "cassandra-1")
        _, errors = run.communicate(timeout=600)
    finally:
        run.kill()
    assert run.returncode == 0, errors
    assert "cassandra" in errors.lower() or "connect" in errors, errors  # it said what was wrong
    expect_same(ready, undisturbed)


def test_a_node_that_stands_still_costs_time_but_no_row(cassandra, ready, lean, undisturbed, tmp_path):
    run = subprocess.Popen([BINARY, *map(str, replay(lean, tmp_path / "data", *ON_IT, "--store.batch_rows", "200"))],
                           env=ready, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(1.0)
        cassandra.pause("cassandra-1")
        time.sleep(10)
        cassandra.resume("cassandra-1")
        _, errors = run.communicate(timeout=600)
    finally:
        cassandra.resume("cassandra-1")
        run.kill()
    assert run.returncode == 0, errors
    expect_same(ready, undisturbed)


def test_what_is_wrong_is_said_in_one_sentence(cassandra, environment, lean, tmp_path):
    node = cassandra.address("cassandra-1")
    words = replay(lean, tmp_path / "data", *ON_IT)
    cases = [
        ({"TICKCAST_CASSANDRA_NODES": node}, "tickcast store --migrate"),  # no tables
        ({"TICKCAST_CASSANDRA_NODES": node, "TICKCAST_CASSANDRA_PASSWORD": "hush-hush"}, "user or password is wrong"),
        ({"TICKCAST_CASSANDRA_NODES": node, "TICKCAST_CASSANDRA_LOCAL_DC": "moon"}, "no data centre moon"),
        ({"TICKCAST_CASSANDRA_NODES": "127.0.0.1:1"}, "cannot connect"),
        ({"TICKCAST_CASSANDRA_NODES": node, "TICKCAST_CASSANDRA_CONSISTENCY": "most"}, "cassandra.consistency most"),
        ({"TICKCAST_CASSANDRA_NODES": node, "TICKCAST_CASSANDRA_TLS": "true"}, "TLS"),
    ]
    for settings, sentence in cases:
        done = tickcast({**environment, **settings}, *words)
        assert done.returncode not in (0, 1) and sentence in done.stderr, (settings, done.stderr)
        assert done.stderr.count("\n") <= 3 and "hush-hush" not in done.stderr


def test_no_secret_stands_in_the_process_list(ready, lean, tmp_path):
    run = subprocess.Popen([BINARY, *map(str, replay(lean, tmp_path / "data", *ON_IT))], env=ready,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        words = (ROOT / f"/proc/{run.pid}/cmdline").read_bytes()
        assert b"cassandra\0cassandra" not in words
    finally:
        run.kill()
        run.wait()

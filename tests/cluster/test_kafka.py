"""The bus over a real Kafka: the same rows as with the log bus, whatever is killed, and messages that others can read
and write."""
import json
import random
import shutil
import subprocess
import time

import pytest

from conftest import BINARY, replay, rows, tickcast


@pytest.fixture
def settings(kafka, environment):
    return {**environment, "TICKCAST_KAFKA_BROKERS": kafka.address("kafka-1")}


def expect_same(settings, data, undisturbed):
    found = rows(settings, "--data", data)
    for key, text in undisturbed.items():
        assert found[key] == text, f"{key} differs"


def test_the_bus_passes_its_tests_on_a_real_broker(kafka):
    binary = BINARY.parent / "tests" / "unit" / "test_kafka"
    done = subprocess.run([binary], env={"TICKCAST_TEST_KAFKA": kafka.address("kafka-1")}, capture_output=True, text=True,
                          timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_replay_leaves_the_same_rows_as_with_the_log(settings, lean, undisturbed, tmp_path):
    done = tickcast(settings, *replay(lean, tmp_path / "data", "--bus", "kafka"))
    assert done.returncode == 0, done.stderr
    expect_same(settings, tmp_path / "data", undisturbed)


def test_a_run_killed_again_and_again_leaves_the_same_rows(settings, lean, undisturbed, tmp_path):
    words = [BINARY, *map(str, replay(lean, tmp_path / "data", "--bus", "kafka"))]
    random.seed(3)
    for _ in range(6):
        run = subprocess.Popen(words, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0.3, 3))
        run.kill()
        run.wait()
    done = tickcast(settings, *words[1:])
    assert done.returncode == 0, done.stderr
    expect_same(settings, tmp_path / "data", undisturbed)


def test_a_broker_killed_and_back_costs_time_but_no_row(kafka, settings, lean, undisturbed, tmp_path):
    run = subprocess.Popen([BINARY, *map(str, replay(lean, tmp_path / "data", "--bus", "kafka"))], env=settings,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(1.5)
        kafka.call("kill", "kafka-1")
        time.sleep(5)
        kafka.call("start", "kafka-1")
        _, errors = run.communicate(timeout=600)
    finally:
        run.kill()
    assert run.returncode == 0, errors
    expect_same(settings, tmp_path / "data", undisturbed)


def test_kafka_and_cassandra_together_hold_the_same_rows(kafka, cassandra, settings, lean, undisturbed, tmp_path):
    both = {**settings, "TICKCAST_CASSANDRA_NODES": cassandra.address("cassandra-1")}
    assert tickcast(both, "store", "--migrate", "--feed", "replay").returncode == 0
    done = tickcast(both, *replay(lean, tmp_path / "data", "--bus", "kafka", "--store", "cassandra"))
    assert done.returncode == 0, done.stderr
    found = rows(both, "--feed", "replay", "--store", "cassandra")
    for key, text in undisturbed.items():
        assert found[key] == text, f"{key} differs"


@pytest.mark.skipif(not shutil.which("kcat"), reason="there is no kcat")
def test_others_can_read_our_messages(settings, lean, tmp_path):
    done = tickcast(settings, *replay(lean, tmp_path / "data", "--bus", "kafka", "--no-forecast"))
    assert done.returncode == 0, done.stderr
    topic = f"{settings['TICKCAST_KAFKA_PREFIX']}.replay.bars"
    read = subprocess.run(["kcat", "-C", "-b", settings["TICKCAST_KAFKA_BROKERS"], "-t", topic, "-e", "-q", "-f",
                           "%k\t%h\t%T\t%s\n"], capture_output=True, text=True, timeout=120, check=True)
    bars = 0
    for line in read.stdout.splitlines():
        key, headers, stamp, text = line.split("\t", 3)
        message = json.loads(text)
        assert message["v"] == 1 and "schema=tickcast/1" in headers
        if message["type"] == "bar":
            bars += 1
            assert key == message["symbol"] and int(stamp) == message["start"] // 1000000
    assert bars > 500


def test_what_is_wrong_is_said_in_one_sentence(settings, lean, tmp_path):
    words = replay(lean, tmp_path / "data", "--bus", "kafka")
    cases = [
        ({"TICKCAST_KAFKA_BROKERS": "127.0.0.1:1"}, [], "Kafka (127.0.0.1:1)"),
        ({}, ["--kafka.settings", "no.such=1"], "no.such"),
        ({}, ["--kafka.settings", "nonsense"], "is not NAME=VALUE"),
        ({}, ["--kafka.settings", "sasl.password=x"], "kafka.password"),
    ]
    for more, flags, sentence in cases:
        done = tickcast({**settings, **more}, *words, *flags)
        assert done.returncode not in (0, 1) and sentence in done.stderr, (more, flags, done.stderr)
        assert done.stderr.count("\n") <= 3

"""The command line from outside: errors say what, where and what to do, and have their exit codes."""
import os
import re
import socket
import subprocess

import pytest


def test_help_names_every_command_and_exit_code(tickcast):
    done = tickcast("--help")
    assert done.returncode == 0
    for word in ("run", "init", "doctor", "calendar", "version", "Exit codes"):
        assert word in done.stdout


def test_every_command_explains_itself(tickcast):
    commands = re.findall(r"^  ([a-z]+) ", tickcast("--help").stdout.split("Exit codes")[0], re.M)
    assert len(commands) > 5
    for command in commands:
        done = tickcast(command, "--help")
        assert done.returncode == 0, command
        assert "Usage: tickcast" in done.stdout, command
        assert done.stderr == "", command
        assert max(map(len, done.stdout.splitlines())) <= 130, command


@pytest.mark.parametrize("words, code, part", [
    ((), 2, None),
    (("docter",), 2, "docter: unknown command; did you mean doctor?"),
    (("doctor", "--lisen", "x"), 2, "--lisen: unknown flag; did you mean --listen?"),
    (("doctor", "--listen"), 2, "--listen needs a value: HOST:PORT"),
    (("doctor", "--speed", "fast"), 2, 'replay.speed: "fast" is not a number'),
    (("doctor", "--from", "2013-02-30"), 2, 'replay.from: "2013-02-30" is not a date'),
    (("doctor", "--duration", "30"), 2, "the unit is needed"),
    (("doctor", "--store.batch-rows", "0"), 2, "store.batch_rows: 0 is below the smallest value, 1"),
    (("doctor", "--from", "2013-10-08", "--to", "2013-10-07"), 3, "replay.from is after replay.to"),
    (("doctor", "--symbols", "SPY,SPY"), 3, "SPY stands twice"),
    (("doctor", "--symbols", "SP Y"), 3, "is no symbol"),
    (("backtest", "--path", "/no/such/folder"), 4, "/no/such/folder"),
    (("doctor", "--serve.token", "x"), 2, "a secret comes from the environment"),
    (("doctor", "--serve.base-path", "a"), 3, "must look like /name"),
    (("doctor", "--config", "/nowhere.yaml"), 3, "/nowhere.yaml"),
    (("version", "more"), 2, "too much stands behind"),
    (("docs",), 2, "something is missing after docs"),
])
def test_a_wrong_command_line_is_told_with_its_exit_code(tickcast, words, code, part):
    done = tickcast(*words)
    assert done.returncode == code
    if part:
        assert part in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("text, part", [
    ("feed:\n  nmae: replay\n", ":2:3: feed.nmae: unknown key; did you mean feed.name?"),
    ("feed:\n  name: reply\n", ':2:9: feed.name: "reply" is none of: simulated, replay, coinbase, binance, kraken, massive, alpaca, finnhub; '
     'did you mean replay?'),
    ("feed:\n  name: \"open\n", "not YAML"),
    ("bus:\n  segment: 1B\n", ":2:12: bus.segment: 1B is below the smallest value, 64KiB"),
    ("serve:\n  token: hunter2\n", ":2:10: serve.token: a secret comes from the environment"),
])
def test_a_wrong_configuration_is_told_with_line_and_column(tickcast, tmp_path, text, part):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    done = tickcast("doctor", "--config", path)
    assert done.returncode == 3
    assert done.stderr.startswith(f"tickcast: {path}:")
    assert part in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_flags_win_over_environment_over_file_over_defaults(tickcast, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("sim:\n  seed: 5\n  history: 1h\nreplay:\n  speed: 2x\n")
    done = tickcast("doctor", "--config", path, "--seed", "7", env={"TICKCAST_SIM_SEED": "6", "TICKCAST_SIM_HISTORY": "2h"})
    assert "sim.seed = 7 (flag)" in done.stdout
    assert "sim.history = 2h (environment)" in done.stdout
    assert "replay.speed = 2 (line 5 of the file)" in done.stdout


def test_the_usual_configuration_file_is_read(tickcast, tmp_path):
    folder = tmp_path / "config" / "tickcast"
    folder.mkdir(parents=True)
    (folder / "tickcast.yaml").write_text("sim:\n  seed: 9\n")
    assert "sim.seed = 9" in tickcast("doctor", env={"XDG_CONFIG_HOME": str(tmp_path / "config")}).stdout


def test_a_slip_in_a_variable_is_caught(tickcast):
    done = tickcast("doctor", env={"TICKCAST_REPLAY_SPED": "1"})
    assert done.returncode == 3
    assert "did you mean TICKCAST_REPLAY_SPEED?" in done.stderr


def test_init_writes_a_file_that_changes_nothing(tickcast, tmp_path):
    path = tmp_path / "new" / "tickcast.yaml"
    assert tickcast("init", path).returncode == 0
    text = path.read_text()
    assert "#batch_rows:" in text and "#listen: 127.0.0.1:8080" in text
    assert "setting" not in tickcast("doctor", "--config", path).stdout
    again = tickcast("init", path)
    assert again.returncode == 3 and "--force" in again.stderr
    assert tickcast("init", "--force", path).returncode == 0


def test_every_line_of_the_written_file_can_be_put_in_force(tickcast, tmp_path):
    path = tmp_path / "c.yaml"
    tickcast("init", path)
    path.write_text(re.sub(r"^  #(\w+:)", r"  \1", path.read_text(), flags=re.M))
    done = tickcast("doctor", "--config", path)
    assert done.returncode in (0, 1), done.stderr
    assert "BAD" not in done.stdout.replace("BAD      port", "")


def test_doctor_finds_a_busy_port_and_a_folder_that_cannot_be_written(tickcast, tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        done = tickcast("doctor", "--listen", f"127.0.0.1:{port}", "--data", "/proc/none")
    assert done.returncode == 1
    assert re.search(r"^BAD +port", done.stdout, re.M)
    assert re.search(r"^BAD +(disk|data folder)", done.stdout, re.M)


def test_doctor_finds_a_damaged_model_and_a_missing_replay(tickcast, tmp_path):
    model = tmp_path / "m.safetensors"
    model.write_bytes(b"\0" * 100)
    done = tickcast("doctor", "--feed", "replay", "--path", tmp_path / "none", "--model", model)
    assert done.returncode == 1
    assert re.search(r"^BAD +model +.*m\.safetensors", done.stdout, re.M)
    assert re.search(r"^BAD +feed", done.stdout, re.M)


def test_generated_documents_are_well_formed(tickcast, tmp_path):
    for form in ("configuration", "man", "bash", "zsh", "fish"):
        done = tickcast("docs", form)
        assert done.returncode == 0 and len(done.stdout) > 500, form
        assert "listen" in done.stdout, form
    script = tmp_path / "completion"
    script.write_text(tickcast("docs", "bash").stdout)
    words = subprocess.run(
        ["bash", "-c", f'source "{script}"; COMP_WORDS=(tickcast doctor --feed s); COMP_CWORD=3; _tickcast;'
         ' echo "${COMPREPLY[@]}"; COMP_WORDS=(tickcast doc); COMP_CWORD=1; _tickcast; echo "${COMPREPLY[@]}"'],
        capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"})
    assert words.stdout.splitlines() == ["simulated", "doctor docs"]


def test_output_that_cannot_be_written_is_a_failure(binary, environment):
    if not os.path.exists("/dev/full"):
        pytest.skip("/dev/full is not there")
    with open("/dev/full", "w") as full:
        done = subprocess.run([binary, "--help"], stdout=full, stderr=subprocess.PIPE, env=environment, text=True)
    assert done.returncode == 4
    assert "cannot write" in done.stderr

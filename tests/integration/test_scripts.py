"""The scripts: what they say and when they stop."""
import os
import re
import subprocess

from conftest import ROOT


def call(*words, **more):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=60, check=False, **more)


def stub(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def bare_path(tmp_path):
    """A PATH on which nothing is installed, sudo wants a password, and the caller is nobody special."""
    stub(tmp_path, "dpkg-query", "exit 1")
    stub(tmp_path, "id", "echo 1000")
    stub(tmp_path, "sudo", "exit 1")
    stub(tmp_path, "apt-get", "echo apt-get was called; exit 1")
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}


def test_bootstrap_without_root_prints_the_exact_line_and_stops(tmp_path):
    done = call(ROOT / "script" / "bootstrap", "run", env=bare_path(tmp_path), stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    line, = done.stdout.splitlines()
    assert line.startswith("apt-get update && apt-get install -y --no-install-recommends ")
    assert {"gcc", "meson", "tzdata", "libmicrohttpd-dev"} <= set(line.split())
    assert "libcmocka-dev" not in line and "Run this line as root" in done.stderr


def test_bootstrap_for_tests_asks_for_more_than_for_a_run(tmp_path):
    done = call(ROOT / "script" / "bootstrap", "test", env=bare_path(tmp_path), stdin=subprocess.DEVNULL)
    assert {"libcmocka-dev", "clang", "gcc"} <= set(done.stdout.split())


def test_bootstrap_with_nothing_missing_says_nothing_and_calls_no_apt(tmp_path):
    stub(tmp_path, "apt-get", "echo apt-get was called >&2; exit 1")
    done = call(ROOT / "script" / "bootstrap", "run", "--dry-run",
                env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == 0
    assert "apt-get was called" not in done.stdout + done.stderr


def test_bootstrap_refuses_an_unknown_job():
    done = call(ROOT / "script" / "bootstrap", "rnu")
    assert done.returncode == 2 and "expected run, test, cluster or dev" in done.stderr


def test_the_list_of_groups_has_size_and_minutes():
    done = call(ROOT / "script" / "test", "--list")
    assert done.returncode == 0
    rows = re.findall(r"^(\S+) +(\d+ \w+(?: \w+)?|unit tests) +([\d.]+)  \S", done.stdout, re.M)
    assert {"unit", "integration", "browser", "fault", "cluster", "live", "arm64", "fuzz", "style", "asan-ubsan", "tsan"} == {r[0] for r in rows}
    assert "script/test quick" in done.stdout


def test_every_script_explains_itself_in_its_first_lines():
    for path in sorted((ROOT / "script").iterdir()):
        head = path.read_text().splitlines()[:3]
        assert any(line.startswith(("# ", '"""')) for line in head), path.name
        assert path.name == "env" or os.access(path, os.X_OK), path.name

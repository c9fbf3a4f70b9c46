"""Alerts reach a real HTTP receiver and a real program; a slow or failing receiver holds nothing up; the address is a secret."""
import http.server
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request

import pytest

SECRET = "hooks/T0P/s3cr3t-token"


class Receiver:
    """Answers each POST as told: a status, a wait before it."""

    def __init__(self):
        self.got, self.status, self.wait = [], [200], 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((time.monotonic(), self.path, self.headers["Content-Type"], json.loads(body)))
                time.sleep(outer.wait)
                self.send_response(outer.status.pop(0) if len(outer.status) > 1 else outer.status[0])
                self.end_headers()

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/{SECRET}"


@pytest.fixture
def receiver():
    r = Receiver()
    yield r
    r.server.shutdown()
    r.server.server_close()


@pytest.fixture
def program(binary, environment, tmp_path):
    started = []

    def start(*words, env=None):
        log = open(tmp_path / f"log{len(started)}", "w+")
        p = subprocess.Popen([binary, "run", "--history", "1m", "--no-forecast", "--listen", "127.0.0.1:0", "--data",
                              tmp_path / "data", *words], env={**environment, **(env or {})}, stdout=subprocess.PIPE,
                             stderr=log, text=True, cwd=tmp_path)
        started.append(p)
        p.log = log
        for line in p.stdout:
            found = re.search(r"page +(http://\S+)", line)
            if found:
                p.url = found[1].rstrip("/")
                return p
        raise AssertionError((tmp_path / f"log{len(started) - 1}").read_text())
    yield start
    for p in started:
        p.send_signal(signal.SIGINT)
        assert p.wait(10) == 0
        p.stdout.close()
        p.log.close()


def fetch(p, path):
    with urllib.request.urlopen(p.url + path, timeout=5) as answer:
        return json.load(answer)


def wait_until(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_an_alert_reaches_the_receiver_the_page_and_the_ledger(program, receiver):
    p = program("--alert", "price SPY > 1", env={"TICKCAST_ALERTS_WEBHOOK": receiver.url})
    _, path, kind, body = wait_until(lambda: receiver.got)[0]
    assert path == "/" + SECRET and kind == "application/json"
    assert body["state"] == "standing" and body["alert"]["rule"] == "price SPY > 1" and body["alert"]["subject"] == "SPY"
    assert body["text"] == body["content"] and body["text"].startswith("tickcast: SPY is at ")
    status = fetch(p, "/api/v1/status")
    assert [a["rule"] for a in status["alerts"]] == ["price SPY > 1"]
    alerts = fetch(p, "/api/v1/alerts")["alerts"]
    assert len(alerts) == 1 and alerts[0]["until"] is None and alerts[0]["value"] > 1
    assert b"tickcast_alerts_standing 1" in urllib.request.urlopen(p.url + "/metrics").read()
    time.sleep(1.5)
    assert len(receiver.got) == 1  # told once


def test_an_overloaded_receiver_is_tried_again_and_a_wrong_address_is_not(program, receiver):
    receiver.status = [503, 200]
    program("--alert", "price SPY > 1", env={"TICKCAST_ALERTS_WEBHOOK": receiver.url})
    wait_until(lambda: len(receiver.got) == 2)
    assert receiver.got[1][0] - receiver.got[0][0] > 1.5
    time.sleep(1)
    assert len(receiver.got) == 2


def test_a_receiver_that_refuses_is_told_once_and_the_address_stays_secret(program, receiver, tmp_path, tickcast):
    receiver.status = [404]
    p = program("--alert", "price SPY > 1", env={"TICKCAST_ALERTS_WEBHOOK": receiver.url})
    wait_until(lambda: receiver.got)
    log = wait_until(lambda: "the webhook answered 404" in (tmp_path / "log0").read_text() and (tmp_path / "log0").read_text())
    time.sleep(1)
    assert len(receiver.got) == 1
    seen = log + json.dumps(fetch(p, "/api/v1/status")) + json.dumps(fetch(p, "/api/v1/alerts"))
    seen += urllib.request.urlopen(p.url + "/metrics").read().decode()
    seen += tickcast("doctor", "--no-serve", env={"TICKCAST_ALERTS_WEBHOOK": receiver.url}).stdout
    with open(f"/proc/{p.pid}/cmdline", "rb") as f:
        seen += f.read().decode()
    assert "s3cr3t" not in seen and "T0P" not in seen


def test_a_receiver_that_never_answers_holds_nothing_up(program, receiver, tmp_path):
    receiver.wait = 30
    p = program("--alert", "price SPY > 1,price AAPL > 1,price MSFT > 1", env={"TICKCAST_ALERTS_WEBHOOK": receiver.url})
    wait_until(lambda: receiver.got)
    wait_until(lambda: len(fetch(p, "/api/v1/status")["alerts"]) == 3)
    bars = fetch(p, "/api/v1/status")["counters"]["produced"]
    wait_until(lambda: fetch(p, "/api/v1/status")["counters"]["produced"] > bars + 10)
    begin = time.monotonic()
    p.send_signal(signal.SIGINT)
    assert p.wait(10) == 0 and time.monotonic() - begin < 3  # nor the stop


def test_nobody_at_the_address(program, tmp_path, free_port):
    p = program("--alert", "price SPY > 1", env={"TICKCAST_ALERTS_WEBHOOK": f"http://127.0.0.1:{free_port}/{SECRET}"})
    wait_until(lambda: "the webhook did not answer" in (tmp_path / "log0").read_text(), 25)
    assert len(fetch(p, "/api/v1/status")["alerts"]) == 1
    assert "s3cr3t" not in (tmp_path / "log0").read_text()


def test_a_command_gets_the_alert_and_none_of_our_secrets(program, receiver, tmp_path):
    command = tmp_path / "told.sh"
    command.write_text(f"#!/bin/sh\ncat >{tmp_path}/input.part\nenv >{tmp_path}/env\nmv {tmp_path}/input.part {tmp_path}/input\n")
    os.chmod(command, 0o755)
    program("--alert", "price SPY > 1", "--alerts.command", command, env={"TICKCAST_ALERTS_WEBHOOK": receiver.url})
    wait_until(lambda: (tmp_path / "input").exists())
    body = json.loads((tmp_path / "input").read_text())
    assert body["alert"]["rule"] == "price SPY > 1"
    variables = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines() if "=" in line)
    assert variables["TICKCAST_ALERT_RULE"] == "price SPY > 1" and variables["TICKCAST_ALERT_STATE"] == "standing"
    assert variables["TICKCAST_ALERT_SUBJECT"] == "SPY" and float(variables["TICKCAST_ALERT_VALUE"]) > 1
    assert "TICKCAST_ALERTS_WEBHOOK" not in variables


def test_a_wrong_rule_or_command_is_said_before_anything_runs(tickcast, tmp_path):
    done = tickcast("run", "--alert", "price > 5", "--data", tmp_path / "d", "--listen", "127.0.0.1:0")
    assert done.returncode == 3 and 'alerts.rules: "price > 5": a price needs its symbol' in done.stderr
    done = tickcast("doctor", "--alert", "quiet > 5", "--no-serve")
    assert done.returncode == 1 and "it must begin with silent" in done.stdout
    done = tickcast("doctor", "--alerts.command", tmp_path / "none", "--no-serve")
    assert done.returncode == 1 and "alerts.command" in done.stdout

"""Forecasts of others: sent over HTTP, judged against the market's time, stored and scored like ours, exactly once."""
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from conftest import ROOT

SECOND = 1_000_000_000
SYMBOL = "AAPL"


class Server:
    def __init__(self, binary, folder, port, token=None):
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("TICKCAST_", "XDG_"))}
        self.process = subprocess.Popen([str(w) for w in (binary, "run", "--feed", "simulated", "--symbols", "AAPL,MSFT", "--history", "1h",
                                        "--listen", f"127.0.0.1:{port}", "--data", folder)],
                                        env={**clean, "HOME": str(folder.parent / "home"), **({"TICKCAST_SERVE_TOKEN": token} if token else {})}, stderr=subprocess.PIPE, text=True)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.wait(lambda: (self.ask("status")["data_time"] or 0) > time.time_ns() - 4 * SECOND)  # the history is through

    def wait(self, what, seconds=30):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.process.poll() is None, self.process.stderr.read()
            try:
                found = what()
            except (urllib.error.URLError, ConnectionError):
                found = None
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError("it did not come in time")

    def ask(self, path):
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/api/v1/{path}", headers=self.headers), timeout=10) as answer:
            return json.load(answer)

    def post(self, body, **headers):
        """(status, answer)"""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1/forecasts", data, {"Content-Type": "application/json", **self.headers, **headers})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def events(self, name="ridge", symbol=SYMBOL):
        """Our forecasts as they come: each asks a question."""
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/api/v1/stream?symbols={symbol}", headers=self.headers), timeout=30) as stream:
            for line in stream:
                event = json.loads(line[5:]) if line.startswith(b"data:") else {}
                if event.get("model") == name and event["origin_time"] > time.time_ns() - 3 * SECOND:  # not of the history
                    yield event

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(20)
        self.process.stderr.close()


@pytest.fixture
def start(binary, tmp_path, free_port):
    running = []

    def begin(**more):
        running.append(Server(binary, tmp_path / "data", free_port, **more))
        return running[-1]
    yield begin
    for s in running:
        s.end()


def answer(event, model="mine", **point):
    """A forecast of the last price in ten seconds."""
    p = {"kind": "last", "horizon_ms": 10000, "value": event["reference"] + 0.01, "lo": event["reference"] - 0.05,
         "hi": event["reference"] + 0.04, **point}
    return {"symbol": event["symbol"], "model": model, "origin_time": event["origin_time"], "points": [p]}


def stored(server, model):
    with sqlite3.connect(server.folder / "tickcast.db") as db:
        return db.execute("SELECT symbol, origin_time, issued, inputs, points FROM forecasts WHERE model = ? ORDER BY origin_time",
                          (model,)).fetchall()


def verdict(result):
    status, body = result
    return (status, body["results"][0]["verdict"]) if status == 200 else (status, body["error"]["message"])


def test_accepted_before_the_target_only_and_once(start):
    server = start()
    events = server.events()
    first = next(events)
    body = answer(first)
    assert verdict(server.post(body)) == (200, "accepted")
    assert verdict(server.post(body)) == (200, "duplicate")
    status, message = verdict(server.post(answer(first, value=first["reference"])))
    assert status == 409 and "it stands" in message
    # A name is one model: another one may answer the same question. A late point is left out, the others stay.
    second = next(events)
    both = answer(first, model="other")
    both["points"].insert(0, {"kind": "next", "value": first["reference"]})
    status, result = server.post(both)
    assert status == 200 and result["results"][0]["late"] == [{"kind": "next", "horizon_ms": 0}]
    assert result["results"][0]["model"] == "other@external" and "left out" in result["results"][0]["message"]
    late = answer(first, model="late", kind="next")
    status, message = verdict(server.post(late))
    assert status == 409 and "too late" in message
    old = answer({**second, "origin_time": first["origin_time"] - 3000 * SECOND})
    assert server.post(old)[0] == 409
    server.wait(lambda: len(stored(server, "mine@external")) == 1)
    (symbol, origin, issued, inputs, points), = stored(server, "mine@external")
    assert (symbol, origin, inputs) == (SYMBOL, first["origin_time"], "own")
    assert origin <= issued < origin + 10 * SECOND
    point, = json.loads(points)
    assert point["target"] == origin + 10 * SECOND and point["gate_open"] is False
    assert [json.loads(p)[0]["kind"] for *_, p in stored(server, "other@external")] == ["last"]
    assert not stored(server, "late@external")


def test_what_is_wrong_is_refused_with_its_reason(start):
    server = start()
    event = next(server.events())
    good = answer(event)
    for change, status, reason in (
            ({"symbol": "NONE"}, 404, "symbol NONE"),
            ({"origin_time": event["origin_time"] - 500}, 409, "nothing is open"),
            ({"origin_time": event["origin_time"] + 900 * SECOND}, 404, "origin_time"),
            ({"origin_time": "now"}, 400, "origin_time"),
            ({"model": "ridge"}, 400, "one of our own"),
            ({"model": "persistence"}, 400, "one of our own"),
            ({"model": "mean"}, 400, "one of our own"),
            ({"model": "Größe"}, 400, "small letters"),
            ({"model": "a@external"}, 400, "small letters"),
            ({"model": "x" * 40}, 400, "31 characters"),
            ({"points": []}, 400, "1 to 12"),
            ({"points": good["points"] * 2}, 400, "there twice"),
            ({"points": [{"kind": "last", "horizon_ms": 7000, "value": 1}]}, 400, "not asked for"),
            ({"points": [{"kind": "first", "value": 1}]}, 400, "kind"),
            ({"points": [{"kind": "next"}]}, 400, "value"),
            ({"points": [{"kind": "next", "value": 1, "more": 2}]}, 400, "nothing else"),
            ({"points": [{"kind": "next", "value": 100 * event["reference"]}]}, 400, "prices are expected"),
            ({"points": [{"kind": "next", "value": -1}]}, 400, "prices are expected"),
            ({"points": [{**good["points"][0], "lo": event["reference"] + 1}]}, 400, "must rise"),
            ({"points": [{**good["points"][0], "hi": None}]}, 400, "must rise"),
            ({"points": [{**good["points"][0], "p_down": 0.5, "p_none": 0.5, "p_up": 0.5}]}, 400, "sum to 1"),
            ({"points": [{**good["points"][0], "p_down": 1}]}, 400, "sum to 1"),
            ({"extra": 1}, 400, "nothing else")):
        got, message = verdict(server.post({**good, **change}))
        assert (got, reason in message) == (status, True), (change, got, message)
    assert server.post(b"{")[0] == 400
    assert server.post(b"[]")[0] == 400
    assert server.post(b"")[0] == 400
    assert server.post(b"[" * 100000)[0] == 400
    assert server.post([good] * 257)[0] == 400
    assert server.post(b" " * 300000)[0] == 413
    assert server.post(good, **{"Content-Type": "text/plain"})[0] == 415
    assert server.post(good, **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert server.post(good, Host="evil.example")[0] == 421
    event = next(server.events())
    status, body = server.post([answer(event), answer(event, model="ridge")])
    assert status == 200 and [r["verdict"] for r in body["results"]] == ["accepted", "wrong"]
    many = [answer(event, model=f"m{i}") for i in range(17)]
    verdicts = [r["verdict"] for r in server.post(many)[1]["results"]]
    assert verdicts.count("limit") == 2 and verdicts.count("accepted") == 15, verdicts


def test_a_token_is_needed_where_the_api_needs_one(start):
    server = start(token="0123456789abcdef0123")
    event = next(server.events())
    assert server.post(answer(event), Authorization="Bearer 0123456789abcdef0124")[0] == 401
    assert verdict(server.post(answer(event))) == (200, "accepted")


def test_the_example_is_scored_beside_ours_and_survives_a_kill(start, tickcast):
    server = start()
    example = subprocess.Popen([sys.executable, ROOT / "docs" / "examples" / "forecaster.py", server.url, SYMBOL, "example"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        server.wait(lambda: len(stored(server, "example@external")) >= 4, 40)
        server.wait(lambda: any(s["model"] == "example@external" and s["n"] >= 3 for s in server.ask(f"scores?symbol={SYMBOL}")["scores"]), 40)
    finally:
        example.kill()
        example.communicate()
    event = next(server.events())
    assert verdict(server.post(answer(event, model="survivor"))) == (200, "accepted")
    server.wait(lambda: stored(server, "survivor@external"))
    server.end(signal.SIGKILL)
    before = stored(server, "example@external")
    server = start()
    assert verdict(server.post(answer(event, model="survivor")))[0] in (200, 409)  # known again, or over by now
    server.wait(lambda: any(s["model"] == "survivor@external" and s["n"] == 1 for s in server.ask(f"scores?symbol={SYMBOL}")["scores"]), 40)
    assert stored(server, "example@external") == before and len(stored(server, "survivor@external")) == 1
    server.end()
    done = tickcast("score", "--recompute", "--csv", "--data", server.folder)
    rows = [r for r in done.stdout.splitlines() if "@external" in r]
    assert len(rows) == 2 and all("DIFFERENT" not in r for r in rows), done.stdout

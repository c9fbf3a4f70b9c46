"""Live feeds against fake vendors: what reaches the store is what was traded, whatever happens to the connection."""
import json
import pathlib
import signal
import ssl
import subprocess
import time

import pytest

from conftest import KEYS, SYMBOLS, compare, wait_until
from fakes import KEY, SECRET, Fake

WITH_HISTORY = ["coinbase", "binance", "kraken", "massive", "alpaca"]
FETCHED = "fetched from the vendor's history"


@pytest.mark.parametrize("vendor", WITH_HISTORY)
def test_bars_equal_the_market_after_a_cut_and_a_reset(live, vendor):
    with Fake(vendor, SYMBOLS[vendor]) as fake:
        fake.resend = 50
        run = live(fake)
        run.says("connected, 2 symbols")
        time.sleep(4)
        fake.cut()
        run.says("connected, 2 symbols", 2)
        run.says(FETCHED, 1)
        time.sleep(2)
        fake.reset()
        run.says("connected, 2 symbols", 3)
        run.says(FETCHED, 2)
        time.sleep(3)
        assert run.stop() == 0
        holes = [g for g in run.gaps() if g[3] == "disconnected"]
        assert len(holes) == 2 and all(g[4] for g in holes)
        assert compare(run, fake) > 15
        doubles = run.query("SELECT symbol, start, count(*) FROM bars GROUP BY 1, 2 HAVING count(*) > 1")
        assert not doubles


def test_silence_of_an_open_market_is_found_and_filled(live):
    with Fake("coinbase", SYMBOLS["coinbase"]) as fake:
        run = live(fake)
        run.says("connected, 2 symbols")
        time.sleep(3)
        start = time.monotonic()
        fake.freeze()
        run.says("nothing came for", seconds=15)
        assert time.monotonic() - start < 10
        run.says(FETCHED, 1, 30)
        time.sleep(2)
        assert run.stop() == 0
        assert [g[3] for g in run.gaps() if g[4]] == ["silent"]
        assert compare(run, fake) > 10


def test_a_vendor_without_history_leaves_a_hole_that_says_so(live):
    with Fake("finnhub", SYMBOLS["finnhub"]) as fake:
        run = live(fake)
        run.says("connected, 2 symbols")
        time.sleep(3)
        fake.cut()
        run.says("connected, 2 symbols", 2)
        time.sleep(4)
        assert run.stop() == 0
        holes = [g for g in run.gaps() if g[3] == "disconnected"]
        assert len(holes) == 1 and not holes[0][4]
        assert compare(run, fake, allow_unfilled=True) > 4


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_restart_goes_on_behind_what_it_published(live, how):
    with Fake("kraken", SYMBOLS["kraken"]) as fake:
        fake.resend = 50
        run = live(fake)
        run.says("connected, 2 symbols")
        time.sleep(5)
        run.stop(how)
        time.sleep(2)
        run.start()
        run.says(FETCHED)
        time.sleep(3)
        assert run.stop() == 0
        assert [(g[3], g[4]) for g in run.gaps() if g[4]] == [("not_running", 1)]
        assert compare(run, fake) > 15


def test_other_symbols_may_be_followed_after_a_restart(live):
    with Fake("binance", ["BTCUSDT", "ETHUSDT", "SOLUSDT"]) as fake:
        run = live(fake, symbols=["BTCUSDT", "ETHUSDT"])
        run.says("connected, 2 symbols")
        time.sleep(3)
        run.stop()
        run.symbols = ["SOLUSDT", "BTCUSDT"]
        run.start()
        run.says("connected, 2 symbols", 2)
        time.sleep(5)
        assert run.stop() == 0
        fake.market.symbols = ["BTCUSDT"]
        assert compare(run, fake) > 5
        assert run.query("SELECT count(*) FROM bars WHERE symbol = 'binance:SOLUSDT'")[0][0] > 1


def test_the_first_start_fetches_what_came_before(live):
    with Fake("coinbase", SYMBOLS["coinbase"]) as fake:
        time.sleep(6)
        run = live(fake, more=["--live.history", "60s"])
        run.says(FETCHED)
        time.sleep(2)
        assert run.stop() == 0
        assert run.query("SELECT count(*) FROM bars WHERE origin = 'backfill'")[0][0] >= 8
        first = run.query("SELECT min(start) / 1000000000 FROM bars")[0][0]
        assert first <= fake.market.trades["BTC-USD"][0].ns // 10**9 + 1
        compare(run, fake, allow_unfilled=True)


def test_history_keeps_to_the_limits_and_tries_again(live):
    with Fake("coinbase", SYMBOLS["coinbase"]) as fake:
        run = live(fake)
        run.says("connected, 2 symbols")
        time.sleep(2)
        fake.rest_failures = [429, 500, 503]
        fake.cut()
        run.says(FETCHED, 1, 30)
        time.sleep(1)
        assert run.stop() == 0
        assert not fake.rest_failures
        assert compare(run, fake) > 4


FINAL = {
    "massive": [{"ev": "status", "status": "auth_failed", "message": "authentication failed"}],
    "alpaca": [{"T": "error", "code": 402, "msg": "auth failed"}],
    "finnhub": {"type": "error", "msg": "Invalid API key"},
}


@pytest.mark.parametrize("vendor", FINAL)
def test_a_refused_key_ends_the_feed_and_is_shown_nowhere(live, vendor):
    with Fake(vendor, SYMBOLS[vendor]) as fake:
        fake.reject = FINAL[vendor]
        run = live(fake, serve=True)
        run.says("the key is refused: check it and start again")
        time.sleep(2)
        assert len(fake.connects) == 1  # never again
        assert run.process.poll() is None
        code, why = run.get("/readyz")
        assert code == 503 and "no feed is healthy" in why
        feed = json.loads(run.get("/api/v1/status")[1])["feeds"][0]
        assert feed["state"] == "failed" and "the key is refused" in feed["detail"]
        shown = run.text() + run.get("/api/v1/status")[1] + run.get("/metrics")[1] + \
            pathlib.Path(f"/proc/{run.process.pid}/cmdline").read_text()
        assert KEY not in shown and SECRET not in shown


@pytest.mark.parametrize("message,words", [
    ([{"ev": "status", "status": "max_connections", "message": "Maximum number of connections exceeded."}],
     "another program uses the same key"),
    ([{"ev": "status", "status": "error", "message": "not authorized for T.AAPL"}], "the plan does not include this"),
])
def test_what_cannot_be_mended_is_exit_code_7_when_asked_for(live, message, words):
    with Fake("massive", SYMBOLS["massive"]) as fake:
        fake.reject = message
        run = live(fake, more=["--exit-on-fatal"])
        run.says(words)
        assert run.process.wait(10) == 7
        assert len(fake.connects) == 1


def test_an_echoed_key_is_masked(live):
    with Fake("massive", SYMBOLS["massive"]) as fake:
        fake.reject = [{"ev": "status", "status": "auth_failed", "message": f"no such key {KEY}"}]
        run = live(fake)
        run.says("the key is refused")
        assert KEY not in run.text()


def test_a_missing_key_is_one_sentence(live):
    with Fake("alpaca", SYMBOLS["alpaca"]) as fake:
        run = live(fake, env={name: "" for name in KEYS})
        assert run.process.wait(10) == 3
        assert run.text().strip() == ("tickcast: alpaca needs a key: set APCA_API_KEY_ID, or alpaca.key_file to a file that "
                                      "holds it")


def test_a_symbol_that_does_not_exist_is_left_out(live):
    with Fake("coinbase", ["BTC-USD"]) as fake:
        run = live(fake, symbols=["BTC-USD", "NO-SUCH"])
        run.says("coinbase does not know the symbol NO-SUCH")
        time.sleep(4)
        assert run.stop() == 0
        assert compare(run, fake) > 1


def test_only_symbols_that_do_not_exist_end_the_feed(live):
    with Fake("coinbase", ["BTC-USD"]) as fake:
        run = live(fake, symbols=["NO-SUCH"], more=["--exit-on-fatal"])
        run.says("mend feed.symbols")
        assert run.process.wait(10) == 7


def test_a_refusing_server_is_not_stormed(live):
    with Fake("coinbase", SYMBOLS["coinbase"]) as fake:
        fake.refuse, fake.retry_after = 503, None
        run = live(fake)
        time.sleep(12)
        assert 2 <= len(fake.connects) <= 40
        fake.refuse, fake.retry_after = 429, 4
        time.sleep(6)
        before = len(fake.connects)
        time.sleep(3.5)
        assert len(fake.connects) <= before + 1
        fake.refuse = None
        run.says("connected, 2 symbols", seconds=40)


def test_garbage_and_unknown_messages_change_nothing_that_is_stored(live):
    with Fake("coinbase", SYMBOLS["coinbase"]) as fake:
        run = live(fake)
        run.says("connected, 2 symbols")
        time.sleep(2)
        fake.say({"type": "something new", "deep": [[[{"a": None}]]]})
        fake.say(["not an object"])
        fake.say({"type": "match", "price": 5})
        time.sleep(1)
        assert len(fake.connects) == 1
        fake.garbage()
        run.says("connected, 2 symbols", 2)
        run.says(FETCHED, 1)
        time.sleep(2)
        assert run.stop() == 0
        assert compare(run, fake) > 6


def test_several_feeds_run_in_one_process(live):
    with Fake("coinbase", ["BTC-USD"]) as one, Fake("kraken", ["BTC/USD"], seed=2) as two, \
            Fake("alpaca", ["AAPL"], seed=3) as three:
        run = live(one, two, three, serve=True)
        run.says("connected, 1 symbols", 3)
        time.sleep(4)
        two.cut()
        run.says(FETCHED)
        time.sleep(2)
        feeds = json.loads(run.get("/api/v1/status")[1])["feeds"]
        assert [(f["name"], f["state"], f["reconnects"]) for f in feeds] == [
            ("coinbase", "connected", 0), ("kraken", "connected", 1), ("alpaca", "connected", 0)]
        run.stop(signal.SIGKILL)
        run.start()
        run.says(FETCHED, 4)
        time.sleep(2)
        assert run.stop() == 0
        for fake in (one, two, three):
            assert compare(run, fake) > 6


def test_a_process_that_stood_still_says_so(live):
    with Fake("coinbase", SYMBOLS["coinbase"]) as fake:
        run = live(fake)
        run.says("connected, 2 symbols")
        time.sleep(3)
        run.process.send_signal(signal.SIGSTOP)
        time.sleep(8)
        run.process.send_signal(signal.SIGCONT)
        run.says(FETCHED, 1)
        time.sleep(2)
        assert run.stop() == 0
        assert "stalled" in [g[3] for g in run.gaps()]
        assert compare(run, fake) > 8


def test_memory_is_flat_over_many_reconnects(live):
    def resident(pid):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
    with Fake("coinbase", SYMBOLS["coinbase"], per_second=200) as fake:
        run = live(fake)
        run.says("connected, 2 symbols")
        time.sleep(3)
        before = resident(run.process.pid)
        for i in range(8):
            fake.reset()
            wait_until(lambda: len(fake.connects) >= i + 2, 60)
            time.sleep(1)
        assert resident(run.process.pid) < before + 30000


@pytest.mark.parametrize("extra", [0, 1])
def test_a_vendors_second_bars_revise_ours_where_they_differ(live, extra):
    with Fake("massive", SYMBOLS["massive"]) as fake:
        fake.extra_volume = extra
        run = live(fake, serve=True, more=["--massive.channels", "T,A"])
        run.says("connected, 2 symbols")
        time.sleep(13)
        metrics = run.get("/metrics")[1]
        assert run.stop() == 0
        count = {word: int(float(next(line for line in metrics.splitlines() if f'result="{word}"' in line and
                                      line.startswith("tickcast_vendor_bars_total")).split()[-1]))
                 for word in ("agreed", "differed")}
        assert (count["differed"] if extra else count["agreed"]) >= 4
        rows = run.query("SELECT symbol, start / 1000000000, volume, revision FROM bars WHERE start < (SELECT max(start) FROM bars) "
                         "- 5000000000 ORDER BY start")
        settled = [(r, fake.market.bars(r[0], r[1] * 10**9, (r[1] + 1) * 10**9)[r[1]]) for r in rows[2:]]
        assert settled and all(abs(r[2] - bar[4] - extra) < 1e-6 for r, bar in settled)
        assert all((r[3] > 0) == (extra > 0) for r, _ in settled)


def test_bars_of_the_vendor_alone_need_no_trades(live):
    with Fake("massive", SYMBOLS["massive"]) as fake:
        run = live(fake, more=["--massive.channels", "A"])
        run.says("connected, 2 symbols")
        time.sleep(8)
        assert run.stop() == 0
        rows = run.query("SELECT symbol, start / 1000000000, close, volume, trades FROM bars")
        assert len(rows) >= 4
        for symbol, second, close, volume, trades in rows:
            truth = fake.market.bars(symbol, second * 10**9, (second + 1) * 10**9)[second]
            assert (close, round(volume, 6), trades) == (truth[3], truth[4], 0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                   check=True, capture_output=True)
    return folder


def test_tls_works_with_a_certificate_that_is_trusted_and_not_without(live, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with Fake("coinbase", SYMBOLS["coinbase"], tls=context) as fake:
        run = live(fake)
        run.says("certificate")
        time.sleep(2)
        assert not fake.connects
        run.stop()
        run.more = ["--live.ca_file", str(certificate / "cert.pem")]
        run.start()
        run.says("connected, 2 symbols")
        time.sleep(2)
        fake.reset()
        run.says(FETCHED)
        time.sleep(1)
        assert run.stop() == 0
        assert compare(run, fake) > 4


def test_doctor_connects_and_says_what_is_wrong(live):
    with Fake("coinbase", ["BTC-USD"]) as one, Fake("massive", ["AAPL"]) as two:
        run = live(one, two)
        run.stop(signal.SIGKILL)
        words = [w for w in run.words() if w not in ("--no-serve", "--no-forecast")]
        words[1] = "doctor"
        good = subprocess.run(words, env=run.env, capture_output=True, text=True, timeout=60, check=False)
        assert "coinbase: subscribed after" in good.stdout and "massive: key taken and subscribed" in good.stdout
        bad = subprocess.run(words, env={**run.env, "MASSIVE_API_KEY": "wrong-key-of-mine"}, capture_output=True, text=True,
                             timeout=60, check=False)
        assert bad.returncode == 1 and "the key is refused: check it and start again" in bad.stdout
        assert "wrong-key-of-mine" not in bad.stdout + bad.stderr

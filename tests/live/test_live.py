"""Live feeds against fake vendors: what reaches the store is what was traded, whatever happens to the connection."""
import json
import pathlib
import signal
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

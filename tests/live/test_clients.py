"""The vendors' own Python clients take the fakes for the vendors: what the fakes speak is the protocol, not our reading of it."""
import asyncio
import datetime
import threading
import time

import pytest

from conftest import SYMBOLS, wait_until
from fakes import KEY, SECRET, Fake


def test_massives_client_takes_the_fake_for_massive():
    massive = pytest.importorskip("massive")
    from massive.websocket.models import Market
    with Fake("massive", SYMBOLS["massive"]) as fake:
        got = []
        client = massive.WebSocketClient(api_key=KEY, feed=f"127.0.0.1:{fake.port}", market=Market.Stocks, secure=False,
                                         subscriptions=["T.AAPL"], max_reconnects=0)

        async def take(messages):
            got.extend(messages)
            if len(got) > 20:
                await client.close()
        asyncio.run(asyncio.wait_for(client.connect(take), 20))
        truth = {str(t.id): t for t in fake.market.trades["AAPL"]}
        assert got and all((truth[m.id].price, truth[m.id].ns // 10**6) == (m.price, m.timestamp) for m in got)
        rest = massive.RESTClient(KEY, base=fake.rest)
        second = fake.market.trades["AAPL"][0].ns // 10**9
        bars = list(rest.list_aggs("AAPL", 1, "second", second * 1000, (second + 3) * 1000, adjusted=False, limit=50000))
        assert bars and bars[0].open == fake.market.trades["AAPL"][0].price


def test_massives_client_is_refused_with_another_key():
    massive = pytest.importorskip("massive")
    from massive.exceptions import AuthError
    with Fake("massive", SYMBOLS["massive"]) as fake:
        client = massive.WebSocketClient(api_key="another", feed=f"127.0.0.1:{fake.port}", secure=False,
                                         subscriptions=["T.AAPL"], max_reconnects=0)
        with pytest.raises(AuthError):
            asyncio.run(asyncio.wait_for(client.connect(lambda m: None), 20))


def test_alpacas_client_takes_the_fake_for_alpaca():
    pytest.importorskip("alpaca")
    from alpaca.data.historical import StockHistoricalDataClient
    from alpaca.data.live import StockDataStream
    from alpaca.data.requests import StockTradesRequest
    with Fake("alpaca", SYMBOLS["alpaca"]) as fake:
        got = []
        stream = StockDataStream(KEY, SECRET, url_override=fake.ws)

        async def take(trade):
            got.append(trade)
        stream.subscribe_trades(take, "AAPL")
        thread = threading.Thread(target=stream.run, daemon=True)
        thread.start()
        wait_until(lambda: len(got) > 10)
        stream.stop()
        thread.join(10)
        truth = {t.id: t for t in fake.market.trades["AAPL"]}
        assert all((truth[t.id].price, truth[t.id].size) == (t.price, t.size) for t in got)
        rest = StockHistoricalDataClient(KEY, SECRET, url_override=fake.rest)
        begin = datetime.datetime.fromtimestamp(time.time() - 60, datetime.timezone.utc)
        answer = rest.get_stock_trades(StockTradesRequest(symbol_or_symbols="AAPL", start=begin, end=datetime.datetime.now(
            datetime.timezone.utc), feed="iex"))
        assert len(answer.data["AAPL"]) > 10

"""Fake vendors: servers on 127.0.0.1 that speak the documented protocols of Coinbase, Binance, Kraken, Massive, Alpaca and
Finnhub over one made-up market, stream and REST history alike, and do damage when told to.

The market is the truth: every trade is kept with its id and time, so that a test can say what the bars must be. A fake runs
in a thread of its own; `with Fake("coinbase", ["BTC-USD"]) as fake:` gives its addresses in fake.ws and fake.rest.
"""
import asyncio
import collections
import contextlib
import datetime
import json
import random
import threading
import time

from aiohttp import WSMsgType, web

KEY, SECRET = "key-of-the-tests-0123456789", "secret-of-the-tests-9876543210"

Trade = collections.namedtuple("Trade", "id ns symbol price size")


def iso(ns):
    second, fraction = divmod(ns, 10**9)
    return datetime.datetime.fromtimestamp(second, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{fraction:09d}Z"


def parse_iso(text):
    head, _, tail = text.replace("+00:00", "").rstrip("Z").partition(".")
    base = datetime.datetime.strptime(head, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return int(base.timestamp()) * 10**9 + int((tail + "000000000")[:9])


def pack(message):
    """MessagePack as Alpaca sends it: times are its own type."""
    import msgpack
    return msgpack.packb([{k: msgpack.Timestamp.from_unix_nano(parse_iso(v)) if k == "t" else v for k, v in item.items()}
                          for item in message])


class Market:
    """Trades of all symbols by a seeded walk; one stream of ids for each symbol."""

    def __init__(self, symbols, per_second, seed):
        self.random = random.Random(seed)
        self.symbols, self.per_second = symbols, per_second
        self.price = {s: 100.0 + 10 * i for i, s in enumerate(symbols)}
        self.trades = {s: [] for s in symbols}
        self.next_id = 1000

    def tick(self, now_ns):
        symbol = self.random.choice(self.symbols)
        self.price[symbol] = round(max(1, self.price[symbol] + self.random.choice([-0.02, -0.01, 0, 0.01, 0.02])), 2)
        size = round(self.random.randint(1, 5000) / 1000, 3)
        self.next_id += 1
        trade = Trade(self.next_id, now_ns // 1000 * 1000, symbol, self.price[symbol], size)
        self.trades[symbol].append(trade)
        return trade

    def bars(self, symbol, start_ns, end_ns):
        """{second: (open, high, low, close, volume, count)} of what was traded in [start, end)."""
        out = {}
        for t in self.trades[symbol]:
            if start_ns <= t.ns < end_ns:
                out.setdefault(t.ns // 10**9, []).append(t)
        return {s: (ts[0].price, max(t.price for t in ts), min(t.price for t in ts), ts[-1].price,
                    round(sum(t.size for t in ts), 6), len(ts)) for s, ts in out.items()}


class Session:
    """One connected client."""

    def __init__(self, socket, transport):
        self.socket, self.transport = socket, transport
        self.symbols, self.channels = set(), set()
        self.authorised = self.packed = False
        self.frozen = False  # half-open: nothing is sent or answered any more


class Fake:
    def __init__(self, vendor, symbols, per_second=40, seed=1, port=0, tls=None):
        self.vendor, self.port, self.tls = vendor, port, tls  # tls: an ssl.SSLContext
        self.market = Market(symbols, per_second, seed)
        self.sessions, self.connects, self.requests = [], [], []
        self.refuse = None        # a status for new connections
        self.rest_failures = []   # statuses for the next REST requests, first to last
        self.reject = None        # what to say to the next log-in or subscription
        self.resend = 0           # trades sent again after each subscription
        self.flowing = True       # false: trades happen and are not sent
        self.retry_after = None
        self.keys_seen = []
        self.extra_volume = 0     # by which the vendor's own second bars differ from its trades

    # --- life ---

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_):
        self.call(self._stop())
        self.thread.join(10)

    def call(self, coroutine):
        """Runs it on the server's thread and waits."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._start())
        ready.set()
        self.loop.run_forever()

    async def _start(self):
        app = web.Application()
        app.router.add_get("/{path:.*}", self._any)
        self.runner = web.AppRunner(app, access_log=None)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", self.port, ssl_context=self.tls)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self.trading = self.loop.create_task(self._trade())
        self.beating = self.loop.create_task(self._beat())

    async def _stop(self):
        self.trading.cancel()
        self.beating.cancel()
        for session in self.sessions:
            session.transport.abort()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.runner.cleanup(), 3)
        self.loop.call_soon(self.loop.stop)

    @property
    def ws(self):
        path = {"coinbase": "", "binance": "/ws", "kraken": "/v2", "massive": "/stocks", "alpaca": "/v2/iex", "finnhub": ""}
        return f"ws{'s' if self.tls else ''}://127.0.0.1:{self.port}{path[self.vendor]}"

    @property
    def rest(self):
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    # --- damage, called from the test ---

    async def _each(self, what):
        for session in list(self.sessions):
            result = what(session)
            if asyncio.iscoroutine(result):
                with contextlib.suppress(ConnectionError, RuntimeError):
                    await asyncio.wait_for(result, 2)

    def cut(self):
        self.call(self._each(lambda s: s.socket.close()))

    def reset(self):
        self.call(self._each(lambda s: s.transport.abort()))

    def freeze(self):
        def half_open(session):
            session.frozen = True
            session.transport.pause_reading()
        self.call(self._each(half_open))

    def garbage(self, data=b"\x81\x05hello\xff\xff\xff\xff\xff\xff\xff\xff"):
        self.call(self._each(lambda s: s.transport.write(data)))

    def say(self, message):
        self.call(self._each(lambda s: s.socket.send_str(json.dumps(message))))

    # --- the stream ---

    async def _any(self, request):
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._stream(request)
        return await self._history(request)

    async def _stream(self, request):
        self.connects.append(time.time())
        if self.refuse:
            headers = {"Retry-After": str(self.retry_after)} if self.retry_after else {}
            return web.Response(status=self.refuse, headers=headers)
        if self.vendor == "finnhub" and request.query.get("token") != KEY:
            return web.Response(status=401)
        socket = web.WebSocketResponse(compress=True)
        await socket.prepare(request)
        session = Session(socket, request.transport)
        session.packed = request.headers.get("Content-Type") == "application/msgpack"  # Alpaca's own client wants it so
        self.sessions.append(session)
        try:
            if self.vendor == "massive":
                await self._send(session, [{"ev": "status", "status": "connected", "message": "Connected Successfully"}])
            if self.vendor == "alpaca":
                await self._send(session, [{"T": "success", "msg": "connected"}])
            async for message in socket:
                if message.type == WSMsgType.TEXT and not session.frozen:
                    await self._heard(session, json.loads(message.data))
                elif message.type == WSMsgType.BINARY and session.packed:
                    import msgpack
                    await self._heard(session, msgpack.unpackb(message.data))
        finally:
            self.sessions.remove(session)
        return socket

    async def _send(self, session, message):
        if session.frozen:
            return
        with contextlib.suppress(ConnectionError, RuntimeError):
            if session.packed:
                await session.socket.send_bytes(pack(message))
            else:
                await session.socket.send_str(json.dumps(message))

    async def _heard(self, session, message):
        if self.reject:
            reject, self.reject = self.reject, None
            await self._send(session, reject)
            return
        await getattr(self, f"_{self.vendor}_heard")(session, message)

    async def _subscribed(self, session, symbols):
        session.symbols.update(symbols)
        for symbol in symbols:
            for trade in self.market.trades.get(symbol, [])[-self.resend:] if self.resend else []:
                await self._send(session, self._trade_message(trade))

    async def _coinbase_heard(self, session, m):
        if m["type"] == "subscribe":
            bad = [p for p in m["product_ids"] if p not in self.market.symbols]
            if bad:
                await self._send(session, {"type": "error", "message": "Failed to subscribe",
                                           "reason": f"{bad[0]} is not a valid product"})
                return
            await self._send(session, {"type": "subscriptions", "channels": [{"name": c, "product_ids": m["product_ids"]}
                                                                             for c in m["channels"]]})
            await self._subscribed(session, m["product_ids"])

    async def _binance_heard(self, session, m):
        if m["method"] == "SUBSCRIBE":
            await self._send(session, {"result": None, "id": m["id"]})
            names = [p.split("@")[0].upper() for p in m["params"] if p.endswith("@aggTrade")]
            await self._subscribed(session, names)

    async def _kraken_heard(self, session, m):
        if m["method"] == "ping":
            await self._send(session, {"method": "pong"})
            return
        for symbol in m["params"]["symbol"]:
            if symbol not in self.market.symbols:
                await self._send(session, {"method": "subscribe", "success": False, "symbol": symbol,
                                           "error": f"Currency pair not supported {symbol}", "req_id": m.get("req_id")})
                continue
            await self._send(session, {"method": "subscribe", "success": True, "req_id": m.get("req_id"),
                                       "result": {"channel": m["params"]["channel"], "symbol": symbol}})
            if m["params"]["channel"] == "trade":
                await self._subscribed(session, [symbol])

    async def _massive_heard(self, session, m):
        def status(name, text):
            return [{"ev": "status", "status": name, "message": text}]
        if m["action"] == "auth":
            self.keys_seen.append(m["params"])
            session.authorised = m["params"] == KEY
            await self._send(session, status("auth_success", "authenticated") if session.authorised
                             else status("auth_failed", "authentication failed"))
        elif m["action"] == "subscribe":
            for item in m["params"].split(","):
                channel, _, symbol = item.partition(".")
                session.channels.add(channel)
                await self._send(session, status("success", f"subscribed to: {item}"))
                if channel == "A" and symbol != "*":
                    session.symbols.add(symbol)
                if channel == "T":
                    await self._subscribed(session, self.market.symbols if symbol == "*" else [symbol])

    async def _alpaca_heard(self, session, m):
        if m["action"] == "auth":
            session.authorised = m["key"] == KEY and m["secret"] == SECRET
            await self._send(session, [{"T": "success", "msg": "authenticated"}] if session.authorised
                             else [{"T": "error", "code": 402, "msg": "auth failed"}])
        elif m["action"] == "subscribe":
            await self._send(session, [{"T": "subscription", "trades": m.get("trades", []), "quotes": m.get("quotes", []),
                                        "bars": m.get("bars", []), "updatedBars": [], "dailyBars": [], "statuses": [],
                                        "lulds": [], "corrections": m.get("trades", []), "cancelErrors": m.get("trades", [])}])
            await self._subscribed(session, m.get("trades", []))

    async def _finnhub_heard(self, session, m):
        if m["type"] == "subscribe":
            await self._subscribed(session, [m["symbol"]])

    def _trade_message(self, t):
        ms = t.ns // 10**6
        return {
            "coinbase": {"type": "match", "trade_id": t.id, "maker_order_id": "a", "taker_order_id": "b", "side": "sell",
                         "size": str(t.size), "price": f"{t.price:.2f}", "product_id": t.symbol, "sequence": t.id,
                         "time": iso(t.ns)[:26] + "Z"},
            "binance": {"e": "aggTrade", "E": ms, "s": t.symbol, "a": t.id, "p": f"{t.price:.8f}", "q": f"{t.size:.8f}",
                        "f": t.id, "l": t.id, "T": ms, "m": True, "M": True},
            "kraken": {"channel": "trade", "type": "update", "data": [
                {"symbol": t.symbol, "side": "sell", "price": t.price, "qty": t.size, "ord_type": "limit", "trade_id": t.id,
                 "timestamp": iso(t.ns)[:26] + "Z"}]},
            "massive": [{"ev": "T", "sym": t.symbol, "x": 4, "i": str(t.id), "z": 3, "p": t.price, "s": int(t.size),
                         "ds": str(t.size), "t": ms, "q": t.id, **({"c": [14]} if t.id % 2 else {})}],
            "alpaca": [{"T": "t", "S": t.symbol, "i": t.id, "x": "V", "p": t.price, "s": t.size, "c": ["@"], "t": iso(t.ns),
                        "z": "C"}],
            "finnhub": {"type": "trade", "data": [{"p": t.price, "s": t.symbol, "t": ms, "v": t.size, "c": None}]},
        }[self.vendor]

    async def _trade(self):
        due = time.time()
        while True:
            due += self.market.random.expovariate(self.market.per_second)
            await asyncio.sleep(max(0, due - time.time()))
            trade = self.market.tick(time.time_ns())
            message = self._trade_message(trade)
            for session in list(self.sessions) if self.flowing else []:
                if trade.symbol in session.symbols and session.channels != {"A"}:
                    await self._send(session, message)

    async def _beat(self):
        while True:
            await asyncio.sleep(1)
            for session in list(self.sessions) if self.flowing else []:
                if self.vendor == "coinbase":
                    for symbol in sorted(session.symbols):
                        trades = self.market.trades[symbol]
                        await self._send(session, {"type": "heartbeat", "sequence": 1, "product_id": symbol,
                                                   "last_trade_id": trades[-1].id if trades else 0, "time": iso(time.time_ns())})
                elif "A" in session.channels:
                    await self._send_seconds(session)
                elif self.vendor == "kraken" and session.symbols:
                    await self._send(session, {"channel": "heartbeat"})

    async def _send_seconds(self, session):
        """Massive's bars of the second before the last one: they come about two seconds late."""
        second = time.time_ns() // 10**9 - 2
        for symbol in sorted(session.symbols):
            for b in self.market.bars(symbol, second * 10**9, (second + 1) * 10**9).values():
                await self._send(session, [{"ev": "A", "sym": symbol, "v": int(b[4]), "dv": str(round(b[4] + self.extra_volume, 6)),
                                            "vw": b[3], "o": b[0], "h": b[1], "l": b[2], "c": b[3], "s": second * 1000,
                                            "e": second * 1000 + 1000}])

    # --- history ---

    async def _history(self, request):
        self.requests.append(request.path_qs)
        if self.rest_failures:
            status = self.rest_failures.pop(0)
            headers = {"Retry-After": "1"} if status == 429 else {}
            return web.Response(status=status, headers=headers, text="<html>not now</html>")
        parts = request.path.strip("/").split("/")
        return web.json_response(getattr(self, f"_{self.vendor}_history")(request, parts))

    def _coinbase_history(self, request, parts):
        after = int(request.query.get("after", 10**18))
        found = [t for t in reversed(self.market.trades[parts[1]]) if t.id < after][:int(request.query.get("limit", 1000))]
        return [{"time": iso(t.ns)[:26] + "Z", "trade_id": t.id, "price": f"{t.price:.2f}", "size": str(t.size), "side": "sell"}
                for t in found]

    def _binance_history(self, request, parts):
        q, trades = request.query, self.market.trades[request.query["symbol"]]
        if "fromId" in q:
            found = [t for t in trades if t.id >= int(q["fromId"])]
        else:
            found = [t for t in trades if int(q["startTime"]) <= t.ns // 10**6 <= int(q["endTime"])]
        return [{"a": t.id, "p": f"{t.price:.8f}", "q": f"{t.size:.8f}", "f": t.id, "l": t.id, "T": t.ns // 10**6, "m": True,
                 "M": True} for t in found[:int(q.get("limit", 500))]]

    def _kraken_history(self, request, parts):
        symbol = next(s for s in self.market.symbols if s.replace("/", "") == request.query["pair"])
        found = [t for t in self.market.trades[symbol] if t.ns > int(request.query["since"])][:int(request.query["count"])]
        last = found[-1].ns if found else int(request.query["since"])
        rows = [[f"{t.price:.5f}", f"{t.size:.8f}", t.ns / 10**9, "s", "l", "", t.id] for t in found]
        return {"error": [], "result": {symbol: rows, "last": str(last)}}

    def _massive_history(self, request, parts):
        self.keys_seen.append(request.headers.get("Authorization", ""))
        symbol, start, end = parts[3], int(parts[7]) * 10**6, int(parts[8]) * 10**6
        bars = self.market.bars(symbol, start // 10**9 * 10**9, end // 10**9 * 10**9 + 10**9)
        rows = [{"o": b[0], "h": b[1], "l": b[2], "c": b[3], "v": b[4], "n": b[5], "vw": b[3], "t": second * 1000}
                for second, b in sorted(bars.items())]
        answer = {"ticker": symbol, "queryCount": len(rows), "resultsCount": len(rows), "adjusted": False, "status": "OK",
                  "request_id": "r"}
        if rows:
            answer["results"] = rows
        return answer

    def _alpaca_history(self, request, parts):
        q = request.query
        start, end, skip = parse_iso(q["start"]), parse_iso(q["end"]), int(q.get("page_token", 0))
        found = [t for t in self.market.trades[q["symbols"]] if start <= t.ns <= end]
        page, rest = found[skip:skip + 100], len(found) > skip + 100
        rows = [{"t": iso(t.ns), "x": "V", "p": t.price, "s": t.size, "c": ["@"], "i": t.id, "z": "C"} for t in page]
        return {"trades": {q["symbols"]: rows} if rows else {}, "next_page_token": str(skip + 100) if rest else None}

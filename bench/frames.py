#!/usr/bin/env python3
"""The frames of bench_frames through Python's readers: the official client of Massive as it parses its own frames, and orjson (a JSON
library in Rust) to its objects alone.

    build/bench/bench_frames 3 /tmp/frames && python -m pip install massive orjson && bench/frames.py /tmp/frames
"""
import json
import pathlib
import sys
import time


def rate(frames, events, read):
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        for frame in frames:
            read(frame)
        times.append(time.perf_counter() - begin)
    return events / sorted(times)[1] / 1e6


def main():
    import orjson
    import logging

    from massive.websocket.models import Market, parse
    log = logging.getLogger("bench")
    for name in ("massive-trades", "massive-seconds"):
        frames = (pathlib.Path(sys.argv[1]) / f"{name}.jsonl").read_text().splitlines()[:500]
        events = sum(len(json.loads(f)) for f in frames)
        client = rate(frames, events, lambda f: parse(json.loads(f), log, Market.Stocks))
        print(f"{name}: official client {client:.2f} M events/s, orjson to objects "
              f"{rate(frames, events, orjson.loads):.2f} M events/s")


main()

"""Random faults in one run: every hole is in the ledger, and where history can supply them the stored bars are those
of an undisturbed market. LIVE_FAULTS sets another number."""
import os
import pathlib
import random
import time

import pytest

from conftest import SYMBOLS, compare, wait_until
from fakes import Fake

FAULTS = int(os.environ.get("LIVE_FAULTS", "12"))
KINDS = ["cut", "reset", "half_open", "slow", "garbage", "too_long", "history_429", "history_500", "refused", "session_lost",
         "server_stalls", "we_stall"]


class Damage:
    """Does one fault after the other to a fake and lets the program find its feet again."""

    def __init__(self, fake, run, seed):
        self.fake, self.run, self.random = fake, run, random.Random(seed)

    def do(self, kind):
        getattr(self, kind)()

    def cut(self):
        self.fake.cut()

    def reset(self):
        self.fake.reset()

    def half_open(self):
        self.fake.freeze()

    def slow(self):
        """A message that comes byte by byte and never ends."""
        self.fake.garbage(b"\x81\x7e\x40\x00" + b"x" * self.random.randint(1, 50))

    def garbage(self):
        self.fake.garbage(self.random.randbytes(self.random.randint(1, 200)))

    def too_long(self):
        self.fake.garbage(b"\x81\x7f\x00\x00\x00\x7f\xff\xff\xff\xff")

    def history_429(self):
        self.fake.rest_failures += [429]
        self.fake.cut()

    def history_500(self):
        self.fake.rest_failures += [500, 502]
        self.fake.reset()

    def refused(self):
        self.fake.refuse = self.random.choice([429, 500, 503])
        self.fake.reset()
        time.sleep(self.random.uniform(0.2, 1.5))
        self.fake.refuse = None

    def session_lost(self):
        self.fake.say({"type": "error", "message": "session expired"})

    def server_stalls(self):
        self.fake.flowing = False
        time.sleep(self.random.uniform(0.5, 4))
        self.fake.flowing = True

    def we_stall(self):
        os.kill(self.run.process.pid, 19)
        time.sleep(self.random.uniform(0.3, 2))
        os.kill(self.run.process.pid, 18)


def resident_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def settled(run):
    """All holes but the one before the first start are filled."""
    return all(g[4] for g in run.gaps()[1:])


@pytest.mark.parametrize("seed", [1])
def test_the_store_survives_random_faults(live, seed):
    with Fake("coinbase", SYMBOLS["coinbase"], per_second=60) as fake:
        fake.resend = 20
        run = live(fake, more=["--live.backoff_max", "2s"])
        run.says("connected, 2 symbols")
        time.sleep(2)
        damage, begin, kinds = Damage(fake, run, seed), time.time(), {}
        memory = None
        for i in range(FAULTS):
            kind = damage.random.choice(KINDS)
            kinds[kind] = kinds.get(kind, 0) + 1
            damage.do(kind)
            time.sleep(damage.random.uniform(0.5, 3))
            wait_until(lambda: fake.sessions and not fake.sessions[-1].frozen, 70)
            assert run.process.poll() is None, run.text()[-2000:]
            if i == FAULTS // 4:
                memory = resident_kib(run.process.pid)
        wait_until(lambda: fake.sessions, 70)
        time.sleep(5)
        wait_until(lambda: settled(run), 180)
        time.sleep(3)
        grown = resident_kib(run.process.pid) - memory
        assert run.stop() == 0
        seconds = compare(run, fake)
        holes = run.gaps()
        print(f"{FAULTS} faults in {time.time() - begin:.0f} s {kinds}; {len(holes) - 1} holes, {len(fake.connects)} connects, "
              f"{len(fake.requests)} requests for history, {seconds} seconds equal, memory grew {grown} KiB")
        assert len(fake.connects) <= 4 * FAULTS + 20  # attempts are bounded
        assert grown < 40000

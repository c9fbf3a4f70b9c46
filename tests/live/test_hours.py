"""A live feed that keeps the exchange's hours: asleep it has no connection, an edited calendar wakes it, holes of the night
are none, and the page stays."""
import datetime
import json
import time

from conftest import SYMBOLS, compare, wait_until
from fakes import Fake


def calendar(path, start, end, exceptions=""):
    """Sessions of each day from one time (UTC) to another; both as minutes from now."""
    now = datetime.datetime.now(datetime.timezone.utc)
    def text(t):
        return t.strftime("%H:%M")
    first, last = now + datetime.timedelta(minutes=start), now + datetime.timedelta(minutes=end)
    if first.date() != last.date():  # the test runs at midnight
        first, last = first.replace(hour=0, minute=0), last.replace(hour=23, minute=58, day=first.day)
    path.write_text(f'name: test\nzone: UTC\nweek: [mon, tue, wed, thu, fri, sat, sun]\n'
                    f'session: {{open: "{text(first)}", close: "{text(last)}"}}\n{exceptions}')


def status(run):
    return json.loads(run.get("/api/v1/status")[1])


def test_a_feed_sleeps_outside_the_session_and_wakes_when_the_calendar_says_so(live, tmp_path):
    hours = tmp_path / "hours.yaml"
    calendar(hours, -30, 90)
    with Fake("massive", SYMBOLS["massive"]) as fake:
        run = live(fake, serve=True, more=["--calendar", hours, "--schedule", "--schedule.stay-after", "0",
                                           "--schedule.wake-before", "0", "--schedule.settle", "0"])
        run.says("connected, 2 symbols")
        wait_until(lambda: status(run)["rates"]["bars_per_s"])
        assert status(run)["schedule"]["asleep"] is False and status(run)["calendar"]["state"] == "open"
        time.sleep(2)

        calendar(hours, -30, -1)  # an early close, told while it runs
        run.says("calendar test was edited and is in force")
        run.says("feed massive sleeps until")
        asleep = wait_until(lambda: (s := status(run))["feeds"][0]["state"] == "asleep" and s)
        assert asleep["schedule"]["asleep"] and asleep["calendar"]["state"] == "closed" and asleep["feeds"][0]["healthy"]
        assert asleep["calendar"]["last"]["close"] < asleep["now"] < asleep["schedule"]["until"]
        assert run.get("/readyz")[0] == 200 and run.get("/")[0] == 200
        wait_until(lambda: not fake.sessions)
        today = asleep["calendar"]["last"]["day"]  # the night's work is done for it, as at the start for the one before
        jobs = wait_until(lambda: len(j := [x for x in json.loads(run.get("/api/v1/jobs")[1])["jobs"]
                                            if x["day"] == today and x["finished"]]) == 3 and j)
        assert {j["name"] for j in jobs} == {"retention", "quality", "reconcile"}
        assert all(j["result"] in ("done", "skipped") for j in jobs)
        bars = run.query("SELECT count(*) FROM bars")[0][0]
        time.sleep(3)
        assert run.query("SELECT count(*) FROM bars")[0][0] - bars <= 2  # what was still to be stored

        calendar(hours, -30, 90)
        run.says("feed massive is awake until")
        run.says("connected, 2 symbols", 2)
        wait_until(lambda: status(run)["rates"]["bars_per_s"])
        time.sleep(3)
        assert run.stop() == 0
        assert compare(run, fake, allow_unfilled=True) > 4


def test_a_program_started_at_night_does_not_connect(live, tmp_path):
    hours = tmp_path / "hours.yaml"
    calendar(hours, -60, -30)
    with Fake("alpaca", SYMBOLS["alpaca"]) as fake:
        run = live(fake, serve=True, more=["--calendar", hours, "--schedule"])
        run.says("feed alpaca sleeps until")
        assert run.get("/readyz")[0] == 200
        time.sleep(3)
        assert "connected" not in run.text() and not fake.sessions
        assert run.stop() == 0

"""The Reddit source against a Reddit of our own that PRAW, the official client's library, reads from as well."""
import json
import random
import subprocess
import time

import pytest

from fake_reddit import ID, INSTALLED, SECRET, FakeReddit


@pytest.fixture
def reddit():
    fake = FakeReddit()
    yield fake
    fake.close()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def harness(binary, folder):
    def call(fake, seconds, *subs, id=ID, secret=SECRET, poll_ms=40, recheck_s=3600, ok=True, background=False):
        words = [binary.parent / "tests" / "harness" / "posts_harness", folder, seconds, id, secret, fake.url, fake.url,
                 poll_ms, recheck_s, *subs]
        process = subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if background:
            return process
        return collect(process, ok)
    return call


def collect(process, ok=True):
    out, err = process.communicate(timeout=60)
    assert (process.returncode == 0) == ok, err
    assert SECRET not in out + err
    rows = [json.loads(line) for line in out.splitlines()]
    return Result([r["record"] for r in rows if r["type"] == 48], [r["record"]["id"] for r in rows if r["type"] == 49],
                  [r["record"] for r in rows if r["type"] == 4], next((r["record"] for r in rows if r["type"] == 0), None), err)


class Result:
    def __init__(self, posts, removed, holes, health, err):
        self.posts, self.removed, self.holes, self.health, self.err = posts, removed, holes, health, err
        self.ids = [p["id"] for p in posts]


def names(*given):
    return ["reddit:" + name for name in given]


def test_praw_reads_from_the_fake_as_from_reddit(reddit):
    praw = pytest.importorskip("praw", reason="script/bootstrap test installs it")
    first = reddit.write("stocks", "$TSLA calls", age=60)
    second = reddit.write("stocks", "AMD is fine", age=30)
    comment = reddit.write("stocks", "agreed", kind="t1")
    client = praw.Reddit(client_id=ID, client_secret=SECRET, user_agent="tests", reddit_url=reddit.url, oauth_url=reddit.url,
                         check_for_updates=False)
    assert [p.name for p in client.subreddit("stocks").new(limit=5)] == [second, first]
    assert [c.body for c in client.subreddit("stocks").comments(limit=5)] == ["agreed"]
    assert [i.name for i in client.info(fullnames=[first, comment])] == [first, comment]
    assert client.auth.limits["remaining"] is not None


def test_posts_and_comments_of_several_subreddits_come_once(reddit, harness):
    a = reddit.write("stocks", "$TSLA calls to the moon", author="ann", age=50)
    b = reddit.write("options", "my AMD puts are worthless", author="bob", age=40)
    c = reddit.write("stocks", "long <b>TSLA</b> & \u202e happy", kind="t1", author="ann", age=30)
    process = harness(reddit, 4, "stocks", "options", background=True)
    time.sleep(1.5)
    d = reddit.write("options", "fresh one")
    got = collect(process)
    assert sorted(got.ids) == sorted(names(a, b, c, d)) and not got.holes and not got.removed
    one = {p["id"]: p for p in got.posts}["reddit:" + a]
    assert one["place"] == "r/stocks" and one["compound"] > 0.4 and one["url"].startswith("https://www.reddit.com/r/stocks/comments/")
    assert one["mentions"][0]["symbol"] == "TSLA"
    assert abs(one["created"] / 1e9 - (time.time() - 50)) < 20  # created_utc, not created
    assert not any("ann" in json.dumps(p) for p in got.posts), "no author's name is kept"
    assert reddit.agents == {"linux:tickcast-test:v1 (by /u/nobody)"}
    assert not any("before=" in r for r in reddit.requests)


def test_an_installed_application_needs_no_secret(reddit, harness):
    a = reddit.write("stocks", "hello")
    assert harness(reddit, 2, "stocks", id=INSTALLED, secret="-").ids == names(a)


def test_a_restart_neither_misses_nor_repeats(reddit, harness):
    before = [reddit.write("stocks", f"post {i}", age=200 - i) for i in range(30)]
    assert sorted(harness(reddit, 2, "stocks").ids) == sorted(names(*before))
    between = [reddit.write("stocks", f"later {i}") for i in range(250)]  # more than one page
    got = harness(reddit, 4, "stocks")
    assert sorted(got.ids) == sorted(names(*between)) and not got.holes
    assert got.ids == names(*between), "the oldest first"


def test_killed_at_any_moment_every_post_is_there_once(reddit, harness, folder):
    rng, written = random.Random(3), []
    for i in range(6):
        written += [reddit.write("stocks", f"{i} {k}") for k in range(60)]
        process = harness(reddit, 20, "stocks", background=True)
        time.sleep(0.3 + rng.random())
        process.kill()
        process.communicate()
    harness(reddit, 4, "stocks")
    stored = subprocess.run(["sqlite3", folder / "tickcast.db", "SELECT id FROM posts"], capture_output=True, text=True)
    assert sorted(stored.stdout.split()) == sorted(names(*written))


def test_more_than_reddit_shows_is_a_hole_that_is_written_down(reddit, harness):
    reddit.write("stocks", "known", age=100)
    harness(reddit, 2, "stocks")
    for i in range(1100):
        reddit.write("stocks", f"many {i}")
    got = harness(reddit, 12, "stocks")
    assert len(got.posts) == 1000 and len(got.holes) == 1
    hole = got.holes[0]
    assert hole["symbol"] == "r/stocks" and hole["feed"] == "reddit" and hole["reason"] == "no_overlap_posts" and hole["end"] >= hole["start"]
    assert got.health["holes"] == 1


def test_the_item_that_was_newest_may_vanish(reddit, harness):
    process = harness(reddit, 6, "stocks", background=True)
    reddit.write("stocks", "stays", age=90)
    newest = reddit.write("stocks", "goes", age=80)
    time.sleep(2)
    reddit.remove(newest)
    later = reddit.write("stocks", "comes after")
    got = collect(process)
    assert "reddit:" + later in got.ids and len(got.ids) == 3 and not got.holes


@pytest.mark.parametrize("how", ["gone", "deleted", "removed"])
def test_a_removed_post_leaves_within_the_time(reddit, harness, folder, how):
    keep, go = reddit.write("stocks", "$TSLA stays"), reddit.write("stocks", "$TSLA goes", author="bob")
    process = harness(reddit, 14, "stocks", recheck_s=10, background=True)
    time.sleep(2.5)
    reddit.remove(go, how)
    got = collect(process)
    assert got.removed[:1] == names(go) and set(got.removed) == set(names(go))
    left = subprocess.run(["sqlite3", folder / "tickcast.db", "SELECT id FROM posts; SELECT DISTINCT id FROM mentions"],
                          capture_output=True, text=True).stdout.split()
    assert left == names(keep, keep)
    assert any(r.startswith("GET /api/info") and "," in r for r in reddit.requests), "asked in one question"


def test_a_token_is_renewed_by_its_lifetime_and_when_it_is_refused(reddit, harness):
    reddit.lifetime = 1  # taken as the shortest there is
    a = reddit.write("stocks", "one")
    reddit.faults = [401]
    assert harness(reddit, 3, "stocks").ids == names(a) and reddit.token_count == 2


def test_faults_are_waited_out_and_nothing_is_lost_or_doubled(reddit, harness):
    written = [reddit.write("stocks", f"n {i}", age=100 - i) for i in range(40)]
    reddit.token_faults = [503]
    reddit.faults = [429, "garbage", None, 500, "cut", "odd", None, 401]
    process = harness(reddit, 24, "stocks", background=True)
    time.sleep(10)
    written.append(reddit.write("stocks", "late"))
    got = collect(process)
    assert sorted(got.ids) == sorted(names(*written)) and not reddit.faults
    assert got.health["healthy"] and got.health["errors"] >= 4


def test_the_wait_that_is_asked_for_is_kept(reddit, harness):
    reddit.write("stocks", "x")
    reddit.remaining, reddit.reset = 0, 3  # nothing left for three seconds
    harness(reddit, 4, "stocks", poll_ms=10)
    assert len([r for r in reddit.requests if r.startswith("GET")]) <= 3


def test_wrong_credentials_end_the_source_with_a_sentence(reddit, harness):
    got = harness(reddit, 2, "stocks", secret="wrong")
    assert "reddit: Reddit refuses this application (401): check reddit.id" in got.err and "wrong" not in got.err
    assert len(reddit.requests) == 1, "a final error never loops"


def test_an_error_with_status_200_ends_the_source_too(reddit, harness):
    reddit.token_faults = [lambda h: reddit.answer(h, 200, {"error": "unsupported_grant_type"})]
    got = harness(reddit, 2, "stocks")
    assert "unsupported_grant_type" in got.err and len(reddit.requests) == 1


@pytest.mark.parametrize("status, words", [(403, "private, banned"), (404, "there is none"), (302, "none of that name")])
def test_one_refused_subreddit_ends_alone(reddit, harness, status, words):
    a = reddit.write("stocks", "fine")
    reddit.write("secret", "never seen")
    reddit.status["secret"] = status
    got = harness(reddit, 4, "secret", "stocks")
    assert got.ids == names(a)
    assert len([r for r in reddit.requests if "/r/secret/" in r]) == 2  # its posts and its comments, each once


def test_when_no_subreddit_is_left_the_source_ends(reddit, harness):
    reddit.write("secret", "x")
    reddit.status["secret"] = 403
    got = harness(reddit, 4, "secret")
    assert "no subreddit is left: r/secret: private, banned" in got.err

"""tickcast score --recompute: the stored scores are what forecasts and outcomes give, and a false one is found."""
import sqlite3

from make_lean import make_lean


def test_scores_computed_again_are_the_stored_ones_and_a_false_one_is_found(tickcast, tmp_path):
    lean = make_lean(tmp_path / "lean", days=("2013-10-07",), symbols=("SPY", "AIG"), seed=11)
    out = tmp_path / "out"
    done = tickcast("run", "--feed", "replay", "--path", lean, "--speed", "max", "--until-end", "--no-serve", "--data", out)
    assert done.returncode == 0, done.stderr
    done = tickcast("score", "--recompute", "--csv", "--data", out)
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()[1:]
    assert len(rows) >= 2 * 2 * 4  # two symbols, ridge and the network, next and three horizons of the last price
    assert all(row.endswith(",same") for row in rows)
    with sqlite3.connect(out / "tickcast.db") as store:
        store.execute("UPDATE score_sums SET n = n + 1 WHERE symbol = 'SPY' AND model = 'ridge' AND kind = 'next' AND "
                      "slot = (SELECT max(slot) FROM score_sums WHERE symbol = 'SPY' AND model = 'ridge')")
    done = tickcast("score", "--recompute", "--symbol", "SPY", "--data", out)
    assert done.returncode == 1
    assert done.stdout.count("DIFFERENT") == 1
    assert "not what forecasts and outcomes give" in done.stderr


def test_score_without_a_task_says_what_to_do(tickcast):
    done = tickcast("score")
    assert done.returncode == 2
    assert "add --recompute" in done.stderr

"""tickcast sentiment against the package whose lexicon it uses, and against hand-labelled posts."""
import json
import pathlib
import random
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
WHEEL = ROOT / ".venv" / "vader" / "vaderSentiment-3.3.2-py2.py3-none-any.whl"
LINES = 12000


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    if not WHEEL.exists():
        pytest.skip("no vaderSentiment wheel in .venv/vader; script/bootstrap fetches it")
    folder = tmp_path_factory.mktemp("vader")
    with zipfile.ZipFile(WHEEL) as wheel:
        wheel.extractall(folder)
    sys.path.insert(0, str(folder))
    try:
        from vaderSentiment import vaderSentiment
    finally:
        sys.path.pop(0)
    return vaderSentiment


def sentiment(binary, text, *flags):
    done = subprocess.run([binary, "sentiment", *flags], input=text, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def pieces(module):
    """Everything that the rules look at, and what surrounds it in texts."""
    analyser = module.SentimentIntensityAnalyzer()
    return {
        "lexicon": list(analyser.lexicon),
        "boosters": list(module.BOOSTER_DICT),
        "negations": module.NEGATE + ["NOTn't", "somethin't", "n't"],
        "idioms": list(module.SPECIAL_CASES) + ["kiss of", "of death", "yeah", "the", "to die"],
        "rules": ["no", "or", "nor", "least", "at least", "very least", "the least", "never so", "never this", "so", "this",
                  "without doubt", "without a doubt", "but", "BUT", "kind of", "sort of", "just enough", "kind", "of", "at", "very"],
        "plain": "the a market opened price of shares report on Monday 12 $5 3.14 week we it's IT table U2 x-ray naïve Éclair "
                 "ÉCLAIR straße Ǆ ǅ ǆ Ⅷ ⓐ Ⓐ ΣΊΣΥΦΟΣ 日本 İstanbul \u212aind than\u212as".split(),
        "marks": ["!", "!!", "!!!!!!", "?", "??", "???", "?????", "...", ",", ";", "--", "(", ")", "\"", "'", "!?!?"],
        "emoji": list(analyser.emojis),
        "blanks": [" ", " ", " ", " ", "  ", "\t", "\u00a0", "\u2003", "\u3000", "\x1c", "\x85", "\u200b", "\r", "\x0b"],
    }


def shape(rng, word):
    return rng.choice([str, str, str, str.lower, str.upper, str.title, str.capitalize, str.swapcase])(word)


def texts(module, n):
    rng, parts = random.Random(20261123), pieces(module)
    kinds = ["lexicon"] * 5 + ["plain"] * 5 + ["boosters", "negations", "rules", "rules", "idioms", "emoji"]
    for i in range(n):
        text = ""
        for _ in range(rng.choice([0, 1, 2, 3, 5, 8, 13, 21, 40, 120] if i % 50 else [400])):
            word = shape(rng, rng.choice(parts[rng.choice(kinds)]))
            if rng.random() < 0.15:
                word += rng.choice(parts["marks"])
            if rng.random() < 0.05:
                word = rng.choice(parts["marks"]) + word
            text += word + (rng.choice(parts["blanks"]) if rng.random() < 0.97 else "")
        yield text.replace("\n", " ")


def test_the_result_is_that_of_vader_on_twelve_thousand_lines(binary, package):
    lines = list(texts(package, LINES))
    own = sentiment(binary, "\n".join(lines).encode() + b"\n", "--vader")
    analyser = package.SentimentIntensityAnalyzer()
    assert len(own) == len(lines) == LINES
    wrong, signs = [], set()
    for line, got in zip(lines, own):
        want = analyser.polarity_scores(line)
        signs.add((want["compound"] > 0) - (want["compound"] < 0))
        if any(abs(want[key] - got[key]) > 1e-9 for key in ("compound", "pos", "neu", "neg")):
            wrong.append((line, want, got))
    assert signs == {-1, 0, 1}
    assert not wrong, f"{len(wrong)} of {LINES} differ, the first: {wrong[0]}"


def test_words_of_the_market_change_what_vader_says_and_can_be_switched_off(binary, package):
    lines = ["TSLA calls, this is going to the moon", "bought puts, bagholders everywhere", "500 shares of interest"]
    ours, vaders = sentiment(binary, "\n".join(lines).encode()), sentiment(binary, "\n".join(lines).encode(), "--vader")
    assert [row["compound"] for row in vaders[:2]] == [0, 0] and vaders[2]["compound"] > 0.5
    assert ours[0]["compound"] > 0.5 and ours[1]["compound"] < -0.5 and ours[2]["compound"] == 0
    assert ours[0]["tickers"] == ["TSLA"]


def test_a_long_post_is_the_mean_of_its_sentences(binary, package):
    good, bad = "This is a great day for all of us here.", "What a terrible loss of trust in them."
    post = " ".join([good] * 6 + [bad] * 2)
    long, whole, one, other = sentiment(binary, f"{post}\n{post}\n{good}\n{bad}\n".encode())[0], \
        sentiment(binary, f"{post}\n".encode(), "--vader")[0], *sentiment(binary, f"{good}\n{bad}\n".encode())
    assert long["compound"] == pytest.approx((6 * one["compound"] + 2 * other["compound"]) / 8, abs=1e-4)
    assert whole["compound"] > 0.9 > long["compound"]


def test_any_bytes_are_scored(binary, package):
    rng = random.Random(5)
    lines = [bytes(rng.choice([rng.randrange(256), 0xf0, 0x9f, 0xe2, 36, 65]) for _ in range(300)).replace(b"\n", b"")
             for _ in range(500)]
    rows = sentiment(binary, b"\n".join(lines) + b"\n")
    assert len(rows) == 500 and all(-1 <= row["compound"] <= 1 for row in rows)


def test_a_line_without_end_is_cut_and_said_so(binary, package):
    done = subprocess.run([binary, "sentiment"], input=b"great " * 20000, capture_output=True)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1
    assert b"longer than 65536 bytes" in done.stderr


def test_a_bad_file_of_words_names_its_line(binary, package, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("# mine\nmoon\t2\nbad line\n")
    done = subprocess.run([binary, "sentiment", "--social.market-words", words], input=b"", capture_output=True, text=False)
    assert done.returncode == 4 and b"words.txt:3: expected a word or phrase, a tab and a number" in done.stderr


def test_symbols_of_labelled_posts_are_found_as_docs_social_says(binary, package):
    sys.path.insert(0, str(ROOT / "bench"))
    import social
    result, _ = social.measure(binary)
    everything = result["all"]
    precision, recall, found, wanted = everything["symbols"]
    assert everything["posts"] >= 400 and wanted > 250 and found > 250
    table = (ROOT / "docs" / "social.md").read_text()
    for name, half in result.items():
        assert f"| {name} | {half['posts']} | {half['symbols'][0]:.3f} | {half['symbols'][1]:.3f} |" in table, "docs/social.md"
    assert precision > 0.95 and recall > 0.95
    assert everything["tone"] > everything["tone_vader"] and everything["flipped"] < everything["flipped_vader"]

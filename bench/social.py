#!/usr/bin/env python3
"""bench/social.py [TICKCAST] - how well posts are read: the labelled posts of tests/vectors/social/posts.tsv.

Prints precision and recall of the symbols, on the half of the posts that was looked at while the rules were written
and on the half that was not, and how often the sign of the sentiment is the tone that a reader gives the post, with
the market's words and with VADER alone (a compound of -0.05 to 0.05 counts as no tone, as its authors say).
"""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
POSTS = ROOT / "tests" / "vectors" / "social" / "posts.tsv"
NEUTRAL = 0.05


def posts():
    for line in POSTS.read_text().splitlines():
        if line and not line.startswith("#"):
            symbols, tone, text = line.split("\t")
            yield (set() if symbols == "-" else set(symbols.split(","))), "-0+".index(tone) - 1, text


def scored(binary, texts, *flags):
    done = subprocess.run([binary, "sentiment", *flags], input="\n".join(texts) + "\n", capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def symbols(rows):
    """(precision, recall, found, wanted) of the symbols in (wanted, found) pairs."""
    right = sum(len(want & found) for want, found in rows)
    found, wanted = sum(len(f) for _, f in rows), sum(len(w) for w, _ in rows)
    return right / found, right / wanted, found, wanted


def tone(compound):
    return 0 if abs(compound) < NEUTRAL else 1 if compound > 0 else -1


def measure(binary):
    labelled = list(posts())
    texts = [text for _, _, text in labelled]
    ours, vaders = scored(binary, texts), scored(binary, texts, "--vader")
    halves = {"looked at": slice(0, None, 2), "not looked at": slice(1, None, 2), "all": slice(None)}
    result = {}
    for name, half in halves.items():
        pairs = [(want, set(row["tickers"])) for (want, _, _), row in zip(labelled[half], ours[half])]
        tones = [t for _, t, _ in labelled[half]]
        result[name] = {
            "posts": len(pairs), "symbols": symbols(pairs),
            **{key: sum(tone(row["compound"]) == t for row, t in zip(rows[half], tones)) / len(tones)
               for key, rows in (("tone", ours), ("tone_vader", vaders))},
            # Of the posts that have a tone: how many are given the wrong sign.
            **{key: sum(tone(row["compound"]) == -t for row, t in zip(rows[half], tones) if t) / sum(t != 0 for t in tones)
               for key, rows in (("flipped", ours), ("flipped_vader", vaders))}}
    wrong = [(i % 2, sorted(want - set(row["tickers"])), sorted(set(row["tickers"]) - want), text)
             for i, ((want, _, text), row) in enumerate(zip(labelled, ours)) if want != set(row["tickers"])]
    return result, wrong


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "tickcast"
    result, wrong = measure(binary)
    print("| posts | n | precision | recall | tone right | VADER alone | sign wrong | VADER alone |\n|---|---|---|---|---|---|---|---|")
    for name, r in result.items():
        precision, recall, *_ = r["symbols"]
        print(f"| {name} | {r['posts']} | {precision:.3f} | {recall:.3f} | {r['tone']:.2f} | {r['tone_vader']:.2f} "
              f"| {r['flipped']:.2f} | {r['flipped_vader']:.2f} |")
    print("\nmissed, found wrongly:")
    for half, missed, extra, text in wrong:
        print(f"  {'not looked at' if half else 'looked at':13}  {','.join(missed) or '-':12} {','.join(extra) or '-':12} {text}")


if __name__ == "__main__":
    main()

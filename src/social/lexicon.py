#!/usr/bin/env python3
"""lexicon.py WHEEL OUT.c - makes C source of VADER's word lists and of the letter cases of Unicode.

WHEEL is the wheel of PyPI's vaderSentiment, which script/bootstrap fetches; nothing of it stands in this repository. Its
lexicon, its emoji and the constants of its module are taken, with its licence notice. An empty WHEEL makes
empty lists: the program then says that it has no lexicon. The cases are those of the Python that runs this.
"""
import ast
import hashlib
import json
import sys
import zipfile

SHA256 = "3bf1d243b98b1afad575b9f22bc2cb1e212b94ff89ca74f8a23a588d024ea311"  # of version 3.3.2
CONSTANTS = ("B_INCR", "B_DECR", "NEGATE", "BOOSTER_DICT", "SPECIAL_CASES")


def constants(source):
    """The module's own tables, read without running it."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in CONSTANTS:
            found[node.targets[0].id] = eval(  # names and literals of the checked wheel only
                compile(ast.Expression(node.value), "vaderSentiment.py", "eval"), {"__builtins__": {}}, dict(found))
    return found


def pairs(text):
    for line in text.rstrip("\n").split("\n"):
        if line:
            yield line.strip().split("\t")[:2]


def read_wheel(path):
    with open(path, "rb") as f:
        if hashlib.sha256(f.read()).hexdigest() != SHA256:
            sys.exit(f"lexicon.py: {path} is not the wheel of vaderSentiment 3.3.2; remove it and run script/bootstrap")
    with zipfile.ZipFile(path) as wheel:
        def text(name):
            return wheel.read(name).decode("utf-8")
        notice = text("vaderSentiment-3.3.2.dist-info/LICENSE.txt")
        module = constants(text("vaderSentiment/vaderSentiment.py"))
        lexicon = dict(pairs(text("vaderSentiment/vader_lexicon.txt")))
        emoji = dict(pairs(text("vaderSentiment/emoji_utf8_lexicon.txt")))
    return notice, module, lexicon, emoji


def c_string(text):
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in (34, 92, 63) else "\\%03o" % b
                         for b in text.encode()) + '"'


def table(kind, name, rows):
    body = "".join("    {%s},\n" % ", ".join(row) for row in rows)
    return (f"const struct {kind} {name}[] = {{\n{body}    {{0}},\n}};\n"
            f"const size_t {name}_n = {len(rows)};\n\n")


def words(module, lexicon):
    """Looked up in small letters and without blanks: an entry that differs can never be met and is left out."""
    names = sorted({*lexicon, *module.get("NEGATE", ()), *module.get("BOOSTER_DICT", ())})
    for word in names:
        if word == word.lower() and not any(c.isspace() for c in word) and word.isascii():
            yield [c_string(word), repr(float(lexicon.get(word, 0))), repr(module["BOOSTER_DICT"].get(word, 0.0)),
                   str(int(word in lexicon)), str(int(word in module["NEGATE"]))]


def phrases(entries):
    return [[c_string(k), repr(float(v))] for k, v in entries.items() if 2 <= len(k.split()) <= 3]


def ranges(wanted):
    found, start = [], None
    for code in range(0x80, 0x110001):
        hit = code < 0x110000 and wanted(chr(code))
        if hit and start is None:
            start = code
        elif not hit and start is not None:
            found.append([hex(start), hex(code - 1)])
            start = None
    return found


def main():
    path, out = sys.argv[1:]
    notice, module, lexicon, emoji = read_wheel(path) if path else ("", {"BOOSTER_DICT": {}, "NEGATE": []}, {}, {})
    single = sorted((ord(k), v) for k, v in emoji.items() if len(k) == 1)
    text = "/* Made by lexicon.py. */\n#include \"social/lexicon.h\"\n\n"
    text += "const char tc_vader_notice[] =\n" + "\n".join(
        "    " + c_string(line + "\n") for line in notice.splitlines() or [""]) + ";\n\n"
    text += table("tc_vader_word", "tc_vader_words", list(words(module, lexicon)))
    text += table("tc_vader_emoji", "tc_vader_emojis", [[hex(code), c_string(name)] for code, name in single])
    text += table("tc_vader_phrase", "tc_vader_idioms", phrases(module.get("SPECIAL_CASES", {})))
    text += table("tc_vader_phrase", "tc_vader_boosters", phrases(module["BOOSTER_DICT"]))
    text += table("tc_code_range", "tc_upper_ranges", ranges(str.isupper))
    text += table("tc_code_range", "tc_lower_ranges", ranges(lambda c: c.islower() or (c.istitle() and not c.isupper())))
    with open(out, "w", encoding="ascii") as f:
        f.write(text)


main()

#!/usr/bin/env python3
"""embed.py DIST NOPAGE OPENAPI OUT.c OUT.d - makes C source of the built page and the API's description.

Every file gets its bytes, a gzip form where that pays, a content type, an ETag and, where its name holds a hash
(name-1A2B3C4D.js), the mark that it may be cached for ever. OUT.d lists what was read, so that
the build runs again when it changes. Where DIST holds no page the notice in NOPAGE is taken.
"""
import base64
import gzip
import hashlib
import json
import os
import re
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
HASHED = re.compile(r"-[A-Za-z0-9]{8}\.[a-z0-9]+$")
# lightweight-charts puts one constant <style> element beside its attribution link; its text is found in the bundle.
STYLE = re.compile(r"`(a#tv-attr-logo\{[^`]*\})`|\"(a#tv-attr-logo\{[^\"]*\})\"|'(a#tv-attr-logo\{[^']*\})'")


def c_bytes(data):
    lines = []
    for i in range(0, len(data), 24):
        lines.append("".join("%d," % b for b in data[i : i + 24]))
    return "\n".join(lines)


def style_hashes(texts):
    found = set()
    for text in texts:
        for groups in STYLE.findall(text):
            style = next(g for g in groups if g)
            digest = hashlib.sha256(style.encode()).digest()
            found.add(" 'sha256-%s'" % base64.b64encode(digest).decode())
    return "".join(sorted(found))


def page_files(dist):
    for folder, dirs, names in os.walk(dist):
        dirs.sort()
        for name in sorted(names):
            if not name.endswith(".map"):
                yield os.path.join(folder, name)


def main():
    dist, nopage, openapi, out_c, out_d = sys.argv[1:]
    index = os.path.join(dist, "index.html")  # also watched while it is missing
    if not os.path.exists(index):
        dist = nopage
    files = list(page_files(dist))
    out, table, scripts = ['#include "serve/assets.h"\n'], [], []
    for i, path in enumerate(files):
        data = open(path, "rb").read()
        extension = os.path.splitext(path)[1]
        if extension not in TYPES:
            sys.exit("%s: no content type is known for files named *%s" % (path, extension))
        if extension == ".js":
            scripts.append(data.decode())
        url = "/" + os.path.relpath(path, dist).replace(os.sep, "/")
        url = "/" if url == "/index.html" else url
        packed = gzip.compress(data, 9, mtime=0)
        out.append("static const unsigned char data_%d[] = {\n%s};\n" % (i, c_bytes(data or b"\n")))
        pays = len(packed) < 0.9 * len(data)
        if pays:
            out.append("static const unsigned char gzip_%d[] = {\n%s};\n" % (i, c_bytes(packed)))
        table.append(
            '    {"%s", "%s", "\\"%s\\"", %s, data_%d, %d, %s, %d},'
            % (
                url,
                TYPES[extension],
                hashlib.sha256(data).hexdigest()[:16],
                "true" if HASHED.search(url) else "false",
                i,
                len(data),
                "gzip_%d" % i if pays else "0",
                len(packed) if pays else 0,
            )
        )
    out.append("const struct tc_asset tc_assets[] = {\n%s\n};" % "\n".join(table))
    out.append("const size_t tc_assets_n = %d;" % len(files))
    api = json.dumps(json.load(open(openapi)), separators=(",", ":")).encode()
    out.append("const char tc_openapi[] = {\n%s0};" % c_bytes(api))
    out.append("const size_t tc_openapi_size = %d;" % len(api))
    out.append('const char tc_style_hashes[] = "%s";' % style_hashes(scripts))
    with open(out_c, "w") as f:
        f.write("\n".join(out) + "\n")
    with open(out_d, "w") as f:
        f.write("%s: %s\n" % (out_c, " ".join(dict.fromkeys([openapi, index, *files]))))


main()

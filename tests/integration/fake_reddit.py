"""A Reddit of our own on 127.0.0.1: application-only OAuth, listings of posts and comments, api/info, rate headers, and
faults on demand. It speaks what PRAW understands (test_reddit.py has PRAW read from it). All texts are made up."""
import base64
import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ID, SECRET, INSTALLED = "app-id", "app-secret", "installed-id"
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(n):
    return (base36(n // 36) if n >= 36 else "") + DIGITS[n % 36]


class FakeReddit:
    def __init__(self):
        self.lock = threading.Lock()
        self.subs = {}          # name -> {"t3": [...], "t1": [...]}, the newest last
        self.status = {}        # subreddit -> status instead of its listing
        self.faults = []        # one a listing request: callables(handler), or a status
        self.token_faults = []
        self.tokens, self.lifetime, self.token_count = set(), 86400, 0
        self.requests, self.agents = [], set()
        self.number = 36 ** 5
        self.remaining, self.reset = 990.0, 600
        self.send_rate = True
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                fake.post(self, self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

            def do_GET(self):
                fake.get(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # --- what is written there

    def write(self, sub, text, author="ann", kind="t3", age=0):
        with self.lock:
            self.number += 1
            name = base36(self.number)
            now = time.time() - age
            item = {"id": name, "name": f"{kind}_{name}", "author": author, "subreddit": sub, "created_utc": float(int(now)),
                    "created": float(int(now)) + 28800, "permalink": f"/r/{sub}/comments/{name}/x/", "score": 1, "over_18": False}
            if kind == "t3":
                item |= {"title": text, "selftext": "", "url": "https://example.test/", "num_comments": 0, "is_self": True,
                         "edited": False, "upvote_ratio": 1.0}
            else:
                item |= {"body": text, "link_id": "t3_" + name, "parent_id": "t3_" + name, "link_title": "a title"}
            self.subs.setdefault(sub, {"t3": [], "t1": []})[kind].append(item)
            return item["name"]

    def find(self, name):
        for kinds in self.subs.values():
            for item in kinds[name[:2]]:
                if item["name"] == name:
                    return item
        return None

    def remove(self, name, how="gone"):
        with self.lock:
            item = self.find(name)
            if how == "gone":
                self.subs[item["subreddit"]][name[:2]].remove(item)
            elif how == "deleted":
                item |= {"author": "[deleted]", "selftext": "[deleted]", "body": "[deleted]"}
            else:
                item |= {"selftext": "[removed]", "removed_by_category": "moderator"}

    # --- HTTP

    def answer(self, h, status, body, headers=None, kind="application/json; charset=UTF-8"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        h.send_response(status)
        h.send_header("Content-Type", kind)
        h.send_header("Content-Length", str(len(data)))
        for key, value in (headers or {}).items():
            h.send_header(key, value)
        h.end_headers()
        h.wfile.write(data)

    def post(self, h, body):
        form = dict(urllib.parse.parse_qsl(body))
        who = base64.b64decode(h.headers.get("Authorization", "Basic ").split(" ")[1]).decode()
        self.requests.append("POST " + h.path)
        if self.token_faults:
            return self.fail(h, self.token_faults.pop(0), token=True)
        script = who == f"{ID}:{SECRET}" and form.get("grant_type") == "client_credentials"
        device = form.get("device_id", "")
        installed = who == f"{INSTALLED}:" and form.get("grant_type", "").endswith("/grants/installed_client") and \
            20 <= len(device) <= 30 and device.isascii()
        if who not in (f"{ID}:{SECRET}", f"{INSTALLED}:"):
            return self.answer(h, 401, {"message": "Unauthorized", "error": 401})
        if not script and not installed:
            return self.answer(h, 200, {"error": "unsupported_grant_type"})
        self.token_count += 1
        token = f"token-{self.token_count}"
        self.tokens.add(token)
        return self.answer(h, 200, {"access_token": token, "token_type": "bearer", "expires_in": self.lifetime, "scope": "*"})

    def fail(self, h, fault, token=False):
        if callable(fault):
            return fault(h)
        if fault == 401:
            return self.answer(h, 401, {"message": "Unauthorized", "error": 401},
                               {"www-authenticate": 'Bearer realm="reddit", error="invalid_token"'})
        if fault == 429 and not token:  # as it was recorded: HTML, retry-after and no rate headers
            return self.answer(h, 429, b"<!doctype html><title>Too Many Requests</title>", {"retry-after": "1"}, "text/html")
        if fault == 429:  # and on the token's address: JSON without retry-after
            return self.answer(h, 429, {"message": "Too Many Requests", "error": 429})
        if fault == "cut":
            h.close_connection = True
            return h.connection.close()
        if fault == "garbage":
            return self.answer(h, 200, b'{"kind":"Listing","data":{"children":[{"kind"')
        if fault == "odd":
            return self.answer(h, 200, {"kind": "Listing", "data": {"after": 5, "children": [None, 3, {"kind": "t3"}, {"kind": "more", "data": {}}]}})
        return self.answer(h, fault, b"<html>upstream</html>", kind="text/html")

    def get(self, h):
        url = urllib.parse.urlsplit(h.path)
        q = dict(urllib.parse.parse_qsl(url.query))
        self.requests.append("GET " + h.path)
        self.agents.add(h.headers.get("User-Agent"))
        token = h.headers.get("Authorization", "").removeprefix("bearer ").removeprefix("Bearer ")
        if token not in self.tokens:
            return self.fail(h, 401)
        if self.faults:
            fault = self.faults.pop(0)
            if fault is not None:
                return self.fail(h, fault)
        parts = url.path.strip("/").split("/")
        if parts[:2] == ["api", "info"]:
            items = [self.find(name) for name in q["id"].split(",")]
            return self.listing(h, [i for i in items if i], {"limit": "100"})
        if parts[0] == "r" and len(parts) == 3:
            status = self.status.get(parts[1], 200 if parts[1] in self.subs else 404)
            if status == 302:
                return self.answer(h, 302, b"", {"location": f"{self.url}/subreddits/search?q={parts[1]}"})
            if status != 200:
                return self.answer(h, status, {"message": "Forbidden", "error": status, "reason": "private"})
            with self.lock:
                items = list(reversed(self.subs[parts[1]]["t1" if parts[2] == "comments" else "t3"]))[:1000]
            return self.listing(h, items, q)
        return self.answer(h, 404, {"message": "Not Found", "error": 404})

    def listing(self, h, items, q):
        limit = min(100, int(q.get("limit", 25)))
        names = [i["name"] for i in items]
        if q.get("after") in names:
            items = items[names.index(q["after"]) + 1:]
        if "before" in q:  # empty for ever once that item is gone
            items = items[:names.index(q["before"])] if q["before"] in names else []
        page, rest = items[:limit], items[limit:]
        headers = {}
        if self.send_rate:
            self.remaining -= 1
            headers = {"x-ratelimit-used": "1", "x-ratelimit-remaining": f"{self.remaining:.1f}", "x-ratelimit-reset": str(self.reset)}
        body = {"kind": "Listing", "data": {"after": page[-1]["name"] if rest else None, "before": None, "dist": len(page), "modhash": None,
                                            "geo_filter": "", "children": [{"kind": i["name"][:2], "data": i} for i in page]}}
        return self.answer(h, 200, body, headers)

"""A department's interface as a real server: paging of every kind, faults on order, keys, tokens and signatures.

SM3 and HMAC are written out here from GB/T 32905-2016 and RFC 2104: nothing of the client is used to judge the client.
"""

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

MASK = 0xFFFFFFFF


def sm3(data: bytes) -> bytes:
    def rotate(value: int, by: int) -> int:
        by %= 32
        return (value << by | value >> (32 - by)) & MASK

    state = [0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E]
    padded = data + b"\x80" + b"\0" * ((55 - len(data)) % 64) + (8 * len(data)).to_bytes(8, "big")
    for start in range(0, len(padded), 64):
        words = [int.from_bytes(padded[start + i : start + i + 4], "big") for i in range(0, 64, 4)]
        for j in range(16, 68):
            mixed = words[j - 16] ^ words[j - 9] ^ rotate(words[j - 3], 15)
            mixed ^= rotate(mixed, 15) ^ rotate(mixed, 23)
            words.append(mixed ^ rotate(words[j - 13], 7) ^ words[j - 6])
        a, b, c, d, e, f, g, h = state
        for j in range(64):
            first = rotate((rotate(a, 12) + e + rotate(0x79CC4519 if j < 16 else 0x7A879D8A, j)) & MASK, 7)
            second = first ^ rotate(a, 12)
            choice = a ^ b ^ c if j < 16 else (a & b) | (a & c) | (b & c)
            other = e ^ f ^ g if j < 16 else (e & f) | (~e & g & MASK)
            left = (choice + d + second + (words[j] ^ words[j + 4])) & MASK
            right = (other + h + first + words[j]) & MASK
            a, b, c, d = left, a, rotate(b, 9), c
            e, f, g, h = right ^ rotate(right, 9) ^ rotate(right, 17), e, rotate(f, 19), g
        state = [x ^ y for x, y in zip(state, (a, b, c, d, e, f, g, h), strict=True)]
    return b"".join(word.to_bytes(4, "big") for word in state)


def hmac_sm3(key: bytes, data: bytes) -> str:
    key = (sm3(key) if len(key) > 64 else key).ljust(64, b"\0")
    inner = sm3(bytes(byte ^ 0x36 for byte in key) + data)
    return sm3(bytes(byte ^ 0x5C for byte in key) + inner).hex()


@dataclass
class Asked:
    """One request that arrived. `query`: the last value of each parameter."""

    method: str
    path: str
    raw: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = tuple[int, dict[str, str], bytes]
Handle = Callable[[Asked], Answer | None]
"""None closes the connection without an answer."""


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    return status, {"Content-Type": "application/json"} | sent, json.dumps(value).encode()


@dataclass
class Server:
    """Answers with `handle`; before that the faults that were ordered, one a request. `asked`: all that came."""

    handle: Handle
    faults: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                outer.serve(self)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer((self.host, 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        headers = {name.lower(): value for name, value in handler.headers.items()}
        body = handler.rfile.read(int(headers.get("content-length", 0)))
        asked = Asked(handler.command, parts.path, handler.path, query, headers, body)
        self.asked.append(asked)
        fault = self.faults.pop(0) if self.faults else ""
        answer = FAULTS[fault](asked) if fault else self.handle(asked)
        if answer is None or fault == "cut":
            if fault == "cut":
                handler.send_response(200)
                handler.send_header("Content-Length", "1000")
                handler.end_headers()
                handler.wfile.write(b'[{"id": 1}')
                handler.wfile.flush()
            handler.close_connection = True
            handler.connection.shutdown(2)
            return
        status, sent, content = answer
        handler.send_response(status)
        for name, value in sent.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


FAULTS: dict[str, Handle] = {
    "500": lambda _: (500, {}, b"geheim"),
    "503": lambda _: (503, {"Retry-After": "0"}, b""),
    "429": lambda _: (429, {"Retry-After": "0"}, b"{}"),
    "silent": lambda _: None,
    "cut": lambda _: None,
    "garbage": lambda _: (200, {}, b"<html>busy</html>"),
    "half": lambda _: (200, {}, b'{"data": {"list": [{"id": '),
}


class Table:
    """Records served in pages of every kind; the ways of asking are the paths."""

    def __init__(self, records: list[Any], cap: int = 1000) -> None:
        self.records, self.cap = records, cap

    def __call__(self, asked: Asked) -> Answer:
        return getattr(self, asked.path.strip("/").replace("/", "_"))(asked)

    def _slice(self, start: int, size: Any) -> list[Any]:
        return self.records[start : start + min(int(size), self.cap)]

    def pages(self, asked: Asked) -> Answer:
        size = min(int(asked.query["size"]), self.cap)
        found = self._slice((int(asked.query["page"]) - 1) * size, size)
        return as_json({"code": 0, "data": {"list": found, "total": len(self.records)}})

    def offsets(self, asked: Asked) -> Answer:
        return as_json({"data": {"list": self._slice(int(asked.query["offset"]), asked.query["limit"])}})

    def search(self, asked: Asked) -> Answer:
        wanted = asked.json
        found = self._slice(wanted["from"], wanted["size"])
        return as_json({"data": {"list": found, "total": str(len(self.records))}})

    def cursors(self, asked: Asked) -> Answer:
        start = int(base64.b64decode(asked.query.get("after", "MA==")))
        found = self._slice(start, asked.query["limit"])
        end = start + len(found)
        token = base64.b64encode(str(end).encode()).decode() if end < len(self.records) else None
        return as_json({"data": {"list": found}, "next": {"after": token}})

    def links(self, asked: Asked) -> Answer:
        start, size = int(asked.query.get("start", 0)), int(asked.query.get("size", 3))
        found = self._slice(start, size)
        end = start + len(found)
        link = (
            f'</links?start=0&size={size}>; rel="first", </links?size={size}&start={end}>; title="a, b"; rel="x next"'
        )
        return as_json({"data": {"list": found}}, **({"Link": link} if end < len(self.records) else {}))

    def bodylinks(self, asked: Asked) -> Answer:
        start, size = int(asked.query.get("start", 0)), int(asked.query.get("size", 3))
        found = self._slice(start, size)
        end = start + len(found)
        link = f"?size={size}&start={end}" if end < len(self.records) else None
        return as_json({"data": {"list": found}, "links": {"next": link}})


def verified(asked: Asked, app: str, secret: bytes, seen: set[str]) -> bool:
    """Whether a request is signed as docs/connectors.md says, lately, and not a second time with the same nonce."""
    headers = asked.headers
    path, _, query = asked.raw.partition("?")
    pairs = "&".join(sorted(query.split("&")))
    moment, nonce = headers.get("x-time", ""), headers.get("x-nonce", "")
    text = "\n".join([asked.method, path, pairs, sm3(asked.body).hex(), moment, nonce])
    fresh = moment.isdigit() and abs(int(moment) / 1000 - time.time()) < 60 and nonce not in seen
    seen.add(nonce)
    return fresh and headers.get("x-app") == app and headers.get("x-sign") == hmac_sm3(secret, text.encode())


class Tokens:
    """An OAuth2 token endpoint at /token, and a table behind it whose tokens are good for `uses` requests."""

    def __init__(self, table: Table, client: str, secret: str, uses: int, sends: str = "header") -> None:
        self.table, self.client, self.secret, self.uses, self.sends = table, client, secret, uses, sends
        self.issued: dict[str, int] = {}

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/token":
            return self._issue(asked)
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if self.issued.get(token, 0) <= 0:
            return 401, {}, b"token expired"
        self.issued[token] -= 1
        return self.table(asked)

    def _issue(self, asked: Asked) -> Answer:
        form = dict(parse_qsl(asked.body.decode()))
        if self.sends == "header":
            given = base64.b64decode(asked.headers.get("authorization", "").removeprefix("Basic ")).decode()
        else:
            given = f"{form.get('client_id')}:{form.get('client_secret')}"
        if given != f"{self.client}:{self.secret}" or form.get("grant_type") != "client_credentials":
            return as_json({"error": "invalid_client", "hint": self.secret}, 401)
        token = f"token-geheim-{len(self.issued)}"
        self.issued[token] = self.uses
        return as_json({"access_token": token, "token_type": "bearer", "expires_in": 3600})

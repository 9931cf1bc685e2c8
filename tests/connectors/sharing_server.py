"""A Delta Sharing server of its own make, over tables that deltalake wrote: not our dialect, and able to misbehave.

Belongs here: what the protocol says, and the faults of servers and stores. Does not belong here: tests.
"""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
from deltalake import DeltaTable

TOKEN = "geheim-token"
TABLE = "county.people.residents"


class SharingServer:
    """Shares the Delta table at `location` under TABLE. Tests change its attributes between requests."""

    def __init__(self, location: Path) -> None:
        self.location = location
        self.format = "parquet"
        self.lifetime = 900.0
        self.skew = 0.0
        """Seconds that the server's clock is ahead of ours."""
        self.tokens = {TOKEN}
        self.protocol: dict[str, Any] = {"minReaderVersion": 1}
        self.configuration: dict[str, str] = {}
        self.description = "常住人口"
        self.more_headers: dict[str, str] = {}
        """What an answer about the table has besides its own headers."""
        self.change_file: Callable[[dict[str, Any]], None] = lambda _: None
        """May change what is said of a file, as `add` has it."""
        self.page = 0
        """Files on a page of a query, 0 for all."""
        self.end_action = True
        self.feed = False
        """Whether it tells which files came and went with each version."""
        self.faults: list[Callable[[BaseHTTPRequestHandler], None]] = []
        """What the next requests of files or of the table get in place of an answer, one each."""
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            do_POST = do_GET

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string((timestamp or time.time()) + server.skew)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def profile(self, **other: Any) -> str:
        """The text of the profile file that a recipient gets."""
        endpoint = f"{self.base}/sharing/"
        return json.dumps({"shareCredentialsVersion": 1, "endpoint": endpoint, "bearerToken": TOKEN} | other)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        address = urlsplit(request.path)
        body = json.loads(request.rfile.read(int(request.headers.get("Content-Length") or 0)) or b"{}")
        self.asked.append(address.path.rpartition("/")[2])
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if self.faults:
            self.faults.pop(0)(request)
        elif address.path.startswith("/files/"):
            self.send_file(request, unquote(address.path.removeprefix("/files/")), parse_qs(address.query))
        elif request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            send(request, 401, b'{"errorCode": "UNAUTHENTICATED", "message": "geheim"}')
        elif address.path.rpartition("/")[0] != "/sharing/shares/county/schemas/people/tables/residents":
            send(request, 404, b"<html>no such page</html>")
        else:
            self.send_table(request, body)

    def send_table(self, request: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        table = DeltaTable(self.location)
        lines = self.lines(table)
        asked = urlsplit(request.path)
        if asked.path.endswith("/changes"):
            if not self.feed:
                send(request, 404, b"<html>no such page</html>")
                return
            first, last = (int(parse_qs(asked.query)[name][0]) for name in ("startingVersion", "endingVersion"))
            lines += [line for version in range(first, last + 1) for line in self.changes(version)]
            lines += [{"endStreamAction": {}}] if self.end_action else []
        elif request.command == "POST":
            files, start = self.files(table), int(body.get("pageToken", 0))
            upto = start + self.page if self.page else len(files)
            lines = [*([] if start else lines), *files[start:upto]]
            if self.end_action:
                lines.append({"endStreamAction": {"nextPageToken": str(upto)} if upto < len(files) else {}})
        capabilities = f"responseformat={self.format};includeEndStreamAction={str(self.end_action).lower()}"
        headers = {"Delta-Table-Version": str(table.version()), "delta-sharing-capabilities": capabilities}
        headers |= self.more_headers
        send(request, 200, "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode(), headers)

    def lines(self, table: DeltaTable) -> list[dict[str, Any]]:
        about = table.metadata()
        metadata = {
            "id": str(about.id),
            "format": {"provider": "parquet"},
            "schemaString": table.schema().to_json(),
            "partitionColumns": about.partition_columns,
            "configuration": self.configuration,
            "description": self.description,
        }
        if self.format == "parquet":
            return [{"protocol": self.protocol}, {"metaData": metadata}]
        delta = {"deltaMetadata": {**metadata, "format": {"provider": "parquet", "options": {}}}}
        return [{"protocol": {"deltaProtocol": {**self.protocol, "minWriterVersion": 2}}}, {"metaData": delta}]

    def files(self, table: DeltaTable) -> list[dict[str, Any]]:
        actions = table.get_add_actions(flatten=False)
        lines = []
        for number, add in enumerate(map(dict, actions_of(actions))):
            expires = int((time.time() + self.skew + self.lifetime) * 1000)
            url = f"{self.base}/files/{add['path']}?X-Amz-Signature=geheim&expires={expires}"
            said = {
                "path": url,
                "size": add["size_bytes"],
                "stats": json.dumps({"numRecords": add["num_records"]}),
                "partitionValues": self.partition_values(add),
            }
            self.change_file(said)
            about = {"id": f"f{number}-v{table.version()}", "expirationTimestamp": expires}
            if self.format == "delta":
                lines.append({"file": {**about, "deltaSingleAction": {"add": said}}})
            else:
                lines.append({"file": {**about, "url": said.pop("path"), **said}})
        return lines

    def changes(self, version: int) -> list[dict[str, Any]]:
        """The files that came and went with a version."""
        before, after = (self.files(DeltaTable(self.location, one)) for one in (version - 1, version))
        found = []
        for action, files, others in (("remove", before, after), ("add", after, before)):
            for line in files:
                about = line["file"]
                if _path(about) not in map(_path, (other["file"] for other in others)):
                    if self.format == "delta":
                        single = {action: about["deltaSingleAction"]["add"]}
                        found.append({"file": {**about, "id": f"{action}-{about['id']}", "deltaSingleAction": single}})
                    else:
                        found.append({action: {**about, "id": f"{action}-{about['id']}"}})
        return found

    def partition_values(self, add: dict[str, Any]) -> dict[str, str | None]:
        """As the log has them: texts, and None or an empty text for NULL by the dialect."""
        nothing = None if self.format == "delta" else ""
        return {name: nothing if value is None else str(value) for name, value in (add.get("partition") or {}).items()}

    def send_file(self, request: BaseHTTPRequestHandler, path: str, query: dict[str, list[str]]) -> None:
        if int(query["expires"][0]) < (time.time() + self.skew) * 1000:
            send(request, 403, b"<Error><Code>AccessDenied</Code></Error>")
        else:
            send(request, 200, (self.location / path).read_bytes())


def _path(file: dict[str, Any]) -> str:
    """Which file a line is about, without what opens it."""
    url = file["deltaSingleAction"]["add"]["path"] if "deltaSingleAction" in file else file["url"]
    return str(url).partition("?")[0]


def actions_of(actions: Any) -> list[dict[str, Any]]:
    """Add actions of deltalake, whichever Arrow library they come in, in order of their paths."""
    return sorted(pa.table(actions).to_pylist(), key=lambda add: add["path"])


def send(
    request: BaseHTTPRequestHandler, status: int, body: bytes = b"", headers: dict[str, str] | None = None
) -> None:
    """A whole answer."""
    request.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


def fault(status: int, body: bytes = b"") -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer with a status."""
    return lambda request: send(request, status, body)


def cut_off(request: BaseHTTPRequestHandler) -> None:
    """The first bytes of an answer that promised more."""
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    request.wfile.write(b"PAR1")
    request.close_connection = True

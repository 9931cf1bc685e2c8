"""Table answers of the protocol, as lines of JSON in the response format the client asked for: parquet or delta."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from catalog.delivery.extracts import Extract, Part
from catalog.delivery.sharing.errors import BadRequest
from catalog.listing import Offering
from pipelines.register.times import as_utc
from pipelines.synthetic import IS_TEST

ResponseFormat = Literal["parquet", "delta"]
Url = Callable[[Extract, Part], str]
"""What gives the address of a file."""
CAPABILITIES = "delta-sharing-capabilities"
TABLE_VERSION = "delta-table-version"
MEDIA_TYPE = "application/x-ndjson; charset=utf-8"


@dataclass(frozen=True)
class TableAnswer:
    """One table as one caller sees it. `comments`: what columns mean; `made_up`: whether the home's data are; `about`:
    its licence, and where its dictionary is, as properties of a table."""

    offering: Offering
    extract: Extract
    comments: dict[str, str]
    made_up: bool
    about: dict[str, str]

    def lines(self, kind: ResponseFormat, version: int | None = None) -> Iterator[str]:
        """Protocol and metadata; `version` where the metadata are to be those from an earlier version on."""
        told = self._totals() | ({} if version is None else {"version": version})
        if kind == "parquet":
            yield _line({"protocol": {"minReaderVersion": 1}})
            yield _line({"metaData": {**self._metadata({}, {"enableChangeDataFeed": "true"}), **told}})
        else:
            yield _line({"protocol": {"deltaProtocol": {"minReaderVersion": 1, "minWriterVersion": 4}}})
            metadata = self._metadata({"options": {}}, {"delta.enableChangeDataFeed": "true"})
            yield _line({"metaData": {**told, "deltaMetadata": {**metadata, "createdTime": self._created()}}})

    def files(self, kind: ResponseFormat, parts: list[Part], url: Url, expires: int) -> Iterator[str]:
        """One line for each file; `expires` in seconds since 1970."""
        return self._added("file", kind, parts, url, expires)

    def changes(self, kind: ResponseFormat, step: Extract, url: Url, expires: int) -> Iterator[str]:
        """One line for each file of a change set of this table, or of all of it where nothing went before."""
        if step == self.extract:
            yield from self._added("add", kind, list(step.parts), url, expires)
            return
        for number, part in enumerate(step.parts):
            about = self._about(f"{step.key}-{number}", expires)
            cdf = {"partitionValues": {}, "size": part.size}
            if kind == "parquet":
                yield _line({"cdf": {"url": url(step, part), **about, **cdf}})
            else:
                action = {"cdc": {"path": url(step, part), **cdf, "dataChange": False}}
                yield _line({"file": {**about, "size": part.size, "deltaSingleAction": action}})

    def replaced(self, kind: ResponseFormat, before: Extract | None, url: Url, expires: int) -> Iterator[str]:
        """One line for each file that this version took away, and for each of its own."""
        for number, part in enumerate(before.parts if before else ()):
            assert before is not None
            about, path = {**self._about("", expires), "id": f"{before.edition}-{number}"}, url(before, part)
            values = {"partitionValues": dict(part.partition), "size": part.size}
            if kind == "parquet":
                yield _line({"remove": {"url": path, **about, **values}})
            else:
                gone = {"path": path, **values, "deletionTimestamp": self._created(), "dataChange": True}
                action = {"remove": {**gone, "extendedFileMetadata": True}}
                yield _line({"file": {**about, "size": part.size, "deltaSingleAction": action}})
        yield from self._added("add", kind, list(self.extract.parts), url, expires)

    def _added(
        self, name: Literal["file", "add"], kind: ResponseFormat, parts: list[Part], url: Url, expires: int
    ) -> Iterator[str]:
        for number, part in enumerate(parts):
            about, path = self._about(str(number), expires), url(self.extract, part)
            values = {"partitionValues": dict(part.partition), "size": part.size, "stats": part.stats}
            if kind == "parquet":
                yield _line({name: {"url": path, **about, **values}})
            else:
                add = {"path": path, **values, "modificationTime": self._created(), "dataChange": True}
                yield _line({"file": {**about, "size": part.size, "deltaSingleAction": {"add": add}}})

    def _about(self, name: str, expires: int) -> dict[str, Any]:
        return {
            "id": f"{self.extract.edition}-{name}",
            "expirationTimestamp": expires * 1000,
            "version": self.extract.version,
            "timestamp": self._created(),
        }

    def _metadata(self, about_format: dict[str, Any], configuration: dict[str, str]) -> dict[str, Any]:
        form = self.offering.product.form
        described = [{**field, "metadata": {"comment": self.comments[field["name"]]}} for field in self.extract.fields]
        return {
            "id": self.extract.id,
            "name": self.offering.product.name,
            "description": f"{form.name} [{IS_TEST}]" if self.made_up else form.name,
            "format": {"provider": "parquet", **about_format},
            "schemaString": json.dumps({"type": "struct", "fields": described}),
            "partitionColumns": list(self.extract.partition_by),
            "configuration": {**configuration, **self.about},
        }

    def _totals(self) -> dict[str, Any]:
        return {"version": self.extract.version, "size": self.extract.size, "numFiles": len(self.extract.parts)}

    def _created(self) -> int:
        assert self.offering.release is not None
        return int(as_utc(self.offering.release.at).timestamp() * 1000)


def response_format(capabilities: str | None) -> ResponseFormat:
    """The format to answer in: parquet where the client takes it, delta where it takes nothing else.

    Our tables need no advanced reader, so both formats say the same. Raises BadRequest if it takes neither.
    """
    wanted = {"parquet"}
    for part in (capabilities or "").lower().split(";"):
        name, _, values = part.partition("=")
        if name.strip() == "responseformat":
            wanted = {value.strip() for value in values.split(",")}
    if "parquet" in wanted:
        return "parquet"
    if "delta" in wanted:
        return "delta"
    raise BadRequest("web.sharing.bad_format", value=", ".join(sorted(wanted))[:80])


def limited(parts: tuple[Part, ...], rows: int | None) -> list[Part]:
    """The first files that together have at least `rows` rows; all of them for None."""
    chosen: list[Part] = []
    for part in parts:
        if rows is not None and sum(item.rows for item in chosen) >= rows:
            break
        chosen.append(part)
    return chosen


def _line(value: dict[str, Any]) -> str:
    # ASCII only: some clients split the text at every kind of line break that Unicode knows
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n"

"""The routes of the Delta Sharing protocol below `/delta-sharing`. Each asks the desk first and audits its answer."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from catalog import metering
from catalog.delivery import described, dictionary, ranges
from catalog.delivery.changes import SchemaChanged, since
from catalog.delivery.desk import Admission, Desk, token_id
from catalog.delivery.downloads import SentFile
from catalog.delivery.extracts import Extract, Part
from catalog.delivery.sharing import addresses, answers, hints, openapi, travel
from catalog.delivery.sharing.addresses import Address
from catalog.delivery.sharing.answers import CAPABILITIES, MEDIA_TYPE, TABLE_VERSION, TableAnswer
from catalog.delivery.sharing.errors import BadRequest
from catalog.delivery.sharing.feed import Feed, read_feed
from catalog.delivery.sharing.paging import page
from catalog.delivery.timeline import timeline
from catalog.policy import audit
from catalog.policy.decision import Caller, Reason
from pipelines.messages import translate
from pipelines.register.times import as_utc
from pipelines.release.ledger import Recorded

PREFIX = "/delta-sharing"
ROAD = "delta_sharing"
TABLE = "/shares/{share}/schemas/{schema}/tables/{table}"


async def _body(request: Request) -> bytes:
    return await request.body()


def build_router(desk: Desk) -> APIRouter:
    """The protocol's routes over one desk."""
    router, document = APIRouter(prefix=PREFIX), openapi.document(f"{desk.url}{PREFIX}")

    @router.get("/openapi.json")
    def describe() -> JSONResponse:
        return JSONResponse(document)

    _add_lists(router, desk)
    _add_tables(router, desk)
    _add_files(router, desk)
    return router


def _add_lists(router: APIRouter, desk: Desk) -> None:
    @router.get("/shares")
    def list_shares(request: Request) -> JSONResponse:
        found = {name: {"name": name, "id": name} for name in _shares(_visible(desk, request, "share.list"))}
        return _listed(desk, request, "share.list", found)

    @router.get("/shares/{share}")
    def get_share(request: Request, share: str) -> JSONResponse:
        (name,) = _shares(_require_share(desk, request, share, "share.get"))
        _audit_list(desk, request, "share.get", 1)
        return JSONResponse({"share": {"name": name, "id": name}})

    @router.get("/shares/{share}/schemas")
    def list_schemas(request: Request, share: str) -> JSONResponse:
        tables = _require_share(desk, request, share, "schema.list")
        libraries = {item.offering.product.contract.library for item in tables}
        found = {name: {"name": name, "share": share.lower()} for name in libraries}
        return _listed(desk, request, "schema.list", found)

    @router.get("/shares/{share}/schemas/{schema}/tables")
    def list_tables(request: Request, share: str, schema: str) -> JSONResponse:
        tables = [_table(item) for item in _require_share(desk, request, share, "table.list")]
        found = {item["name"]: item for item in tables if item["schema"] == schema.lower()}
        if not found:
            raise desk.refuse(_caller(desk, request, "table.list"), None, Reason.UNKNOWN_PRODUCT, "table.list", ROAD)
        return _listed(desk, request, "table.list", found)

    @router.get("/shares/{share}/all-tables")
    def list_all_tables(request: Request, share: str) -> JSONResponse:
        tables = [_table(item) for item in _require_share(desk, request, share, "table.list")]
        return _listed(desk, request, "table.list", {f"{item['schema']}.{item['name']}": item for item in tables})


def _add_tables(router: APIRouter, desk: Desk) -> None:
    @router.head(TABLE)  # deprecated by the protocol, still what DuckDB's client asks
    @router.get(f"{TABLE}/version")
    def table_version(request: Request, share: str, schema: str, table: str) -> Response:
        admission = _admit(desk, request, (share, schema, table), "table.version")
        version = _version_since(desk, admission, request.query_params)
        desk.answered(admission, "table.version", ROAD)
        return Response(headers={TABLE_VERSION: str(version)})

    @router.get(f"{TABLE}/metadata")
    def table_metadata(request: Request, share: str, schema: str, table: str) -> Response:
        admission = _admit(desk, request, (share, schema, table), "table.metadata")
        admission = _at(desk, admission, request.query_params, "table.metadata")
        kind = answers.response_format(request.headers.get(CAPABILITIES))
        answer = _answer(desk, admission)
        desk.answered(admission, "table.metadata", ROAD)
        return _lines(admission, kind, "".join(answer.lines(kind)))

    @router.post(f"{TABLE}/query")
    def query_table(
        request: Request, share: str, schema: str, table: str, body: Annotated[bytes, Depends(_body)]
    ) -> Response:
        admission = _admit(desk, request, (share, schema, table), "table.query")
        question = _question(body)
        limit, kind = _limit(question), answers.response_format(request.headers.get(CAPABILITIES))
        if question.get(travel.STARTING_VERSION) is not None:
            return _files_since(desk, admission, question, kind)
        admission = _at(desk, admission, question, "table.query")
        answer = _answer(desk, admission)
        expires = addresses.expiry()
        parts = answers.limited(hints.matching(answer.extract, question.get("jsonPredicateHints")), limit)
        text = "".join(
            [*answer.lines(kind), *answer.files(kind, parts, _signing(desk, admission.caller, expires), expires)]
        )
        facts = {"policy": answer.extract.key, "rows": sum(part.rows for part in parts), "files": len(parts)}
        desk.answered(admission, "table.query", ROAD, **facts)
        return _lines(admission, kind, text)

    @router.get(f"{TABLE}/changes")
    def table_changes(request: Request, share: str, schema: str, table: str) -> Response:
        admission = _admit(desk, request, (share, schema, table), "table.changes")
        kind = answers.response_format(request.headers.get(CAPABILITIES))
        feed = _feed(desk, admission, request.query_params, "table.changes")
        expires = addresses.expiry()
        url, lines, told = _signing(desk, admission.caller, expires), list[str](), list[Extract]()
        for step in feed.steps:
            told.append(step.changes(desk))
            lines += _answer(desk, step.after).changes(kind, told[-1], url, expires)
        return _fed(desk, feed, kind, lines, told, "table.changes")


def _files_since(
    desk: Desk, admission: Admission, question: Mapping[str, Any], kind: answers.ResponseFormat
) -> Response:
    """A query for what streams read: the files that each release since a version took away and brought."""
    asked = (travel.STARTING_VERSION, travel.ENDING_VERSION)
    travel.require_only(question, asked, "web.sharing.not_of_changes")
    named = {name: question[name] for name in asked if question.get(name) is not None}
    feed = _feed(desk, admission, named, "table.query")
    expires = addresses.expiry()
    url, lines, told = _signing(desk, admission.caller, expires), list[str](), list[Extract]()
    for step in feed.steps:
        before, after = step.files(desk)
        told += [one for one in (before, after) if one]
        lines += _answer(desk, step.after).replaced(kind, before, url, expires)
    return _fed(desk, feed, kind, lines, told, "table.query")


def _feed(desk: Desk, admission: Admission, question: Mapping[str, Any], action: str) -> Feed:
    """Raises BadRequest, Refused."""
    feed = read_feed(desk, admission, question, _zone(desk))
    if feed is None:
        raise desk.refuse(admission.caller, admission.allowed.product, Reason.VERSION_UNKNOWN, action, ROAD)
    return feed


def _fed(
    desk: Desk, feed: Feed, kind: answers.ResponseFormat, lines: list[str], told: list[Extract], action: str
) -> Response:
    """The answer of these lines, audited. `told`: whose files they name."""
    answer = _answer(desk, feed.last)
    facts = {
        "policy": answer.extract.key,
        "since": feed.start,
        "rows": sum(one.rows for one in told),
        "files": sum(len(one.parts) for one in told),
    }
    desk.answered(feed.last, action, ROAD, **facts)
    return _lines(feed.last, kind, "".join([*answer.lines(kind, feed.start), *lines]), feed.start)


def _add_files(router: APIRouter, desk: Desk) -> None:
    @router.api_route("/files/{channel}/{product}/v{version}/{key}/{name:path}", methods=["GET", "HEAD"])
    def read_file(request: Request, channel: str, product: str, version: str, key: str, name: str) -> Response:
        query, number = request.query_params, _version(version)
        address = Address(f"{channel}/{product}", number, key, name, query.get("t", ""))
        signature = query.get(addresses.SIGNATURE, "")
        problem = addresses.problem(address, desk.settings.key("urls"), query.get("e", ""), signature)
        caller = Caller()  # anybody may have written the token's id into an address that is none of ours
        if problem is not Reason.ADDRESS_INVALID and address.token:
            caller = desk.callers.from_token_id(address.token)
        caller = replace(caller, purpose=metering.stated(request))
        # nor does anybody spend what is another's with an old address of theirs
        metering.asks(desk, request, Caller() if problem else caller, "file.read", ROAD)
        if problem:
            raise desk.refuse(caller, None, problem, "file.read", ROAD)
        admission = desk.admit(caller, address.product, "file.read", ROAD)
        then, earlier = desk.at_version(admission, number), since(key)  # a file of changes, not of rows
        before = None if earlier is None else desk.at_version(admission, earlier)
        extract = _extract(desk, before, then, key) if then else None
        part = next((item for item in extract.parts if item.name == name), None) if extract else None
        if {number, earlier} & set(desk.listing.ended_versions(address.product)):
            raise desk.refuse(caller, address.product, Reason.VERSION_ENDED, "file.read", ROAD)
        if then is None or extract is None or extract.key != key or part is None:
            raise desk.refuse(caller, address.product, Reason.ADDRESS_OUTDATED, "file.read", ROAD)
        etag = f'"{part.name}"'  # a file that is written anew has another name
        asked = ranges.asked(request.method, request.headers, part.size, etag)
        facts = {
            "policy": extract.key,
            "file": part.name,
            "rows": part.rows,
            "of": extract.rows,
            "method": request.method,
            **asked.said,
        }
        if earlier is not None:
            facts["since"] = earlier
        if request.method == "GET":
            facts["sha256"] = desk.hashes.get(extract.folder / part.name, part.rows)
        desk.answered(then, "file.read", ROAD, **facts)
        asked.require_bytes()
        metering.gave(request, part.rows, part.size)
        metering.lasts(request, partial(_stand, desk, [one for one in (before, then) if one]))
        about = described.link(described.addresses(desk.url, then.offering.product))
        headers = {"Cache-Control": "private, no-store", "ETag": etag, **about}
        return SentFile(extract.folder / part.name, asked, headers, "application/octet-stream")


def _stand(desk: Desk, reads: list[Admission], sent: int) -> None:
    """Raises as `Desk.stands`, by each version that a file tells of: a change set holds rows of two."""
    for one in reads:
        desk.stands(one, "file.read", ROAD, sent=sent)


def _extract(desk: Desk, before: Admission | None, then: Admission, key: str) -> Extract | None:
    """The view, or the change set from `before`, that a key names; None for one that cannot be read now."""
    if since(key) is None:
        return desk.views.extract(then.allowed)
    try:
        return desk.changes(before, then) if before else None
    except SchemaChanged:
        return None


def _signing(desk: Desk, caller: Caller, expires: int) -> answers.Url:
    """What signs addresses of files for a caller."""
    base, key, token = desk.url + PREFIX, desk.settings.key("urls"), caller.token or ""

    def url(extract: Extract, part: Part) -> str:
        return Address(extract.product, extract.version, extract.key, part.name, token).url(base, key, expires)

    return url


def _version(text: str) -> int:
    """The version of an address, -1 for anything that cannot be one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def _caller(desk: Desk, request: Request, action: str) -> Caller:
    return metering.asks(desk, request, metering.shows(desk, request), action, ROAD)


def _visible(desk: Desk, request: Request, action: str) -> list[Admission]:
    caller = _caller(desk, request, action)
    if caller.problem is not None:
        raise desk.refuse(caller, None, caller.problem, action, ROAD)
    return desk.visible(caller, desk.listing.snapshot(), ROAD)


def _shares(visible: list[Admission]) -> set[str]:
    return {item.offering.product.channel for item in visible}


def _require_share(desk: Desk, request: Request, share: str, action: str) -> list[Admission]:
    """What the caller may read of a share. The protocol tells no names apart by case; those of contracts are lower."""
    named = share.lower()
    found = [item for item in _visible(desk, request, action) if item.offering.product.channel == named]
    if not found:
        raise desk.refuse(_caller(desk, request, action), None, Reason.UNKNOWN_PRODUCT, action, ROAD)
    return found


def _table(admission: Admission) -> dict[str, str]:
    product = admission.offering.product
    return {
        "name": product.name,
        "schema": product.contract.library,
        "share": product.channel,
        "shareId": product.channel,
        "id": product.id,
    }


def _listed(desk: Desk, request: Request, action: str, items: Mapping[str, Any]) -> JSONResponse:
    answer = page(items, request.query_params)
    _audit_list(desk, request, action, len(answer["items"]))
    return JSONResponse(answer)


def _audit_list(desk: Desk, request: Request, action: str, count: int) -> None:
    caller = _caller(desk, request, action)
    body = {"road": ROAD, "items": count, **token_id(caller)}
    audit.record(desk.register, action, "allowed", body, recipient=caller.recipient, application=caller.application)


def _admit(desk: Desk, request: Request, names: tuple[str, str, str], action: str) -> Admission:
    share, schema, table = (name.lower() for name in names)  # the protocol tells none apart by case
    caller, product = _caller(desk, request, action), f"{share}/{table}"
    known = desk.listing.snapshot().find(product)
    if caller.problem is None and (known is None or known.product.contract.library != schema):
        raise desk.refuse(caller, None, Reason.UNKNOWN_PRODUCT, action, ROAD)
    return desk.admit(caller, product, action, ROAD)


def _answer(desk: Desk, admission: Admission) -> TableAnswer:
    extract, allowed = desk.views.extract(admission.allowed), admission.allowed
    entries = dictionary.entries(admission.offering.product, extract.columns, allowed.masks)
    comments = {one.column: _comment(one) for one in entries}
    return TableAnswer(admission.offering, extract, comments, bool(desk.said), _about(desk, admission))


def _about(desk: Desk, admission: Admission) -> dict[str, str]:
    """The licence of a table and the address of its dictionary, by names that no property of Delta has."""
    product = admission.offering.product
    licence = {"citylake.licence": product.form.licence} if product.form.licence else {}
    return {**licence, "citylake.dictionary": described.addresses(desk.url, product)["describedby"]}


def _comment(entry: dictionary.Entry) -> str:
    """What a column means, and how whoever asks is shown it."""
    return entry.name_zh if entry.mask is None else f"{entry.name_zh}（{translate(f'web.mask.{entry.mask}', 'zh')}）"


def _lines(admission: Admission, kind: answers.ResponseFormat, text: str, version: int | None = None) -> Response:
    told = admission.allowed.version if version is None else version
    headers = {TABLE_VERSION: str(told), CAPABILITIES: f"responseformat={kind}"}
    return Response(text, headers=headers, media_type=MEDIA_TYPE)


def _question(body: bytes) -> dict[str, Any]:
    """The JSON object of a query, empty for an empty body. Raises BadRequest."""
    try:
        question = json.loads(body or b"{}")
        json.dumps(question, ensure_ascii=False).encode()  # half a character cannot be named in any answer
    except (ValueError, RecursionError) as error:
        raise BadRequest("web.sharing.bad_json") from error
    if not isinstance(question, dict):
        raise BadRequest("web.sharing.bad_json")
    return question


def _limit(question: Mapping[str, Any]) -> int | None:
    limit = question.get("limitHint")
    if limit is None:
        return None
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise BadRequest("web.sharing.bad_limit")
    return limit


def _at(desk: Desk, admission: Admission, question: Mapping[str, Any], action: str) -> Admission:
    """The same read of the version or moment that the question names. Raises BadRequest, Refused."""
    travel.require_only(question, (travel.VERSION, travel.TIMESTAMP), "web.sharing.not_here")
    wanted = travel.asked(question, travel.VERSION, travel.TIMESTAMP, _zone(desk))
    if not wanted.anything:
        return admission
    versions = timeline(desk.listing, admission.allowed.product)
    release = travel.release_asked(versions, wanted)
    then = _at_release(desk, admission, release) if isinstance(release, Recorded) else None
    if then is None:
        reason = Reason.VERSION_ENDED if release in versions.ended else Reason.VERSION_UNKNOWN
        raise desk.refuse(admission.caller, admission.allowed.product, reason, action, ROAD)
    return then


def _at_release(desk: Desk, admission: Admission, release: Recorded) -> Admission | None:
    assert release.version is not None
    then = desk.at_version(admission, release.version)
    return None if then is None else replace(then, offering=replace(then.offering, release=release))


def _version_since(desk: Desk, admission: Admission, question: Mapping[str, Any]) -> int:
    """The published version, or the first that can be read of those released since a moment. Raises BadRequest."""
    travel.require_only(question, (travel.STARTING_TIMESTAMP,), "web.sharing.not_here")
    moment = travel.asked(question, travel.STARTING_VERSION, travel.STARTING_TIMESTAMP, _zone(desk)).moment
    if moment is None:
        return admission.allowed.version
    versions = timeline(desk.listing, admission.allowed.product)
    found = [one.version for one in versions.releases if one.version in versions.readable and as_utc(one.at) >= moment]
    if not found or found[0] is None:
        raise travel.after_newest(admission.offering.release, travel.STARTING_TIMESTAMP)
    return found[0]


def _zone(desk: Desk) -> str:
    return desk.listing.snapshot().contracts.city.timezone

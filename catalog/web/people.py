"""Pages for recipients: sign in by pasting a token, sign out, what one may read and what was read in one's name."""

import json
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from catalog import metering
from catalog.delivery import ending, standing
from catalog.delivery.desk import token_id
from catalog.delivery.receipt import signed_by, zipped
from catalog.listing import Snapshot
from catalog.policy import audit, inquiry, recall, renewal, users
from catalog.policy.administration import list_tokens, profile
from catalog.policy.decision import ANONYMOUS, Allowed, Reason
from catalog.policy.users import NotAllowed
from catalog.web import cards, sessions
from catalog.web.forms import Form, number_of, own_path
from catalog.web.site import Site
from catalog.web.voice import Voice
from pipelines.contracts.calendar import Due
from pipelines.issues import corrections
from pipelines.issues.feedback import due, require_harmless
from pipelines.messages import CitylakeError, translate
from pipelines.register.store import now
from pipelines.release.signing import signer_of

ROAD = "web"
OWN_READS = 20
TELLING = (None, Reason.SUSPENDED)
"""With which problem a caller is still told what belongs to them: whoever is cut off may know where things stand."""
Refusal = Literal["no_provider", "provider_failed"]


def login_page(
    site: Site,
    request: Request,
    status: int = 200,
    next: str = "",
    *,
    problem: Reason | None = None,
    wrong: str | None = None,
    refused: Refusal | None = None,
) -> Response:
    """The page to sign in on. What did not do: `problem` of a token, `wrong` of an account, `refused` of a provider."""
    provider, told = site.desk.settings.provider, None
    if provider is not None and refused is not None:
        told = translate(f"signin.{refused}", site.voice(request).language, provider=provider.name)
    context: dict[str, Any] = {"problem": problem, "wrong": wrong, "refused": told, "provider": provider}
    return site.page(request, "login.html", status, next=own_path(next), **context)


def build_router(site: Site) -> APIRouter:
    """The routes of recipients."""
    router = APIRouter()
    desk = site.desk

    @router.get("/login")
    def login_form(request: Request, next: str = "", refused: str = "") -> Response:
        return login_page(site, request, next=next, refused="provider_failed" if refused else None)

    @router.post("/login", dependencies=[Depends(site.own_form)])
    def login(request: Request, form: Form) -> Response:
        caller = desk.callers.from_token(form.get("token", ""), partial(metering.origin, desk, request))
        if caller.problem is Reason.LOCKED:
            raise desk.refuse(caller, None, Reason.LOCKED, "login", ROAD)
        problem = caller.problem or (Reason.TOKEN_REQUIRED if caller.token is None else None)
        body = {"road": ROAD, **token_id(caller)} | ({} if problem is None else {"reason": problem.value})
        outcome: audit.Outcome = "denied" if problem else "allowed"
        audit.record(desk.register, "login", outcome, body, recipient=caller.recipient, application=caller.application)
        if problem is not None or caller.token is None or caller.expires is None:
            return login_page(site, request, 401, form.get("next", ""), problem=problem)
        response = RedirectResponse(own_path(form.get("next", "")) or "/access", 303)
        sessions.begin(response, request, desk.settings.key("sessions"), caller.token, caller.expires)
        _sign_out_person(request, response)
        return response

    @router.post("/logout", dependencies=[Depends(site.own_form)])
    def logout(request: Request) -> Response:
        response = RedirectResponse("/", 303)
        sessions.end(response)
        _sign_out_person(request, response)
        return response

    @router.get("/access")
    def access(request: Request) -> Response:
        return _access(request)

    @router.get("/access/deliveries/{name}/{number}/receipt.zip")
    def delivery_receipt(request: Request, name: str, number: str) -> Response:
        """A receipt of a delivery to whoever asks, with the key that checks it; nobody else's is there."""
        caller, recipient = metering.receives(desk, request, site.caller(request), inquiry.ACT, ROAD)
        kept = standing.own_receipt(desk.register, name, number_of(number, 9) or 0, recipient)
        ours = signer_of(desk.settings, desk.listing.city())
        signer = None if kept is None else signed_by(kept.body["statement"], kept.body["signature"], ours)
        if kept is None or signer is None:
            raise desk.refuse(caller, None, Reason.NOT_PUBLISHED, inquiry.ACT, ROAD)
        body = {"road": ROAD, "delivery": kept.subject, "receipt": kept.id, **token_id(caller)}
        who: audit.About = {"recipient": recipient, "application": caller.application}
        audit.record(desk.register, inquiry.ACT, "allowed", body, **who)
        headers = {"Content-Disposition": 'attachment; filename="receipt.zip"', "Cache-Control": "private, no-store"}
        content = zipped(kept.body["statement"], kept.body["signature"], signer)
        return Response(content, headers=headers, media_type="application/zip")

    @router.post("/access/acknowledge", dependencies=[Depends(site.own_form)])
    def acknowledge(request: Request, form: Form) -> Response:
        """A recipient says that it brought up to date what was corrected; of nobody else's notice."""
        caller, recipient = metering.receives(desk, request, site.caller(request), "notice.acknowledge", ROAD)
        notice, note = number_of(form.get("notice", ""), 9) or 0, form.get("note", "")
        body = {"road": ROAD, "notice": notice, **token_id(caller)}
        about: audit.About = {"recipient": recipient, "application": caller.application}
        try:
            if notice in {one["id"] for one in corrections.notices(desk.register, recipient)}:
                require_harmless(note)
            with desk.register.begin() as connection:
                corrections.acknowledge(connection, notice, recipient, note, recipient)
                audit.append(connection, "notice.acknowledge", "allowed", body, **about)
        except CitylakeError as error:
            return _access(request, 422, error.text(site.voice(request).language))
        return RedirectResponse("/access", 303)

    @router.post("/access/renew", dependencies=[Depends(site.own_form)])
    def renew(request: Request, form: Form) -> Response:
        """A successor of the token that somebody is signed in with and shows again, for a cookie is not the secret; or,
        by a department's user, of one of theirs."""
        hours, token = number_of(form.get("overlap", ""), 4), form.get("token", "")[:16]
        limits, person, voice = desk.listing.city().limits.credentials, site.person(request), site.voice(request)
        if person is not None:
            metering.asks(desk, request, ANONYMOUS, renewal.ACT, ROAD)
            if person.lacks:
                return RedirectResponse("/account", 303)
        else:
            caller, _ = metering.receives(desk, request, site.caller(request), renewal.ACT, ROAD)
            shown = desk.callers.from_token(form.get("secret", ""), partial(metering.origin, desk, request))
            if shown.problem is Reason.LOCKED:
                raise desk.refuse(shown, None, Reason.LOCKED, renewal.ACT, ROAD)
            if shown.problem is not None or shown.token != caller.token:
                desk.refuse(caller, None, shown.problem or Reason.TOKEN_INVALID, renewal.ACT, ROAD)
                return _access(request, 422, unrenewed=voice.t("access.shown_wrong"))
        try:
            if hours is None:
                raise CitylakeError("token.overlap_too_long", hours="—", most=limits.overlapHours)
            if person is not None:
                made = renewal.by_user(desk.register, limits, token, hours, ROAD, person)
            else:
                made = renewal.by_holder(desk.register, limits, shown, hours, ROAD)
        except NotAllowed:
            raise
        except CitylakeError as error:
            return _access(request, 422, unrenewed=error.text(voice.language))
        return _access(request, made=json.dumps(profile(made, f"{desk.url}/delta-sharing"), indent=1))

    def _access(request: Request, status: int = 200, refused: str | None = None, **renewed: str) -> Response:
        """`refused`: why a notice was not acknowledged; `renewed`: `made`, what was made, shown once, or `unrenewed`,
        why nothing was."""
        caller, snapshot, voice = site.caller(request), desk.listing.snapshot(), site.voice(request)
        readable = [item for item in desk.visible(caller, snapshot, ROAD) if item.offering.product.channel != "open"]
        readable.sort(key=lambda item: item.allowed.grant is None)  # what was granted to them, before what all may have
        decision = desk.decide_marts(caller, ROAD)
        # whoever shows a token that was revoked, perhaps because it leaked, sees nothing of whose it was
        recipient = caller.recipient if caller.problem in TELLING else None
        reads = audit.recent(desk.register, OWN_READS, recipient) if recipient else []
        moment, tokens = now(), list_tokens(desk.register, recipient) if recipient else []
        soon = ending.ending(caller.grants, moment)
        person = site.person(request)
        if person is not None and not person.lacks and users.ACTS[renewal.ACT] & users.counting(person.user.roles):
            tokens = renewal.of_organisation(desk.register, person.user.organisation)
        answer = site.page(
            request,
            "access.html",
            status,
            refused=refused,
            told=recipient is not None,
            readable=[(cards.card(snapshot, voice, item.offering), item.allowed) for item in readable],
            marts=decision if isinstance(decision, Allowed) else None,
            grants={grant.id: grant for grant in caller.grants},
            reads=reads,
            deliveries=_deliveries(snapshot, voice, recipient) if recipient else [],
            ending=[(one.grant, ending.hanging(desk.listing.city(), one)) for one in soon],
            recalls=recall.open_for(desk.register, recipient) if recipient else [],
            corrected=_corrected(recipient) if recipient else [],
            quota=metering.stands(desk, request, caller) if recipient else None,
            tokens=[one for one in tokens if one.revoked is None and moment < one.expires],
            renewed=renewal.lately(tokens, moment),
            may_renew=person is None or person.second_factor,
            now=moment,
            most_overlap=desk.listing.city().limits.credentials.overlapHours,
            made=renewed.get("made"),
            unrenewed=renewed.get("unrenewed"),
        )
        if renewed:
            answer.headers["Cache-Control"] = "no-store"
        return answer

    def _deliveries(snapshot: Snapshot, voice: Voice, recipient: str) -> list[tuple[standing.Standing, str, str]]:
        """Each with what its product is called and how often that is renewed."""
        products = snapshot.contracts.products
        found = standing.standing(desk.register, snapshot.contracts.city, recipient)
        forms = ((one, products[one.product]) for one in found)
        return [(one, voice.named(of.form), voice.value(of.contract.form.slaProperties.frequency)) for one, of in forms]

    def _corrected(recipient: str) -> list[tuple[dict[str, Any], Due | None]]:
        city = desk.listing.city()
        return [(one, due(one, city)) for one in corrections.notices(desk.register, recipient)]

    def _sign_out_person(request: Request, response: Response) -> None:
        if (person := site.person(request)) is not None:
            site.signin.leave(person)
        sessions.end_person(response)

    return router

"""Data Docs: the kept result of a suite as Great Expectations itself shows it, in one HTML page that needs no network.

Made on demand of the evidence that the ledger names by its hash, and kept nowhere. Great Expectations' own pages load
styles, fonts, scripts and a logo from fifteen addresses; the frame here puts the same sections on a page with none.
How the portal tells a result in its own words belongs to `catalog.web.reports`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

from pipelines.documents.subset import with_glyphs
from pipelines.evidence.expectations.base import counted_rows
from pipelines.evidence.suite import library
from pipelines.messages import translate
from pipelines.register import chain
from pipelines.register.receipts import Receipts, Stage

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; font-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The Content-Security-Policy the page is to be served under: its own style and font, and nothing from anywhere."""
TABLE = "Table-Level Expectations"
"""What Great Expectations calls the section of expectations about no single column."""
FRAME = Path(__file__).with_name("data_docs.j2")


@dataclass(frozen=True)
class Kept:
    """The evidence of a release, suite included, as its receipt keeps it (None: nothing to show), held against the hash
    by which the row of the ledger names it. `unnamed`: a row of old, which names none."""

    evidence: dict[str, Any] | None
    agreement: Literal["equal", "changed", "missing", "unnamed"]


def kept(receipts: Receipts, subject: str, edition: str, named: str | None) -> Kept | None:
    """The evidence on which an edition released a subject, by the hash that its row names; None where it was released
    without a suite."""
    found = [one.body for one in receipts.of_edition(Stage.EVIDENCE, subject, edition)]
    equal = [body for body in found if chain.digest(body) == named]
    shown = next((body for body in equal or found if body.get("suite")), None)
    if named is None or equal:
        return Kept(shown, "equal" if equal else "unnamed") if shown else None
    return Kept(shown, "changed" if found else "missing")


def page(found: Kept, title: str, language: str) -> str:
    """The page of evidence as its receipt keeps it. It holds what the suite holds, and so no value of a row.

    `title`: what people call the subject, in `language`. Raises ValueError where no evidence is left.
    """
    evidence = found.evidence
    if evidence is None:
        raise ValueError("there is no evidence to make a page of")
    gx = library()
    counted_rows()  # Great Expectations finds what shows an expectation by its class, which must have been made
    suite = _validation(gx, evidence["suite"])
    told = {
        "title": title,
        "subject": evidence["subject"],
        "edition": evidence["edition"],
        "fingerprint": evidence["fingerprint"],
        "proof": chain.digest(evidence),
        "agreement": found.agreement,
        "version": evidence["suite"]["meta"]["great_expectations_version"],
        "rules": suite.statistics["evaluated_expectations"],
        "unmet": suite.statistics["unsuccessful_expectations"],
    }
    return _framed(suite, told, language)


def _validation(gx: Any, suite: Mapping[str, Any]) -> Any:
    """The kept result as the object that Great Expectations renders."""
    from great_expectations.core import ExpectationSuiteValidationResult

    results = [_result(kept) for kept in suite["results"]]
    met = sum(result.success for result in results)
    counts = {
        "evaluated_expectations": len(results),
        "successful_expectations": met,
        "unsuccessful_expectations": len(results) - met,
        "success_percent": 100 * met / len(results) if results else None,
    }
    return ExpectationSuiteValidationResult(
        met == len(results), results, "contract", statistics=counts, meta=dict(suite["meta"])
    )


def _result(kept: Mapping[str, Any]) -> Any:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    config = kept["expectation_config"]
    arguments = dict(config["kwargs"])
    if (size := arguments.pop("value_set_size", None)) is not None:
        arguments["value_set"] = [f"({size})"]  # the text of a code list is not kept, its length is
    asked = ExpectationConfiguration(type=config["type"], kwargs=arguments, meta=dict(config["meta"]))
    return ExpectationValidationResult(success=kept["success"], result=dict(kept["result"]), expectation_config=asked)


def _framed(suite: Any, told: Mapping[str, Any], language: str) -> str:
    """Great Expectations' sections in the frame of this page."""
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    document = ValidationResultsPageRenderer().render(suite)
    # of the overview only its numbers: the rest leads to pages of a site that is not there, and the frame says it
    document.sections[0].content_blocks = document.sections[0].content_blocks[1:2]
    for section in document.sections[1:]:
        _name_rules(section, [result.expectation_config for result in suite.results])
    view = DefaultJinjaPageView()
    frame = view.env.from_string(FRAME.read_text("utf-8"))

    def say(name: str) -> str:
        return translate(f"data_docs.{name}", language, **told)

    return with_glyphs(str(frame.render(document.to_json_dict(), told=told, say=say, language=language)))


def _name_rules(section: Any, asked: Sequence[Any]) -> None:
    """Add to each row of a section the rule of the contract that it answers. A section holds what was asked of one
    column, or of the table, in the order of the suite."""
    mine = [one for one in asked if one.kwargs.get("column", TABLE) == section.section_name]
    _, table = section.content_blocks
    table.header_row.append("Rule")
    for row, one in zip(table.table, mine, strict=True):
        row.append(escape(one.meta["rule"]))  # cells are written as they are

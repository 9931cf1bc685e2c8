"""One change of a contract: what it is called, whether it breaks, and how it is told. Finds no changes itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.contracts.texts import LANGUAGES
from pipelines.messages import translate

# Structure: somebody's rows are refused, queries fail, or a promise is gone.
_BREAKING = {
    "contract_removed",
    "column_dropped",
    "column_renamed",
    "source_name_changed",
    "column_retyped",
    "unit_changed",
    "source_column_required",
    "source_required_added",
    "product_required_removed",
    "source_unique_added",
    "product_unique_removed",
    "source_limit_narrowed",
    "product_limit_widened",
    "pattern_changed",
    "code_list_changed",
    "code_list_dropped",
    "code_list_narrowed",
    "key_changed",
    "load_mode_changed",
    "load_changed",
    "derivation_changed",
    "authority_changed",
    "source_rule_added",
    "product_rule_removed",
    "rule_changed",
    "status_ended",
    "frequency_changed",
    "retention_changed",
    "model_renamed",
    "channel_dropped",
    "channel_column_dropped",
    "channel_column_renamed",
    "channel_source_changed",
    "mask_added",
    "mask_stronger",
    "mask_changed",
    "purposes_narrowed",
    "row_filter_added",
    "row_filter_changed",
    "shown_until_added",
    "lookup_added",
    "product_renamed",
    "share_narrowed",
    "open_narrowed",
    "licence_changed",
}
# Governance: the people in the data are better visible, or a guard is weaker.
_GOVERNANCE = {
    "classification_lowered",
    "lowered_changed",
    "personal_dropped",
    "share_widened",
    "open_widened",
    "mask_dropped",
    "mask_weaker",
    "purposes_widened",
    "purpose_means_more",
    "channel_added",
    "channel_column_added",
    "max_level_raised",
    "k_lowered",
    "anonymity_dropped",
    "diversity_weaker",
    "reviewed_added",
    "overruled_added",
    "quasi_dropped",
    "within_dropped",
    "period_dropped",
    "totals_dropped",
    "row_filter_dropped",
    "shown_until_dropped",
    "shown_until_changed",
    "lookup_dropped",
    "deletion_ceiling_raised",
    "volume_floor_lowered",
    "drift_stop_dropped",
    "across_removed",
    "approval_dropped",
    "moment_changed",
}


@dataclass(frozen=True)
class Change:
    """One change.

    `subject`: `sources/<id>`, `products/<id>`, `codes/<list>` or `city`. `what`: a message id without its `change.`.
    `governance`: it weakens protection rather than structure.
    """

    subject: str
    column: str | None
    what: str
    breaking: bool
    governance: bool
    arguments: Mapping[str, object] = field(default_factory=dict)

    def text(self, language: str) -> str:
        """What changed and why that matters, in `zh` or `en`."""
        grade = translate("change.breaking" if self.breaking else "change.compatible", language)
        where = self.subject if self.column is None else f"{self.subject} {self.column}"
        return f"{grade} {where}: {translate(f'change.{self.what}', language, **self.arguments)}"

    def __str__(self) -> str:
        """Chinese, then English, one line each."""
        return "\n".join(self.text(language) for language in LANGUAGES)


def change(
    subject: str, what: str, column: str | None = None, /, *, harmless: bool = False, **arguments: object
) -> Change:
    """The change `what`; `harmless` says that this one, though its kind breaks, exposes nothing."""
    governance = what in _GOVERNANCE
    breaking = (governance or what in _BREAKING) and not harmless
    return Change(subject, column, what, breaking, governance, arguments)

"""One asset per source contract: core/<org>/<dataset>, with its delivery and refusal checks."""

from collections.abc import Iterator

import dagster as dg

from pipelines.contracts.load import Contracts, SourceContract
from pipelines.messages import say, translate
from pipelines.run import Ingested, Run

DELIVERY, REFUSED = "delivery", "refused"


def source_assets(contracts: Contracts) -> list[dg.AssetsDefinition]:
    """The assets of all source contracts."""
    return [_asset(contract, contracts) for contract in contracts.sources.values()]


def source_key(source: str) -> dg.AssetKey:
    """The asset key of a source `<org>/<dataset>`."""
    return dg.AssetKey(["core", *source.split("/")])


def _asset(contract: SourceContract, contracts: Contracts) -> dg.AssetsDefinition:
    owner = contracts.codes["organisations"].rows[contract.org]["name"]
    key = source_key(contract.id)

    @dg.asset(
        key=key,
        group_name=contract.org,
        description=f"{contract.form.name}（{owner}）\n\n{contract.form.description}",
        kinds={"delta", "duckdb"},
        tags={"cadence": _tag(contract.form.slaProperties.frequency)},
        metadata={
            _label("name"): contract.form.name,
            _label("source_owner"): owner,
            _label("cycle"): contract.form.slaProperties.frequency,
            _label("contract"): contract.form.version,
            "dagster/column_schema": _schema(contract),
        },
        check_specs=[
            dg.AssetCheckSpec(DELIVERY, asset=key, description=say("dagster.delivery")),
            dg.AssetCheckSpec(REFUSED, asset=key, description=say("dagster.refused_check")),
        ],
        required_resource_keys={"run"},
        op_tags={"citylake/source": contract.org},
    )
    def source(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        run: Run = context.resources.run
        ingested = run.ingest(contract.id)
        if ingested.message:
            context.log.error(ingested.message)
        yield dg.MaterializeResult(asset_key=key, metadata=_metadata(ingested))
        yield from _checks(key, ingested)

    return source


def _metadata(ingested: Ingested) -> dict[str, dg.MetadataValue]:
    """What the steward sees. A source that failed shows its last admitted batch, and the failed check says why."""
    shown: dict[str, dg.MetadataValue] = {_label("outcome"): dg.MetadataValue.text(_label(ingested.status))}
    if (done := ingested.admitted) is not None:
        counts = {name: getattr(done, name) for name in COUNTS}
        shown |= {_label(name): dg.MetadataValue.int(value) for name, value in counts.items()}
        shown["dagster/row_count"] = dg.MetadataValue.int(done.accepted)
        shown[_label("by_rule")] = dg.MetadataValue.json(done.by_rule)
    return shown


COUNTS = (
    "batch",
    "received",
    "accepted",
    "refused",
    "inserted",
    "updated",
    "deleted",
    "superseded",
    "repeated",
)


def _checks(key: dg.AssetKey, ingested: Ingested) -> Iterator[dg.AssetCheckResult]:
    delivered = ingested.status in ("admitted", "unchanged")
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=DELIVERY,
        passed=delivered,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={_label("explanation"): ingested.message or _label(ingested.status)},
    )
    refused = ingested.admitted.refused if ingested.admitted else 0
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=REFUSED,
        passed=refused == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            _label("refused"): refused,
            _label("by_rule"): ingested.admitted.by_rule if ingested.admitted else {},
        },
    )


def _schema(contract: SourceContract) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(column.name, column.definition.logicalType, description=column.definition.businessName)
            for column in contract.all_columns
        ]
    )


def _tag(cycle: str) -> str:
    return CADENCES[cycle]


CADENCES = {
    "实时": "realtime",
    "每日": "daily",
    "每周": "weekly",
    "每月": "monthly",
    "每季度": "quarterly",
    "每半年": "half-yearly",
    "每年": "yearly",
    "不定期": "irregular",
}
"""Tag values must be ASCII."""


def _label(name: str) -> str:
    """A label of the Dagster UI, in Chinese: stewards read it."""
    return translate(f"dagster.{name}", "zh")

"""Libraries, marts, products and the marts' database as assets of one step: one dbt process, one GX import per run."""

from collections.abc import Iterator, Mapping

import dagster as dg

from assets.sources import source_key
from pipelines.contracts.load import Contracts, Product, ProductContract
from pipelines.lake.models import Model
from pipelines.messages import CitylakeError, say, translate
from pipelines.release.approval import heard, waiting
from pipelines.release.editor import Outcome
from pipelines.release.ledger import Recorded
from pipelines.run import EDITION as EDITION_SUBJECT
from pipelines.run import Run

GATE = "gate"
EDITION = dg.AssetKey(["edition"])
MARTS = dg.AssetKey(["marts"])
LINKAGE = dg.AssetKey(["linkage"])
Events = dg.MaterializeResult[None] | dg.AssetCheckResult


def model_key(contract: ProductContract) -> dg.AssetKey:
    """The asset key of a released model: library, model."""
    return dg.AssetKey([contract.library, contract.form.model])


def product_key(product: Product) -> dg.AssetKey:
    """The asset key of a product: products, channel, name."""
    return dg.AssetKey(["products", product.channel, product.name])


def release_assets(contracts: Contracts, graph: Mapping[str, Model]) -> dg.AssetsDefinition:
    """The one step that builds, proves and releases. What did not change is not materialised again."""
    specs = _specs(contracts, graph)
    gated = [spec.key for spec in specs if spec.key not in (EDITION, MARTS, LINKAGE)]

    @dg.multi_asset(
        name="publish",
        specs=specs,
        check_specs=[dg.AssetCheckSpec(GATE, asset=key, description=say("dagster.gate")) for key in gated],
        required_resource_keys={"run"},
    )
    def publish(context: dg.AssetExecutionContext) -> Iterator[Events]:
        run: Run = context.resources.run
        keys = {contract.form.model: model_key(contract) for contract in contracts.models.values()}
        keys |= {product.id: product_key(product) for product in contracts.products.values()}
        outcomes = run.publish()
        if EDITION_SUBJECT in run.problems:
            raise CitylakeError("run.unhealthy", count=1, problems=EDITION_SUBJECT)
        yield dg.MaterializeResult(asset_key=LINKAGE, metadata={_label("questions"): len(run.reviews.open())})
        published = run.ledger.published()
        for outcome in outcomes:
            yield from _events(context, keys.pop(outcome.subject), outcome, published.get(outcome.subject))
        closed = dict.fromkeys(waiting(run.contracts, heard(run.ledger), run.started), "waits")
        closed |= dict.fromkeys(run.ledger.withdrawn(), "withdrawn")
        for subject, key in keys.items():
            yield _unchanged(key, published.get(subject), closed.get(subject))
        yield dg.MaterializeResult(asset_key=MARTS, metadata={_label("file"): run.settings.marts.resolve().name})
        yield dg.MaterializeResult(asset_key=EDITION, metadata={_label("as_of"): run.today.isoformat()})

    return publish


def _events(
    context: dg.AssetExecutionContext, key: dg.AssetKey, outcome: Outcome, entry: Recorded | None
) -> Iterator[Events]:
    problems = [finding.text("zh") for finding in outcome.findings]
    warned = bool(problems) and all(finding.severity == "warning" for finding in outcome.findings)
    for problem in problems:
        context.log.error(problem)
    if outcome.version is not None:
        approval = entry.body.get("approval") if entry else None
        by_two = {_label("approval"): approval["row"]} if approval else {}
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={"dagster/row_count": outcome.rows or 0, _label("version"): outcome.version, **by_two},
        )
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=GATE,
        passed=outcome.version is not None,
        severity=dg.AssetCheckSeverity.WARN if warned else dg.AssetCheckSeverity.ERROR,
        metadata={_label("conclusion"): "\n".join(problems) or _label("passed")},
    )


def _unchanged(key: dg.AssetKey, entry: Recorded | None, closed: str | None) -> dg.AssetCheckResult:
    """The gate's word on what was not built in this run: its published version stands, it is withdrawn or waits
    (`closed`), or nothing was ever released."""
    said = [*(["stands"] if entry else []), *([closed] if closed else [] if entry else ["never_released"])]
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=GATE,
        passed=entry is not None,
        severity=dg.AssetCheckSeverity.WARN if closed else dg.AssetCheckSeverity.ERROR,
        metadata={
            _label("conclusion"): "；".join(map(_label, said)),
            _label("version"): entry.version if entry else None,
        },
    )


def _specs(contracts: Contracts, graph: Mapping[str, Model]) -> list[dg.AssetSpec]:
    models = [_model_spec(contract, contracts, graph) for contract in contracts.models.values()]
    products = [_product_spec(product, contracts) for product in contracts.products.values()]
    analyst = [product_key(product) for product in contracts.products.values() if product.channel == "analyst"]
    return [
        *models,
        *products,
        dg.AssetSpec(MARTS, deps=analyst, group_name="marts", description=say("dagster.marts"), kinds={"duckdb"}),
        dg.AssetSpec(
            LINKAGE,
            deps=[source_key(source.id) for source in contracts.sources.values() if source.form.linkage],
            group_name="operations",
            description=say("dagster.linkage"),
            kinds={"delta"},
        ),
        dg.AssetSpec(
            EDITION,
            deps=[model_key(contract) for contract in contracts.models.values()],
            group_name="operations",
            description=say("dagster.edition"),
        ),
    ]


def _model_spec(contract: ProductContract, contracts: Contracts, graph: Mapping[str, Model]) -> dg.AssetSpec:
    form = contract.form
    return dg.AssetSpec(
        model_key(contract),
        deps=_upstream(form.model, contracts, graph),
        skippable=True,
        group_name=f"lib_{contract.library}",
        description=f"{form.name}\n\n{form.description}",
        kinds={"dbt", "delta"},
        metadata={
            _label("name"): form.name,
            _label("owner"): contracts.codes["organisations"].rows[form.owner]["name"],
            _label("share"): form.share.type,
            _label("open"): form.open.type,
            _label("contract"): form.version,
            "dagster/column_schema": dg.TableSchema(
                columns=[
                    dg.TableColumn(c.name, c.definition.logicalType, description=c.definition.businessName)
                    for c in contract.columns
                ]
            ),
        },
    )


def _product_spec(product: Product, contracts: Contracts) -> dg.AssetSpec:
    channel = contracts.city.channels[product.channel]  # type: ignore[index]
    return dg.AssetSpec(
        product_key(product),
        deps=[model_key(product.contract)],
        skippable=True,
        group_name="products",
        description=f"{product.form.name}（{channel.name}）\n\n{product.form.description or ''}",
        kinds={"delta"},
        metadata={_label("name"): product.form.name, _label("channel"): channel.name},
    )


def _upstream(model: str, contracts: Contracts, graph: Mapping[str, Model]) -> list[dg.AssetKey]:
    """The assets a model is built from, staging views left out."""
    found: dict[dg.AssetKey, None] = {}
    for source in graph[model].sources:
        schema, _, name = source.partition(".")
        if schema == "core":  # a model may read the whole log of a source
            found[source_key(name.removesuffix("__log").replace("__", "/", 1))] = None
        if schema == "linkage":
            found[LINKAGE] = None
    for parent in graph[model].depends_on:
        if parent in contracts.models:
            found[model_key(contracts.models[parent])] = None
        else:
            found |= dict.fromkeys(_upstream(parent, contracts, graph))
    return list(found)


def _label(name: str) -> str:
    """A label of the Dagster UI, in Chinese: stewards read it."""
    return translate(f"dagster.{name}", "zh")

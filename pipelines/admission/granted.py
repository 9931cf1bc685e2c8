"""Corrections that persons asked for: guarded like those of a contract, but with personal values, so they lie in the
lake and not in a file that is shared.

One that is applied changes the row at admission as long as its department delivers what was wrong; one that is not only
waits for it. Either ends when the department delivers the row otherwise. Belongs here: the book, and contracts with
what is in it. Does not belong here: applying and counting corrections (compile, corrections).
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace

from pipelines.contracts.forms.sources import CorrectionForm
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.lake.parquet import make_durable
from pipelines.lake.rewrite import replace_file
from pipelines.lake.zones import Lake


@dataclass(frozen=True)
class Asked:
    """A correction of `column` of the row with the key `where`, from `expect` to `set` (cleaned texts, None for no
    value). `row_key`: that key as the linkage writes it; `applied`: whether the steward lets it count already."""

    id: str
    column: str
    where: dict[str, str]
    row_key: str
    expect: str | None
    set: str | None
    applied: bool
    who: str
    why: str
    since: str

    def form(self) -> CorrectionForm:
        """As a correction of the contract. What is not applied says what the source says."""
        said = self.set if self.applied else self.expect
        fields = {name: value for name, value in asdict(self).items() if name in CorrectionForm.model_fields}
        return CorrectionForm(**{**fields, "set": said, "reason": self.why, "status": "sent"})


def read(lake: Lake, contract: SourceContract) -> list[Asked]:
    """What is asked of a source and not yet mended by it."""
    file = lake.corrections(contract.org, contract.dataset)
    return [Asked(**one) for one in json.loads(file.read_text("utf-8"))] if file.is_file() else []


def write(lake: Lake, contract: SourceContract, asked: Sequence[Asked]) -> None:
    """Replace the book of a source, whole or not at all."""
    file = lake.corrections(contract.org, contract.dataset)
    file.parent.mkdir(parents=True, exist_ok=True)
    if not asked:
        file.unlink(missing_ok=True)
        make_durable([], file.parent)
        return
    partial = file.with_name(f".{file.name}.partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps([asdict(one) for one in asked], ensure_ascii=False), "utf-8")
    replace_file(partial, file)


def forget(lake: Lake, contract: SourceContract, keys: Collection[str]) -> None:
    """Drop what is asked of rows with these keys."""
    asked = read(lake, contract)
    kept = [one for one in asked if one.row_key not in keys]
    if len(kept) < len(asked):
        write(lake, contract, kept)


def with_asked(contracts: Contracts, lake: Lake) -> Contracts:
    """Contracts with the corrections of all books. Another hash makes admission look at every row once more."""
    sources = dict(contracts.sources)
    for name, contract in contracts.sources.items():
        if asked := read(lake, contract):
            forms = [*contract.form.corrections, *(one.form() for one in asked)]
            text = json.dumps([contract.hash, *(one.form().model_dump(mode="json") for one in asked)], sort_keys=True)
            mark = hashlib.sha256(text.encode()).hexdigest()
            form = contract.form.model_copy(update={"corrections": forms})
            sources[name] = replace(contract, form=form, hash=mark)
    return replace(contracts, sources=sources)

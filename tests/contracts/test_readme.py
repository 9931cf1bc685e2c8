"""The figures that the README states are those of the contracts."""

import re
from pathlib import Path

from pipelines.contracts.load import Contracts


def test_the_readme_counts_what_there_is(contracts: Contracts, repository: Path) -> None:
    text = (repository / "README.md").read_text("utf-8")
    departments, sources = map(int, re.findall(r"(\d+) 个部门 (\d+) 个来源", text)[0])
    (products,) = map(int, re.findall(r"(\d+) 个产品", text))
    assert departments == len({source.org for source in contracts.sources.values()})
    assert sources == len(contracts.sources)
    assert products == len(contracts.products)

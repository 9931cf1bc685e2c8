"""For each rule verb the Great Expectations expectation that asks the same question in other words.

Nothing here may call a rule's SQL or the codecs it is made of: a mistake there must not confirm itself. Where Great
Expectations has an expectation of its own it is used; the rest is SQL written a second time.
"""

from pipelines.evidence.expectations import across, identifiers, relations, rows
from pipelines.evidence.expectations.base import Asker, Question, expectations, question

__all__ = ["Asker", "Question", "across", "expectations", "identifiers", "question", "relations", "rows"]

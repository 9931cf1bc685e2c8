"""Mistakes in corrections of a source and in its policies for drift."""

from mutated_files import SOURCE, Mutation

_CORRECTION = {
    "id": "id: wrong_area",
    "column": "column: division_code",
    "where": 'where: {record_no: "7"}',
    "expect": 'expect: "9"',
    "set": 'set: "341502"',
    "reason": "reason: 系统迁移写错",
    "status": "status: sent",
    "since": 'since: "2026-11-01"',
}


def _corrections(*entries: dict[str, str]) -> str:
    """The end of the source contract with corrections, each with some of its lines changed."""
    lines = ["corrections:"]
    for entry in entries:
        first, *others = (_CORRECTION | entry).values()
        lines += [f"  - {first}", *(f"    {line}" for line in others)]
    return "\n".join([*lines, "quality:"])


_AT = "quality:"
MUTATIONS: dict[str, Mutation] = {
    "a correction twice": (
        SOURCE,
        _AT,
        _corrections({}, {"id": "id: wrong_area  # again", "expect": 'expect: "8"'}),
        "# again",
        "重复",
        "twice",
    ),
    "two corrections of one value": (
        SOURCE,
        _AT,
        _corrections({}, {"id": "id: another"}),
        "id: another",
        "重复",
        "twice",
    ),
    "a correction without a reason": (
        SOURCE,
        _AT,
        _corrections({"reason": "status: sent", "status": 'since: "2026-11-01"', "since": ""}),
        "- id: wrong_area",
        "缺少必填键 reason",
        "key reason is missing",
    ),
    "a correction of an unknown column": (
        SOURCE,
        _AT,
        _corrections({"column": "column: divisoin_code"}),
        "column: divisoin",
        "division_code",
        "division_code",
    ),
    "a correction of a derived column": (
        SOURCE,
        _AT,
        _corrections({"column": "column: person_id"}),
        "column: person_id",
        "不是本合同的列",
        "not a column",
    ),
    "a correction by something else than the key": (
        SOURCE,
        _AT,
        _corrections({"where": 'where: {division_code: "7"}'}),
        "where:",
        "主键列 record_no",
        "record_no",
    ),
    "a correction of the key": (
        SOURCE,
        _AT,
        _corrections({"column": "column: record_no"}),
        "where:",
        "不能是主键列",
        "none of them",
    ),
    "a correction that writes down a name": (
        SOURCE,
        _AT,
        _corrections({"column": "column: name"}),
        "column: name",
        "退回数源部门",
        "Return the row",
    ),
    "a correction that writes down an identity number": (
        SOURCE,
        _AT,
        _corrections({"column": "column: id_number"}),
        "column: id_number",
        "敏感级别 4",
        "level 4",
    ),
    "a correction to a code that no list has": (
        SOURCE,
        _AT,
        _corrections({"set": 'set: "12"'}),
        'set: "12"',
        "codes: divisions",
        "codes: divisions",
    ),
    "a correction of a required value to none": (
        SOURCE,
        _AT,
        _corrections({"set": "set: null"}),
        "set: null",
        "required",
        "required",
    ),
    "a correction to what is no time": (
        SOURCE,
        _AT,
        _corrections({"column": "column: updated_at", "set": 'set: "昨天"'}),
        "set:",
        "timestamp",
        "timestamp",
    ),
    "a correction that corrects nothing": (
        SOURCE,
        _AT,
        _corrections({"expect": 'expect: "341502"'}),
        "set:",
        "相同",
        "are the same",
    ),
    "a correction since no day": (
        SOURCE,
        _AT,
        _corrections({"since": 'since: "2026-02-30"'}),
        "since:",
        "since",
        "since",
    ),
    "a correction with an unquoted number": (
        SOURCE,
        _AT,
        _corrections({"set": "set: 341502"}),
        "set: 341502",
        "请加引号",
        "put it in quotes",
    ),
    "an unknown policy for drift": (
        SOURCE,
        _AT,
        "drift: {units: halt}\nquality:",
        "drift:",
        "evolve, freeze",
        "one of",
    ),
    "an unknown kind of drift": (
        SOURCE,
        _AT,
        "drift: {unit: stop}\nquality:",
        "drift:",
        "是否想写 units",
        "mean units",
    ),
    "a volume in quarantine": (
        SOURCE,
        _AT,
        "drift: {volume: quarantine}\nquality:",
        "drift:",
        "evolve, freeze",
        "one of",
    ),
}

"""A drill: every fault of whole deliveries somewhere in the city, spread over a few days, places drawn by a seed.

Belongs here: where each fault may be committed. What it is and what is found of it is in `disturbances`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from simulator.chance import Dice
from simulator.disturbances import (
    CODES_EXCHANGED,
    FILE_ENCODING,
    GARBLED,
    HALF,
    HELD_BACK,
    MISSING_COLUMN,
    NEW_CODE,
    NEW_COLUMN,
    OTHER_UNIT,
    RENAMED_COLUMN,
    REPLAYED,
    RETYPED_COLUMN,
    SAME_FILE,
    SURGE,
    TOO_LATE,
    UNIT_DOUBLED,
    VANISHED,
    Fault,
)

DAYS = 3
"""Days with faults. On each a dataset has one fault at most, so that every finding has one cause."""
TIMES = 2
"""How often a fault is committed, if there is room."""

_PERSONS, _FLOATING = "hzgl.T_CZRK_JBXX", "hzgl.T_LDRK_DJ"
_FIRMS, _ALLOWANCES = "scjg.E_BASEINFO", "shjz.T_DBDX"
_PERMITS, _PENALTIES = "xygs.T_XZXK", "xygs.T_XZCF"
_CASES, _STEPS, _LICENCES = "zwfw.T_BJXX", "zwfw.T_BJHJ", "dzzz.T_ZZML_BG"
_INSURANCE, _PAYMENTS, _CREMATIONS = "sb.AC02_BG", "sb.AC43", "hydj.T_HHDJ"
_BIRTHS, _HEALTH, _PUPILS = "birth_*.csv", "ehr_*.csv", "pupil_*.xlsx"
_AIR = "luan/air/+/hour"

_NEW = ("XZD", "备用字段1", "BY_2026")
_CANDIDATES: dict[str, tuple[tuple[str, str | None, str | None, float], ...]] = {
    # dataset, column, value, share
    NEW_COLUMN: tuple(
        (dataset, name, None, 1.0)
        for dataset in (_PERSONS, _FLOATING, _FIRMS, _PERMITS, _CASES, _LICENCES, _BIRTHS, _HEALTH, _PUPILS, _AIR)
        for name in _NEW
    ),
    MISSING_COLUMN: (
        (_FLOATING, "HJDZ", None, 1.0),
        (_PERMITS, "XK_NR", None, 1.0),
        (_CASES, "CNSX", None, 1.0),
        (_LICENCES, "ZZZT", None, 1.0),
        (_CREMATIONS, "SWDD", None, 1.0),
        (_BIRTHS, "母亲姓名", None, 1.0),
        (_PUPILS, "班级", None, 1.0),
        (_HEALTH, "联系电话", None, 1.0),
    ),
    RENAMED_COLUMN: (
        (_PERSONS, "GMSFHM", "SFZH", 1.0),
        (_PERSONS, "CSRQ ", "CSRQ", 1.0),
        (_FLOATING, "LXDH", "LXDH1", 1.0),
        (_FLOATING, "GMSFHM", "ZJHM", 1.0),
        (_FIRMS, "UNI_ SOCIAL_CRD_ CD", "UNISCID", 1.0),
        (_PERMITS, "XK_XKJGDM", "XK_XKJGDM_NEW", 1.0),
        (_PENALTIES, "CF_XDR_SHXYM", "TYSHXYDM", 1.0),
        (_CASES, "BLBMDM", "blbmdm", 1.0),
        (_INSURANCE, "AAE135", "AAC147", 1.0),
        (_BIRTHS, "母亲身份证号", "母亲身份证件号码", 1.0),
        (_HEALTH, "身份证号", "公民身份号码", 1.0),
        (_PUPILS, "身份证号", "身份证件号", 1.0),
    ),
    RETYPED_COLUMN: (
        (_PERSONS, "SSXQ", None, 1.0),
        (_PERSONS, "PCS", None, 1.0),
        (_FLOATING, "HJXZQH", None, 1.0),
        (_FLOATING, "JZXZQH", None, 1.0),
        (_FIRMS, "DOMDISTRICT", None, 1.0),
        (_CASES, "SLQH", None, 1.0),
        (_LICENCES, "XZQH", None, 1.0),
        (_INSURANCE, "AAE140", None, 1.0),
    ),
    NEW_CODE: (
        (_PERSONS, "MZDM", "58", 0.05),
        (_PERSONS, "HKXZ", "8", 0.05),
        (_PERSONS, "HYZK", "80", 0.05),
        (_FIRMS, "ENTTYPE", "9700", 0.2),
        (_FIRMS, "REGSTATE", "6", 0.2),
        (_FIRMS, "ENTTYPE", "个体（微型）", 0.2),
        (_HEALTH, "档案状态", "7", 0.05),
        (_HEALTH, "家庭医生签约", "已签约", 0.05),
        (_PUPILS, "学籍状态", "9", 0.1),
        (_PUPILS, "留守儿童", "寄宿", 0.1),
    ),
    GARBLED: (
        (_PERSONS, "HJ XZ", "LATIN1", 1.0),
        (_PERSONS, "XM", "LATIN1", 1.0),
        (_FIRMS, "ENTNAME", "LATIN1", 1.0),
        (_FIRMS, "OPSCOPE", "LATIN1", 1.0),
        (_CASES, "SXMC", "LATIN1", 1.0),
        (_PERMITS, "XK_NR", "LATIN1", 1.0),
    ),
    FILE_ENCODING: ((_BIRTHS, None, "utf-8", 1.0), (_HEALTH, None, "utf-8", 1.0)),
    OTHER_UNIT: (
        (_FIRMS, "REGCAP", "10000", 1.0),
        (_FIRMS, "REGCAP", "0.0001", 1.0),
        (_AIR, "co", "1000", 1.0),
        (_AIR, "pm25", "0.001", 1.0),
        (_AIR, "no2", "0.001", 1.0),
    ),
    SURGE: (
        (_FLOATING, "GXSJ", None, 1.0),
        (_PERMITS, "GXSJ", None, 1.0),
        (_CASES, "GXSJ", None, 1.0),
        (_PAYMENTS, "AAE036", None, 1.0),
    ),
    HALF: tuple((dataset, None, None, 0.5) for dataset in (_PERSONS, _FIRMS, _ALLOWANCES, _HEALTH, _PUPILS)),
    VANISHED: tuple((dataset, None, None, 0.93) for dataset in (_PERSONS, _FIRMS, _HEALTH)),
    SAME_FILE: tuple((dataset, None, None, 1.0) for dataset in (_BIRTHS, _HEALTH, _PUPILS)),
    REPLAYED: ((_INSURANCE, None, None, 1.0), (_LICENCES, None, None, 1.0)),
    HELD_BACK: ((_INSURANCE, None, None, 1.0), (_LICENCES, None, None, 1.0)),
    CODES_EXCHANGED: ((_PERSONS, "BYZK", "0 2", 1.0),),
    UNIT_DOUBLED: ((_FIRMS, "REGCAP", "2", 1.0),),
    TOO_LATE: ((_STEPS, None, None, 1.0),),
}
_FIRST_DAY_ONLY = (TOO_LATE,)
"""Faults that last until the drill ends."""


def schedule(seed: int) -> list[list[Fault]]:
    """The faults of each day."""
    for attempt in range(1_000):
        days = _drawn(Dice(seed, "drill", attempt), seed)
        if days is not None:
            return days
    raise AssertionError("there is no room for every fault")


def lasting(faults: Sequence[Fault]) -> list[Fault]:
    """Those that do not end with their day."""
    return [fault for fault in faults if fault.kind in _FIRST_DAY_ONLY]


def _drawn(dice: Dice, seed: int) -> list[list[Fault]] | None:
    """A draw in which every fault has a place; None if it leaves one without."""
    days: list[list[Fault]] = [[] for _ in range(DAYS)]
    for time in range(TIMES):
        for kind, candidates in _CANDIDATES.items():
            placed = next(_places(dice, days, kind, candidates, seed), None)
            if placed is None:
                if time == 0:
                    return None
                continue
            day, fault = placed
            days[day].append(fault)
    return days


def _places(
    dice: Dice,
    days: Sequence[Sequence[Fault]],
    kind: str,
    candidates: Sequence[tuple[str, str | None, str | None, float]],
    seed: int,
) -> Iterator[tuple[int, Fault]]:
    """Where and when there is room for a fault, in a random order."""
    first = [0] if kind in _FIRST_DAY_ONLY else range(DAYS)
    found = [
        (day, Fault(kind, dataset, column, value, share, seed))
        for day in first
        for dataset, column, value, share in candidates
        if all(fault.dataset != dataset for fault in days[day])
        and not any(
            fault.dataset == dataset and fault.kind in (*_FIRST_DAY_ONLY, kind) for day in days for fault in day
        )
    ]
    dice.shuffle(found)
    yield from found

"""The housing provident fund: deposits of the employed in packed files, loans as the banks' system writes them.

Depositors are employed and insured as such (`insurance_registers`); an account that is open has a day of closing too,
one from before there were any.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from simulator.chance import Dice
from simulator.defects import CLEANABLE, COMPLETENESS, CONSISTENCY, FORMAT, RANGE, SENTINEL_1899
from simulator.drops import encoding_mistakes
from simulator.insurance_registers import employed
from simulator.mistakes import (
    Mistake,
    changed,
    code_mistakes,
    date_mistakes,
    duplicate,
    id_mistakes,
    missing,
    ragged,
    spelled,
    unknown,
)
from simulator.person import DAY_ZERO
from simulator.register_rows import column_names, some
from simulator.registers import MONTHLY, Change, Everybody, Files, News, Register, Row
from simulator.special_mistakes import before, instead_of_nothing, only

OPEN, SEALED, CLOSED = "1", "2", "3"
"""Codes of the state of an account."""
NOT_CLOSED = "1899-12-31"
"""The day of closing of an account that is open: the fund's system knows no empty day."""
SHARE_OF_EMPLOYED, SHARE_WITH_LOAN = 0.6, 0.25
_BEGIN = date(2002, 1, 1)


def registers() -> list[Register]:
    """The registers of this module, made anew."""
    return [Deposits(), Loans()]


class Deposits:
    """The accounts of depositors, all of them each week."""

    place = Files(
        "hpf",
        "deposit",
        "zip",
        column_names(
            "个人账号 证件号码 单位账号 单位名称 缴存基数 缴存比例 账户余额 账户状态 末次缴存时间 开户日期 销户日期"
        ),
        "gbk",
        whole=True,
    )
    key = 0
    mistakes: tuple[Mistake, ...] = (
        *id_mistakes(1),
        missing(2),
        changed("base_beyond", RANGE, 4, lambda v, d: f"{v}0000"),
        changed("base_with_unit", FORMAT, 4, lambda v, d: f"{v}元"),
        changed("ratio_as_fraction", RANGE, 5, lambda v, d: f"{float(v) / 100:.2f}"),
        changed("ratio_beyond", RANGE, 5, lambda v, d: f"{int(v) + 20}"),
        changed("balance_negative", RANGE, 6, lambda v, d: f"-{v}"),
        changed("balance_grouped", CLEANABLE, 6, lambda v, d: f"{float(v):,.2f}" if float(v) >= 1000 else None),
        changed("balance_torn", FORMAT, 6, lambda v, d: f"{v[:-3]},0000"),
        *code_mistakes(7, "8"),
        spelled("status_word", 7, {OPEN: "正常", SEALED: "封存", CLOSED: "销户"}),
        changed("paid_broken_time", FORMAT, 8, lambda v, d: f"{v[:11]}00:00;00"),
        *date_mistakes(9, CONSISTENCY),
        only(lambda row: row[7] == CLOSED, before("closed_before_opening", 9, 10)),
        only(lambda row: row[7] == CLOSED, changed("closed_without_day", COMPLETENESS, 10, lambda v, d: NOT_CLOSED)),
        duplicate(0),
        ragged(0, extra=True),
        ragged(0, extra=False),
        *encoding_mistakes(3, "gbk"),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        """An account of most of the employed."""
        for row in employed(city.truth):
            if city.dice.chance(SHARE_OF_EMPLOYED):
                yield self._row(city.dice, row)

    def day(self, news: News) -> Change:
        """What was paid today; some accounts are sealed or closed, and open again."""
        rows, today = list[Row](), news.today.isoformat()
        for row in news.some(self.place.dataset, some(news, 0.002, self.place.dataset)):
            if row[7] == OPEN and news.dice.chance(0.1):
                row[7], row[10] = (CLOSED, today) if news.dice.chance(0.5) else (SEALED, NOT_CLOSED)
            elif row[7] != CLOSED:
                row[7], row[8] = OPEN, f"{today} 10:00:00"
                row[6] = f"{float(str(row[6])) + int(str(row[4])) * int(str(row[5])) / 50:.2f}"
            rows.append(row)
        return Change(rows)

    def _row(self, dice: Dice, insured: Row) -> Row:
        number, unit = str(insured[2]), insured[6]
        enrolled = date(int(str(insured[9])[:4]), int(str(insured[9])[4:6]), int(str(insured[9])[6:8]))
        opened = min(max(_BEGIN, enrolled + timedelta(days=dice.below(20))), DAY_ZERO - timedelta(days=1))
        state = SEALED if dice.chance(0.05) else CLOSED if dice.chance(0.03) else OPEN
        last = DAY_ZERO - timedelta(days=dice.between(1, 30))
        closed = max(opened, last) if state == CLOSED else None
        base, ratio = int(str(insured[10] or "3600")), dice.between(5, 12)
        months = max(1, (DAY_ZERO - opened).days // 30)
        return [
            f"GJJ{number[1:]}",
            insured[4],
            f"D{str(unit)[1:]}",
            insured[7],
            str(base),
            str(ratio),
            f"{base * ratio * 2 / 100 * months * (0.2 + 0.6 * dice.random()):.2f}",
            state,
            f"{last.isoformat()} 10:00:00",
            opened.isoformat(),
            closed.isoformat() if closed else dice.pick((NOT_CLOSED, NOT_CLOSED, SENTINEL_1899)),
        ]


class Loans:
    """Loans to depositors: all contracts each month, in XML."""

    place = Files(
        "hpf",
        "loan",
        "xml",
        column_names("JKHTBH GRZH DKJE DKQS FFRQ JQRQ YQCS DKYE"),
        whole=True,
        cadence=MONTHLY,
    )
    key = 0
    mistakes: tuple[Mistake, ...] = (
        missing(1),
        changed("amount_in_ten_thousands", RANGE, 2, lambda v, d: f"{int(v) // 10_000}", CONSISTENCY),
        changed("amount_with_unit", FORMAT, 2, lambda v, d: f"{v}元"),
        changed("periods_beyond", RANGE, 3, lambda v, d: f"{v}0"),
        changed("periods_in_years", FORMAT, 3, lambda v, d: f"{int(v) // 12}年"),
        *date_mistakes(4, CONSISTENCY),
        before("settled_before_granted", 4, 5),
        instead_of_nothing("settled_sentinel", 5, NOT_CLOSED, SENTINEL_1899, "9999-12-31"),
        changed("overdue_negative", RANGE, 6, lambda v, d: f"-{int(v) + 1}"),
        changed("left_above_amount", CONSISTENCY, 7, lambda v, d: "9000000"),
        duplicate(0),
        unknown(1),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        """A loan of some depositors."""
        rows = city.truth.execute(
            "SELECT row FROM truth.record WHERE dataset = %s ORDER BY key", [Deposits.place.dataset]
        ).fetchall()
        for (row,) in rows:
            if city.dice.chance(SHARE_WITH_LOAN) and row[9] < "2025-06-01":
                yield self._row(city.dice, row)

    def day(self, news: News) -> Change:
        """Some loans are paid back."""
        rows = []
        for row in news.some(self.place.dataset, some(news, 0.001, self.place.dataset)):
            if row[5] is None:
                row[5], row[7] = news.today.isoformat(), "0"
                rows.append(row)
        return Change(rows)

    def _row(self, dice: Dice, account: Row) -> Row:
        opened = date.fromisoformat(str(account[9]))
        granted = opened + timedelta(days=180 + dice.below((DAY_ZERO - opened).days - 181))
        amount, periods = 10_000 * dice.between(5, 55), 12 * dice.between(5, 30)
        settled = granted + timedelta(days=dice.between(60, 2_000)) if dice.chance(0.3) else None
        if settled is not None and settled >= DAY_ZERO:
            settled = None
        left = 0 if settled else int(amount * (1 - min(0.95, (DAY_ZERO - granted).days / 30 / periods)))
        return [
            f"JK{granted:%Y}{str(account[0])[3:]}",
            account[0],
            str(amount),
            str(periods),
            granted.isoformat(),
            settled.isoformat() if settled else None,
            str(dice.between(1, 6)) if dice.chance(0.06) else "0",
            str(left),
        ]

"""How pages speak: messages, numbers, sizes and times in one language and the city's time zone."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.issues import public_text
from pipelines.messages import catalogue, name_of, translate
from pipelines.register.times import as_utc

LANGUAGES = ("zh", "en")

# Values that contracts write in Chinese, and the last part of the message id that translates each.
_VALUES = {
    "无条件共享": "share_free",
    "有条件共享": "share_conditional",
    "不予共享": "share_none",
    "无条件开放": "open_free",
    "有条件开放": "open_conditional",
    "不予开放": "open_none",
    "实时": "cycle_live",
    "每日": "cycle_day",
    "每周": "cycle_week",
    "每月": "cycle_month",
    "每季度": "cycle_quarter",
    "每半年": "cycle_half_year",
    "每年": "cycle_year",
    "不定期": "cycle_none",
    "电子文件": "format_document",
    "电子表格": "format_sheet",
    "数据库": "format_database",
    "图形图像": "format_image",
    "流媒体": "format_stream",
    "自描述格式": "format_structured",
    "规范性": "dimension_normalisation",
    "完整性": "dimension_completeness",
    "准确性": "dimension_accuracy",
    "一致性": "dimension_consistency",
    "时效性": "dimension_timeliness",
    "可访问性": "dimension_accessibility",
}
_UNITS = ("B", "KB", "MB", "GB", "TB")


class Voice:
    """One language, `zh` or `en`, and one time zone."""

    def __init__(self, language: str, zone: str) -> None:
        self.language = language
        self._zone = ZoneInfo(zone)

    def t(self, code: str, **arguments: object) -> str:
        """Message `web.<code>`. Raises KeyError for an unknown id."""
        return translate(f"web.{code}", self.language, **arguments)

    def known(self, kind: str, value: object) -> str:
        """Message `web.<kind>.<value>`, or the value itself where there is none."""
        return name_of(f"web.{kind}.{value}", self.language, str(value))

    def statement(self, said: Mapping[str, Any]) -> str:
        """A sentence of the evidence, `{code, arguments}`; its code where no message has that id."""
        code = str(said.get("code"))
        return translate(code, self.language, **said.get("arguments", {})) if code in catalogue() else code

    def issue(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """What everybody may read of an issue, and its code where that is not all."""
        return public_text(row, self.language)

    def value(self, text: str) -> str:
        """A value of a contract in this language; in Chinese it is itself."""
        return self.t(f"value.{_VALUES[text]}") if text in _VALUES else text

    def named(self, form: Any) -> str:
        """The `name` or `nameEn` of a contract, channel, level or city."""
        return str(form.name if self.language == "zh" else form.nameEn)

    def number(self, value: Any) -> str:
        """A number with thousands separators; anything else as text."""
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            return str(value)
        return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}".rstrip("0").rstrip(".")

    def share(self, part: float) -> str:
        """A share as a percentage; only what is complete is called 100 %."""
        return "100%" if part >= 1 else f"{min(part * 100, 99.99):.2f}%"

    def size(self, count: int) -> str:
        """Bytes in a readable unit of 1,000."""
        amount, unit = float(count), 0
        while amount >= 1000 and unit < len(_UNITS) - 1:
            amount, unit = amount / 1000, unit + 1
        return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"

    def when(self, moment: datetime) -> str:
        """A moment in the city's time zone, to the minute."""
        return as_utc(moment).astimezone(self._zone).strftime("%Y-%m-%d %H:%M")

    def month(self, moment: datetime) -> str:
        """The month of a moment in the city's time zone, as 2026-11."""
        return as_utc(moment).astimezone(self._zone).strftime("%Y-%m")

    def cell(self, value: Any) -> str:
        """A value of a table as text: dates and times in ISO 8601, times with the offset of the city's zone, numbers
        unaltered, truth in words."""
        if isinstance(value, bool):
            return translate("web.cell.yes" if value else "web.cell.no", self.language)
        if isinstance(value, datetime):
            return as_utc(value).astimezone(self._zone).isoformat(timespec="seconds")
        return value.isoformat() if isinstance(value, date) else str(value)

-- 同比核对，一次发布的一个同比一行：发布的同比与由当时所知的上年同期数重算的比较；按可比价公布的不重算。
-- One row per published growth rate of a series at current prices: as told, and as computed again from the value of a year
-- before that was known when it was published. They agree within what rounding to one decimal explains.
with told as (
    select o.*, cast(cast(left(o.period, 4) as int) - 1 as string) || substr(o.period, 5) as period_before
    from {{ ref('lib_macro__observation') }} o
    join {{ ref('lib_macro__series') }} s on s.series_code = o.series_code
    where o.yoy is not null and s.growth_basis = 'nominal'
),
computed as (
    select
        t.*, b.series_value as base_value, b.source_rows as base_rows,
        ({{ share('t.series_value', 'b.series_value') }} - 1) * 100 as yoy_computed
    from told t
    join {{ ref('lib_macro__observation') }} b
        on b.series_code = t.series_code and b.area_code = t.area_code and b.period = t.period_before
    where b.published_at <= t.published_at and (b.replaced_at is null or b.replaced_at > t.published_at)
)
select
    series_code, series_name, area_code, period, revision_no, published_at, series_value, base_value, yoy, yoy_computed,
    cast(yoy - yoy_computed as double) as yoy_gap,
    coalesce(abs(yoy - yoy_computed) <= 0.06, false) as yoy_agrees,
    source_rows
from computed

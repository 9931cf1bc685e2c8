-- 县区空气质量指数日报（HJ 633-2012），一县区一日一行。Air quality index by county and day.
-- A day needs 20 valid hours, an 8-hour mean 6; a county's concentration is the mean of its stations'. Sub-indices are
-- rounded up; rounding to nine digits before takes the error of binary fractions away, which would round 50 up to 51,
-- and 0.6875 sometimes up and sometimes down, as the sum's order falls.
-- Breakpoints are those in force on the day; without any that fits there is no index. Beyond a scale that ends at 500 the
-- index is 500; that of 8-hour ozone ends at 300, beyond which ozone is judged by its 1-hour value.
with hour as (
    select
        station_no, county_code, county_name, day, {{ minute_number('observed_at') }} as minute,
        {% for column in ('so2', 'no2', 'co', 'o3', 'pm10', 'pm25') %}
        cast({{ column }} as double) as {{ column }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('mart_eco_env__air_hour') }}
),
ozone_hour as (
    select a.station_no, a.day, a.minute, avg(cast(b.o3 as double)) as o3_8h
    from hour a
    join hour b on b.station_no = a.station_no and b.minute between a.minute - 7 * 60 and a.minute
    where b.o3 is not null
    group by a.station_no, a.day, a.minute
    having count(b.o3) >= 6
),
ozone_day as (
    select station_no, day, max(o3_8h) as o3_8h
    from ozone_hour
    group by station_no, day
),
station_day as (
    select
        station_no, county_code, county_name, day,
        case when count(so2) >= 20 then avg(cast(so2 as double)) end as so2,
        case when count(no2) >= 20 then avg(cast(no2 as double)) end as no2,
        case when count(co) >= 20 then avg(cast(co as double)) end as co,
        case when count(o3) >= 20 then max(o3) end as o3,
        case when count(pm10) >= 20 then avg(cast(pm10 as double)) end as pm10,
        case when count(pm25) >= 20 then avg(cast(pm25 as double)) end as pm25
    from hour
    group by station_no, county_code, county_name, day
),
county_day as (
    select
        s.county_code, s.county_name, s.day,
        cast(count(*) as bigint) as stations,
        round(round(avg(cast(s.so2 as double)), 9), 3) as so2,
        round(round(avg(cast(s.no2 as double)), 9), 3) as no2,
        round(round(avg(cast(s.co as double)), 9), 3) as co,
        round(round(avg(cast(s.o3 as double)), 9), 3) as o3,
        round(round(avg(cast(o.o3_8h as double)), 9), 3) as o3_8h,
        round(round(avg(cast(s.pm10 as double)), 9), 3) as pm10,
        round(round(avg(cast(s.pm25 as double)), 9), 3) as pm25
    from station_day s
    left join ozone_day o on o.station_no = s.station_no and o.day = s.day
    group by s.county_code, s.county_name, s.day
),
measured as (
    {% for column, pollutant, averaging in (('so2', 'so2', '24h'), ('no2', 'no2', '24h'), ('co', 'co', '24h'),
        ('o3', 'o3', '1h'), ('o3_8h', 'o3', '8h'), ('pm10', 'pm10', '24h'), ('pm25', 'pm25', '24h')) %}
    select county_code, day, '{{ pollutant }}' as pollutant, '{{ averaging }}' as averaging, {{ column }} as concentration
    from county_day
    where {{ column }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}
),
segment as (
    select
        m.county_code, m.day, m.pollutant,
        case
            when m.concentration > b.concentration_high then 500
            else cast(ceil(round(
                (b.iaqi_high - b.iaqi_low)
                    * ({{ share('m.concentration - b.concentration_low', 'b.concentration_high - b.concentration_low') }})
                    + b.iaqi_low, 9)) as int)
        end as iaqi
    from measured m
    join {{ ref('stg_eeb__aqi_breakpoint') }} b
        on b.pollutant = m.pollutant
        and b.averaging = m.averaging
        and m.day >= b.valid_from
        and (b.valid_to is null or m.day <= b.valid_to)
        and (m.concentration > b.concentration_low or (m.concentration = 0 and b.concentration_low = 0))
        and (m.concentration <= b.concentration_high or b.iaqi_high = 500)
),
sub_index as (
    select
        county_code, day,
        max(iaqi) as worst,
        count(distinct pollutant) as pollutants,
        {% for pollutant in ('so2', 'no2', 'co', 'o3', 'pm10', 'pm25') %}
        max(case when pollutant = '{{ pollutant }}' then iaqi end) as {{ pollutant }}{{ ',' if not loop.last }}
        {% endfor %}
    from segment
    group by county_code, day
)
select
    d.county_code, d.county_name, d.day, d.stations, d.so2, d.no2, d.co, d.o3, d.o3_8h, d.pm10, d.pm25,
    cast(i.worst as int) as aqi,
    case
        when i.worst <= 50 then '1' when i.worst <= 100 then '2' when i.worst <= 150 then '3'
        when i.worst <= 200 then '4' when i.worst <= 300 then '5' when i.worst > 300 then '6'
    end as aqi_level,
    case when i.worst > 50 then substr(
        {% for pollutant in ('so2', 'no2', 'co', 'o3', 'pm10', 'pm25') %}
        case when i.{{ pollutant }} = i.worst then ',{{ pollutant }}' else '' end{{ ' ||' if not loop.last }}
        {% endfor %}, 2)
    end as primary_pollutants
from county_day d
-- an index of fewer than six pollutants would be better than the air
left join sub_index i on i.county_code = d.county_code and i.day = d.day and i.pollutants = 6

"""Queries by hand for what flows into a query: `core.t` and `core.u` have columns id, a, b, s of integers."""

UNDERSTOOD = """
select a from core.t
select a + s as x from core.t
select S as a from core.t
select "s" as a, a as s from core.t
select T.S as x from core.t T
select a, s as a from core.t
select x.a from (select a, s as b from core.t) x
select b from (select s as b, b as s from core.t) x
select a from core.t where s > 1
select a from core.t where not (s = 1 or b = 2)
select a from core.t where s in (1, 2)
select a from core.t where s between 1 and 2
select a from core.t where a in (select s from core.u)
select a from core.t where a not in (select s from core.u where s is not null)
select a in (select s from core.u) as x from core.t
select a from core.t where exists (select 1 from core.u where u.s = t.a)
select a from core.t where not exists (select 1 from core.u where s = t.a)
select a, exists (select 1 from core.u where u.a = t.a and u.s > 1) as x from core.t
select a, (select max(u.s) from core.u where u.a = t.a) as x from core.t
select a, (select count(*) from core.u where u.s = t.a) as x from core.t
select a, (select max(t.s + u.a) from core.u) as x from core.t
select a, (select min(u.a) from core.u where u.b = (select max(s) from core.t)) as x from core.t
select case when s > 1 then 1 else 0 end as x from core.t
select case s when 1 then a when 2 then b end as x from core.t
select case when a > 1 then s end as x, a from core.t
select coalesce(nullif(a, s), 0) as x from core.t
select greatest(a, s) as x, least(b, 1) as y from core.t
select count(*) as n from core.t where s = 1
select count(s) as n from core.t
select count(distinct s) as n, max(a) as m from core.t
select count(*) filter (where s > 1) as n, count(*) as m from core.t
select max(a) filter (where s > 1) as n, min(b) as m from core.t
select sum(case when s = 1 then 1 else 0 end) as n from core.t
select a, count(*) as n from core.t group by a
select s, count(*) as n from core.t group by s
select count(*) as n from core.t group by s
select a, sum(b) as n from core.t group by a having count(s) > 1
select a, sum(b) as n from core.t group by a having max(s) > 1
select a + 1 as x, count(*) as n from core.t group by x
select s % 2 as x, count(*) as n from core.t group by 1
select max(a) as s, count(*) as n from core.t group by s
select (select max(t.s) from core.u where u.id = 1) as x from core.t
select max(n) as m from (select s, count(*) as n from core.t group by s) x
select n from (select count(*) as n from core.t where s > 1) x
select u.a, x.n from core.u cross join (select count(*) as n from core.t where s > 1) x
select a from core.u cross join (select max(s) as m from core.t) x where x.m > 2
select distinct a from core.t
select distinct a, s from core.t
select a from (select distinct a, s from core.t) x
select distinct on (a) a, b from core.t order by a, s, b, id
select a, row_number() over (order by s, id) as n from core.t
select a, rank() over (partition by s order by b) as n from core.t
select a, sum(b) over (partition by s) as n from core.t
select a, sum(s) over (partition by a) as n from core.t
select a, count(*) over () as n from core.t where s > 0
select a, lag(s) over (order by id) as n from core.t
select a, lead(a) over (order by s, id) as n from core.t
select a, first_value(b) over (partition by a order by s, id) as n from core.t
select a, last_value(b) over (order by id rows between unbounded preceding and 1 preceding) as n from core.t
select a, max(b) over (order by id rows between 1 preceding and current row) as n, s from core.t
select a, count(*) filter (where s > 1) over (partition by b) as n from core.t
select a, sum(count(*)) over (order by a) as n from core.t group by a
select a, rank() over (order by sum(s)) as n from core.t group by a
select b, count(*) over () as n from core.t group by b, s
select a from core.t qualify row_number() over (partition by b order by s, id) = 1
select a, row_number() over (partition by b order by s, id) as n from core.t qualify n = 1
select a from (select a, row_number() over (partition by b order by s, id) as n from core.t) x where n = 1
select t.a from core.t join core.u on u.s = t.a
select t.a from core.t join core.u on u.a = t.a and u.s > t.s
select t.a, u.b from core.t left join core.u on u.s = t.a
select t.a, u.b from core.t right join core.u on u.s = t.a
select t.a, u.b from core.t full join core.u on u.s = t.a
select t.a, u.b from core.t left join core.u on u.id = t.id and u.s > 1
select u.b from core.t left join (select * from core.u where s > 1) u on u.id = t.id
select t.a from core.t, core.u where t.s = u.id
select t.a, u.b from core.t left join core.u on u.id = t.s
select t.a, u.b from core.t left join core.u on u.id = t.s where u.a = 1
select t.a, u.b from core.t left join core.u on u.id = t.a + t.s and u.b > 1
select t.a, u.b from core.t left join core.u on u.id = u.s
select t.a, u.b from core.t left join core.u x on x.id = t.a left join core.u on u.id = x.s
select t.a, count(u.b) as n from core.t left join core.u on u.id = t.s group by t.a
select x.a, y.b from (select a, s from core.t union all select b, s from core.t) x left join core.u y on y.id = x.s
select x.a, y.b from core.t x left join core.t as y (b, id, c, d) on y.id = x.s
select max(u.b) as m, count(u.a) as n from core.t left join core.u on u.id = t.s
select x.a from core.t x right join core.u y on y.id = x.s
select x.a from core.t x full join core.u y on y.id = x.s
select x.a from core.t x left join core.u y on y.id >= x.s
select t.a from core.t cross join core.u where u.s = 1
select a from core.t semi join core.u on u.s = t.a
select a from core.t anti join core.u on u.s = t.a
select a from core.t left join core.u using (id, a)
select s, id from core.t join core.u using (id, a, b, s)
select * from core.t join (select id, s as c from core.u) x using (id)
select * from core.t left join (select id, a as c from core.u where s > 1) x using (id)
select * from core.t right join (select s as id, a as c from core.u) x using (id)
select * from core.t full join (select s as id, b as c from core.u) x using (id)
select c, t.a from core.t natural join (select id, s as c from core.u) x
select * from core.t natural join (select s as id, b as c from core.u) x
select t.id, x.id as y, id as z from core.t full join (select s as id from core.u) x using (id)
select a from core.t union all select s from core.u
select a from core.t union select s from core.u
select a, b from core.t union all select b, s from core.u
select x from (select a as x, s as y from core.t union all select b, a from core.u) z
select a from core.t intersect select s from core.u
select a from core.t except select s from core.u
select a from core.t except all select s from core.u
(select a from core.t) union all (select b from core.u where s = 1)
select b from (select a, b from core.t union select a, s from core.u) x
select a from core.t order by s, id limit 3
select a from core.t order by id limit 3
select a from core.t order by 1 limit 3
select a from (select a, s from core.t order by s, id) x limit 3
select a from core.t union all select b from core.u order by 1 limit 4
select a from core.t order by id limit 2 offset 1
with t as (select s as a from core.t) select a from t
with t as (select s as a from core.t) select a from core.t
with t as (select a from core.t), u as (select a from t where a > 1) select * from u
with t as (select a from core.t) select x.a from (with t as (select s as a from core.t) select a from t) x
with x (p, q) as (select a, s from core.t) select q as r from x
select q from (select a, s from core.t) as x (p, q)
select p from core.t as x (o, p, q, r)
with x as materialized (select s from core.t) select count(*) as n from x where s = 1
select a + 1 as x, x + s as y from core.t
select s as a, a as b from core.t
select s as x, x as y, y + 1 as z from core.t
select a as b, b as c from core.t
select s as b from core.t where b > 1
select s as q from core.t where q > 1
select a as q, s as r from core.t where r = 1 order by q
select b as a, count(*) as n from core.t group by a, b
select s as a, max(b) as n from core.t group by a, s having a > 1
select a as a from core.t group by a order by max(s)
select -s as a, b from core.t order by a, b limit 2
select a from core.t a
select a.a, s.s from core.t a join core.u s on s.id = a.id
select s from core.t s
select u.a from core.t u, core.u t where t.s = u.id
select t.a from core.t join (select s as a, id from core.u) u on u.a = t.a
select a from core.t where a > (select avg(s) from core.u)
select a from core.t where (a, b) in (select a, s from core.u)
select cast(s as varchar) || 'x' as x, a from core.t
select substr(cast(s as varchar), 1, 1) as x, lpad(cast(a as varchar), 4, '0') as y from core.t
select s is null as x, a is not null as y from core.t
select a from core.t where s is distinct from 1
select k.number, t.a from core.t cross join (values (1, 'x'), (2, 'y')) k (number, word) where t.s = k.number
select case k.n when 1 then t.a when 2 then t.s end as x, k.n from core.t cross join (values (1), (2)) k (n)
select x.c, t.a from core.t, (select t.s + 1 as c) x
select x.c, t.a from core.t, (select max(u.a) as c from core.u where u.b = t.s) x
select t.a from core.t, (select u.a from core.u where u.b = t.s) x
select a, (select t.s) as x from core.t
select a, (select s from (select t.s as s) y) as x from core.t
select a from core.t where exists (from core.u where exists (from core.t x where x.s = u.a and x.id = t.id))
select (select max(a) from core.u u where u.a = t.b) as x, s from core.t t
select t.*, u.s as v from core.t join core.u on u.id = t.id
select u.* from core.t join core.u on u.id = t.id where t.s > 0
select * from core.t
select * from core.t, core.u where t.id = u.id
select a from (select * from core.t) x
select x.s from (select * from core.t where a > 1) x
from core.t select a, s
from core.t
select count(*) as n, 1 as x from core.t where s = 2
select 1 as x from core.t where s = 2
select x.n from (select 1 as n from core.t where s = 1 group by a) x
select max(x) as m from (select 1 as x from core.t where s > 2) y
select sum(a) / count(s) as x from core.t
select avg(s) as x, a from core.t group by a
select bool_and(s > 1) as x, bool_or(a > 1) as y from core.t
select year(date '2020-01-01' + cast(s as int)) as x, a from core.t
select extract(month from date '2020-01-01' + cast(s * 40 as int)) as x, a from core.t
select date_trunc('month', date '2020-01-01' + cast(s * 40 as int)) as x, a from core.t
select exists (select sum(t.a) from core.u where u.s = 1) as x from core.t
select (select count(*) from core.u where u.s > t.a) + t.b as x from core.t
select a from core.t where coalesce(s, 0) <> 1 and cast(a as varchar) like '%'
select if(s > 1, a, b) as x from core.t
select a from core.t where (select count(*) from core.u where s = 1) > 0
select a from core.t group by a having exists (select 1 from core.u where u.s = t.a)
select a, (select count(*) from core.u where u.a = t.a having max(u.s) > 1) as x from core.t
select count(*) as n from core.t having max(s) > 2
select x.a from core.t x join core.t y on x.a = y.s
select min(x.a) as m from core.t x join core.t y on x.id = y.id and y.s = 1
""".strip().split("\n")

REFUSED = """
select to_json(t) as x from core.t
select t from core.t
select hash(t) as x from core.t
select t.t from core.t
select struct_pack(x := s) as x from core.t
select {'x': s} as x from core.t
select row(t) as x from core.t
select count(t) as n from core.t
select count(t.*) as n from core.t
select columns('s') from core.t
select columns(*) from core.t
select max(columns(*)) from core.t
select * exclude (s) from core.t
select * replace (s as a) from core.t
select * rename (s as q) from core.t
select a from core.t union by name select s as a from core.u
select a from core.t union all by name select s as a from core.u
select * from (pivot core.t on a using sum(s)) x
pivot core.t on a using sum(s)
unpivot core.t on a, s
select * from core.t unpivot (v for n in (a, s)) x
with recursive r as (select s as a from core.t union all select a + 1 from r where a < 3) select a from r
select t.a from core.t positional join core.u
select t.a from core.t asof join core.u on t.a >= u.s
select x.a from core.t cross join lateral (select t.s as a) x
select * from read_parquet('a.parquet')
select * from 'a.parquet'
select * from "a.parquet"
select a from core.t, range(3) r(i)
select unnest([s]) as x from core.t
select a from core.other
select a from other
select nobody from core.t
select rowid from core.t
select t.rowid from core.t
select x.s.a from (select {'a': s} as s from core.t) x
select s.a from (select {'a': s} as s from core.t) x
select a from core.t using sample 3
select a from core.t tablesample 50%
select a, count(*) as n from core.t group by all
select a, count(*) as n from core.t group by rollup (a, s)
select a, count(*) as n from core.t group by grouping sets ((a), (s))
select a, count(*) as n from core.t group by cube (a, s)
select a from core.t order by all
select string_agg(s order by id) as x from core.t
select list(s) as x from core.t
select arg_max(a, s) as x from core.t
select first(s) as x from core.t
select query_table('core.t')
select * from query('select s from core.t')
select current_setting('threads') as x from core.t
select random() as x from core.t
select some_macro(a) as x from core.t
select list_transform([a], lambda x: x + s) as x from core.t
select sum(a) over w as x from core.t window w as (partition by s)
select date_trunc(a, date '2020-01-01') as x from (select cast(s as varchar) as a from core.t) y
select date_trunc(month, date '2020-01-01') as x from (select 'day' as month from core.t where s = 1) y
select a from core.t where a = any (select s from core.u)
select a from core.t where s similar to '1'
select a from (core.t join core.u using (id))
select a from core.t; select s from core.t
drop table core.t
select a from
insert into core.t select 1, 2, 3, 4
select getvariable('x') as x
select coalesce(*columns(*)) as x from core.t
select max(a) from core.t, (select max(s) from core.u) x where "max(s)" > 1
describe core.t
select * from core.t anti join core.u t on t.a = s, core.u x
select t.a from core.t, core.u t
select (select max(w) from core.u w) as x from (select s as w from core.t) y
select (select max(n) from (select max(a), id from core.u group by id) z) as x from (select s as n from core.t) y
""".strip().split("\n")

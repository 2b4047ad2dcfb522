/* Rows that are written, changed, joined and thrown away. ROWS stands for how many. */
create table one (key integer primary key, name text, number integer);
with recursive series (key) as (select 1 union all select key + 1 from series where key < ROWS)
    insert into one
    select key, 'name ' || (key * 7919 % 100003) || hex(zeroblob(key % 30)), key * 31 % 1009
    from series;
create index names on one (name);
delete from one where key % 3 = 0;
create table two as
    select number, group_concat(name, ',') as names, count(*) as many from one group by number;
update one set name = name || number where number % 2;
create table three as
    select one.name from one join two on one.number = two.number where two.many > 10
    order by one.name desc;
drop table two;

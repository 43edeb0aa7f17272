-- How much audio there is in each state, beside how many jobs: sums of the same kind, which need no scan either.

alter table state_changes add column timed bigint not null default 0;
alter table state_changes add column seconds numeric not null default 0;

comment on column state_changes.timed is 'change of how many of them have a known length';
comment on column state_changes.seconds is 'change of the sum of those lengths; numeric, so that what is added is taken away again';

create function known_seconds(state text, declared double precision, progress double precision) returns numeric
    language sql immutable parallel safe
    return (case state when 'done' then progress else declared end)::numeric;

comment on function known_seconds is 'of a transcription; what it is does not change while the job goes on';

create or replace function note_state_changes() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into state_changes
        select state, count(*), count(length), coalesce(sum(length), 0) from (
            select state, known_seconds(state, declared_seconds, progress_seconds) as length
            from after where not superseded
        ) added group by state;
    elsif tg_op = 'DELETE' then
        insert into state_changes
        select state, -count(*), -count(length), -coalesce(sum(length), 0) from (
            select state, known_seconds(state, declared_seconds, progress_seconds) as length
            from before where not superseded
        ) removed group by state;
    else
        insert into state_changes
        select state, sum(one), coalesce(sum(one) filter (where length is not null), 0), coalesce(sum(one * length), 0)
        from (
            select state, 1 as one, known_seconds(state, declared_seconds, progress_seconds) as length
            from after where not superseded
            union all
            select state, -1, known_seconds(state, declared_seconds, progress_seconds)
            from before where not superseded
        ) changed (state, one, length) group by state
        having sum(one) <> 0 or sum(one * length) <> 0 or sum(one) filter (where length is not null) <> 0;
    end if;
    if found and random() < 0.02 and pg_try_advisory_xact_lock(hashtext('state_changes')) then
        with gone as (delete from state_changes returning *)
        insert into state_changes select state, sum(delta), sum(timed), sum(seconds) from gone group by state;
    end if;
    return null;
end
$$;

truncate state_changes;
insert into state_changes
select state, count(*), count(length), coalesce(sum(length), 0) from (
    select state, known_seconds(state, declared_seconds, progress_seconds) as length
    from transcriptions where not superseded
) now group by state;

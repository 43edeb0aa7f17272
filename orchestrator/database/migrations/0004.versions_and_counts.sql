-- What tells a version of an object from another, what proves a transcript again later, and counts that need no scan.

alter table transcriptions add column superseded_at timestamptz;
update transcriptions set superseded_at = finished_at where superseded;
alter table transcriptions add check (superseded = (superseded_at is not null));

-- Room beside each row for its next version: one that changes no indexed column then costs no index anything.
alter table transcriptions set (fillfactor = 50);

create index transcriptions_superseded on transcriptions (id) where superseded;

alter table attempts add column segments integer check (segments >= 0);

comment on column attempts.segments is 'stored by this attempt; of a finished one, as many as the transcriber says it sent';
comment on column attempts.covered_seconds is 'from start_seconds on, all is stored; of a cut attempt, as far as it came';
comment on column attempts.etag is 'of the object that this attempt heard';

update attempts a set covered_seconds = next.start_seconds - a.start_seconds
from attempts next
where a.covered_seconds is null and next.transcription_id = a.transcription_id and next.attempt > a.attempt
    and next.start_seconds >= a.start_seconds and not exists (
        select from attempts b
        where b.transcription_id = a.transcription_id and b.attempt > a.attempt and b.attempt < next.attempt
    );

-- How many current transcriptions are in which state: the sum of these rows. Rows are added and never changed, so no
-- transaction waits for another one's; now and then one that finds nobody else at it puts those it sees together.
create table state_changes (
    state text not null,
    delta bigint not null
);

comment on table state_changes is 'the sum of delta by state is how many transcriptions that are not superseded have it';

insert into state_changes select state, count(*) from transcriptions where not superseded group by state;

create function note_state_changes() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into state_changes select state, count(*) from after where not superseded group by state;
    elsif tg_op = 'DELETE' then
        insert into state_changes select state, -count(*) from before where not superseded group by state;
    else
        insert into state_changes
        select state, sum(one) from (
            select state, 1 as one from after where not superseded
            union all select state, -1 from before where not superseded
        ) changed group by state having sum(one) <> 0;
    end if;
    if found and random() < 0.02 and pg_try_advisory_xact_lock(hashtext('state_changes')) then
        with gone as (delete from state_changes returning state, delta)
        insert into state_changes select state, sum(delta) from gone group by state;
    end if;
    return null;
end
$$;

create trigger note_inserted after insert on transcriptions
    referencing new table as after for each statement execute function note_state_changes();
create trigger note_updated after update on transcriptions
    referencing old table as before new table as after for each statement execute function note_state_changes();
create trigger note_deleted after delete on transcriptions
    referencing old table as before for each statement execute function note_state_changes();

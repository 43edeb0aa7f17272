-- An entry of the queue has the bucket of its job too, so that a worker whose transcribers cannot read a bucket skips the
-- jobs of that bucket without a look at jobs and recordings. Those wait in a sub-queue of the bucket, which exists while
-- there may be entries in it. See docs/decisions/queue.md.

alter table procrastinate_jobs add column bucket text;
comment on column procrastinate_jobs.bucket is 'of the recording that its job is about; null if there is no single one';

create table bucket_queues (
    id integer generated always as identity primary key,
    kind text not null,
    bucket text not null,
    unique (kind, bucket)
);

comment on table bucket_queues is 'buckets with a sub-queue of jobs of that kind, from when a worker could not read them';


-- For entries that workers and commands of earlier versions make.
create or replace function complete_entry() returns trigger language plpgsql as $$
declare
    recording record;
begin
    select m.savepath, m.bucket into recording
    from jobs j join media m on m.id = j.media_id where j.id = (new.args->>'job')::bigint;
    if found then
        new.savepath := recording.savepath;
        new.bucket := recording.bucket;
    end if;
    return new;
end
$$;

drop trigger complete_entry on procrastinate_jobs;
create trigger complete_entry before insert on procrastinate_jobs
    for each row when (new.savepath is null or new.bucket is null) execute function complete_entry();

update procrastinate_jobs entry set bucket = m.bucket
from jobs j join media m on m.id = j.media_id where j.id = (entry.args->>'job')::bigint;

-- Rules of the queue, kept by all workers, and where a job goes on whose end is all that is missing.

create table queue_rules (
    id integer generated always as identity primary key,
    prefix text not null unique,
    max_running integer check (max_running >= 1),
    paused_at timestamptz,
    paused_by text,
    check ((paused_at is null) = (paused_by is null))
);

comment on table queue_rules is 'of the savepaths that start with prefix; the empty one is every savepath';

-- The order in which jobs are taken. queue_name is the lane: jobs of a prefix with a rule have one of their own.
create index queue_turns on procrastinate_jobs (queue_name, priority desc, ((args->>'transcription')::bigint))
    where status = 'todo';

alter table transcriptions add column previous_seconds double precision not null default 0;
alter table transcriptions add column furthest_seconds double precision not null default 0;

comment on column transcriptions.previous_seconds is 'progress_seconds before the last segments were stored';
comment on column transcriptions.furthest_seconds is 'the most progress_seconds ever was; beyond it, failures are forgotten';

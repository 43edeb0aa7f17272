-- What follows the life of a job: streams of events, listings of the bucket, and results stored as objects.

create index transcriptions_by_end on transcriptions (finished_at, id) where finished_at is not null;

create function tell_jobs() returns trigger language plpgsql as $$
begin
    if tg_level = 'ROW' then
        perform pg_notify('reelscribe_jobs', new.id::text);
    else
        perform pg_notify('reelscribe_jobs', '');
    end if;
    return null;
end
$$;

create trigger tell_new_jobs after insert on transcriptions for each statement execute function tell_jobs();

create trigger tell_changed_job after update on transcriptions for each row
    when (
        (old.state, old.superseded, old.progress_seconds, old.error_message)
        is distinct from (new.state, new.superseded, new.progress_seconds, new.error_message)
    )
    execute function tell_jobs();

create table listings (
    bucket text primary key,
    finished_at timestamptz not null default now()
);

comment on table listings is 'when a bucket was last listed for what events have missed';

create table pending_results (
    transcription_id bigint primary key references transcriptions on delete cascade,
    tries integer not null default 0 check (tries >= 0),
    next_try_at timestamptz not null default now(),
    error_message text
);

comment on table pending_results is 'finished transcripts that are not stored in [results] bucket yet';

create index pending_results_due on pending_results (next_try_at);

insert into pending_results (transcription_id) select id from transcriptions where state = 'done';

create function want_result() returns trigger language plpgsql as $$
begin
    insert into pending_results (transcription_id) values (new.id) on conflict do nothing;
    return null;
end
$$;

create trigger want_result after update on transcriptions for each row
    when (new.state = 'done' and old.state <> 'done') execute function want_result();

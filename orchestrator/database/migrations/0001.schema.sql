-- media: what can be worked on. jobs: one unit of work of any kind, and what became of it.
-- attempts: each time a transcriber worked on a transcription, with its receipt. segments: its words.

create table media (
    id bigint generated always as identity primary key,
    bucket text not null check (bucket <> ''),
    savepath text not null check (savepath <> ''),
    created_at timestamptz not null default now(),
    unique (bucket, savepath)
);

create index media_by_prefix on media (bucket, savepath text_pattern_ops);


create table jobs (
    id bigint generated always as identity primary key,
    kind text not null check (kind <> ''),
    media_id bigint references media on delete cascade,
    options jsonb not null default '{}',
    options_key text not null generated always as (md5(options::text)) stored,
    superseded boolean not null default false,
    superseded_at timestamptz,

    state text not null default 'queued'
        check (state in ('queued', 'running', 'waiting', 'done', 'failed', 'cancelled')),
    priority integer not null default 0,
    queue_job bigint,
    attempt integer not null default 0 check (attempt >= 0),
    failures integer not null default 0 check (failures >= 0),
    error_code text,
    error_message text,
    error_details jsonb,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,

    -- of transcriptions only
    model text,
    language text,
    language_probability double precision,
    declared_seconds double precision check (declared_seconds >= 0),
    progress_seconds double precision not null default 0 check (progress_seconds >= 0),
    previous_seconds double precision not null default 0,
    furthest_seconds double precision not null default 0,
    complete boolean,
    reason text,

    check (kind <> 'transcribe' or media_id is not null),
    check ((kind = 'transcribe' and state = 'done') = (complete is not null)),
    check (state <> 'failed' or (error_code is not null and error_message is not null)),
    check ((state in ('done', 'failed', 'cancelled')) = (finished_at is not null)),
    check (superseded = (superseded_at is not null))
)
-- Room next to each row for its next version: one that changes no indexed column then costs no index anything.
with (fillfactor = 50);

comment on column jobs.kind is 'what is to be done: the name of a task of the queue';
comment on column jobs.media_id is 'what it is done to; null for work that is about no single recording';
comment on column jobs.queue_job is 'the one row of procrastinate_jobs that may work on it';
comment on column jobs.attempt is 'named by every write: a write of an older attempt changes nothing';
comment on column jobs.superseded is 'a newer job with the same options replaces it';
comment on column jobs.progress_seconds is 'all before it is stored; a new attempt starts here';
comment on column jobs.previous_seconds is 'progress_seconds before the last segments were stored';
comment on column jobs.furthest_seconds is 'the most progress_seconds ever was; beyond it, failures are forgotten';

create unique index jobs_current on jobs (media_id, options_key, kind) where not superseded;
create index jobs_by_state on jobs (state, id);
create index jobs_by_end on jobs (finished_at, id) where finished_at is not null;
create index jobs_superseded on jobs (id) where superseded;
create index jobs_newest_transcription on jobs (media_id, finished_at, id) where state = 'done' and kind = 'transcribe';

create view transcriptions as select * from jobs where kind = 'transcribe';
alter view transcriptions alter column kind set default 'transcribe';

comment on view transcriptions is 'jobs of the kind that most are of; it can be written to as a table';


create table attempts (
    transcription_id bigint not null references jobs on delete cascade,
    attempt integer not null,
    transcriber_url text not null,
    started_at timestamptz not null default now(),
    ended_at timestamptz,
    start_seconds double precision not null check (start_seconds >= 0),
    declared_seconds double precision,
    delivered_seconds double precision,
    covered_seconds double precision,
    segments integer check (segments >= 0),
    samples bigint,
    sha256 text,
    etag text,
    last_modified timestamptz,
    size bigint check (size >= 0),
    extraction_id text,
    track integer,
    track_choice text,
    remarks text[] not null default '{}',
    error_code text,
    error_message text,
    primary key (transcription_id, attempt)
);

comment on column attempts.covered_seconds is 'from start_seconds on, all is stored; of a cut attempt, as far as it came';
comment on column attempts.segments is 'stored by this attempt; of a finished one, as many as the transcriber says it sent';
comment on column attempts.etag is 'of the object that this attempt transcribed';
comment on column attempts.last_modified is 'of the object; null for an attempt that was cut';
comment on column attempts.size is 'of the object, in bytes; null for an attempt that was cut';
comment on column attempts.track_choice is 'why that track; null for an attempt that was cut';
comment on column attempts.remarks is 'what a reader should know although nothing is missing';


create table segments (
    transcription_id bigint not null references jobs on delete cascade,
    index integer not null check (index >= 0),
    start_seconds double precision not null,
    end_seconds double precision not null,
    text text not null,
    tokens integer[] not null,
    words jsonb,
    avg_logprob double precision not null,
    no_speech_prob double precision not null,
    compression_ratio double precision not null,
    temperature double precision not null,
    language text,
    search tsvector not null,
    primary key (transcription_id, index)
);

comment on column segments.search is
    'its words with the weight A, after the last words of the segments before it; made by transcripts/words.py';
comment on column segments.language is 'in which it was decoded, if the request was multilingual';

-- Without fastupdate: the list of pending entries would be read by every search.
create index segments_search on segments using gin (search) with (fastupdate = off);


create table queue_rules (
    id integer generated always as identity primary key,
    prefix text not null unique,
    max_running integer check (max_running >= 1),
    paused_at timestamptz,
    paused_by text,
    check ((paused_at is null) = (paused_by is null))
);

comment on table queue_rules is 'of the savepaths that start with prefix; the empty one is every savepath';

-- The order in which jobs are taken. queue_name is the sub-queue: one for each kind of work, and for each rule in it.
create index queue_order on procrastinate_jobs (queue_name, priority desc, ((args->>'job')::bigint))
    where status = 'todo';


create table follow_ups (
    kind text not null,
    follows text not null,
    priority integer not null,
    primary key (follows, kind)
);

comment on table follow_ups is 'after a job of the kind follows is done, one of this kind is queued for the same recording';


create table listings (
    bucket text primary key,
    finished_at timestamptz not null default now()
);

comment on table listings is 'when a bucket was last listed for what events have missed';


-- How many current jobs of each kind are in which state, and how much audio they have: the sum of these rows. Rows are
-- added and never changed, so no transaction waits for another one; now and then one of them adds up those it sees.
create table state_changes (
    kind text not null,
    state text not null,
    delta bigint not null,
    timed bigint not null,
    seconds numeric not null
);

comment on table state_changes is 'the sum of delta by kind and state is how many jobs that are not superseded have it';
comment on column state_changes.timed is 'change of how many of them have a known length';
comment on column state_changes.seconds is
    'change of the sum of those lengths; numeric, so that exactly what was added is taken away again';

create function known_seconds(state text, declared double precision, progress double precision) returns numeric
    language sql immutable parallel safe
    return (case state when 'done' then progress else declared end)::numeric;

comment on function known_seconds is 'length of a transcription; it does not change while the job runs';

create function note_state_changes() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into state_changes
        select kind, state, count(*), count(length), coalesce(sum(length), 0) from (
            select kind, state, known_seconds(state, declared_seconds, progress_seconds) as length
            from after where not superseded
        ) added group by kind, state;
    elsif tg_op = 'DELETE' then
        insert into state_changes
        select kind, state, -count(*), -count(length), -coalesce(sum(length), 0) from (
            select kind, state, known_seconds(state, declared_seconds, progress_seconds) as length
            from before where not superseded
        ) removed group by kind, state;
    else
        insert into state_changes
        select kind, state, sum(one), coalesce(sum(one) filter (where length is not null), 0),
            coalesce(sum(one * length), 0)
        from (
            select kind, state, 1 as one, known_seconds(state, declared_seconds, progress_seconds) as length
            from after where not superseded
            union all
            select kind, state, -1, known_seconds(state, declared_seconds, progress_seconds)
            from before where not superseded
        ) changed group by kind, state
        having sum(one) <> 0 or sum(one * length) <> 0 or sum(one) filter (where length is not null) <> 0;
    end if;
    -- The lock is AdvisoryLock.STATE_CHANGES of database/locks.py.
    if found and random() < 0.02 and pg_try_advisory_xact_lock(1937006964) then
        with gone as (delete from state_changes returning *)
        insert into state_changes select kind, state, sum(delta), sum(timed), sum(seconds) from gone group by kind, state;
    end if;
    return null;
end
$$;

create trigger note_inserted after insert on jobs
    referencing new table as after for each statement execute function note_state_changes();
create trigger note_updated after update on jobs
    referencing old table as before new table as after for each statement execute function note_state_changes();
create trigger note_deleted after delete on jobs
    referencing old table as before for each statement execute function note_state_changes();


-- Whoever listens to this channel learns of every change of a job: its id, or nothing for new ones.
create function notify_jobs() returns trigger language plpgsql as $$
begin
    if tg_level = 'ROW' then
        perform pg_notify('reelscribe_jobs', new.id::text);
    else
        perform pg_notify('reelscribe_jobs', '');
    end if;
    return null;
end
$$;

create trigger notify_new_jobs after insert on jobs for each statement execute function notify_jobs();

create trigger notify_changed_job after update on jobs for each row
    when (
        (old.state, old.superseded, old.progress_seconds, old.error_message)
        is distinct from (new.state, new.superseded, new.progress_seconds, new.error_message)
    )
    execute function notify_jobs();

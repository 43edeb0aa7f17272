-- media: what can be transcribed. transcriptions: one wish to have one of them transcribed, and what became of it.
-- attempts: each time the transcriber worked on it, with its receipt. segments: the words.

create table media (
    id bigint generated always as identity primary key,
    bucket text not null check (bucket <> ''),
    savepath text not null check (savepath <> ''),
    created_at timestamptz not null default now(),
    unique (bucket, savepath)
);

create table transcriptions (
    id bigint generated always as identity primary key,
    media_id bigint not null references media on delete cascade,
    options jsonb not null,
    options_key text not null generated always as (md5(options::text)) stored,
    superseded boolean not null default false,
    state text not null default 'queued'
        check (state in ('queued', 'running', 'waiting', 'done', 'failed', 'cancelled')),
    priority integer not null default 0,
    queue_job bigint,
    attempt integer not null default 0 check (attempt >= 0),
    failures integer not null default 0 check (failures >= 0),
    error_code text,
    error_message text,
    error_details jsonb,
    model text,
    language text,
    language_probability double precision,
    declared_seconds double precision check (declared_seconds >= 0),
    progress_seconds double precision not null default 0 check (progress_seconds >= 0),
    complete boolean,
    reason text,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    check ((state = 'done') = (complete is not null)),
    check (state <> 'failed' or (error_code is not null and error_message is not null)),
    check ((state in ('done', 'failed', 'cancelled')) = (finished_at is not null))
);

comment on column transcriptions.queue_job is 'the one job of the queue that may work on it';
comment on column transcriptions.attempt is 'named by every write: a write of an older attempt changes nothing';
comment on column transcriptions.progress_seconds is 'all before it is stored; a new attempt starts here';

create unique index transcriptions_current on transcriptions (media_id, options_key) where not superseded;
create index transcriptions_by_state on transcriptions (state, id);

create table attempts (
    transcription_id bigint not null references transcriptions on delete cascade,
    attempt integer not null,
    transcriber_url text not null,
    started_at timestamptz not null default now(),
    ended_at timestamptz,
    start_seconds double precision not null check (start_seconds >= 0),
    declared_seconds double precision,
    delivered_seconds double precision,
    covered_seconds double precision,
    samples bigint,
    sha256 text,
    etag text,
    extraction_id text,
    error_code text,
    error_message text,
    primary key (transcription_id, attempt)
);

create table segments (
    transcription_id bigint not null references transcriptions on delete cascade,
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
    primary key (transcription_id, index)
);

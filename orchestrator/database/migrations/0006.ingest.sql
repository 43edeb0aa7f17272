-- What ingest has found on the web, one row for each recording of a source, and the sources that it leaves alone for
-- a while. "asked" is the address for which this recording is the complete answer.

create table ingested (
    extractor text not null,
    video_id text not null,
    asked text unique,
    url text not null,
    title text,
    bucket text not null,
    savepath text,
    state text not null check (state in ('unfinished', 'storing', 'stored', 'gone', 'failed')),
    reason text,
    message text,
    bytes bigint,
    attempts integer not null default 0,
    found_at timestamptz not null default now(),
    changed_at timestamptz not null default now(),
    primary key (extractor, video_id),
    check (savepath is not null or state not in ('storing', 'stored')),
    check (reason is not null or state not in ('gone', 'failed'))
);

create index ingested_by_change on ingested (changed_at);

create table ingest_pauses (
    source text primary key,
    until timestamptz not null,
    message text not null
);

-- The waveform of a recording as the page draws it: made once by the extractor, removed with the recording.

create table peaks (
    media_id bigint primary key references media on delete cascade,
    etag text not null,
    seconds double precision not null check (seconds >= 0),
    low bytea not null,
    high bytea not null,
    reason text,
    made_at timestamptz not null default now(),
    check (length(low) = length(high))
);

comment on column peaks.etag is 'of the object that it is of';
comment on column peaks.low is 'the lowest samples of stretches of the same length, as little-endian 16-bit integers';
comment on column peaks.reason is 'why it is not of all that the recording declares';

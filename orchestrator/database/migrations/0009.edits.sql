-- What people corrected: a layer over what the models wrote. segments are what readers see; of those that an edit hides,
-- the model's own rows are in replaced_segments. edit_layers: over which text of which object; edited_ranges: what the
-- layer is now; edits: how it came to that.

alter table media add column title text check (title <> '');
alter table media add column title_search tsvector;
alter table media add column revision integer not null default 0;
comment on column media.title is 'given by a person; null: its savepath is its name';
comment on column media.title_search is 'its words, made by transcripts/words.py as those of segments';
comment on column media.revision is 'of the last edit or renaming';
create index media_by_title on media using gin (title_search) where title is not null;

create table edit_layers (
    id bigint generated always as identity primary key,
    media_id bigint not null references media on delete cascade,
    translated boolean not null,
    etag text,
    size bigint,
    last_modified timestamptz
);
create index edit_layers_by_media on edit_layers (media_id);
comment on table edit_layers is 'all transcripts of the same object have one layer, and its translations another';

create table edited_ranges (
    layer_id bigint not null references edit_layers on delete cascade,
    start_seconds double precision not null,
    end_seconds double precision not null check (end_seconds > start_seconds),
    revision integer not null,
    segments jsonb not null,
    primary key (layer_id, start_seconds)
);
comment on table edited_ranges is 'they do not overlap; segments are the text of all that is between these times';

create table edits (
    media_id bigint not null references media on delete cascade,
    revision integer not null check (revision > 0),
    layer_id bigint references edit_layers on delete cascade,
    author text not null,
    made_at timestamptz not null default now(),
    start_seconds double precision,
    end_seconds double precision,
    replaced jsonb not null default '[]',
    segments jsonb not null default '[]',
    title_before text,
    title text,
    ranges_before jsonb not null default '[]',
    ranges jsonb not null default '[]',
    undoes integer,
    undone_by integer,
    primary key (media_id, revision),
    check ((layer_id is null) = (start_seconds is null)),
    check ((start_seconds is null) = (end_seconds is null))
);
comment on table edits is 'one without a layer gave the recording another title';
comment on column edits.replaced is 'the text that was shown before, for people; segments: after it';
comment on column edits.ranges_before is 'edited_ranges between these times before it, which undoing it restores; ranges: after it';

alter table segments add column revision integer;
alter table segments add column author text;
alter table segments add column edited_at timestamptz;
alter table segments add column altered boolean not null default false;
alter table segments add column transcribed_index integer;
comment on column segments.revision is 'of the edit that wrote it; null if no edit did, as author and edited_at are';
comment on column segments.altered is 'it is not as the model wrote it: an edit wrote it, or it is what an edit left of one';
comment on column segments.transcribed_index is 'the index that the model gave it, if that has changed since';

create table replaced_segments (
    transcription_id bigint not null references jobs on delete cascade,
    index integer not null,
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
    primary key (transcription_id, index)
);
comment on table replaced_segments is 'as the model wrote them; segments has other rows in their place';

create view transcribed_segments as
    select transcription_id, coalesce(transcribed_index, index) as index, start_seconds, end_seconds, text, tokens,
        words, avg_logprob, no_speech_prob, compression_ratio, temperature, language
    from segments where not altered
    union all
    select transcription_id, index, start_seconds, end_seconds, text, tokens, words, avg_logprob, no_speech_prob,
        compression_ratio, temperature, language
    from replaced_segments;
comment on view transcribed_segments is 'all that the model wrote, whatever was edited since';

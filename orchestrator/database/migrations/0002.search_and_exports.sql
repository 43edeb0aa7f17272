-- What search and exports need. Rows of before have none of it yet; the next migration fills in the words.

alter table segments add column search tsvector;

comment on column segments.search is
    'its words with the weight A, after the last words of the segments before it; made by orchestrator/transcripts/words.py';

alter table attempts add column last_modified timestamptz;
alter table attempts add column size bigint check (size >= 0);

comment on column attempts.last_modified is 'of the object; null where the extractor is too old to tell';
comment on column attempts.size is 'of the object, in bytes';

create index transcriptions_newest on transcriptions (media_id, finished_at, id) where state = 'done';
create index media_by_prefix on media (bucket, savepath text_pattern_ops);

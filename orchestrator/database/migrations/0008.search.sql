-- Search finds what is written in several ways in each of them, and phrases of frequent words in a few milliseconds.

alter table segments add column search_version smallint not null default 0;
comment on column segments.search_version is
    'VERSION of transcripts/words.py, which made the entry; older entries are made again by services/search_entries.py';

-- What is left to do: in the end nothing.
create index segments_outdated on segments (transcription_id, index) where search_version = 0;

-- The second column finds where in the archive a frequent word is: of 32 transcriptions that follow each other, whether
-- one has it.
drop index segments_search;
create index segments_search on segments using gin (search, (array[transcription_id >> 5])) with (fastupdate = off);

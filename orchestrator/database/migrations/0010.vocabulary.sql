-- Names and words that recordings are about, by the prefix of their savepaths, and which of them each attempt was given.

create table vocabularies (
    prefix text primary key,
    words text[] not null check (cardinality(words) > 0),
    changed_at timestamptz not null default now(),
    changed_by text not null
);
comment on table vocabularies is 'of the savepaths that start with prefix, in whatever bucket; the empty one is every savepath';

alter table attempts add column vocabulary jsonb;
comment on column attempts.vocabulary is 'the lists that the transcriber was given, and which words it had room for';

-- What has to be known to forget a recording: where its results are stored, and whether its object is gone.

create table stored_results (
    media_id bigint not null references media,
    bucket text not null,
    name text not null,
    stored_at timestamptz not null default now(),
    primary key (media_id, bucket, name)
);
comment on table stored_results is
    'objects that [results] has stored, or was about to; without a cascade: they are removed before their recording is';

alter table media add column removed_at timestamptz;
comment on column media.removed_at is 'since when its object is known to be gone from the bucket; null: it is not';

-- A recording's jobs are looked for, and removed with it, without a scan of all jobs.
create index jobs_by_media on jobs (media_id);

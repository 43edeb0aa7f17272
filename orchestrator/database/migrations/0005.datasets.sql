-- datasets: what is built, and how. dataset_shards: its plan, written once; each shard is a job of the queue.

create table datasets (
    id bigint generated always as identity primary key,
    kind text not null check (kind <> ''),
    folder text not null unique check (folder <> ''),
    settings jsonb not null,
    settings_hash text not null,
    recordings integer not null check (recordings >= 0),
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    version text,
    check ((finished_at is null) = (version is null))
);

comment on column datasets.folder is 'where its files are, on every host that builds it';
comment on column datasets.settings_hash is 'of the settings and of what was selected: a plan is continued only by its own';
comment on column datasets.recordings is 'how many the plan names';
comment on column datasets.version is 'the hash of what is in it; null until it is finished';


create table dataset_shards (
    dataset_id bigint not null references datasets on delete cascade,
    number integer not null check (number >= 0),
    split text not null check (split <> ''),
    items jsonb not null,
    job_id bigint unique references jobs on delete set null,
    samples integer check (samples >= 0),
    failed integer check (failed >= 0),
    bytes bigint check (bytes >= 0),
    sha256 text,
    primary key (dataset_id, number)
);

comment on column dataset_shards.items is 'what is to be in it: recordings with the parts of them; emptied when the dataset is finished';
comment on column dataset_shards.samples is 'of a shard that is built, as are the columns after it';
comment on column dataset_shards.failed is 'how many items gave no sample; failed.parquet says why';

-- Who is notified of the end of transcriptions, and the outbox: each message is written by the transaction that ends the
-- transcription, whichever statement of whichever process that is.

create table webhook_endpoints (
    id bigint generated always as identity primary key,
    url text not null unique check (url <> ''),
    events text[] not null default '{}',
    gone_at timestamptz
);
comment on table webhook_endpoints is 'receivers; without events: those of single submissions only';
comment on column webhook_endpoints.events is 'of every transcription, as [webhooks] of config.cfg says';
comment on column webhook_endpoints.gone_at is 'since when it has answered 410 Gone, and gets no more messages';

create index webhook_endpoints_configured on webhook_endpoints (id) where events <> '{}';


create table job_webhooks (
    job_id bigint not null references jobs on delete cascade,
    endpoint_id bigint not null references webhook_endpoints,
    primary key (job_id, endpoint_id)
);
comment on table job_webhooks is 'receivers that a submission has named: of each end of its jobs';


create table webhook_deliveries (
    id bigint generated always as identity primary key,
    message_id text not null unique default 'msg_' || replace(gen_random_uuid()::text, '-', ''),
    endpoint_id bigint not null references webhook_endpoints,
    event text not null,
    job_id bigint not null,
    data jsonb not null,
    created_at timestamptz not null default now(),
    state text not null default 'pending' check (state in ('pending', 'delivered', 'failed')),
    attempts integer not null default 0 check (attempts >= 0),
    due_at timestamptz not null default now(),
    status integer,
    error text,
    ended_at timestamptz,
    check ((state = 'pending') = (ended_at is null))
);
comment on table webhook_deliveries is 'one message to one receiver: to be sent, or the log of what was';
comment on column webhook_deliveries.job_id is 'no reference: a message outlives its job until it is delivered';
comment on column webhook_deliveries.due_at is 'of the next attempt; while one runs: when it is considered lost';
comment on column webhook_deliveries.status is 'HTTP status of the last answer; null: there was none';

create index webhook_deliveries_due on webhook_deliveries (due_at, id) where state = 'pending';
create index webhook_deliveries_by_endpoint on webhook_deliveries (endpoint_id, due_at, id) where state = 'pending';
create index webhook_deliveries_listed on webhook_deliveries (state, id) where state in ('pending', 'failed');
create index webhook_deliveries_by_job on webhook_deliveries (job_id);
create index webhook_deliveries_ended on webhook_deliveries (ended_at) where ended_at is not null;


create function webhook_event(job jobs) returns text language sql stable as $$
    select case
        when job.state = 'done' then case when job.complete then 'job.complete' else 'job.incomplete' end
        when job.state in ('failed', 'cancelled') then 'job.' || job.state
    end
$$;

create function webhook_data(job jobs) returns jsonb language sql stable as $$
    select jsonb_build_object(
        'job', job.id, 'bucket', m.bucket, 'savepath', m.savepath, 'state', job.state, 'complete', job.complete,
        'reason', job.reason, 'superseded', job.superseded, 'language', job.language,
        'seconds', known_seconds(job.state, job.declared_seconds, job.progress_seconds),
        'error', case when job.state = 'failed'
            then jsonb_build_object('code', job.error_code, 'message', left(job.error_message, 1000)) end
    )
    from media m where m.id = job.media_id
$$;

create function note_end() returns trigger language plpgsql as $$
begin
    if not exists (select from webhook_endpoints) then
        return null;
    end if;
    insert into webhook_deliveries (endpoint_id, event, job_id, data)
    select e.id, webhook_event(new), new.id, webhook_data(new)
    from (
        select id from webhook_endpoints where events <> '{}' and webhook_event(new) = any(events)
        union
        select endpoint_id from job_webhooks where job_id = new.id
    ) wanted join webhook_endpoints e on e.id = wanted.id
    where e.gone_at is null order by e.id;
    return null;
end
$$;

create trigger note_ended_transcription after update on jobs for each row
    when (
        new.kind = 'transcribe' and new.state in ('done', 'failed', 'cancelled') and old.state is distinct from new.state
    )
    execute function note_end();

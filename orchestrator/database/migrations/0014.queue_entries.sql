-- procrastinate's triggers run once for each entry of its queue, which is more than half of what queueing a million jobs
-- costs. Listeners are now notified once for each statement. Events are not written: they go with their entry, which is
-- deleted when its job ends, and procrastinate reads them only to delete finished entries, of which there are none, and
-- to find stalled jobs by when they started, which we find by heartbeats. See docs/decisions/queue.md.

alter table procrastinate_jobs disable trigger procrastinate_jobs_notify_queue_job_inserted_v1;
alter table procrastinate_jobs disable trigger procrastinate_trigger_status_events_insert_v1;
alter table procrastinate_jobs disable trigger procrastinate_trigger_status_events_update_v1;
alter table procrastinate_jobs disable trigger procrastinate_trigger_scheduled_events_v1;
alter table procrastinate_jobs disable trigger procrastinate_trigger_abort_requested_events_v1;

create function notify_queue() returns trigger language plpgsql as $$
begin
    perform pg_notify(channel, json_build_object('type', 'job_inserted', 'job_id', id)::text)
    from (
        select 'procrastinate_queue_v1#' || queue_name as channel, min(id) as id
        from added where status = 'todo' group by queue_name
        union all
        select 'procrastinate_any_queue_v1', min(id) from added where status = 'todo' having count(*) > 0
    ) notified;
    return null;
end
$$;

create trigger notify_new_entries after insert on procrastinate_jobs
    referencing new table as added for each statement execute function notify_queue();


-- Where a limit holds, an entry that is gone makes room for another.
create function notify_room() returns trigger language plpgsql as $$
begin
    if exists (select from queue_rules where max_running is not null) then
        perform pg_notify('procrastinate_any_queue_v1', '{"type": "job_inserted", "job_id": 0}');
    end if;
    return null;
end
$$;

create trigger notify_gone_entries after delete on procrastinate_jobs for each statement execute function notify_room();

-- An entry of the queue has the savepath of its job, so that pauses and limits, which are rules by the prefix of
-- savepaths, are followed without a look at jobs and recordings. See docs/decisions/queue.md.

alter table procrastinate_jobs add column savepath text;
comment on column procrastinate_jobs.savepath is 'of the recording that its job is about; null if there is no single one';

update procrastinate_jobs entry set savepath = m.savepath
from jobs j join media m on m.id = j.media_id where j.id = (entry.args->>'job')::bigint;


-- Indexes for what is not used: locks of procrastinate, its order, and lists of its queues. They stay where migrations of
-- procrastinate look for them, and nothing is written to them.

drop index procrastinate_jobs_queueing_lock_idx_v1;
drop index procrastinate_jobs_lock_idx_v1;
drop index procrastinate_jobs_queue_name_idx_v1;
drop index procrastinate_jobs_id_lock_idx_v1;
drop index procrastinate_jobs_priority_idx_v1;
create unique index procrastinate_jobs_queueing_lock_idx_v1 on procrastinate_jobs (queueing_lock) where false;
create unique index procrastinate_jobs_lock_idx_v1 on procrastinate_jobs (lock) where false;
create index procrastinate_jobs_queue_name_idx_v1 on procrastinate_jobs (queue_name) where false;
create index procrastinate_jobs_id_lock_idx_v1 on procrastinate_jobs (id, lock) where false;
create index procrastinate_jobs_priority_idx_v1 on procrastinate_jobs (priority desc, id asc) where false;

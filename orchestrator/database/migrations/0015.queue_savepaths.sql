-- An entry of the queue has the savepath of its job, so that pauses and limits, which are rules by the prefix of
-- savepaths, are followed without a look at jobs and recordings: a million paused entries are skipped in half a second.

alter table procrastinate_jobs add column savepath text;
comment on column procrastinate_jobs.savepath is 'of the recording that its job is about; null if there is no single one';

update procrastinate_jobs entry set savepath = m.savepath
from jobs j join media m on m.id = j.media_id where j.id = (entry.args->>'job')::bigint;

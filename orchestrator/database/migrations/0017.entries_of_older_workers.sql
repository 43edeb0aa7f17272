-- A worker or a command of a version before 0015 that still runs makes entries of the queue without savepaths, which no
-- pause and no limit would concern. Here they get theirs. Entries that have one, which are all others, only cost the look.

create function complete_entry() returns trigger language plpgsql as $$
begin
    new.savepath := (
        select m.savepath from jobs j join media m on m.id = j.media_id where j.id = (new.args->>'job')::bigint
    );
    return new;
end
$$;

create trigger complete_entry before insert on procrastinate_jobs
    for each row when (new.savepath is null) execute function complete_entry();

update procrastinate_jobs entry set savepath = m.savepath
from jobs j join media m on m.id = j.media_id
where j.id = (entry.args->>'job')::bigint and entry.savepath is null;

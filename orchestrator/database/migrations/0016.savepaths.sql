-- Savepaths are in the order of their bytes, as listings of a bucket are, whatever the database's own order is. So the
-- index of media_bucket_savepath_key finds prefixes too. Not in one transaction with the queue: a submission that runs
-- meanwhile locks recordings, then the queue, so each could wait for the other.

drop index if exists media_by_prefix;
alter table media alter column savepath type text collate "C";

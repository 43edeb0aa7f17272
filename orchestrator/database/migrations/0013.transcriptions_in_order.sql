-- Lists of transcriptions, and the oldest one that waits, are read without a look at jobs of other kinds: one of each
-- may follow each transcription, a million of them when results are first stored.

create index transcriptions_in_order on jobs (id) where kind = 'transcribe' and not superseded;
create index transcriptions_by_state on jobs (state, id) where kind = 'transcribe' and not superseded;

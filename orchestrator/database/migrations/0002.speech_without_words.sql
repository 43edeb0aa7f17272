-- What was detected as speech and has no words; null if that is not known.

alter table jobs add column speech_without_words jsonb;
comment on column jobs.speech_without_words is 'the sum of its attempts; of a transcription that is done';

alter table attempts add column speech_without_words jsonb;
comment on column attempts.speech_without_words is 'of a cut attempt, as far as it came';

create or replace view transcriptions as select * from jobs where kind = 'transcribe';

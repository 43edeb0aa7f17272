--- Which kind of work has stored an object, and of what it was made: no kind removes what another has stored, and what is
--- there of the same recording is not made again.

alter table stored_results add column kind text not null default 'store_result';
alter table stored_results add column made_of text;
comment on column stored_results.made_of is
    'previews and sound: the etag of the recording and the hash of the request; null: not known to be stored';

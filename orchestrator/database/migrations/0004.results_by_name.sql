-- Whose an object of the results bucket is: none is removed that another recording has too.

create index stored_results_by_name on stored_results (bucket, name);

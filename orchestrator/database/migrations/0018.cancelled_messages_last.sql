-- Of the messages for one receiver, those of cancelled jobs are sent last: they may be thousands at a time.

drop index webhook_deliveries_by_endpoint;

create index webhook_deliveries_by_endpoint on webhook_deliveries (endpoint_id, (event = 'job.cancelled'), due_at, id)
    where state = 'pending';

// One stream of events of all jobs, in a tab or in the worker of all tabs.

const RETRY_MILLISECONDS = [1000, 2000, 5000, 10000];

/** A stream that comes back by itself, however it ended; `tell` gets {type, data} of all that events.js passes on. */
export function openStream(tell) {
  let source, timer, failures = 0, ended = false;
  const open = () => {
    source = new EventSource("/api/events");
    source.onopen = () => {
      failures = 0;
      tell({type: "opened"});
    };
    for (const type of ["job", "totals"])
      source.addEventListener(type, ({data}) => tell({type, data: JSON.parse(data)}));
    source.onerror = async () => {
      const refused = source.readyState === EventSource.CLOSED; // the service has answered, but not with a stream
      source.close();
      tell({type: "lost"});
      if (refused && (await isSignedOut())) tell({type: "signedOut"});
      else if (!ended) timer = setTimeout(open, RETRY_MILLISECONDS[Math.min(failures++, RETRY_MILLISECONDS.length - 1)]);
    };
  };
  open();
  return {
    close() {
      ended = true;
      clearTimeout(timer);
      source.close();
    },
  };
}

const isSignedOut = () => fetch("/api/jobs?limit=1", {method: "HEAD"}).then(({status}) => status === 401, () => false);

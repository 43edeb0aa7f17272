// One stream of events of all jobs, in a tab or in the worker of all tabs.

const RETRY_MILLISECONDS = [1000, 2000, 5000, 10000];

/** A stream that comes back by itself, however it ended; `tell` gets {type, data} of all that events.js passes on. */
export function openStream(tell) {
  let source, timer, failures = 0;
  const open = () => {
    source = new EventSource("/api/events");
    source.onopen = () => {
      failures = 0;
      tell({type: "opened"});
    };
    for (const type of ["job", "totals"])
      source.addEventListener(type, ({data}) => tell({type, data: JSON.parse(data)}));
    source.onerror = () => {
      source.close();
      tell({type: "lost"});
      timer = setTimeout(open, RETRY_MILLISECONDS[Math.min(failures++, RETRY_MILLISECONDS.length - 1)]);
    };
  };
  open();
  return {
    close() {
      clearTimeout(timer);
      source.close();
    },
  };
}

// Home: submit savepaths, watch all jobs, and see how the queue does.

import {follow, showConnection} from "./events.js";
import {localTimes} from "./format.js";
import {JobTable} from "./job_table.js";
import {watchFilters} from "./job_filter.js";
import {watchPauses} from "./pauses.js";
import {watchSubmission} from "./submit.js";
import {watchThroughput} from "./throughput.js";
import {Totals} from "./totals.js";
import {watchUploads} from "./uploads.js";

const table = new JobTable();
const rules = watchPauses();
const totals = new Totals((status) => rules.show(status.rules));

watchFilters(table);
watchSubmission(() => table.refresh());
watchUploads(() => table.refresh());
watchThroughput();
localTimes(document);

follow({
  opened() {
    showConnection(false);
    table.refresh();
    totals.refresh();
  },
  job: (job) => table.update(job),
  totals() {
    table.refresh();
    totals.refresh();
  },
  lost: () => showConnection(true),
});

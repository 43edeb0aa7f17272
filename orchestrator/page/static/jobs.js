// Home: submit savepaths, and watch all jobs.

import {request} from "./api.js";
import {follow, showConnection} from "./events.js";

const form = document.getElementById("submit");
const said = document.getElementById("submitted");
const rows = document.getElementById("jobs");

function show(job) {
  let row = rows.querySelector(`[data-job="${job.id}"]`);
  if (!row) {
    row = rows.insertRow(0);
    row.dataset.job = job.id;
    row.append(document.createElement("td"), document.createElement("td"));
  }
  row.cells[0].textContent = job.savepath;
  row.cells[1].textContent = job.state;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const savepaths = form.savepaths.value.split("\n").map((line) => line.trim()).filter(Boolean);
  try {
    const {jobs} = await request("/api/jobs", {method: "POST", body: {savepaths}});
    said.textContent = `${jobs.length} submitted`;
    form.reset();
    jobs.forEach(show);
  } catch (failure) {
    said.textContent = failure.message;
  }
});

follow({
  opened: async () => {
    showConnection(false);
    const {jobs} = await request("/api/jobs?limit=50");
    jobs.reverse().forEach(show);
  },
  job: show,
  lost: () => showConnection(true),
});

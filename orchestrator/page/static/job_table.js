// The table of jobs: one page of those that match the filters, kept up to date.

import {request} from "./api.js";
import {count} from "./format.js";
import {fillRow, newRow, showAge} from "./job_row.js";

const GATHER_MILLISECONDS = 250;
const REFRESH_MILLISECONDS = 2000;
const AGE_MILLISECONDS = 10000;

const id = (name) => document.getElementById(name);

export class JobTable {
  constructor() {
    this.box = id("table");
    this.body = id("jobs");
    this.found = id("found");
    this.bucket = this.box.dataset.bucket;
    this.shown = Number(this.box.dataset.shown);
    this.filters = {};
    this.after = this.box.dataset.after ?? null;
    this.changed = new Map(); // jobs that are to be shown, by id
    this.body.addEventListener("mouseleave", () => this.held && this.refresh());
    this.body.addEventListener("click", (event) => this.act(event.target.closest("[data-action]")));
    setInterval(() => this.rows().forEach(showAge), AGE_MILLISECONDS);
  }

  rows = () => [...this.body.rows];
  row = (job) => this.body.querySelector(`[data-job="${job}"]`);

  /** Show the page of these filters that begins after a job; `after` is null for the newest. */
  async load(filters, after) {
    Object.assign(this, {filters, after});
    this.loading?.abort();
    const {signal} = (this.loading = new AbortController());
    this.box.setAttribute("aria-busy", "true");
    this.say("Loading …");
    try {
      const jobs = [];
      // A filter that few jobs match is compared with so many of them a request: ask until the page is full.
      for (let from = after, page; ; from = page.next) {
        page = await this.fetch(from, this.shown - jobs.length, signal);
        jobs.push(...page.jobs);
        this.replace(jobs);
        this.link("older", page.next);
        if (page.next === null || jobs.length >= this.shown) break;
        this.say(`Searching … back to job ${count(page.next)}`);
      }
      this.sayFound();
    } catch (failure) {
      if (signal.aborted) return;
      this.sayFailed(failure, () => this.load(filters, after));
    }
    this.box.removeAttribute("aria-busy");
  }

  /** Read the page that is shown again, soon: some of it may have been missed. */
  refresh() {
    this.refreshing ??= setTimeout(async () => {
      const {filters} = this;
      try {
        const page = await this.fetch(this.after, this.shown);
        if (filters === this.filters && !this.box.hasAttribute("aria-busy")) this.merge(page);
      } catch {
        // The connection is gone, which the header says; it is read again when that is back.
      }
      this.refreshing = null;
    }, this.refreshed === undefined ? 0 : REFRESH_MILLISECONDS);
    this.refreshed = true;
  }

  /** Show a job as it is now, if this page has it. */
  update(job) {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      for (const each of this.changed.values()) this.showChanged(each);
      this.changed.clear();
    }, GATHER_MILLISECONDS);
    this.changed.set(job.id, job);
  }

  async act(button) {
    if (!button) return;
    const row = button.closest("tr");
    button.disabled = true;
    try {
      const job = await request(`/api/jobs/${row.dataset.job}/${button.dataset.action}`, {method: "POST"});
      this.showChanged(job, true);
    } catch (failure) {
      this.sayFailed(failure);
    }
    button.disabled = false;
  }

  fetch(after, limit, signal) {
    const query = new URLSearchParams({...this.filters, limit});
    if (after !== null) query.set("after", after);
    return request(`/api/jobs?${query}`, {signal});
  }

  replace(jobs) {
    this.arrange(jobs.map((job) => {
      const row = this.row(job.id) ?? newRow();
      fillRow(row, job, this.bucket);
      return row;
    }));
  }

  /** Have these rows and no others, in this order. A row that is at its place is not moved: what is selected in it stays. */
  arrange(rows) {
    const wanted = new Set(rows);
    for (const row of this.rows()) if (!wanted.has(row)) row.remove();
    rows.forEach((row, place) => {
      const before = this.body.rows[place];
      if (before !== row) this.body.insertBefore(row, before ?? null);
    });
  }

  /** Take over a page that was read again, but move nothing while the reader points at a row. */
  merge({jobs, next}) {
    const isNew = jobs.filter((job) => !this.row(job.id));
    this.held = isNew.length > 0 && this.body.matches(":hover") && matchMedia("(hover: hover)").matches;
    if (this.held) {
      jobs.forEach((job) => this.showChanged(job, true));
      this.say(`${count(isNew.length)} more: they appear when the pointer leaves the list.`);
      return;
    }
    // What a filter has found further back than one request looks stays.
    const kept = next === null || jobs.length >= this.shown ? [] : this.rows().filter((row) => Number(row.dataset.job) < next);
    this.replace(jobs);
    this.body.append(...kept.slice(0, this.shown - jobs.length));
    if (!kept.length) this.link("older", next);
    this.sayFound();
  }

  showChanged(job, keep = false) {
    const row = this.row(job.id);
    if (!row) return;
    if (keep || !this.filters.state || this.filters.state === job.state) fillRow(row, job, this.bucket);
    else row.remove();
  }

  link(name, after) {
    const link = id(name);
    link.hidden = after === null;
    if (after !== null) link.href = `/?${new URLSearchParams({...this.filters, after})}`;
  }

  say(text) {
    if (this.found.textContent !== text) this.found.textContent = text;
  }

  sayFound() {
    const filtered = Object.keys(this.filters).length;
    const none = filtered ? "No job matches." : "There are no jobs yet. Name a recording of the bucket above to make one.";
    this.say(this.body.rows.length ? "" : this.after === null || filtered ? none : "There are no older jobs.");
  }

  sayFailed(failure, again) {
    this.found.textContent = failure.message + " ";
    if (!again) return;
    const button = document.createElement("button");
    Object.assign(button, {type: "button", className: "plain small", textContent: "Try again", onclick: again});
    this.found.append(button);
  }
}

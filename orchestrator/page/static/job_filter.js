// The filters of the table of jobs and the links between its pages: both are in the address, so that back, reload and
// a bookmark lead to the same page.

const TYPING_MILLISECONDS = 300;
const NAMES = ["state", "prefix", "text"];

export function watchFilters(table) {
  const form = document.getElementById("filter");
  const newest = document.getElementById("newest");
  const older = document.getElementById("older");
  const chosen = () => Object.fromEntries(NAMES.map((name) => [name, form.elements[name].value]).filter(([, value]) => value));
  table.filters = chosen();

  const show = (filters, after) => {
    newest.hidden = after === null;
    newest.href = `/?${new URLSearchParams(filters)}`;
    table.load(filters, after);
  };
  const go = (filters, after, replace) => {
    const query = new URLSearchParams({...filters, ...(after === null ? {} : {after})});
    history[replace ? "replaceState" : "pushState"](null, "", query.size ? `/?${query}` : "/");
    show(filters, after);
  };

  let timer;
  const changed = (delay) => {
    clearTimeout(timer);
    timer = setTimeout(() => go(chosen(), null, true), delay);
  };
  form.addEventListener("input", ({target}) => changed(target.tagName === "SELECT" ? 0 : TYPING_MILLISECONDS));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    changed(0);
  });

  for (const link of [newest, older])
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      go(chosen(), new URL(link.href).searchParams.get("after"));
      document.getElementById("table").focus();
    });

  // The page comes with what one request finds; if that is not all, the search continues here.
  if (!older.hidden && table.rows().length < table.shown) table.load(chosen(), table.after);

  addEventListener("popstate", () => {
    const query = new URLSearchParams(location.search);
    for (const name of NAMES) form.elements[name].value = query.get(name) ?? "";
    show(chosen(), query.get("after"));
  });
}

// The pauses and limits of the queue: listed, made and ended.

import {request} from "./api.js";
import {localTime} from "./format.js";

export function watchPauses() {
  const list = document.getElementById("rules");
  const form = document.getElementById("pause"); // not there if the reader may not pause
  const prefix = document.getElementById("pause-prefix");
  const said = document.getElementById("paused");
  let shown = "";

  const change = async (path, options) => {
    said.textContent = "";
    try {
      show((await request(path, options)).rules);
    } catch (failure) {
      said.textContent = failure.message;
    }
  };

  function show(rules) {
    const now = JSON.stringify(rules.map(({prefix, paused_at, max_running}) => [prefix, paused_at, max_running]));
    if (now === shown) return;
    shown = now;
    list.replaceChildren(...rules.flatMap((rule) => [...pauseOf(rule), ...limitOf(rule)]));
  }

  function pauseOf({prefix, paused_at, paused_by}) {
    if (!paused_at) return [];
    const sentence = `${prefix || "Everything"} is paused since ${localTime(paused_at)} by ${paused_by} `;
    if (!form) return [item(sentence)];
    const button = document.createElement("button");
    Object.assign(button, {type: "button", className: "plain small", textContent: "Resume"});
    button.onclick = () => change(`/api/pauses?${new URLSearchParams({prefix})}`, {method: "DELETE"});
    return [item(sentence, button)];
  }

  const limitOf = ({prefix, max_running}) =>
    max_running ? [item(`${prefix || "Everything"}: at most ${max_running} at the same time`)] : [];

  function item(...content) {
    const element = document.createElement("li");
    element.className = "note";
    element.append(...content);
    return element;
  }

  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    await change("/api/pauses", {method: "PUT", body: {prefix: prefix.value}});
    form.reset();
  });
  return {show};
}

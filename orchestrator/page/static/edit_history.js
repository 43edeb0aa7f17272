// Who edited what, and when; each edit can be undone, and that undone again.

import {clock, localTime} from "./format.js";

export class EditHistory {
  #dialog;
  #list;
  #edits;

  constructor(dialog, edits) {
    this.#dialog = dialog;
    this.#list = dialog.querySelector("ol");
    this.#edits = edits;
  }

  async show() {
    this.#dialog.showModal();
    await this.#read();
  }

  async #read(sentence = "") {
    this.#say(sentence || "Reading…");
    try {
      const edits = await this.#edits.history();
      this.#list.replaceChildren(...edits.map((edit) => this.#row(edit)));
      this.#say(sentence || (edits.length ? "" : "Nothing was edited yet."));
    } catch (failure) {
      this.#say(failure.message);
    }
  }

  #row(edit) {
    const row = document.createElement("li");
    const about = row.appendChild(document.createElement("p"));
    const place = edit.start === null ? "title" : clock(edit.start);
    const kind = edit.undoes ? `, undid ${edit.undoes}` : "";
    about.textContent = `${edit.revision}. ${edit.author}, ${localTime(edit.made_at)}, ${place}${kind}`;
    const texts = edit.start === null
      ? [[edit.title_before], [edit.title]]
      : [edit.replaced, edit.segments].map((segments) => segments.map(({text}) => text));
    [["del", texts[0]], ["ins", texts[1]]].forEach(([name, lines]) => {
      for (const line of lines.filter(Boolean)) {
        const shown = row.appendChild(document.createElement("p")).appendChild(document.createElement(name));
        shown.textContent = line;
      }
    });
    if (edit.undone_by) about.append(` (undone by ${edit.undone_by})`);
    else row.append(this.#undoButton(edit));
    return row;
  }

  #undoButton(edit) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain small";
    button.textContent = edit.undoes ? "Do it again" : "Undo";
    button.setAttribute("aria-label", `${button.textContent}: edit ${edit.undoes ?? edit.revision}`);
    button.addEventListener("click", async () => {
      button.disabled = true;
      const sentence = await this.#edits.undo(edit.revision).then(() => "Done.", (failure) => failure.message);
      await this.#read(sentence);
    });
    return button;
  }

  #say(sentence) {
    this.#dialog.querySelector("[role=status]").textContent = sentence;
  }
}

// Editing a line in place: its text becomes a field, and everything else stays where it is.
//
// A double click on a line, the button on it, or the key E open the field. Ctrl+Enter saves, Escape cancels. Nothing that
// was typed is lost: a request that fails leaves the field as it is, and of two people's texts a dialog asks.

const template = document.getElementById("editor");

export class Editor {
  #transcript;
  #edits;
  #follow;
  #dialog;
  #button;
  #open = null; // {line, form, field}, and the text and revision that are edited; the field is read-only while it is saved

  constructor(root, transcript, edits, follow) {
    this.#transcript = transcript;
    this.#edits = edits;
    this.#follow = follow;
    this.#dialog = document.getElementById("conflict");
    this.#button = document.createElement("button");
    this.#button.type = "button";
    this.#button.className = "edit plain small";
    this.#button.textContent = "Edit";
    this.#button.addEventListener("click", () => this.edit(this.#button.closest(".line")));
    for (const event of ["pointerover", "focusin"])
      root.addEventListener(event, ({target}) => this.#offer(target.closest(".line")));
    root.addEventListener("dblclick", (event) => {
      if (event.target.closest(".text")) this.edit(event.target.closest(".line"));
    });
    addEventListener("beforeunload", (event) => this.#isChanged && event.preventDefault());
  }

  get #isChanged() {
    return this.#open !== null && this.#open.field.value !== this.#open.text;
  }

  get #isSaving() {
    return this.#open?.field.readOnly ?? false;
  }

  /** Have the one button on the line that is pointed at, or has the focus. */
  #offer(line) {
    if (!line || line.contains(this.#button) || line.classList.contains("editing")) return;
    this.#button.setAttribute("aria-label", `Edit the line at ${line.firstElementChild.textContent}`);
    line.append(this.#button);
  }

  /** Open the field on a line; one that has unsaved text stays, and gets the focus. */
  edit(line) {
    if (!line || this.#open?.line === line) return;
    if (this.#isChanged || this.#isSaving) return void this.#open.field.focus();
    this.#close();
    getSelection().removeAllRanges();
    this.#follow.stop();
    this.#button.remove();
    const form = template.content.firstElementChild.cloneNode(true), field = form.querySelector("textarea");
    field.value = textOf(line);
    this.#open = {line, form, field, text: field.value, revision: this.#edits.revision};
    this.#put(line);
    field.focus({preventScroll: true});
    field.addEventListener("input", () => this.#fit());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
    form.addEventListener("keydown", (event) => this.#key(event));
    form.addEventListener("click", (event) => event.stopPropagation()); // it plays nothing
    form.addEventListener("dblclick", (event) => event.stopPropagation());
    form.querySelector('[data-edit="cancel"]').addEventListener("click", () => this.#cancel());
    form.querySelector('[data-edit="split"]').addEventListener("click", () => this.#split());
    form.querySelector('[data-edit="merge"]').addEventListener("click", () => this.#merge());
    form.querySelector('[data-edit="merge"]').disabled = !this.#next;
  }

  #put(line) {
    this.#open.line = line;
    line.classList.add("editing");
    line.append(this.#open.form);
    this.#fit();
  }

  /** Lines were made again: a field with unsaved text moves to the one that is in its place now. */
  keep() {
    if (!this.#open || this.#open.line.isConnected) return;
    if (!this.#isChanged && !this.#isSaving) return this.#close();
    const line = this.#transcript.at(Number(this.#open.line.dataset.start)) ?? this.#transcript.lines[0];
    if (line) this.#put(line);
  }

  get #next() {
    return this.#transcript.lines[this.#transcript.lines.indexOf(this.#open.line) + 1];
  }

  #fit() {
    const {field} = this.#open;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + 2}px`;
  }

  #key(event) {
    if (this.#isSaving) return; // it is neither saved twice nor closed before it is known to be saved
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#save();
    else if (event.key === "Escape") this.#cancel();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #cancel() {
    const {line} = this.#open;
    this.#close();
    line.firstElementChild.focus({preventScroll: true});
  }

  #close() {
    if (!this.#open) return;
    this.#open.line.classList.remove("editing");
    this.#open.form.remove();
    this.#open = null;
  }

  #save() {
    const {line, field} = this.#open, text = field.value.trim();
    if (!this.#isChanged) return this.#cancel();
    return this.#write(line, line, text ? [{text}] : []);
  }

  #split() {
    const {line, field} = this.#open;
    const parts = [field.value.slice(0, field.selectionStart), field.value.slice(field.selectionStart)];
    const segments = parts.map((part) => ({text: part.trim()}));
    if (segments.every(({text}) => text)) return this.#write(line, line, segments);
    this.#say("Put the cursor between the words where the second line begins.");
    field.focus();
  }

  #merge() {
    const {line, field} = this.#open;
    return this.#write(line, this.#next, [{text: `${field.value.trim()} ${textOf(this.#next)}`.trim()}]);
  }

  async #write(first, last, segments) {
    const [start, end] = [Number(first.dataset.start), Number(last.dataset.end)], {revision} = this.#open;
    this.#hold(true);
    this.#say("Saving…");
    try {
      this.#done(await this.#edits.write(start, end, segments, revision), start);
    } catch (failure) {
      this.#hold(false);
      this.#say(failure.message);
      if (failure.code === "edit_conflict") await this.#decide(failure.details, segments, start, end);
    }
  }

  #hold(isSaving) {
    const {form, field} = this.#open;
    field.readOnly = isSaving;
    form.querySelectorAll("button").forEach((button) => (button.disabled = isSaving));
  }

  #done(lines, start) {
    this.#close();
    const line = lines[0] ?? this.#transcript.at(start) ?? this.#transcript.lines[0];
    line?.firstElementChild.focus({preventScroll: true});
  }

  #say(sentence) {
    this.#open.form.querySelector("[role=status]").textContent = sentence;
  }

  /** Show both texts, and save what the person decides. */
  async #decide({theirs, revision}, mine, start, end) {
    const text = (segments) => segments.map((segment) => segment.text).join("\n");
    const field = this.#dialog.querySelector("textarea");
    this.#dialog.querySelector(".theirs").textContent = text(theirs) || "Nothing is said there.";
    field.value = text(mine);
    this.#dialog.returnValue = "";
    this.#dialog.showModal();
    await new Promise((closed) => this.#dialog.addEventListener("close", closed, {once: true}));
    if (!this.#dialog.returnValue) return void this.#open.field.focus();
    const segments = field.value.split("\n").map((line) => ({text: line.trim()})).filter((line) => line.text);
    const range = theirs.length ? [theirs[0].start, theirs.at(-1).end] : [start, end];
    this.#close();
    try {
      await this.#edits.readAgain();
      const lines = this.#dialog.returnValue === "mine" ? await this.#edits.write(...range, segments, revision) : [];
      this.#done(lines, range[0]);
    } catch (failure) {
      this.edit(this.#transcript.at(range[0]));
      this.#open.field.value = text(segments);
      this.#say(failure.message);
    }
  }
}

const textOf = (line) => line.querySelector(".text").textContent;

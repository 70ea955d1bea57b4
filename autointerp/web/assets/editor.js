// The editor of a unit's page: a text as tokens, changed token by token, before above after.

import { cell, fill, peakOf, short, shown } from "./token_view.js";
import { missingWorker, sendToWorker } from "./worker_state.js";

const KEYS = {
  e: "open the editor",
  "← →": "in the editor: previous and next token",
  Del: "delete the token",
  i: "insert before it",
  a: "insert after it",
  r: "replace it",
  x: "cut everything before it",
  u: "undo",
};
const ACTS = { Delete: "delete", Backspace: "delete", i: "before", a: "after", r: "replace", Enter: "replace", x: "cut", u: "undo" };

class Editor {
  constructor(section) {
    this.section = section;
    const { model, units, sign, scale } = section.dataset;
    Object.assign(this, { model, units, sign: Number(sign), scale: Number(scale) });
    this.part = (name) => section.querySelector(`[data-part="${name}"]`);
    this.at = 0;
    this.past = [];
    this.part("own").addEventListener("submit", (event) => { event.preventDefault(); this.readOwn(); });
    this.part("typed").addEventListener("submit", (event) => { event.preventDefault(); this.putIn(); });
    this.part("cancel").addEventListener("click", () => this.closeTyped());
    this.part("acts").addEventListener("click", (event) => this.act(event.target.closest("button")?.dataset.act));
    this.part("after").addEventListener("keydown", (event) => this.key(event));
    this.part("after").addEventListener("click", (event) => this.mark([...this.part("after").children].indexOf(event.target)));
    for (const box of section.querySelectorAll("textarea")) box.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); box.form.requestSubmit(); }
      else if (event.key === "Escape" && box.form === this.part("typed")) this.closeTyped();
    });
  }

  /** What the unit does on a text or on tokens, the side's own sign. */
  async reading(given) {
    const asked = { model: this.model, units: this.spec(), ...given };
    const found = await sendToWorker("/v1/activations", asked, "activations", (text) => this.say("note", text));
    const read = found.units[0].unit.split("/").slice(-2).join(":");
    if (this.part("encoder") && read !== this.units) throw new Error(`That is ${read}; this page is of ${this.units}.`);
    const values = found.units[0].activations.map((value) => this.sign * value + 0);
    return { ids: found.token_ids, tokens: found.tokens, values, tokenized: found.tokenized };
  }

  /** How a worker is told which unit: of an SAE or of directions by where these lie. */
  spec() {
    const box = this.part("encoder");
    if (!box) return this.units;
    const path = box.value.trim();
    if (!path) { box.focus(); throw new Error("Write first where that lies: a label does not say it."); }
    return `${box.dataset.kind}:${path}:${this.units.split(":").at(-1)}`;
  }

  /** Runs what asks a worker: one at a time, and says what went wrong. */
  async busy(work) {
    if (this.isBusy) return;
    this.isBusy = true;
    this.section.setAttribute("aria-busy", "true");
    this.say("problem", "");
    const note = this.part("note").textContent;
    missingWorker("activations").then((missing) => { if (missing && this.isBusy) this.say("problem", missing); });
    try {
      await work();
      this.say("problem", "");
    } catch (error) {
      this.say("problem", error.message);
      this.say("note", note);
    } finally {
      this.isBusy = false;
      this.section.removeAttribute("aria-busy");
    }
  }

  say(name, text) { this.part(name).textContent = text; }

  /** Shows tokens as they were recorded. */
  async open(ids) {
    this.section.scrollIntoView({ block: "start" });
    await this.busy(async () => this.begin(await this.reading({ token_ids: ids }), "These are the tokens of the exemplar; nothing was tokenized anew."));
  }

  async readOwn() {
    const text = this.part("text").value;
    if (!text) { this.part("text").focus(); return; }
    await this.busy(async () => {
      const found = await this.reading({ text });
      this.begin(found, `Your text was tokenized anew, into ${counted(found.ids.length)}.`);
    });
  }

  begin(reading, note) {
    this.base = this.now = reading;
    this.past = [];
    this.at = peakOf(reading.values);
    this.say("note", note);
    this.closeTyped();
    this.part("tried").hidden = false;
    this.show();
    this.focus();
  }

  show() {
    const scale = this.scale > 0 ? this.scale : Math.max(...this.base.values, 1e-9);
    fill(this.part("before"), this.base, scale);
    const known = new Set(this.base.ids);
    this.part("after").replaceChildren(...this.now.tokens.map((_, i) => {
      const one = cell(this.now, i, scale);
      one.setAttribute("role", "option");
      if (!known.has(this.now.ids[i])) one.classList.add("new");
      return one;
    }));
    this.say("change", this.change());
    this.mark(Math.min(this.at, this.now.ids.length - 1), false);
  }

  change() {
    const [before, after] = [this.base, this.now].map(({ tokens, values }) => {
      const at = peakOf(values);
      return { value: values[at], text: `${short(values[at])} at “${shown(tokens[at])}”` };
    });
    if (this.now === this.base) return `Peak ${before.text}.`;
    const share = before.value > 0 ? ` (${after.value >= before.value ? "+" : "−"}${Math.abs(Math.round(100 * (after.value / before.value - 1)))} %)` : "";
    return `Peak ${before.text} before, ${after.text} after${share}.`;
  }

  /** Marks a token, which keys and buttons then change. */
  mark(i, withFocus = true) {
    const cells = [...this.part("after").children];
    if (!cells[i]) return;
    this.at = i;
    cells.forEach((one, place) => {
      one.tabIndex = place === i ? 0 : -1;
      one.setAttribute("aria-selected", String(place === i));
    });
    if (withFocus) cells[i].focus();
  }

  focus() { this.part("after").children[this.at]?.focus(); }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const ends = { ArrowLeft: this.at - 1, ArrowRight: this.at + 1, Home: 0, End: this.now.ids.length - 1 };
    const to = ends[event.key], act = ACTS[event.key];
    if (to === undefined && !act) return;
    event.preventDefault();
    event.stopPropagation(); // Else the page would go to the next unit.
    if (act) this.act(act);
    else this.mark(Math.min(Math.max(to, 0), this.now.ids.length - 1));
  }

  act(name) {
    if (!name || this.isBusy) return;
    const { ids } = this.now, at = this.at;
    if (name === "undo" || name === "restart") { this.back(name); return; }
    if (name === "delete" && ids.length > 1) this.change_to(ids.toSpliced(at, 1), Math.max(0, at - 1), `“${shown(this.now.tokens[at])}” was deleted; the other tokens stay as they are.`);
    else if (name === "cut" && at > 0) this.change_to(ids.slice(at), 0, `${counted(at)} before were cut; the other tokens stay as they are.`);
    else if (["before", "after", "replace"].includes(name)) this.openTyped(name);
    else this.say("note", name === "cut" ? "Nothing stands before the first token." : "The last token stays: a text has at least one.");
  }

  back(name) {
    if (!this.past.length) { this.say("note", "Nothing was changed yet."); return; }
    this.now = name === "undo" ? this.past.pop() : this.base;
    if (name === "restart") this.past = [];
    this.say("note", name === "undo" ? "The last change was undone." : "These are the tokens of before.");
    this.show();
    this.focus();
  }

  async change_to(ids, at, note) {
    await this.busy(async () => this.take(await this.reading({ token_ids: ids }), at, note));
  }

  take(reading, at, note) {
    this.past.push(this.now);
    this.now = reading;
    this.at = at;
    this.say("note", note);
    this.show();
    this.focus();
  }

  openTyped(how) {
    this.how = how;
    const token = this.now.tokens[this.at], box = this.part("piece");
    const where = { before: "Insert before", after: "Insert after", replace: "Replace" }[how];
    this.say("where", `${where} “${shown(token)}” with a text; a word inside a sentence begins with a space`);
    box.value = how === "replace" ? token : " ";
    this.part("typed").hidden = false;
    box.focus();
    box.setSelectionRange(how === "replace" ? 0 : 1, box.value.length);
  }

  closeTyped() {
    const form = this.part("typed"), was = !form.hidden;
    form.hidden = true;
    if (was && this.now) this.focus();
  }

  async putIn() {
    const text = this.part("piece").value, { ids } = this.now, at = this.at, how = this.how;
    if (!text) return;
    await this.busy(async () => {
      const typed = (await this.reading({ text })).ids;
      const start = how === "after" ? at + 1 : at;
      const changed = ids.toSpliced(start, how === "replace" ? 1 : 0, ...typed);
      const reading = await this.reading({ token_ids: changed });
      this.part("typed").hidden = true;
      const what = `“${shown(text)}” was tokenized anew, into ${counted(typed.length)}`;
      this.take(reading, start + typed.length - 1, `${what}; the other tokens stay as they are.`);
    });
  }
}

const counted = (n) => (n === 1 ? "1 token" : `${n} tokens`);

const editors = new Map([...document.querySelectorAll("section.editor")].map((one) => [one, new Editor(one)]));

/** Every exemplar gets a button that opens it in the editor of its side. */
for (const [section, editor] of editors) {
  for (const row of section.closest("article").querySelectorAll(".rows li")) {
    const button = document.createElement("button");
    button.className = "edit";
    button.type = "button";
    button.textContent = "edit";
    button.setAttribute("aria-label", "edit this text in the editor");
    button.addEventListener("click", () => {
      const { ids } = row.querySelector(".window").dataset;
      editor.open(ids.split(/[,+]/).map(Number));
    });
    row.append(button);
  }
}

const [first] = editors.values();
document.addEventListener("keydown", (event) => {
  if (event.key !== "e" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, dialog")) return;
  event.preventDefault();
  const nearest = [...editors.values()].find(({ section }) => section.getBoundingClientRect().bottom > 0) ?? first;
  if (nearest.now) nearest.focus();
  else {
    nearest.section.scrollIntoView({ block: "start" });
    nearest.part("text").focus();
  }
});
const list = document.querySelector("#keys dl");
for (const [key, what] of first ? Object.entries(KEYS) : []) {
  const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
  const name = document.createElement("kbd");
  name.textContent = key;
  term.append(name);
  meaning.textContent = what;
  list?.append(term, meaning);
}

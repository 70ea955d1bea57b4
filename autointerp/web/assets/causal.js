// A unit held still, or pushed up and down while the model writes on: what a worker finds.

import { shown, short } from "./token_view.js";
import { sendToWorker } from "./worker_state.js";

const TEXTS = { all: "held-out text", exemplars: "its exemplars", predicted: "where its label says that it is active" };
const HELD = { zero: "at zero", mean: "at its mean", resample: "at what it is on another text" };

for (const section of document.querySelectorAll("section.causal")) {
  const form = section.querySelector("form"), button = form.querySelector("button");
  const part = (name) => section.querySelector(`[data-part="${name}"]`);
  const kind = () => form.elements.kind.value;
  const show = () => {
    for (const one of form.querySelectorAll("[data-of]")) {
      one.hidden = one.dataset.of !== kind();
      // A field that nobody sees must not keep the form from being sent.
      for (const field of one.querySelectorAll("input, select, textarea")) field.disabled = one.hidden;
    }
  };
  form.addEventListener("change", show);
  show();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    part("problem").textContent = "";
    part("result").hidden = true;
    button.disabled = true;
    section.setAttribute("aria-busy", "true");
    part("done").textContent = "Being measured; this takes about a minute, longer where the model is loaded first.";
    try {
      const body = { units: unitsOf(section), kind: kind(), ...asked(form) };
      const found = await sendToWorker(section.dataset.path, body, "activations", (text) => { part("done").textContent = text; });
      const [sentence, parts] = body.kind === "ablation" ? lost(found.ablations[0]) : written(found.steerings);
      part("result").replaceChildren(...parts, ...found.notes.map((note) => element("p", shown(note), "facts")));
      part("result").hidden = false;
      part("done").textContent = `${sentence} It took ${Math.max(1, Math.round(found.seconds))} s.`;
    } catch (error) {
      part("done").textContent = "";
      part("problem").textContent = error.message;
    } finally {
      button.disabled = false;
      section.removeAttribute("aria-busy");
    }
  });
}

function asked(form) {
  const of = form.elements, number = (name) => ({ [name]: Number(of[name].value) });
  const controls = number("n_controls");
  if (of.kind.value === "ablation") return { holds: [of.hold.value], ...number("n_windows"), ...number("n_texts"), ...controls };
  const prompts = of.prompts.value.split("\n").filter((line) => line.trim());
  if (!prompts.length) { of.prompts.focus(); throw new Error("Write a text to go on with."); }
  return { prompts, ...number("target_kl"), ...number("n_tokens"), ...controls };
}

/** How a worker is told which unit: of an SAE or of directions by the folder named for the editor. */
function unitsOf(section) {
  const box = section.closest("article").querySelector(".editor [data-part=encoder]");
  if (!box) return section.dataset.units;
  const path = box.value.trim();
  if (!path) { box.focus(); throw new Error("Write first where that lies, above: a label does not say it."); }
  return `${box.dataset.kind}:${path}:${section.dataset.units.split(":").at(-1)}`;
}

function lost({ changes }) {
  const hold = HELD[changes[0].hold];
  const rows = changes.map((change) => {
    const windows = change.n_windows === 1 ? "1 window" : `${change.n_windows} windows`;
    if (change.value === null) return [TEXTS[change.text], `none: ${shown(change.reason)}`, "–", "–"];
    return [`${TEXTS[change.text]}, ${windows}`, loss(change), ...["random_units", "random_directions"].map((of) => standing(change.standings, of))];
  });
  const table = tableOf(`Change of the loss with the unit ${hold}, thousandths of a nat a token, with its 95 % interval over documents`, ["on", "change", "among random units", "among random directions"], rows);
  const told = changes.filter((change) => change.value !== null);
  const most = told.sort((a, b) => Math.abs(b.value) - Math.abs(a.value))[0];
  if (!most) return ["Nothing can be told.", [table]];
  const way = most.value < 0 ? "lower" : "higher";
  const sentence = `With it ${hold} the loss is ${thousandths(Math.abs(most.value))} thousandths of a nat a token ${way} on ${TEXTS[most.text]}${beside(most.standings, "random_units", "among random units")}.`;
  return [sentence, [table]];
}

function loss({ value, low, high }) {
  return low === null ? signed(value) : `${signed(value)} (${signed(low)} to ${signed(high)})`;
}

const thousandths = (value) => short(1000 * value);
const signed = (value) => `${value > 0 ? "+" : ""}${thousandths(value)}`;

function standing(standings, of) {
  const one = standings.find((each) => each.control === of);
  if (!one) return "–";
  if (one.rank === null) return shown(one.reason);
  return `rank ${one.rank} of ${one.values.length + 1}, p\u00a0=\u00a0${short(one.p)}`;
}

/** Nothing where no such controls were asked for. */
function beside(standings, of, among) {
  return standings.some((one) => one.control === of) ? `; ${among}: ${standing(standings, of)}` : "";
}

function written([raised, lowered]) {
  const ways = [["raised", raised], ["lowered", lowered]];
  const facts = ways.map(([way, one]) => {
    if (one.strength === null) return `It cannot be ${way}: ${shown(one.reason)}.`;
    return `It is ${way} by ${short(Math.abs(one.strength))}, which moves the next token by a KL of ${short(one.kl)} nats${beside(one.standings, "random_directions", "among random directions of that length")}.`;
  });
  const parts = facts.map((fact) => element("p", fact, "facts"));
  raised.prompts.forEach((prompt, i) => {
    const list = element("dl", "", "written");
    const line = (title, texts) => {
      if (i >= texts.length) return;
      const text = element("dd", shown(texts[i]));
      text.dir = "auto";
      list.append(element("dt", title), text);
    };
    line("as it is", raised.unsteered.length ? raised.unsteered : lowered.unsteered);
    for (const [way, one] of ways) line(way, one.texts);
    for (const [way, one] of ways) line(`a random direction, as far as ${way}`, one.control_texts);
    parts.push(element("h3", `After “${shown(prompt)}”`), list);
  });
  const able = ways.filter(([, one]) => one.strength !== null).map(([way]) => way);
  return [able.length ? `Written with the unit ${able.join(" and ")}.` : "It cannot be steered so far.", parts];
}

function tableOf(title, heads, rows) {
  const table = document.createElement("table");
  table.createCaption().textContent = title;
  const head = table.createTHead().insertRow();
  for (const one of heads) head.append(Object.assign(element("th", one), { scope: "col" }));
  const body = table.createTBody();
  for (const [first, ...others] of rows) {
    const row = body.insertRow();
    row.append(Object.assign(element("th", first), { scope: "row" }), ...others.map((one) => element("td", one)));
  }
  return table;
}

function element(name, text, className = "") {
  const one = document.createElement(name);
  one.textContent = text;
  if (className) one.className = className;
  return one;
}

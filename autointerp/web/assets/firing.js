// Which units fire on a text: the box of a model's page.

import { short, shown, unitName } from "./token_view.js";
import { sendToWorker } from "./worker_state.js";

const box = document.querySelector("section.firing");
const part = (name) => box.querySelector(`[data-part="${name}"]`);

box.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = part("text").value, button = part("ask");
  if (!text) { part("text").focus(); return; }
  part("problem").textContent = "";
  button.disabled = true;
  box.setAttribute("aria-busy", "true");
  const said = part("said").textContent;
  try {
    const body = { text, n: 20, ...layersOf(part("layers").value) };
    show(await sendToWorker(`/v1/models/${encodeURIComponent(box.dataset.model)}/strongest`, body, "activations", (waiting) => { part("said").textContent = waiting; }));
  } catch (error) {
    part("said").textContent = said;
    part("problem").textContent = error.message;
  } finally {
    button.disabled = false;
    box.removeAttribute("aria-busy");
  }
});

/** `5, 7-9` as numbers; all layers where nothing is written. */
function layersOf(written) {
  if (!written.trim()) return {};
  const layers = new Set();
  for (const one of written.split(",")) {
    const ends = one.trim().match(/^(\d{1,4})(?:\s*-\s*(\d{1,4}))?$/);
    if (!ends || Number(ends[2] ?? ends[1]) < Number(ends[1])) throw new Error("Write layers as numbers and ranges: 5, 7-9.");
    for (let i = Number(ends[1]); i <= Number(ends[2] ?? ends[1]); i += 1) layers.add(i);
  }
  return { layers: [...layers] };
}

function show(found) {
  const relative = found.ranked_by === "relative";
  const ranked = relative
    ? "Ranked by activation as a share of the unit's largest in the collection of its label; units without a label follow, by activation."
    : "Ranked by activation: no label tells what is much for these units.";
  const n = found.units.length, hooks = found.hooks.length;
  part("said").textContent = n
    ? `The ${n} strongest at ${hooks} hook ${hooks === 1 ? "point" : "points"}, of ${found.tokens.length} tokens. ${ranked}`
    : "No unit of these layers is active on this text.";
  part("found").replaceChildren(...found.units.map((unit) => line(unit, found.tokens, relative)));
}

function line(unit, tokens, relative) {
  const row = document.createElement("li");
  const name = document.createElement(unit.maximum === null ? "span" : "a");
  const sign = unit.side === "negative" ? " -" : "";
  name.textContent = `${unitName(unit)}${sign}`;
  if (unit.maximum !== null) name.href = `/models/${encodeURIComponent(box.dataset.model)}/units/${encodeURIComponent(unit.hook)}/${unit.index}#${unit.side}`;
  const value = element("b", unit.relative === null ? short(unit.activation) : `${Math.round(100 * unit.relative)} %`);
  value.className = "number";
  value.title = unit.maximum === null ? "activation" : `${short(unit.activation)} of ${short(unit.maximum)}`;
  const around = element("span", "");
  around.className = "tokens";
  around.dir = "ltr";
  around.append(...[-2, -1, 0, 1].map((step) => context(unit, tokens, step)).filter(Boolean));
  const what = element("span", unit.description ?? (unit.maximum === null ? "no label" : "nothing is said"));
  row.append(name, value, around, what);
  return row;
}

/** A token near the peak; the peak itself coloured by its share. */
function context(unit, tokens, step) {
  const at = unit.position + step;
  if (tokens[at] === undefined) return null;
  const one = element("i", shown(tokens[at]));
  if (step > 0) one.className = "behind";
  if (step !== 0) return one;
  const level = unit.relative === null ? 0 : Math.round(10 * Math.min(1, unit.relative));
  one.className = level ? `peak a${level}` : "peak";
  return one;
}

function element(name, text) {
  const one = document.createElement(name);
  one.textContent = text;
  return one;
}

// The units that carry a feature: what a worker is asked, and what it found.

import { unitName } from "./token_view.js";
import { sendToWorker } from "./worker_state.js";

const section = document.querySelector("section.finding");
const form = section.querySelector("form"), button = form.querySelector("button");
const part = (name) => section.querySelector(`[data-part="${name}"]`);
const way = () => form.elements.way.value;
const WRITTEN = ["positive", "negative", "regex", "examples", "layers", "tokens", "feature"];
const PLACE = `find:${section.dataset.model}`;

function showFields() {
  for (const one of form.querySelectorAll("[data-of]")) {
    one.hidden = !one.dataset.of.split(" ").includes(way());
    // A field that nobody sees must not keep the form from being sent.
    for (const field of one.querySelectorAll("input, select, textarea")) field.disabled = one.hidden;
  }
}

/** What was written outlives a reload, and a sign-in that comes between. */
function keep() {
  const kept = { way: way(), ...Object.fromEntries(WRITTEN.map((name) => [name, form.elements[name].value])) };
  try {
    sessionStorage.setItem(PLACE, JSON.stringify(kept));
  } catch {
    // The browser keeps nothing here: the form stays as it is until the page is left.
  }
}

function restore() {
  let kept = null;
  try {
    kept = JSON.parse(sessionStorage.getItem(PLACE));
  } catch {
    return;
  }
  for (const [name, value] of Object.entries(kept ?? {})) if (form.elements[name]) form.elements[name].value = value;
  if (form.elements.feature.selectedIndex < 0) form.elements.feature.selectedIndex = 0;
}

restore();
showFields();
form.addEventListener("change", showFields);
form.addEventListener("input", keep);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  part("problem").textContent = "";
  part("result").hidden = true;
  button.disabled = true;
  section.setAttribute("aria-busy", "true");
  part("said").textContent = "All units are being ranked; this takes about a minute without a GPU, longer where the model is loaded first.";
  const began = Date.now();
  const ticking = setInterval(() => { part("elapsed").textContent = `${Math.round((Date.now() - began) / 1000)} s`; }, 1000);
  try {
    const found = await sendToWorker(section.dataset.path, asked(), "activations", (text) => { part("said").textContent = text; });
    show(found);
    part("said").textContent = `Done in ${Math.max(1, Math.round((Date.now() - began) / 1000))} s.`;
  } catch (error) {
    part("said").textContent = "";
    part("problem").textContent = error.message;
  } finally {
    clearInterval(ticking);
    part("elapsed").textContent = "";
    button.disabled = false;
    section.removeAttribute("aria-busy");
  }
});

function asked() {
  const of = form.elements;
  const body = { ...soughtIn(of), ...unitsOf(of.layers.value) };
  if (!of.tokens.disabled) body.tokens = Number(of.tokens.value);
  if (!of.probes.checked) body.k = [];
  return body;
}

function soughtIn(of) {
  if (way() === "feature") return { feature: of.feature.value };
  if (way() === "regex") return { regex: of.regex.value };
  if (way() === "examples") return { examples: linesOf(of.examples.value).map(parsed) };
  return { positive: linesOf(of.positive.value), negative: linesOf(of.negative.value) };
}

const linesOf = (text) => text.split("\n").filter((line) => line.trim());

function parsed(line, i) {
  let value = null;
  try {
    value = JSON.parse(line);
  } catch {
    // What is wrong with it is said below.
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error(`Line ${i + 1} is not a JSON object: write {"text": "...", "spans": [[0, 4]]}, {"text": "...", "label": 1} or {"tokens": ["A", " cat"], "labels": [0, 1]} on each.`);
  return value;
}

/** `5, 7-9` as layers of neurons; all where nothing is written. */
function unitsOf(written) {
  if (!written.trim()) return {};
  const layers = new Set();
  for (const one of written.split(",")) {
    const ends = one.trim().match(/^(\d{1,3})(?:\s*-\s*(\d{1,3}))?$/);
    if (!ends || Number(ends[2] ?? ends[1]) < Number(ends[1])) throw new Error("Write layers as numbers and ranges: 5, 7-9.");
    for (let i = Number(ends[1]); i <= Number(ends[2] ?? ends[1]); i += 1) layers.add(`layer:${i}`);
  }
  return { units: [...layers].join(",") };
}

function show(found) {
  const parts = [element("h2", "The best units"), sentence(found), wide(units(found))];
  parts.push(element("p", `Held out: average precision on ${counted(found.tested)}, with its 95 % interval over documents; units are ranked on ${counted(found.ranked)}. A + is for high activations, a - for low ones.`, "facts"));
  if (found.probes) parts.push(...probed(found.probes));
  parts.push(...found.notes.map((note) => element("p", note, "facts")));
  const all = element("p", "A request reads less text and fits fewer probes than the command, which does all of it: ", "facts command");
  all.append(element("code", found.command));
  parts.push(all);
  part("result").replaceChildren(...parts);
  part("result").hidden = false;
}

function sentence(found) {
  const best = found.units[0], { n_positive: n, n_negative: others } = found.tested;
  return element("p", `Of ${found.n_units.toLocaleString("en")} units, ${nameOf(best)} tells ${found.feature === found.corpus ? "it" : found.feature} best: average precision ${digits(best.tested)} on documents held out, where chance is ${digits(n / (n + others))}.`, "sentence");
}

const counted = ({ n_positive: n, n_negative: others, n_documents: documents }) =>
  `${(n + others).toLocaleString("en")} tokens (${n.toLocaleString("en")} with it) of ${documents.toLocaleString("en")} documents`;
const digits = (value) => (value === null ? "–" : value.toFixed(2));
const interval = ({ low, high }) => (low === null || high === null ? "" : ` (${digits(low)} to ${digits(high)})`);
const nameOf = (unit) => `${unitName(unit)} ${unit.side === "negative" ? "-" : "+"}`;

function units(found) {
  const table = tableOf("", ["unit", "held out", "ranked on", "mean diff.", "its score", "label"], found.units.map((unit) => [
    linkTo(unit), `${digits(unit.tested)}${interval({ low: unit.tested_low, high: unit.tested_high })}`, digits(unit.average_precision),
    `${unit.mean_difference < 0 ? "" : "+"}${unit.mean_difference.toFixed(2)}`, digits(unit.score), unit.label ?? (unit.has_label ? "nothing is said" : "no label"),
  ]));
  table.className = "best";
  return table;
}

function linkTo(unit) {
  const one = element(unit.has_label ? "a" : "span", nameOf(unit));
  if (unit.has_label) one.href = `/models/${encodeURIComponent(section.dataset.model)}/units/${encodeURIComponent(unit.hook)}/${unit.index}#${unit.side}`;
  return one;
}

function probed({ verdict, lines, baselines, dense_mcc: dense, n_candidates: n }) {
  const who = verdict.units.length ? ` (${verdict.units.slice(0, 8).map(shortName).join(", ")})` : "";
  const said = element("p", "", "verdict");
  said.append(element("b", `${capital(verdict.carrier)}${who}`), `: ${verdict.reason}${GRAINS[verdict.grain] ?? ""}.`);
  const rows = lines.map((line) => [String(line.k), digits(line.f1.value), digits(line.precision.value), digits(line.recall.value), `${digits(line.mcc.value)}${interval(line.mcc)}`, `${line.units.slice(0, 4).map(shortName).join(", ")}${line.units.length > 4 ? ` and ${line.units.length - 4} more` : ""}`]);
  const sizes = tableOf("", ["units", "F1", "precision", "recall", "MCC (95 %)", "which"], rows);
  sizes.className = "sizes";
  return [
    element("h2", "How many units carry it"), said, ...curve(lines, verdict.chance_mcc, dense.value),
    wide(sizes), wide(compared(baselines)),
    element("p", `Probes on the best ${n.toLocaleString("en")} units of three hook points, scored on documents held out; MCC of the probe on all of them ${digits(dense.value)}. MCC beside: the median of several draws, the highest in brackets.`, "facts"),
  ];
}

/** What probes are read against, a column for each number of units. */
function compared(baselines) {
  const ks = [...new Set(baselines.map((one) => one.k))], names = [...new Set(baselines.map((one) => one.name))];
  const cell = (name, k) => {
    const found = baselines.find((one) => one.name === name && one.k === k);
    return found ? `${digits(found.median_mcc)} (${digits(found.highest_mcc)})` : "–";
  };
  const table = tableOf("", ["MCC beside", ...ks.map((k) => `${k} ${k === 1 ? "unit" : "units"}`)], names.map((name) => [name, ...ks.map((k) => cell(name, k))]));
  table.className = "compared";
  return table;
}

const GRAINS = { coarser: "; it is coarser than the feature: it is there at other tokens too", finer: "; it is finer than the feature: it is at a part of its tokens" };
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** `model/blocks.5.mlp.hook_post/131` as the other tables name it. */
function shortName(text) {
  const [index, hook] = text.split("/").reverse();
  return unitName({ hook, index, layer: hook.split(".")[1] });
}

/** MCC by the number of units, with intervals, beside chance; nothing where there is one number. */
function curve(lines, chance, dense) {
  const points = lines.filter((line) => line.mcc.value !== null).reverse();
  if (points.length < 2) return [];
  const x = (i) => (100 * i) / (points.length - 1), y = (value) => 100 * (1 - Math.min(1, Math.max(0, value)));
  const at = (value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`;
  const drawing = svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img", class: "t0", "aria-label": `MCC by number of units: ${points.map((one) => `${one.k}: ${digits(one.mcc.value)}`).join("; ")}` });
  const low = points.map((one, i) => at(one.mcc.low ?? one.mcc.value, i)), high = points.map((one, i) => at(one.mcc.high ?? one.mcc.value, i));
  drawing.append(svg("polygon", { class: "band", points: [...low, ...high.reverse()].join(" ") }));
  for (const level of [chance, dense]) if (level !== null) drawing.append(svg("line", { class: "zero", x1: 0, x2: 100, y1: y(level), y2: y(level) }));
  drawing.append(svg("polyline", { class: "line", points: points.map((one, i) => at(one.mcc.value, i)).join(" ") }));
  for (const [i, one] of points.entries()) drawing.append(svg("line", { class: "dot", x1: x(i), x2: x(i), y1: y(one.mcc.value), y2: y(one.mcc.value) }));
  const plot = element("div", "", "plot");
  plot.append(element("span", "MCC 1", "end"), drawing, element("span", "0", "end low"));
  const places = element("div", "", "places");
  places.append(...points.map((one) => element("span", `${one.k} ${one.k === 1 ? "unit" : "units"}`)));
  return [plot, places, element("p", "Dotted: all candidates together above, the highest of shuffled labels below.", "facts")];
}

function svg(name, attributes) {
  const one = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  return one;
}

function tableOf(title, heads, rows) {
  const table = document.createElement("table");
  if (title) table.createCaption().textContent = title;
  const head = table.createTHead().insertRow();
  for (const one of heads) head.append(Object.assign(element("th", one), { scope: "col" }));
  const body = table.createTBody();
  for (const [first, ...others] of rows) {
    const row = body.insertRow(), name = Object.assign(element("th", ""), { scope: "row" });
    name.append(first);
    row.append(name, ...others.map((one) => element("td", one)));
  }
  return table;
}

/** A table that is wider than the window is scrolled by keys as well. */
const scrolled = new ResizeObserver((seen) => {
  for (const { target } of seen) target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
});

function wide(table) {
  const box = element("div", "", "wide");
  box.append(table);
  scrolled.observe(box);
  return box;
}

function element(name, text, className = "") {
  const one = document.createElement(name);
  one.textContent = text;
  if (className) one.className = className;
  return one;
}

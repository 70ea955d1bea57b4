// Search as one types: by words at once, and by meaning beside it where a worker answers.
// Without this script the form does the same by words, a page at a time.
import { read } from "./requests.js";

const PAUSE_MS = 250, N_WORDS = 30, N_MEANING = 8;
const box = document.getElementById("search");
const list = document.getElementById("list-of-found");
const status = document.getElementById("found");
let timer, latest = 0;

const element = (name, text, options = {}) => Object.assign(document.createElement(name), { textContent: text, ...options });

function line(row) {
  const item = document.createElement("li");
  const [model, hook, index] = [box.dataset.model, row.hook, row.index].map(encodeURIComponent);
  const sign = row.polarity === "negative" ? " -" : "";
  const short = hook === `blocks.${row.layer}.mlp.hook_post` ? `${row.layer}:${row.index}` : `${row.hook}/${row.index}`;
  item.append(
    element("a", short + sign, { href: `/models/${model}/units/${hook}/${index}` }), " ",
    element("b", row.score === null ? "–" : row.score.toFixed(2), { className: "number" }), " ",
    element("span", row.description ?? row.status_reason ?? row.status),
  );
  return item;
}

function group(title, rows) {
  const rest = document.createElement("ul");
  rest.className = "units";
  rest.append(...rows.map(line));
  return [element("h3", title), rest];
}

async function search() {
  const words = box.value.trim(), mine = ++latest;
  if (!words) {
    list.replaceChildren();
    status.textContent = "";
    return;
  }
  const address = (given) => `${box.dataset.labels}?${new URLSearchParams({ ...given })}`;
  const layer = box.form.elements.layer.value.trim();
  const where = /^\d+$/.test(layer) ? { layer } : {};
  status.textContent = "searching";
  try {
    const found = await read(address({ ...where, q: words, limit: N_WORDS }));
    if (mine !== latest) return;
    const n = found.items.length;
    list.replaceChildren(...(n ? group(`With these words: ${n}${found.next ? " and more" : ""}`, found.items) : []));
    status.textContent = n ? "" : "no label has these words";
  } catch (error) {
    if (mine === latest) status.textContent = error.message;
  }
  try {
    const near = await read(address({ ...where, meaning: words, limit: N_MEANING }));
    if (mine === latest && near.items.length) list.append(...group("With a like meaning", near.items));
  } catch (error) {
    // Workers make vectors of a large model for a while, and without a worker there are none.
    if (mine === latest) list.append(element("p", `By meaning: ${error.message}`, { className: "facts" }));
  }
}

box?.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(search, PAUSE_MS);
});

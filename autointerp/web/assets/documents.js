// The document around a window: a button in a window that is opened; a worker reads the text again.
import { sendToWorker } from "./worker_state.js";

document.addEventListener("toggle", (event) => {
  const box = event.target;
  const page = box.closest?.("article[data-document]");
  if (!page || !box.open || !box.dataset.window || box.querySelector(".around")) return;
  const around = document.createElement("div");
  around.className = "around";
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "show the document around it";
  const said = document.createElement("p");
  said.setAttribute("role", "status");
  said.className = "facts";
  button.addEventListener("click", () => show(page, box, { around, button, said }));
  around.append(button, said);
  box.append(around);
}, true);

async function show(page, box, { around, button, said }) {
  button.disabled = true;
  said.textContent = "a worker reads the text";
  try {
    const asked = { window: Number(box.dataset.window), side: page.id };
    const found = await sendToWorker(page.dataset.document, asked, "activations", (text) => { said.textContent = text; });
    const [text, note] = passage(found);
    around.replaceChildren(text, note);
    // A long text is scrolled to the window; keys scroll it too.
    const mark = text.querySelector("mark");
    text.scrollTop = Math.max(0, mark.offsetTop - text.offsetTop - text.clientHeight / 3);
  } catch (error) {
    button.disabled = false;
    said.textContent = error.message;
  }
}

// What cannot be seen, or turns the direction of other characters, is spelled out, as on all pages.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
const seen = (text) => text.replace(UNSEEN, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);

function passage(found) {
  const text = document.createElement("blockquote"), mark = document.createElement("mark");
  text.dir = "auto";
  text.tabIndex = 0;
  text.setAttribute("role", "region");
  text.setAttribute("aria-label", "The document around the window");
  mark.textContent = seen(found.window);
  text.append(found.n_before ? "… " : "", seen(found.before), mark, seen(found.after), found.n_after ? " …" : "");
  const note = document.createElement("p");
  note.className = "facts";
  const left = [["before", found.n_before], ["after", found.n_after]].filter(([, n]) => n);
  const rest = left.map(([where, n]) => `${n.toLocaleString()} tokens ${where}`).join(", ");
  note.textContent = rest ? `Of the document ${rest} are not shown.` : "This is the whole document.";
  return [text, note];
}

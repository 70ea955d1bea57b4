// Jobs: parts of a page that are kept up to date, buttons that post, and the form of a new job.
import { send } from "./requests.js";

const byId = (name) => document.getElementById(name);
const sleep = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

const keyOf = (element) => element.getAttribute("href") ?? element.dataset.post;

// The server writes every figure: the page is asked for again, and what changed is put in place.
async function look() {
  const answer = await fetch(location.href, { cache: "no-store", headers: { Accept: "text/html" } });
  if (answer.redirected || answer.status === 404) location.reload(); // The sign-in has ended, or the job is gone.
  if (!answer.ok) throw new Error(answer.statusText);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const found = fresh.getElementById(part.id);
    if (!found || found.innerHTML === part.innerHTML) continue;
    const held = part.contains(document.activeElement) ? keyOf(document.activeElement) : null;
    part.replaceChildren(...document.adoptNode(found).childNodes);
    // Whoever goes by keyboard stays where they were.
    if (held) [...part.querySelectorAll("a, button")].find((one) => keyOf(one) === held)?.focus({ preventScroll: true });
  }
  document.title = fresh.title;
}

async function follow() {
  for (;;) {
    await sleep(document.querySelector("[data-open]") ? 2 : 30);
    if (document.hidden) continue;
    const said = byId("connection");
    try {
      await look();
      said.hidden = true;
    } catch {
      said.textContent = "The server does not answer; what is shown is what it said last. It is asked again.";
      said.hidden = false;
    }
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-post]");
  if (!button) return;
  button.disabled = true;
  byId("form-problem").textContent = "";
  try {
    await send(button.dataset.post);
    await look();
  } catch (error) {
    byId("form-problem").textContent = error.message;
    button.disabled = false;
  }
});

/** The job that the form describes, as REST takes it; what is empty is left out. */
function jobOf(form) {
  const given = Object.entries(Object.fromEntries(new FormData(form))).filter(([, value]) => value.trim());
  const numbers = new Set(["tokens", "budget_usd"]);
  return Object.fromEntries(given.map(([name, value]) => [name, numbers.has(name) ? Number(value) : value.trim()]));
}

const line = (text, kind = "p") => Object.assign(document.createElement(kind), { textContent: text });

function showEstimate(estimate) {
  const parts = estimate.text.split("; ").map((part) => line(part, "li"));
  const list = line("", "ul");
  list.append(...parts);
  const shown = [line("What it will need:"), list];
  if (estimate.budget_reach) shown.push(line(`${estimate.budget_reach}.`));
  if (estimate.unknown.length) shown.push(line(`Not known before: ${estimate.unknown.join("; ")}.`));
  byId("estimate").replaceChildren(...shown);
}

function begin(form) {
  let waiting, asked = 0;
  const estimate = async () => {
    const number = ++asked;
    let found, problem;
    try {
      found = await send("/v1/estimates", jobOf(form));
    } catch (error) {
      problem = error;
    }
    if (number !== asked) return; // A later question is on its way.
    if (found) showEstimate(found);
    else byId("estimate").replaceChildren(line(problem.message));
  };
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    byId("form-problem").textContent = "";
    waiting = setTimeout(estimate, 300);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    byId("start").disabled = true;
    try {
      const job = await send("/v1/jobs", jobOf(form));
      location.assign(`/jobs/${encodeURIComponent(job.id)}`);
    } catch (error) {
      byId("form-problem").textContent = error.message;
      byId("start").disabled = false;
    }
  });
  estimate();
}

if (byId("job-form")) begin(byId("job-form"));
follow();

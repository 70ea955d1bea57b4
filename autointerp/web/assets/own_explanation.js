// An explanation of one's own, scored on the held-out windows of the unit's label.

import { sendToWorker } from "./worker_state.js";

for (const form of document.querySelectorAll("form.own-explanation")) {
  const part = (name) => form.querySelector(`[data-part="${name}"]`);
  const kind = () => form.elements.kind.value;
  const show = () => {
    part("llm").hidden = kind() === "program";
    part("hint").textContent = form.dataset[kind()];
  };
  form.addEventListener("change", show);
  show();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = form.elements.text.value, button = form.querySelector("button");
    if (!text.trim()) { form.elements.text.focus(); return; }
    part("problem").textContent = part("done").textContent = "";
    part("result").hidden = true;
    button.disabled = true;
    form.setAttribute("aria-busy", "true");
    part("done").textContent = "Being scored; a language model is asked about each window, which may take minutes.";
    if (kind() === "program") part("done").textContent = "Being scored.";
    try {
      const body = { [kind()]: text, side: form.dataset.side, keep: form.elements.keep.checked };
      body.llm = kind() === "program" ? "none" : form.elements.llm.value;
      if (form.elements.n_heldout.value) body.n_heldout = Number(form.elements.n_heldout.value);
      result(await sendToWorker(form.dataset.path, body, "labels"));
    } catch (error) {
      part("done").textContent = "";
      part("problem").textContent = error.message;
    } finally {
      button.disabled = false;
      form.removeAttribute("aria-busy");
    }
  });

  function result(found) {
    const one = found.results.find((each) => score(each, "population")) ?? found.results[0];
    const own = one && score(one, "population"), over = one && score(one, "over_label");
    part("own").textContent = number(own);
    part("machine").textContent = form.dataset.score;
    part("over").textContent = number(over, true);
    const kept = found.kept_as ? ` It is kept as ${found.kept_as}.` : "";
    part("done").textContent = `${verdict(own, over)} ${one.n_judged} of ${one.n_asked} windows judged.${kept}`;
    if (one.failure) part("problem").textContent = one.failure;
    part("result").hidden = false;
  }

  function verdict(own, over) {
    if (!own || own.value === null) return `No score: ${own?.reason ?? "no scorer predicted activations"}.`;
    if (!over || over.value === null) return `There is no difference to tell: ${over?.reason ?? "the label has no score"}.`;
    if (over.low > 0) return "Yours predicts the unit better than the machine's.";
    if (over.high < 0) return "The machine's predicts the unit better than yours.";
    return "The two cannot be told apart on these windows: the interval of the difference includes 0.";
  }
}

const score = (result, name) => result.scores.find((one) => one.name === name);

function number(score, signed = false) {
  if (!score || score.value === null) return "–";
  const two = (value) => `${signed && value > 0 ? "+" : ""}${value.toFixed(2)}`;
  return score.low === null ? two(score.value) : `${two(score.value)} (95 %: ${two(score.low)} to ${two(score.high)})`;
}

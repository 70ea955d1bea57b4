"use strict";
// Keys press the buttons that bear them, but for letters of a rule that is being written.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.matches("input[name=rule]")) return;
  const button = document.querySelector(`button[data-key="${CSS.escape(event.key.toLowerCase())}"]:not([disabled])`);
  if (button) { event.preventDefault(); button.click(); }
});
// A second click while the answer is on its way would answer the next item unseen.
document.querySelector("form.answer").addEventListener("submit", (event) => {
  if (event.target.dataset.sent) { event.preventDefault(); return; }
  event.target.dataset.sent = "yes";
});

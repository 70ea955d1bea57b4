"use strict";
// Keys, and search within a page that no server answers.
(() => {
  const byId = (name) => document.getElementById(name);
  const follow = (name) => { const link = byId(name); if (link) location.assign(link.href); };
  const toggleAll = () => {
    const windows = [...document.querySelectorAll(".window")];
    const open = windows.some((one) => !one.open);
    for (const one of windows) one.open = open;
  };
  document.addEventListener("keydown", (event) => {
    const at = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (at instanceof HTMLInputElement || at instanceof HTMLTextAreaElement || at instanceof HTMLSelectElement) return;
    if (at.closest(".wide") && event.key.startsWith("Arrow")) return;
    if (event.key === "ArrowLeft") follow("previous");
    else if (event.key === "ArrowRight") follow("following");
    else if (event.key === "o") toggleAll();
    else if (event.key === "?") byId("keys").showModal();
    else if (event.key === "/" && byId("search")) { event.preventDefault(); byId("search").focus(); }
  });
  // A table that is wider than the window is scrolled by keys as well.
  const wide = new ResizeObserver((seen) => {
    for (const { target } of seen) target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
  });
  for (const one of document.querySelectorAll(".wide")) wide.observe(one);
  // Tips are made when somebody points: written into the page they would be most of it.
  document.addEventListener("pointerover", (event) => {
    const token = event.target.closest(".window i");
    if (!token || token.title) return;
    const { ids, first, real, predicted } = token.closest(".window").dataset;
    const size = (one) => Number(one.dataset.n ?? 1);
    const row = [...token.closest(".tokens").querySelectorAll("i")];
    const at = row.slice(0, row.indexOf(token)).reduce((n, one) => n + size(one), 0), end = at + size(token);
    const positions = ids.split(",").slice(0, at).reduce((n, one) => n + one.split("+").length, 0);
    const of = (values) => [...new Set(values.split(",").slice(at, end))].join(" ");
    const facts = size(token) > 1 ? [`${size(token)} tokens`] : [JSON.stringify(token.textContent), `id ${of(ids)}`];
    facts.push(`position ${Number(first) + positions}`, `activation ${of(real)}`);
    if (predicted) facts.push(`predicted ${of(predicted)}`);
    token.title = facts.join("; ");
  });
  const box = byId("search");
  if (box && box.dataset.filter) {
    const rows = [...document.querySelectorAll("#list li")];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const show = () => {
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      let n = 0;
      rows.forEach((row, i) => {
        row.hidden = !words.every((word) => texts[i].includes(word));
        n += row.hidden ? 0 : 1;
      });
      byId("found").textContent = words.length ? `${n} of ${rows.length}` : "";
    };
    box.addEventListener("input", show);
    box.form.addEventListener("submit", (event) => { event.preventDefault(); show(); });
  }
})();

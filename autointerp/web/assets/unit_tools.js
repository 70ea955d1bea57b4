// Copies the unit as JSON, and the address of the page.
const said = document.getElementById("copied");
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      const text = button.dataset.copy ? await (await fetch(button.dataset.copy)).text() : location.href;
      await navigator.clipboard.writeText(text);
      said.textContent = `copied ${text.length.toLocaleString()} characters`;
    } catch {
      said.textContent = "the browser did not copy it; follow the link and copy there";
    }
  });
}

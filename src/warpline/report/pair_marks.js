// Decisions are kept in this browser, under the same key as on the cohort's page.
(() => {
  const box = document.querySelector(".marks"), key = `warpline ${standing.cohort}`;
  const read = () => { try { return JSON.parse(localStorage.getItem(key)) ?? {}; } catch { return {}; } };

  function show() {
    const chosen = read()[standing.id]?.decision ?? "";
    for (const button of box.querySelectorAll("button")) button.setAttribute("aria-pressed", button.dataset.mark === chosen);
  }

  function mark(decision) {
    const marks = read();
    if (decision) marks[standing.id] = { ...marks[standing.id], decision };
    else delete marks[standing.id];
    localStorage.setItem(key, JSON.stringify(marks));
    show();
  }

  const KEYS = {
    p: () => mark("pass"), r: () => mark("review"), f: () => mark("fail"), u: () => mark(""),
    j: () => document.getElementById("next")?.click(), k: () => document.getElementById("previous")?.click(),
    Escape: () => document.getElementById("index").click(),
  };
  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=range]), textarea")) return;
    KEYS[event.key]?.();
  });
  addEventListener("storage", show);
  for (const button of box.querySelectorAll("button")) button.addEventListener("click", () => mark(button.dataset.mark));
  show();
})();

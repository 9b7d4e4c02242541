// State, and what brings the parts of the page together.

const state = {
  search: "", ranges: {}, verdicts: new Set(), group: null, sort: "", down: false,
  mode: "table", chosen: null, shown: columns.filter(column => column.shown).map(column => column.name),
};
let view = new Int32Array(0), inView = new Uint8Array(rowCount), hovered = null;

const dom = Object.fromEntries(["search", "count", "export", "import", "help", "keys", "failures"].map(id => [id, document.getElementById(id)]));
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);

// -- the address keeps the state -----------------------------------------------------------------------------------

function writeHash() {
  const words = new URLSearchParams();
  if (state.search) words.set("q", state.search);
  if (state.verdicts.size) words.set("v", [...state.verdicts].join());
  if (state.group !== null) words.set("g", state.group);
  if (state.sort) words.set("s", (state.down ? "-" : "") + state.sort);
  if (state.mode !== "table") words.set("m", state.mode);
  for (const [name, [low, high]] of Object.entries(state.ranges)) words.append("b", `${name}:${low}..${high}`);
  if (state.chosen !== null) words.set("id", COHORT.ids[state.chosen]);
  history.replaceState(null, "", `#${words}`);
}

function readHash() {
  const words = new URLSearchParams(location.hash.slice(1)), sort = words.get("s") ?? "", name = sort.replace(/^-/, "");
  const group = Number(words.get("g") ?? NaN), chosen = COHORT.ids.indexOf(words.get("id"));
  state.search = dom.search.value = words.get("q") ?? "";
  state.verdicts = new Set((words.get("v") ?? "").split(",").filter(verdict => VERDICTS.includes(verdict)));
  state.group = group in COHORT.groups ? group : null;
  [state.sort, state.down] = sortable(name) ? [name, sort.startsWith("-")] : ["", false];
  state.mode = words.get("m") === "grid" ? "grid" : "table";
  state.ranges = {};
  for (const [, column, low, high] of words.getAll("b").map(text => /^(\w+):(.+)\.\.(.+)$/.exec(text) ?? [])) {
    if (columnNamed[column] && !Number.isNaN(+low) && !Number.isNaN(+high)) state.ranges[column] = [+low, +high];
  }
  state.chosen = chosen < 0 ? null : chosen;
}

const sortable = name => ["id", "decision", "verdict", "score", "reasons"].includes(name) || name in columnNamed || isFree(name);

// -- drawing -------------------------------------------------------------------------------------------------------

function paintStrips() {
  if (!document.querySelector(".plots").open) return;
  for (const strip of strips) {
    if (!strip.base) paintBase(strip, inView);
    paint(strip, state.ranges, state.chosen, hovered);
  }
}

function repaintStrips() {
  for (const strip of strips) strip.base = null;
  paintStrips();
}

function hover(row, event) {
  tip.hidden = row === null;
  if (row !== null) {
    tip.textContent = COHORT.ids[row];
    tip.style.left = `${Math.min(innerWidth - 160, event.clientX + 12)}px`;
    tip.style.top = `${event.clientY + 16}px`;
  }
  if (row === hovered) return;
  hovered = row;
  requestAnimationFrame(paintStrips);
}

/** After any change of what is searched, kept or sorted. */
function refresh() {
  view = selectedRows(state);
  inView = new Uint8Array(rowCount);
  for (const row of view) inView[row] = 1;
  dom.count.textContent = view.length === rowCount ? `${shownNumber(rowCount)} ${rowCount === 1 ? "pair" : "pairs"}` : `${shownNumber(view.length)} of ${shownNumber(rowCount)}`;
  for (const button of document.querySelectorAll(".tiles button")) button.setAttribute("aria-pressed", state.verdicts.has(button.dataset.verdict));
  for (const button of document.querySelectorAll("button[data-mode]")) button.setAttribute("aria-pressed", button.dataset.mode === state.mode);
  drawRanges();
  drawHead();
  drawList();
  repaintStrips();
  writeHash();
}

function drawRanges() {
  const kept = Object.entries(state.ranges).map(([name, [low, high]]) => `<button data-range="${name}" title="remove">${escaped(columnNamed[name].title)} ${shownNumber(+low.toPrecision(3))} – ${shownNumber(+high.toPrecision(3))} ✕</button>`);
  if (state.group !== null) kept.push(`<button data-group-off title="remove">${escaped(COHORT.groups[state.group].kind)} ✕</button>`);
  document.querySelector(".ranges").innerHTML = kept.join("");
}

function drawTiles() {
  const counts = Object.fromEntries(VERDICTS.map(verdict => [verdict, 0]));
  for (let row = 0; row < rowCount; row++) counts[verdictOf(row)]++;
  const shown = VERDICTS.filter(verdict => counts[verdict] || ["fail", "review", "pass"].includes(verdict));
  document.querySelector(".tiles").innerHTML = shown.map(verdict => `<button class="${verdict}" data-verdict="${verdict}" aria-pressed="false"><b>${shownNumber(counts[verdict])}</b>${VERDICT_WORDS[verdict]}</button>`).join("");
}

function drawGroups() {
  dom.failures.hidden = !COHORT.groups.length;
  document.querySelector(".groups").innerHTML = COHORT.groups.map((group, number) => `
    <article><b>${shownNumber(group.rows.length)} ×</b><span class="kind">${escaped(group.kind)}</span><p>${group.rows.length > 1 ? `${escaped(group.signature)}<small>${escaped(group.message)}</small>` : escaped(group.message)}</p>
    <button data-group="${number}">Show</button><button data-copy="${number}">Copy ids</button></article>`).join("");
}

function drawChooser() {
  const groups = [...new Set(columns.map(column => column.group))];
  document.querySelector(".chooser > div").innerHTML = groups.map(group => `<fieldset><legend>${escaped(group)}</legend>${columns.filter(column => column.group === group).map(column => `<label title="${escaped(column.meaning)}"><input type="checkbox" value="${column.name}" ${state.shown.includes(column.name) ? "checked" : ""}> ${escaped(column.title)}</label>`).join("")}</fieldset>`).join("");
}

// -- actions -------------------------------------------------------------------------------------------------------

function choose(row) {
  state.chosen = row;
  document.body.classList.remove("flip-fixed", "flip-warped");
  reveal();
  drawList();
  drawPanel();
  paintStrips();
  writeHash();
}

function move(by) {
  if (!view.length) return;
  const at = view.indexOf(state.chosen);
  choose(view[at < 0 ? 0 : Math.max(0, Math.min(view.length - 1, at + by))]);
}

function decide(decision, onwards) {
  if (state.chosen === null) return;
  setMark(state.chosen, { decision });
  drawList();
  drawPanel();
  if (onwards) move(1);
}

function keepRange(name, range) {
  if (range) state.ranges[name] = range; else delete state.ranges[name];
  refresh();
}

function toggleVerdict(verdict) {
  if (!state.verdicts.delete(verdict)) state.verdicts.add(verdict);
  list.scrollTop = 0;
  refresh();
}

function sortBy(name) {
  if (state.sort !== name) [state.sort, state.down] = [name, false];
  else if (!state.down) state.down = true;
  else [state.sort, state.down] = ["", false];
  list.scrollTop = 0;
  refresh();
}

function setMode(mode) {
  state.mode = mode;
  list.scrollTop = 0;
  refresh();
  reveal();
}

function clearAll() {
  Object.assign(state, { search: "", ranges: {}, verdicts: new Set(), group: null });
  dom.search.value = "";
  refresh();
}

/** Overlay, fixed alone, warped alone, fixed alone … until another pair is chosen. */
function flip() {
  const fixed = document.body.classList.contains("flip-fixed");
  document.body.classList.toggle("flip-fixed", !fixed);
  document.body.classList.toggle("flip-warped", fixed);
}

function saveDecisions() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([decisionsText()], { type: "text/tab-separated-values" }));
  link.download = "decisions.tsv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function importDecisions(file) {
  try {
    const taken = takeDecisions(await file.text());
    dom.count.textContent = `${shownNumber(taken)} decisions taken over`;
  } catch (error) {
    dom.count.textContent = `${file.name} cannot be read: ${error.message}`;
  }
  drawList();
  drawPanel();
}

const copy = text => navigator.clipboard?.writeText(text);

const KEYS = {
  ArrowDown: () => move(state.mode === "grid" ? tilesAcross() : 1), ArrowUp: () => move(state.mode === "grid" ? -tilesAcross() : -1),
  ArrowRight: () => state.mode === "grid" && move(1), ArrowLeft: () => state.mode === "grid" && move(-1),
  PageDown: () => move(15), PageUp: () => move(-15), Home: () => move(-rowCount), End: () => move(rowCount),
  j: () => move(1), k: () => move(-1),
  p: () => decide("pass"), r: () => decide("review"), f: () => decide("fail"), u: () => decide(""),
  P: () => decide("pass", true), R: () => decide("review", true), F: () => decide("fail", true), U: () => decide("", true),
  t: () => setMode(state.mode === "grid" ? "table" : "grid"), "/": () => dom.search.focus(), "?": () => dom.keys.showModal(),
  Escape: clearAll, " ": flip, Enter: () => document.getElementById("open")?.click(),
};

// -- wiring --------------------------------------------------------------------------------------------------------

addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || dom.keys.open) return;
  if (event.target.closest("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if ((event.key === " " || event.key === "Enter") && event.target.closest("button, a, summary, label")) return;
  const action = KEYS[event.key];
  if (!action) return;
  if (event.key !== "ArrowRight" && event.key !== "ArrowLeft" || state.mode === "grid") event.preventDefault();
  action();
});

const CLICKS = {
  verdict: toggleVerdict, sort: sortBy, mode: setMode, mark: decision => decide(decision),
  range: name => keepRange(name, null), row: row => choose(+row),
  group: number => { state.group = +number; refresh(); list.scrollIntoView({ block: "nearest" }); },
  groupOff: () => { state.group = null; refresh(); },
  copy: number => copy(COHORT.groups[number].rows.map(row => COHORT.ids[row]).join("\n")),
};

addEventListener("click", event => {
  for (const [name, action] of Object.entries(CLICKS)) {
    const target = event.target.closest(`[data-${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}]`);
    if (target) return action(target.dataset[name]);
  }
  if (event.target.closest("#copy")) copy(COHORT.ids[state.chosen]);
  if (event.target.closest(".panel .thumb")) flip();
  if (!event.target.closest(".chooser")) document.querySelector(".chooser").open = false;
});

list.addEventListener("dblclick", () => document.getElementById("open")?.click());
document.querySelector(".panel").addEventListener("input", event => event.target.matches(".note") && setMark(state.chosen, { note: event.target.value }));
document.querySelector(".chooser").addEventListener("change", () => {
  state.shown = [...document.querySelectorAll(".chooser input:checked")].map(box => box.value);
  buildStrips(state.shown.slice(0, 24));
  refresh();
});
document.querySelector(".plots").addEventListener("toggle", repaintStrips);
let typing = 0;
dom.search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => { state.search = dom.search.value; list.scrollTop = 0; refresh(); }, rowCount > 5000 ? 120 : 0);
});
dom.export.addEventListener("click", saveDecisions);
dom.import.addEventListener("change", () => dom.import.files[0] && importDecisions(dom.import.files[0]).then(() => { dom.import.value = ""; }));
dom.help.addEventListener("click", () => dom.keys.showModal());
list.addEventListener("scroll", () => requestAnimationFrame(drawList), { passive: true });
addEventListener("storage", () => { readMarks(); drawList(); drawPanel(); });
addEventListener("pageshow", () => { readMarks(); drawList(); drawPanel(); });
addEventListener("hashchange", () => { readHash(); refresh(); drawPanel(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaintStrips);
new ResizeObserver(() => { drawList(); repaintStrips(); }).observe(list);
packArrived = () => requestAnimationFrame(() => { drawList(); drawPanel(); });

document.querySelector(".plots").open = innerWidth > 700;
readMarks();
readHash();
drawTiles();
drawGroups();
drawChooser();
buildStrips(state.shown);
refresh();
drawPanel();
reveal();
document.body.dataset.ready = "yes";

/** Read the other columns while nothing else is to do: the first choice of a pair then shows all at once. */
(function warm(number) {
  if (number === columns.length) return;
  columns[number].sorted;
  setTimeout(warm, 30, number + 1);
})(0);

// The list of pairs, as a table or as thumbnails: only what is in sight is in the document.

const list = document.getElementById("list"), head = list.querySelector(".head");
const sizer = list.querySelector(".sizer"), body = list.querySelector(".rows");
const ROW = 34, TILE = 158, TILE_WIDTH = 300;

const FIXED_COLUMNS = [
  { name: "decision", title: "You", width: 92 },
  { name: "id", title: "Pair", width: 190 },
  { name: "verdict", title: "Verdict", width: 132 },
  { name: "score", title: "Score", width: 76, number: true, meaning: "How far out, all measures together; 1 is the median. – where there are too few pairs to compare" },
  { name: "reasons", title: "Reasons", width: 260 },
];

function tableColumns() {
  const numbers = state.shown.map(name => columnNamed[name]).map(column => ({ name: column.name, title: column.title, width: 104, number: true, meaning: column.meaning, column }));
  const free = Object.keys(COHORT.free).map(name => ({ name, title: name, width: 120 }));
  return [...FIXED_COLUMNS, ...numbers, ...free];
}

function drawHead() {
  head.innerHTML = tableColumns().map(({ name, title, width, number, meaning }, at) => {
    const sort = state.sort === name ? `aria-sort="${state.down ? "descending" : "ascending"}"` : `aria-sort="none"`;
    return `<span role="columnheader" aria-colindex="${at + 1}" ${sort} style="width:${width}px"><button class="${number ? "n" : ""}" data-sort="${escaped(name)}" title="${escaped(meaning ?? "")}">${escaped(title)}</button></span>`;
  }).join("");
}

function cellHtml(column, row, at) {
  const { name, width, number } = column, open = (kind, text) => `<span role="gridcell" aria-colindex="${at + 1}" class="${kind}" style="width:${width}px">${text}</span>`;
  if (name === "decision") return open(`verdict ${decisionOf(row)}`, decisionOf(row) || `<span class="quiet">·</span>`);
  if (name === "id") return open("id", escaped(COHORT.ids[row]));
  if (name === "verdict") return open(`verdict ${verdictOf(row)}`, VERDICT_WORDS[verdictOf(row)]);
  if (name === "score") return open("n", shownNumber(scores[row]));
  if (name === "reasons") return open("reasons", escaped(COHORT.reasons[row] ?? ""));
  if (!number) return open("", escaped(freeText(name, row)));
  const out = COHORT.flagged[row]?.includes(column.column.number);
  return open(out ? "n out" : "n", shownNumber(column.column.values[row]));
}

function rowHtml(row, at, columnsShown) {
  const cells = columnsShown.map((column, number) => cellHtml(column, row, number)).join("");
  return `<div class="row${row === state.chosen ? " chosen" : ""}" role="row" id="row-${row}" data-row="${row}" aria-rowindex="${at + 2}" aria-selected="${row === state.chosen}">${cells}</div>`;
}

function tileHtml(row) {
  const mark = decisionOf(row);
  return `<div class="tile${row === state.chosen ? " chosen" : ""}" role="gridcell" id="row-${row}" data-row="${row}" aria-selected="${row === state.chosen}">${thumbnailHtml(row)}<div><span class="verdict ${verdictOf(row)}">${escaped(COHORT.ids[row])}</span>${mark ? ` <span class="quiet">you: </span><span class="verdict ${mark}">${mark}</span>` : ""}<span class="reasons">${escaped(COHORT.reasons[row] ?? "")}</span></div></div>`;
}

const tilesAcross = () => Math.max(1, Math.floor((list.clientWidth - 8) / TILE_WIDTH));

function drawList() {
  const grid = state.mode === "grid", across = grid ? tilesAcross() : 1, height = grid ? TILE : ROW;
  const lines = Math.ceil(view.length / across), top = list.scrollTop - (grid ? 0 : head.offsetHeight);
  const first = Math.max(0, Math.floor(top / height) - 6), last = Math.min(lines, Math.ceil((top + list.clientHeight) / height) + 6);
  list.classList.toggle("grid", grid);
  list.setAttribute("aria-rowcount", lines + 1);
  sizer.style.height = `${lines * height}px`;
  body.style.top = `${first * height}px`;
  const shown = grid ? null : tableColumns(), parts = [];
  for (let line = first; line < last; line++) {
    if (!grid) parts.push(rowHtml(view[line], line, shown));
    else parts.push(`<div class="tilerow" role="row" aria-rowindex="${line + 1}">${Array.from(view.slice(line * across, (line + 1) * across), tileHtml).join("")}</div>`);
  }
  body.innerHTML = parts.join("") || `<p class="note" style="padding:18px">No pair matches.</p>`;
  if (state.chosen !== null) list.setAttribute("aria-activedescendant", `row-${state.chosen}`); else list.removeAttribute("aria-activedescendant");
}

/** Bring the chosen pair into sight. */
function reveal() {
  const at = view.indexOf(state.chosen);
  if (at < 0) return;
  const grid = state.mode === "grid", height = grid ? TILE : ROW, above = grid ? 0 : head.offsetHeight;
  const top = Math.floor(at / (grid ? tilesAcross() : 1)) * height;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + height + above > list.scrollTop + list.clientHeight) list.scrollTop = top + height + above - list.clientHeight + 2;
}

// -- the chosen pair -----------------------------------------------------------------------------------------------

function drawPanel() {
  const panel = document.querySelector(".panel"), row = state.chosen;
  if (row === null) {
    panel.innerHTML = `<p class="quiet">Choose a pair to see it here. <kbd>?</kbd> lists the keys.</p>`;
    return;
  }
  const reasons = (COHORT.reasons[row] ?? "").split("; ").filter(Boolean), mark = marks[COHORT.ids[row]] ?? {}, page = COHORT.pages[row];
  const button = (decision, key) => `<button data-mark="${decision}" aria-pressed="${(mark.decision ?? "") === decision}">${decision || "none"} <kbd>${key}</kbd></button>`;
  panel.innerHTML = `
    ${thumbnailHtml(row)}
    <div class="caption"><i style="background:#00c800"></i>fixed<i style="background:#f03cf0"></i>warped<i style="background:#bbb"></i>both alike · <kbd>space</kbd> flips</div>
    <h2>${escaped(COHORT.ids[row])}</h2>
    <span class="verdict ${verdictOf(row)}">${VERDICT_WORDS[verdictOf(row)]}</span>
    ${reasonsHtml(reasons)}
    <div class="marks" role="group" aria-label="Your decision">${button("pass", "p")}${button("review", "r")}${button("fail", "f")}${button("", "u")}</div>
    <input class="note" placeholder="Note" aria-label="Note on this pair" value="${escaped(mark.note ?? "")}">
    <div class="links">${page ? `<a class="button" id="open" href="${escaped(page)}">Open its page</a>` : ""}<button id="copy">Copy id</button></div>
    <table>${columns.filter(column => !Number.isNaN(column.values[row])).map(column => measureHtml(column, row)).join("")}</table>`;
}

/** The first three reasons; the others open on request. */
function reasonsHtml(reasons) {
  const items = some => `<ul>${some.map(reason => `<li>${escaped(reason)}</li>`).join("")}</ul>`;
  if (!reasons.length) return "";
  return items(reasons.slice(0, 3)) + (reasons.length > 3 ? `<details><summary>and ${reasons.length - 3} more</summary>${items(reasons.slice(3))}</details>` : "");
}

function measureHtml(column, row) {
  const value = column.values[row], at = percentile(column, value), out = COHORT.flagged[row]?.includes(column.number);
  return `<tr><th scope="row" title="${escaped(column.meaning)}">${escaped(column.title)}</th><td class="n${out ? " out" : ""}">${shownNumber(value)}${column.unit ? ` <span class="quiet">${escaped(column.unit)}</span>` : ""}</td><td class="place"><div role="img" aria-label="percentile ${Math.round(at)}" title="percentile ${Math.round(at)}"><i style="left:${at.toFixed(1)}%"></i></div></td></tr>`;
}

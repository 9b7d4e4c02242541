// The rows as columns, what is searched, filtered and sorted, and the decisions.

const rowCount = COHORT.ids.length;
const verdictOf = row => COHORT.verdicts.values[COHORT.verdicts.codes[row]];

/** A column of numbers, read from its text when first asked for; NaN where there is none. */
class Column {
  constructor(about, number) {
    Object.assign(this, about);
    this.number = number;
    this.known = {};
  }

  get values() {
    if (!this.known.values) {
      const numbers = JSON.parse(`[${COHORT.values[this.number]}]`), values = this.known.values = new Float64Array(rowCount);
      for (let row = 0; row < rowCount; row++) values[row] = numbers[row] === null ? NaN : numbers[row];
    }
    return this.known.values;
  }

  /** Without gaps, in order. */
  get sorted() {
    return this.known.sorted ??= this.values.filter(value => !Number.isNaN(value)).sort();
  }
}

const columns = COHORT.columns.map((about, number) => new Column(about, number));
const columnNamed = Object.assign(Object.create(null), Object.fromEntries(columns.map(column => [column.name, column])));
const isFree = name => Object.hasOwn(COHORT.free, name);
const freeText = (name, row) => COHORT.free[name].values[COHORT.free[name].codes[row]];
const escaped = text => String(text).replace(/[&<>"']/g, letter => `&#${letter.charCodeAt(0)};`);
const scores = JSON.parse(`[${COHORT.scores}]`);
const VERDICTS = ["fail", "review", "pass", "error", "todo"];
const VERDICT_WORDS = { fail: "fail", review: "review", pass: "pass", error: "did not run", todo: "to do" };
const GRAVITY = { error: 4, fail: 3, review: 2, pass: 1, todo: 0 };

function shownNumber(value) {
  if (Number.isNaN(value) || value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (Number.isInteger(value) || size >= 1e5) return Math.round(value).toLocaleString("en").replaceAll(",", "\u202f").replace("-", "−");
  return String(+value.toPrecision(size >= 1000 ? 5 : 4)).replace("-", "−");
}

/** Percentile of a value: the share below it, and half of the equal ones. */
function percentile(column, value) {
  const { sorted } = column;
  const first = lowest(sorted, at => at >= value), after = lowest(sorted, at => at > value);
  return 100 * (first + after) / 2 / sorted.length;
}

function lowest(sorted, holds) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(sorted[middle])) high = middle; else low = middle + 1;
  }
  return low;
}

// -- decisions -----------------------------------------------------------------------------------------------------

const KEY = `warpline ${COHORT.key}`;
let marks = {};

function readMarks() {
  try { marks = JSON.parse(localStorage.getItem(KEY)) ?? {}; } catch { /* a browser that keeps nothing: they last as long as the page */ }
}

function setMark(row, change) {
  const id = COHORT.ids[row], mark = { ...marks[id], ...change };
  if (mark.decision || mark.note) marks[id] = mark; else delete marks[id];
  try { localStorage.setItem(KEY, JSON.stringify(marks)); } catch { /* see above */ }
}

const decisionOf = row => marks[COHORT.ids[row]]?.decision ?? "";

const FORMULA = /^'*[=+\-@＝＋－＠]/, NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/** A text that no spreadsheet runs as a formula, and the text again: as cohort/cells.py does it. */
const safeCell = text => (FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text);
const originalCell = cell => (cell.startsWith("'") && safeCell(cell.slice(1)) === cell ? cell.slice(1) : cell);

function decisionsText() {
  const clean = text => safeCell((text ?? "").replace(/\s+/g, " ").trim()) || "n/a";
  const lines = COHORT.ids.filter(id => marks[id]?.decision).map(id => [safeCell(id), marks[id].decision, clean(marks[id].note)].join("\t"));
  return ["id\tdecision\tnote", ...lines].join("\n") + "\n";
}

/** Take decisions over from a file; returns how many were for pairs of this cohort. */
function takeDecisions(text) {
  const [head, ...lines] = text.split(/\r?\n/).filter(Boolean).map(line => line.split("\t"));
  const at = name => head.indexOf(name), known = new Map(COHORT.ids.map((id, row) => [id, row]));
  if (at("id") < 0 || at("decision") < 0) throw new Error("a header with the columns id and decision is needed");
  let taken = 0;
  for (const line of lines) {
    const row = known.get(originalCell(line[at("id")] ?? "")), decision = line[at("decision")];
    if (row === undefined || !["pass", "review", "fail"].includes(decision)) continue;
    const note = at("note") < 0 || line[at("note")] === "n/a" ? "" : originalCell(line[at("note")] ?? "");
    setMark(row, { decision, note });
    taken++;
  }
  return taken;
}

// -- search and order ----------------------------------------------------------------------------------------------

let haystack = null;

function textOf(row) {
  haystack ??= COHORT.ids.map((id, at) => [id, COHORT.reasons[at] ?? "", ...Object.keys(COHORT.free).map(name => freeText(name, at))].join("\n").toLowerCase());
  return haystack[row];
}

const COMPARE = {
  "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
  "=": (a, b) => a === b, ":": (a, b) => a === b,
};

/** One part of a search as a function of the row. */
function partOf(text) {
  const [, no, name, sign, wanted] = /^(-?)([\w.]+)(<=|>=|<|>|=|:)(.+)$/.exec(text) ?? [];
  const column = columnNamed[name], number = Number(wanted);
  let test = null;
  if (column && wanted !== "" && !Number.isNaN(number)) test = row => COMPARE[sign](column.values[row], number);
  else if (name === "verdict") test = row => verdictOf(row) === wanted;
  else if (name === "decision") test = row => (decisionOf(row) || "none") === wanted;
  else if (isFree(name)) test = row => freeText(name, row).toLowerCase().includes(wanted.toLowerCase());
  if (!test) {
    const word = text.replace(/^-(?=.)/, "").toLowerCase();
    test = row => textOf(row).includes(word);
  }
  const denied = no ?? (text.length > 1 && text[0] === "-" ? "-" : "");
  return denied ? row => !test(row) : test;
}

/** Rows that pass every filter, in order. */
function selectedRows(filter) {
  const parts = filter.search.split(/\s+/).filter(Boolean).map(partOf);
  const ranges = Object.entries(filter.ranges).map(([name, [low, high]]) => [columnNamed[name].values, low, high]);
  const verdicts = filter.verdicts.size ? COHORT.verdicts.values.map(value => filter.verdicts.has(value)) : null;
  const group = filter.group === null ? null : new Set(COHORT.groups[filter.group].rows);
  const rows = [];
  for (let row = 0; row < rowCount; row++) {
    if (verdicts && !verdicts[COHORT.verdicts.codes[row]]) continue;
    if (group && !group.has(row)) continue;
    if (!ranges.every(([values, low, high]) => values[row] >= low && values[row] <= high)) continue;
    if (parts.every(part => part(row))) rows.push(row);
  }
  return ordered(Int32Array.from(rows), filter.sort, filter.down);
}

function ordered(rows, name, down) {
  if (!name) return rows;
  const sign = down ? -1 : 1, text = textKey(name);
  if (text) {
    const collator = new Intl.Collator("en", { numeric: true }), compare = rows.length < 5000 ? collator.compare : (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    return rows.sort((a, b) => sign * compare(text(a), text(b)) || a - b);
  }
  const values = numberKey(name), missing = down ? -Infinity : Infinity;
  return rows.sort((a, b) => {
    const one = Number.isNaN(values[a]) ? missing : values[a], other = Number.isNaN(values[b]) ? missing : values[b];
    return (one < other ? -sign : one > other ? sign : 0) || a - b;
  });
}

function numberKey(name) {
  if (name === "verdict") return Float64Array.from({ length: rowCount }, (_, row) => GRAVITY[verdictOf(row)]);
  if (name === "score") return Float64Array.from(scores, value => value ?? NaN);
  return columnNamed[name].values;
}

function textKey(name) {
  if (name === "id") return row => COHORT.ids[row];
  if (name === "decision") return decisionOf;
  if (name === "reasons") return row => COHORT.reasons[row] ?? "";
  return isFree(name) ? row => freeText(name, row) : null;
}

// -- thumbnails ----------------------------------------------------------------------------------------------------

const packs = new Map();
let packArrived = () => {};

function takePack(number, pictures) {
  packs.set(number, pictures);
  packArrived();
}

/** Address of a row's thumbnail; null while its pack is on the way, "" where there is none. */
function thumbnail(row) {
  const number = Math.floor(row / COHORT.pack);
  if (!COHORT.packs.includes(number)) return "";
  if (!packs.has(number)) {
    packs.set(number, null);
    const script = document.createElement("script");
    script.src = `thumbs/${number}.js`;
    document.head.append(script);
  }
  const pictures = packs.get(number);
  return pictures === null ? null : pictures[row % COHORT.pack] && `data:image/webp;base64,${pictures[row % COHORT.pack]}`;
}

function thumbnailHtml(row) {
  const address = thumbnail(row), id = escaped(COHORT.ids[row]);
  if (!address) return `<div class="thumb">${address === null ? "" : "no picture"}</div>`;
  return `<div class="thumb" role="img" aria-label="Fixed image in green under the warped image in magenta, pair ${id}"><i class="f" style="background-image:url(${address})"></i><i class="w" style="background-image:url(${address})"></i></div>`;
}

// One strip for each shown column: a point per pair, brushed to filter, linked to each other and to the list.

const strips = [];

/** Ends of a strip: far outliers stand at its ends, so that they do not press all others together. */
function stripRange({ quartiles: [low, q1, , q3, high] }) {
  const reach = 8 * (q3 - q1);
  return reach > 0 ? [Math.max(low, q1 - reach), Math.min(high, q3 + reach)] : [low, high];
}

/** A height for every row, the same on every strip and at every visit. */
const scatter = row => ((row * 2654435761) >>> 0) / 4294967296;

function buildStrips(names) {
  const box = document.querySelector(".strips");
  const same = [];
  strips.length = 0;
  box.replaceChildren();
  for (const name of names) {
    const column = columnNamed[name], figure = document.createElement("figure"), canvas = document.createElement("canvas");
    const [least, , median, , most] = column.quartiles;
    if (least === most) {
      same.push(`${escaped(column.title)} ${shownNumber(least)}`);
      continue;
    }
    const [low, high] = stripRange(column);
    figure.className = "strip";
    figure.innerHTML = `<figcaption title="${escaped(column.meaning)}"><b>${escaped(column.title)}${column.unit ? ` <span class="quiet">${escaped(column.unit)}</span>` : ""}</b></figcaption>`;
    const ends = document.createElement("div");
    ends.className = "ends";
    ends.innerHTML = `<span>${least < low ? "≤ " : ""}${shownNumber(low)}</span><span>median ${shownNumber(median)}</span><span>${most > high ? "≥ " : ""}${shownNumber(high)}</span>`;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${column.title}: median ${shownNumber(median)}, from ${shownNumber(least)} to ${shownNumber(most)}. To keep a range with the keyboard, search for ${name}<value.`);
    figure.append(canvas, ends);
    box.append(figure);
    const strip = { column, canvas, low, high, drag: null };
    strips.push(strip);
    listenToStrip(strip);
  }
  document.querySelector(".same").innerHTML = same.length ? `The same for all pairs: ${same.join(" · ")}` : "";
}

const stripX = (strip, value, width, scale = 1) => 8 * scale + (width - 16 * scale) * Math.min(1, Math.max(0, (value - strip.low) / (strip.high - strip.low)));

/** What does not change while the pointer moves: median, limits and the points of all pairs. */
function paintBase(strip, inView) {
  const { canvas, column } = strip, scale = devicePixelRatio, box = canvas.getBoundingClientRect();
  const width = canvas.width = Math.max(1, Math.round(box.width * scale)), height = canvas.height = Math.max(1, Math.round(box.height * scale));
  const base = strip.base = document.createElement("canvas"), style = getComputedStyle(document.documentElement), colour = name => style.getPropertyValue(name).trim();
  Object.assign(base, { width, height });
  const ctx = base.getContext("2d");
  strip.colour = colour;
  strip.place = row => [stripX(strip, column.values[row], width, scale), 8 * scale + scatter(row) * (height - 16 * scale)];
  ctx.strokeStyle = colour("--line");
  vertical(ctx, stripX(strip, column.quartiles[2], width, scale), height, 2 * scale);
  (rowCount > 3000 ? density : points)(ctx, strip, inView, [colour("--faint"), colour("--accent")]);
  for (const verdict of ["review", "fail"]) dots(ctx, rowsOfVerdict(verdict).filter(row => inView[row]), strip.place, colour(`--${verdict}`), (rowCount < 300 ? 3 : 2.2) * scale);
  ctx.setLineDash([3 * scale, 3 * scale]);
  ctx.strokeStyle = colour("--review");
  for (const limit of [column.low, column.high]) if (limit !== null && limit > strip.low && limit < strip.high) vertical(ctx, stripX(strip, limit, width, scale), height, scale);
}

/** The base, the range that is kept, the chosen pair and the one under the pointer. */
function paint(strip, ranges, chosen, hovered) {
  const { canvas, column, base, colour, place } = strip, { width, height } = canvas, ctx = canvas.getContext("2d");
  ctx.clearRect(0, 0, width, height);
  const range = strip.drag ?? ranges[column.name];
  if (range) {
    const [from, to] = range.map(value => stripX(strip, value, width, devicePixelRatio));
    ctx.fillStyle = colour("--accent");
    ctx.globalAlpha = .16;
    ctx.fillRect(from, 0, Math.max(2, to - from), height);
    ctx.globalAlpha = 1;
  }
  ctx.drawImage(base, 0, 0);
  for (const row of [chosen, hovered]) if (row !== null && !Number.isNaN(column.values[row])) ring(ctx, place(row), colour("--ink"), colour("--paper"), devicePixelRatio);
}

/** A mark for every pair: those outside the filter in the first colour, the others in the second. */
function points(ctx, { column, place }, inView, colours) {
  const side = (rowCount < 300 ? 4 : 2.6) * devicePixelRatio;
  colours.forEach((colour, shown) => {
    ctx.fillStyle = colour;
    ctx.globalAlpha = shown ? .6 : .3;
    for (let row = 0; row < rowCount; row++) {
      if (inView[row] !== shown || Number.isNaN(column.values[row])) continue;
      const [x, y] = place(row);
      ctx.fillRect(x - side / 2, y - side / 2, side, side);
    }
  });
  ctx.globalAlpha = 1;
}

/** The same for many pairs: pixels are the darker the more pairs fall on them. */
function density(ctx, { column, place }, inView, colours) {
  const { width, height } = ctx.canvas, counts = [new Uint16Array(width * height), new Uint16Array(width * height)];
  for (let row = 0; row < rowCount; row++) {
    if (Number.isNaN(column.values[row])) continue;
    const [x, y] = place(row);
    counts[inView[row]][Math.min(height - 1, Math.floor(y)) * width + Math.min(width - 1, Math.floor(x))]++;
  }
  colours.forEach((colour, shown) => {
    const layer = document.createElement("canvas"), pen = Object.assign(layer, { width, height }).getContext("2d");
    const image = pen.createImageData(width, height), rgb = [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16));
    counts[shown].forEach((count, at) => count && image.data.set([...rgb, (shown ? 255 : 130) * (1 - Math.exp(-.6 * count))], 4 * at));
    pen.putImageData(image, 0, 0);
    ctx.drawImage(layer, 0, 0);
  });
}

const verdictRows = {};

function rowsOfVerdict(verdict) {
  if (!verdictRows[verdict]) {
    const code = COHORT.verdicts.values.indexOf(verdict);
    verdictRows[verdict] = Array.from({ length: rowCount }, (_, row) => row).filter(row => COHORT.verdicts.codes[row] === code).slice(0, 3000);
  }
  return verdictRows[verdict];
}

function dots(ctx, rows, place, colour, radius) {
  ctx.fillStyle = colour;
  ctx.beginPath();
  for (const row of rows) {
    const [x, y] = place(row);
    if (Number.isNaN(x)) continue;
    ctx.moveTo(x + radius, y);
    ctx.arc(x, y, radius, 0, 7);
  }
  ctx.fill();
}

function vertical(ctx, x, height, width) {
  ctx.lineWidth = width;
  ctx.beginPath();
  ctx.moveTo(x, 0);
  ctx.lineTo(x, height);
  ctx.stroke();
}

function ring(ctx, [x, y], ink, paper, scale) {
  ctx.beginPath();
  ctx.arc(x, y, 5 * scale, 0, 7);
  ctx.lineWidth = 4 * scale;
  ctx.strokeStyle = paper;
  ctx.stroke();
  ctx.lineWidth = 2 * scale;
  ctx.strokeStyle = ink;
  ctx.stroke();
}

function listenToStrip(strip) {
  const { canvas, column } = strip;
  const valueAt = event => {
    const box = canvas.getBoundingClientRect(), share = (event.clientX - box.left - 8) / (box.width - 16);
    if (share <= .003) return column.quartiles[0];
    return share >= .997 ? column.quartiles[4] : strip.low + share * (strip.high - strip.low);
  };
  let start = null;
  canvas.addEventListener("pointerdown", event => { start = [event.clientX, valueAt(event)]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", event => {
    if (start === null) return hover(nearest(strip, event), event);
    strip.drag = [start[1], valueAt(event)].sort((a, b) => a - b);
    paintStrips();
  });
  canvas.addEventListener("pointerleave", () => hover(null));
  canvas.addEventListener("pointerup", event => {
    if (start === null) return;
    const moved = Math.abs(event.clientX - start[0]) > 4, range = strip.drag;
    start = strip.drag = null;
    if (moved && range) keepRange(column.name, range);
    else if (column.name in state.ranges) keepRange(column.name, null);
    else {
      const row = nearest(strip, event);
      if (row !== null) choose(row);
    }
  });
}

/** The pair in view whose point is nearest to the pointer, within 12 pixels. */
function nearest(strip, event) {
  const { canvas, column } = strip, box = canvas.getBoundingClientRect();
  const x = event.clientX - box.left, y = event.clientY - box.top;
  let best = null, least = 144;
  for (const row of view) {
    const dx = stripX(strip, column.values[row], box.width) - x;
    if (!(Math.abs(dx) < 12)) continue;
    const dy = 8 + scatter(row) * (box.height - 16) - y, distance = dx * dx + dy * dy;
    if (distance < least) [best, least] = [row, distance];
  }
  return best;
}

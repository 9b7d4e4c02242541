"use strict";
// Lays mosaics of cuts over each other on canvases. Every layer is an image element with its name in data-layer.
(() => {
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const images = Object.fromEntries([...document.querySelectorAll("img[data-layer]")].map(img => [img.dataset.layer, img]));
  const { once, clear, tinted, heated, edgeLines, gridLines } = sourcesOf(data, images);
  const stage = document.querySelector(".stage");
  const control = document.querySelector(".control");
  const legend = document.querySelector(".legend");
  const GREEN = "#00ff00", MAGENTA = "#ff00ff";
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

  let top = 0, halfTop = 0;
  for (const view of data.views) {
    Object.assign(view, { top, halfTop, count: view.positions.length });
    top += view.height;
    halfTop += Math.ceil(view.height / 2);
  }
  const state = {
    mode: "overlay", layout: "all", after: true, moved: false, playing: !calm, mirrored: false,
    cut: data.views.map(view => Math.floor(view.count / 2)),
    amount: { overlay: 0, blend: 50, checkerboard: 8, edges: 90, grid: 80, mismatch: 80, jacobian: 100, displacement: 100, uncertainty: 100 },
  };
  const SIDE = "warpline radiological";
  const longest = data.scales.displacement, brightest = Number((standing?.displacement ?? longest ?? 0).toPrecision(2)) || 1;
  try { state.mirrored = localStorage.getItem(SIDE) === "yes"; } catch { /* kept nowhere */ }

  // -- what goes along to the next pair: mode, layout, amounts and places in mm --------------------------------------

  function packed() {
    const words = new URLSearchParams({ mode: state.mode, layout: state.layout, after: +state.after });
    words.set("amount", Object.entries(state.amount).map(([name, value]) => `${name}:${value}`).join());
    data.views.forEach((view, i) => words.set(view.name, view.positions[state.cut[i]]));
    return words.toString();
  }

  function unpack() {
    const words = new URLSearchParams(location.hash.slice(1));
    if (words.get("layout") === "all" || data.views.some(view => view.name === words.get("layout"))) state.layout = words.get("layout");
    if (words.has("after")) state.after = words.get("after") === "1";
    for (const [name, value] of (words.get("amount") ?? "").split(",").map(text => text.split(":"))) {
      if (name in state.amount && Number.isFinite(+value)) state.amount[name] = +value;
    }
    data.views.forEach((view, i) => { if (words.has(view.name)) state.cut[i] = nearest(view, +words.get(view.name)); });
    return words.get("mode");
  }

  const nearest = (view, mm) => view.positions.reduce((best, at, i) => Math.abs(at - mm) < Math.abs(view.positions[best] - mm) ? i : best, 0);

  for (const name of ["previous", "next"]) {
    const link = document.getElementById(name);
    link?.addEventListener("click", () => { if (link.href) link.hash = packed(); });
  }

  // -- modes -----------------------------------------------------------------------------------------------------

  const when = () => state.after ? "after" : "before";
  const dot = (colour, text) => `<span><i style="background:${colour}"></i>${text}</span>`;
  const ramp = (low, colours, high) => `<span>${low}<span class="ramp" style="background:linear-gradient(90deg,${colours})"></span>${high}</span>`;
  const percent = value => `${Math.round(value)} %`;

  function overlaid(pen, layer) {
    pen.put(tinted("fixed", GREEN));
    pen.ctx.globalCompositeOperation = "lighter";
    pen.put(tinted(layer, MAGENTA));
    pen.ctx.globalCompositeOperation = "source-over";
  }

  function faded(pen, layer, source) {
    pen.put(images.fixed);
    pen.ctx.globalAlpha = state.amount[layer] / 100;
    pen.put(source, true);
    pen.ctx.globalAlpha = 1;
  }

  /** A ring around the place where the images fit worst, on the cut that goes through it. */
  function ring({ ctx, view, cut, width, height, mirrored }) {
    const { cut: worst, x, y } = view.worst;
    if (cut !== worst) return;
    ctx.strokeStyle = "#ffffff";
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.beginPath();
    ctx.arc((mirrored ? 1 - x : x) * width, y * height, 12 * devicePixelRatio, 0, 2 * Math.PI);
    ctx.stroke();
  }

  function drawnOver(pen, base, make) {
    pen.put(images[base]);
    pen.ctx.globalAlpha = state.amount[state.mode] / 100;
    pen.lay(once([state.mode, pen.view.name, pen.cut, pen.width, pen.height].join(), () => make(pen.view, pen.cut, pen.width, pen.height)));
    pen.ctx.globalAlpha = 1;
  }

  const MODES = {
    overlay: {
      title: "Overlay", slider: [0, 100, "after", "before"],
      legend: () => dot("#00c800", "fixed") + dot("#f03cf0", "moving") + dot("#bbb", "both alike") + "<span>" + (state.amount.overlay > 0 ? "left of the line before, right of it after" : "after registration; drag for before") + "</span>",
      draw(pen) {
        const edge = pen.width * state.amount.overlay / 100;
        pen.clip(0, edge, () => overlaid(pen, "before"));
        pen.clip(edge, pen.width, () => overlaid(pen, "after"));
        pen.ctx.fillStyle = "#ffffffb0";
        if (edge > 0 && edge < pen.width) pen.ctx.fillRect(edge - 1, 0, 2, pen.height);
      },
    },
    flicker: {
      title: "Flicker", both: true,
      legend: () => `<span>now: <b>${state.moved ? "moving, " + when() : "fixed"}</b></span><span>what jumps is not aligned</span>`,
      draw: pen => pen.put(images[state.moved ? when() : "fixed"]),
    },
    blend: {
      title: "Blend", both: true, slider: [0, 100, "fixed", "moving"],
      legend: () => `<span>${percent(100 - state.amount.blend)} fixed, ${percent(state.amount.blend)} moving</span>`,
      draw(pen) {
        pen.put(images.fixed);
        pen.ctx.globalAlpha = state.amount.blend / 100;
        pen.put(images[when()]);
        pen.ctx.globalAlpha = 1;
      },
    },
    checkerboard: {
      title: "Checkerboard", both: true, slider: [2, 24, "coarse", "fine"],
      legend: () => "<span>alternate squares of fixed and moving: edges run on across them</span>",
      draw(pen) {
        pen.put(images.fixed);
        const { ctx } = pen, side = Math.max(pen.width, pen.height) / state.amount.checkerboard;
        ctx.save();
        ctx.beginPath();
        for (let y = 0; y * side < pen.height; y++) for (let x = y % 2; x * side < pen.width; x += 2) ctx.rect(x * side, y * side, side, side);
        ctx.clip();
        pen.put(images[when()]);
        ctx.restore();
      },
    },
    edges: {
      title: "Edges", both: true, slider: [0, 100, "fainter", "stronger"],
      legend: () => dot("#ffb347", "tissue outlines of the fixed image") + `<span>over the moving image, ${when()}</span>`,
      draw: pen => drawnOver(pen, when(), edgeLines),
    },
    grid: {
      title: "Grid", deformable: true, slider: [0, 100, "fainter", "stronger"],
      legend: () => dot("#5ec8ff", `lines every ${data.scales.grid} mm of the space the map leads to`),
      draw: pen => drawnOver(pen, "fixed", gridLines),
    },
    mismatch: {
      title: "Mismatch", slider: [0, 100, "fixed", "map"], enter: toWorst,
      legend: () => ramp("alike", data.ramps.mismatch, "unlike") + "<span>correlation in windows of 5 pixels; the ring is the worst place</span>",
      draw(pen) { faded(pen, "mismatch", heated("mismatch", 1)); ring(pen); },
    },
    jacobian: {
      title: "Log-Jacobian", deformable: true, slider: [0, 100, "fixed", "map"],
      legend: () => ramp(`shrinks −${data.scales.jacobian}`, data.ramps.jacobian, `${data.scales.jacobian} grows`) + dot("#ffff33", "folds"),
      draw: pen => faded(pen, "jacobian", images.jacobian),
    },
    displacement: {
      title: "Displacement", deformable: true, slider: [0, 100, "fixed", "map"],
      legend: () => ramp("0", data.ramps.displacement, `${brightest} mm${standing?.displacement ? ", 99 % of the cohort" : ""}`),
      draw: pen => faded(pen, "displacement", heated("displacement", longest / brightest)),
    },
    uncertainty: {
      title: "Uncertainty", perturbed: true, slider: [0, 100, "fixed", "map"],
      legend: () => ramp("0", data.ramps.uncertainty, `${data.scales.uncertainty} mm`) + "<span>from the map, root mean square over perturbed runs</span>",
      draw: pen => faded(pen, "uncertainty", heated("uncertainty", 1)),
    },
  };
  for (const [name, { deformable, perturbed }] of Object.entries(MODES)) {
    if ((deformable && !images.jacobian) || (perturbed && !images.uncertainty)) delete MODES[name];
  }

  // -- panels ----------------------------------------------------------------------------------------------------

  let panels = [];

  function draw(panel) {
    const { canvas, view } = panel, box = canvas.getBoundingClientRect();
    const width = Math.max(1, Math.round(box.width * devicePixelRatio)), height = Math.round(width * view.height / view.width);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const ctx = canvas.getContext("2d"), cut = panel.cut ?? state.cut[panel.index];
    ctx.imageSmoothingQuality = "high";
    ctx.clearRect(0, 0, width, height);
    const mirrored = state.mirrored && view.letters[0] === "L", halfWidth = Math.ceil(view.width / 2), halfHeight = Math.ceil(view.height / 2);
    const turned = paint => {
      if (!mirrored) return paint();
      ctx.save();
      ctx.translate(width, 0);
      ctx.scale(-1, 1);
      paint();
      ctx.restore();
    };
    const pen = {
      ctx, view, cut, width, height, mirrored,
      put: (source, half) => turned(() => half
        ? ctx.drawImage(source, cut * halfWidth, view.halfTop, halfWidth, halfHeight, 0, 0, width * 2 * halfWidth / view.width, height * 2 * halfHeight / view.height)
        : ctx.drawImage(source, cut * view.width, view.top, view.width, view.height, 0, 0, width, height)),
      lay: canvas => turned(() => ctx.drawImage(canvas, 0, 0)),
      clip(left, right, paint) {
        ctx.save();
        ctx.beginPath();
        ctx.rect(left, 0, right - left, height);
        ctx.clip();
        paint();
        ctx.restore();
      },
    };
    MODES[state.mode].draw(pen);
    letters(ctx, view, width, height, mirrored, panel.cut === undefined ? 14 : 11);
    const at = `${view.axis} = ${view.positions[cut].toFixed(0).replace("-", "−")} mm`;
    panel.output.textContent = at;
    canvas.setAttribute("aria-label", `${view.name} cut at ${at}: ${MODES[state.mode].title} of ${data.names.moving} on ${data.names.fixed}`);
  }

  /** Letters of the patient's sides, white with a dark rim, so that lines below do not hide them. */
  function letters(ctx, view, width, height, mirrored, points) {
    const [left, right, bottom, top] = view.letters, size = points * devicePixelRatio;
    Object.assign(ctx, { font: `600 ${size}px system-ui, sans-serif`, fillStyle: "#ffffff", strokeStyle: "#000000", lineWidth: size / 3.5, lineJoin: "round", textAlign: "center", textBaseline: "middle" });
    const places = [[mirrored ? right : left, size, height / 2], [mirrored ? left : right, width - size, height / 2], [top, width / 2, size], [bottom, width / 2, height - size]];
    for (const [letter, x, y] of places) {
      ctx.strokeText(letter, x, y);
      ctx.fillText(letter, x, y);
    }
  }

  const redraw = () => requestAnimationFrame(() => panels.forEach(draw));

  function panelOf(view, index, cut) {
    const figure = document.createElement("figure"), canvas = document.createElement("canvas");
    const caption = document.createElement("figcaption"), output = document.createElement("output");
    figure.style.flexGrow = view.width / view.height;
    if (cut === undefined) figure.style.maxWidth = `calc(${view.width / view.height} * max(420px, 66vh))`;
    canvas.style.aspectRatio = `${view.width} / ${view.height}`;
    canvas.setAttribute("role", "img");
    figure.append(canvas, caption);
    const panel = { canvas, view, index, cut, output };
    if (cut === undefined && view.count > 1) {
      const slider = document.createElement("input");
      Object.assign(slider, { type: "range", min: 0, max: view.count - 1, value: state.cut[index] });
      slider.setAttribute("aria-label", `${view.name} cut`);
      slider.addEventListener("input", () => { state.cut[index] = +slider.value; draw(panel); });
      canvas.addEventListener("wheel", event => { event.preventDefault(); step(index, Math.sign(event.deltaY)); }, { passive: false });
      caption.append(slider);
      panel.slider = slider;
    }
    if (data.views.length > 1) caption.append(output);
    canvas.addEventListener("pointerdown", event => sweep(event, canvas));
    canvas.addEventListener("pointermove", event => event.buttons === 1 && sweep(event, canvas));
    return [panel, figure];
  }

  function sweep(event, canvas) {
    if (state.mode !== "overlay") return;
    const box = canvas.getBoundingClientRect();
    state.amount.overlay = Math.max(0, Math.min(100, 100 * (event.clientX - box.left) / box.width));
    const slider = control.querySelector("input");
    if (slider) slider.value = state.amount.overlay;
    explain();
    redraw();
  }

  function step(index, by) {
    const view = data.views[index];
    state.cut[index] = Math.max(0, Math.min(view.count - 1, state.cut[index] + by));
    for (const panel of panels) if (panel.index === index && panel.slider) panel.slider.value = state.cut[index];
    redraw();
  }

  /** Go to the place where the images fit worst. */
  function toWorst() {
    data.views.forEach((view, i) => {
      state.cut[i] = view.worst.cut;
      for (const panel of panels) if (panel.index === i && panel.slider) panel.slider.value = state.cut[i];
    });
  }

  /** At most a dozen cuts of a view, evenly spaced. */
  function spread(view) {
    const count = Math.min(12, view.count);
    return Array.from({ length: count }, (_, i) => Math.round((i + .5) * view.count / count - .5));
  }

  function arrange() {
    const index = data.views.findIndex(view => view.name === state.layout);
    const shown = index < 0 ? data.views.map((view, i) => panelOf(view, i)) : spread(data.views[index]).map(cut => panelOf(data.views[index], index, cut));
    panels = shown.map(([panel]) => panel);
    stage.classList.toggle("mosaic", index >= 0);
    stage.classList.toggle("one", data.views.length === 1);
    stage.replaceChildren(...shown.map(([, figure]) => figure));
    press("layout", state.layout);
    clear();
    redraw();
  }

  // -- controls --------------------------------------------------------------------------------------------------

  function press(group, value) {
    for (const button of document.querySelectorAll(`button[data-${group}]`)) button.setAttribute("aria-pressed", button.dataset[group] === value);
  }

  function choose(mode, kept = false) {
    state.mode = mode;
    press("mode", mode);
    const { slider, both, enter } = MODES[mode];
    if (!kept) enter?.();
    document.querySelector(".states").hidden = !both;
    control.replaceChildren();
    if (slider) {
      const [min, max, low, high] = slider, input = document.createElement("input");
      Object.assign(input, { type: "range", min, max, step: max > 30 ? .5 : 1, value: state.amount[mode] });
      input.setAttribute("aria-label", `${MODES[mode].title}: from ${low} to ${high}`);
      input.addEventListener("input", () => { state.amount[mode] = +input.value; explain(); redraw(); });
      control.append(low, input, high);
    } else if (mode === "flicker") {
      const button = document.createElement("button");
      button.addEventListener("click", () => { state.playing = !state.playing; play(); });
      control.append(button);
      play();
    }
    explain();
    redraw();
  }

  const side = () => `<span>${state.mirrored ? "radiological: right of the patient on the left" : "neurological: right of the patient on the right"}</span>`;
  const explain = () => { legend.innerHTML = MODES[state.mode].legend() + side(); };

  function play() {
    const button = control.querySelector("button");
    if (button) button.innerHTML = state.playing ? "Pause" : "Play";
  }

  function setAfter(after) {
    state.after = after;
    press("state", when());
    explain();
    redraw();
  }

  function flip() {
    state.moved = !state.moved;
    explain();
    redraw();
  }

  setInterval(() => { if (state.mode === "flicker" && state.playing && !document.hidden) flip(); }, 600);

  function cycleLayout() {
    const layouts = ["all", ...(data.views.length > 1 ? data.views.map(view => view.name) : [])];
    state.layout = layouts[(layouts.indexOf(state.layout) + 1) % layouts.length];
    arrange();
  }

  function mirror() {
    state.mirrored = !state.mirrored;
    try { localStorage.setItem(SIDE, state.mirrored ? "yes" : "no"); } catch { /* kept nowhere */ }
    showSide();
    explain();
    redraw();
  }

  const showSide = () => document.querySelector("button[data-side]").setAttribute("aria-pressed", state.mirrored);

  const KEYS = {
    b: () => setAfter(!state.after),
    v: cycleLayout,
    " "() {
      if (state.mode !== "flicker") choose("flicker");
      state.playing = false;
      play();
      flip();
    },
    ArrowLeft: () => data.views.forEach((_, i) => step(i, -1)),
    ArrowRight: () => data.views.forEach((_, i) => step(i, 1)),
  };

  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=range]), textarea, select")) return;
    if (event.key.startsWith("Arrow") && event.target.closest("input")) return;
    if (event.key === " " && event.target.closest("button, summary, a")) return;
    const digit = /^\d$/.test(event.key) ? +event.key || 10 : 0;  // the key 0 is the tenth
    const mode = Object.keys(MODES)[digit - 1], action = mode ? () => choose(mode) : KEYS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  const modes = document.querySelector(".modes");
  Object.entries(MODES).forEach(([name, { title }], number) => {
    const button = document.createElement("button");
    button.textContent = title;
    button.dataset.mode = name;
    button.title = `key ${(number + 1) % 10}`;
    button.addEventListener("click", () => choose(name));
    modes.append(button);
  });
  for (const button of document.querySelectorAll("button[data-state]")) button.addEventListener("click", () => setAfter(button.dataset.state === "after"));
  document.querySelector("button[data-side]").addEventListener("click", mirror);
  for (const button of document.querySelectorAll("button[data-layout]")) button.addEventListener("click", () => { state.layout = button.dataset.layout; arrange(); });

  Promise.all(Object.values(images).map(img => img.decode())).then(() => {
    const mode = unpack();
    arrange();
    showSide();
    setAfter(state.after);
    choose(mode in MODES ? mode : "overlay", true);
    new ResizeObserver(redraw).observe(stage);
    requestAnimationFrame(() => { document.querySelector(".viewer").dataset.ready = "yes"; });
  });
})();

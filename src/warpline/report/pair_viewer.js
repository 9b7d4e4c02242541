"use strict";
// Lays mosaics of cuts over each other on canvases. Every layer is an image element with its name in data-layer.
(() => {
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const images = Object.fromEntries([...document.querySelectorAll("img[data-layer]")].map(img => [img.dataset.layer, img]));
  const stage = document.querySelector(".stage");
  const control = document.querySelector(".control");
  const legend = document.querySelector(".legend");
  const GREEN = "#00ff00", MAGENTA = "#ff00ff", EDGE = [255, 179, 71], GRID = [94, 200, 255];
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

  let top = 0, halfTop = 0;
  for (const view of data.views) {
    Object.assign(view, { top, halfTop, count: view.positions.length });
    top += view.height;
    halfTop += Math.ceil(view.height / 2);
  }
  const state = {
    mode: "overlay", layout: "all", after: true, moved: false, playing: !calm,
    cut: data.views.map(view => Math.floor(view.count / 2)),
    amount: { overlay: 50, blend: 50, checkerboard: 8, edges: 90, grid: 80, jacobian: 100, displacement: 100 },
  };

  // -- sources ---------------------------------------------------------------------------------------------------

  const cache = new Map();
  const once = (key, make) => cache.get(key) ?? (cache.set(key, make()), cache.get(key));

  function canvasOf(width, height) {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    return [canvas, canvas.getContext("2d", { willReadFrequently: true })];
  }

  function tinted(layer, colour) {
    return once(layer + colour, () => {
      const img = images[layer], [canvas, ctx] = canvasOf(img.naturalWidth, img.naturalHeight);
      ctx.drawImage(img, 0, 0);
      ctx.globalCompositeOperation = "multiply";
      ctx.fillStyle = colour;
      ctx.fillRect(0, 0, canvas.width, canvas.height);
      return canvas;
    });
  }

  /** Grey values, 0 to 1, of one tile. */
  function tile(layer, left, top, width, height) {
    const [, ctx] = canvasOf(width, height);
    ctx.drawImage(images[layer], left, top, width, height, 0, 0, width, height);
    const pixels = ctx.getImageData(0, 0, width, height).data;
    return Float32Array.from({ length: width * height }, (_, i) => pixels[4 * i] / 255);
  }

  function smoothed(plane, width, height) {
    const out = new Float32Array(plane.length);
    const at = (x, y) => plane[Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))];
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let dy = -1; dy <= 1; dy++) for (let dx = -1; dx <= 1; dx++) sum += (2 - Math.abs(dx)) * (2 - Math.abs(dy)) * at(x + dx, y + dy);
      out[y * width + x] = sum / 16;
    }
    return out;
  }

  /** Linear interpolation of a plane at the middles of the pixels of a larger one. */
  function enlarged(plane, width, height, toWidth, toHeight) {
    const out = new Float32Array(toWidth * toHeight);
    for (let y = 0; y < toHeight; y++) {
      const v = Math.min(height - 1, Math.max(0, (y + .5) * height / toHeight - .5)), j = Math.min(height - 2, Math.floor(v)), b = v - j;
      for (let x = 0; x < toWidth; x++) {
        const u = Math.min(width - 1, Math.max(0, (x + .5) * width / toWidth - .5)), i = Math.min(width - 2, Math.floor(u)), a = u - i;
        const at = j * width + i;
        out[y * toWidth + x] = (1 - b) * ((1 - a) * plane[at] + a * plane[at + 1]) + b * ((1 - a) * plane[at + width] + a * plane[at + width + 1]);
      }
    }
    return out;
  }

  /** A canvas of lines where any of the functions crosses 0: the distance to a line is |f| / |gradient of f|. */
  function lines(functions, width, height, colour, half) {
    const [canvas, ctx] = canvasOf(width, height), drawn = ctx.createImageData(width, height);
    for (let y = 1; y < height - 1; y++) for (let x = 1; x < width - 1; x++) {
      const at = y * width + x;
      let cover = 0;
      for (const { plane, away } of functions) {
        const slope = Math.hypot(plane[at + 1] - plane[at - 1], plane[at + width] - plane[at - width]) / 2;
        cover = Math.max(cover, half + .5 - Math.abs(away(plane[at])) / Math.max(slope, 1e-4));
      }
      if (cover > 0) drawn.data.set([...colour, 255 * Math.min(1, cover)], 4 * at);
    }
    ctx.putImageData(drawn, 0, 0);
    return canvas;
  }

  function edgeLines(view, cut, width, height) {
    const plane = smoothed(tile("fixed", cut * view.width, view.top, view.width, view.height), view.width, view.height);
    const large = enlarged(plane, view.width, view.height, width, height);
    const functions = view.tissues[cut].map(level => ({ plane: large, away: value => value - level }));
    return lines(functions, width, height, EDGE, .6 * devicePixelRatio);
  }

  function gridLines(view, cut, width, height) {
    const w = Math.ceil(view.width / 2), h = Math.ceil(view.height / 2), { pixel, grid, displacement } = data.scales;
    const functions = ["across", "down"].map((layer, axis) => {
      const plane = enlarged(tile(layer, cut * w, view.halfTop, w, h), w, h, width, height);
      for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
        const along = axis ? y / height * view.height : x / width * view.width;
        plane[y * width + x] = (along * pixel + (2 * plane[y * width + x] - 1) * displacement) / grid;
      }
      return { plane, away: value => value - Math.round(value) };
    });
    return lines(functions, width, height, GRID, .5 * devicePixelRatio);
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

  function faded(pen, layer) {
    pen.put(images.fixed);
    pen.ctx.globalAlpha = state.amount[layer] / 100;
    pen.put(images[layer]);
    pen.ctx.globalAlpha = 1;
  }

  function drawnOver(pen, base, make) {
    pen.put(images[base]);
    pen.ctx.globalAlpha = state.amount[state.mode] / 100;
    pen.ctx.drawImage(once([state.mode, pen.view.name, pen.cut, pen.width, pen.height].join(), () => make(pen.view, pen.cut, pen.width, pen.height)), 0, 0);
    pen.ctx.globalAlpha = 1;
  }

  const MODES = {
    overlay: {
      title: "Overlay", slider: [0, 100, "before", "after"],
      legend: () => dot("#00c800", "fixed") + dot("#f03cf0", "moving") + dot("#bbb", "both alike") + "<span>left of the line before, right of it after</span>",
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
    jacobian: {
      title: "Log-Jacobian", deformable: true, slider: [0, 100, "fixed", "map"],
      legend: () => ramp(`shrinks −${data.scales.jacobian}`, data.ramps.jacobian, `${data.scales.jacobian} grows`) + dot("#ffff33", "folds"),
      draw: pen => faded(pen, "jacobian"),
    },
    displacement: {
      title: "Displacement", deformable: true, slider: [0, 100, "fixed", "map"],
      legend: () => ramp("0", data.ramps.displacement, `${data.scales.displacement} mm`),
      draw: pen => faded(pen, "displacement"),
    },
  };
  for (const name of Object.keys(MODES)) if (MODES[name].deformable && !images.jacobian) delete MODES[name];

  // -- panels ----------------------------------------------------------------------------------------------------

  let panels = [];

  function draw(panel) {
    const { canvas, view } = panel, box = canvas.getBoundingClientRect();
    const width = Math.max(1, Math.round(box.width * devicePixelRatio)), height = Math.round(width * view.height / view.width);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const ctx = canvas.getContext("2d"), cut = panel.cut ?? state.cut[panel.index];
    ctx.imageSmoothingQuality = "high";
    ctx.clearRect(0, 0, width, height);
    const pen = {
      ctx, view, cut, width, height,
      put: source => ctx.drawImage(source, cut * view.width, view.top, view.width, view.height, 0, 0, width, height),
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
    if (!panel.cut) letters(ctx, view, width, height);
    const at = `${view.axis} = ${view.positions[cut].toFixed(0).replace("-", "−")} mm`;
    panel.output.textContent = at;
    canvas.setAttribute("aria-label", `${view.name} cut at ${at}: ${MODES[state.mode].title} of ${data.names.moving} on ${data.names.fixed}`);
  }

  function letters(ctx, view, width, height) {
    const [left, right, bottom, top] = view.letters, size = 11 * devicePixelRatio;
    Object.assign(ctx, { font: `${size}px system-ui, sans-serif`, fillStyle: "#8b929c", textAlign: "center", textBaseline: "middle" });
    ctx.fillText(left, size, height / 2);
    ctx.fillText(right, width - size, height / 2);
    ctx.fillText(top, width / 2, size);
    ctx.fillText(bottom, width / 2, height - size);
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
    redraw();
  }

  function step(index, by) {
    const view = data.views[index];
    state.cut[index] = Math.max(0, Math.min(view.count - 1, state.cut[index] + by));
    for (const panel of panels) if (panel.index === index && panel.slider) panel.slider.value = state.cut[index];
    redraw();
  }

  function arrange() {
    const index = data.views.findIndex(view => view.name === state.layout);
    const shown = index < 0 ? data.views.map((view, i) => panelOf(view, i)) : data.views[index].positions.map((_, cut) => panelOf(data.views[index], index, cut));
    panels = shown.map(([panel]) => panel);
    stage.classList.toggle("mosaic", index >= 0);
    stage.classList.toggle("one", data.views.length === 1);
    stage.replaceChildren(...shown.map(([, figure]) => figure));
    press("layout", state.layout);
    cache.clear();
    redraw();
  }

  // -- controls --------------------------------------------------------------------------------------------------

  function press(group, value) {
    for (const button of document.querySelectorAll(`button[data-${group}]`)) button.setAttribute("aria-pressed", button.dataset[group] === value);
  }

  function choose(mode) {
    state.mode = mode;
    press("mode", mode);
    const { slider, both } = MODES[mode];
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

  const explain = () => { legend.innerHTML = MODES[state.mode].legend(); };

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
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    if (event.key === " " && event.target.closest("button, summary, a")) return;
    const mode = Object.keys(MODES)[+event.key - 1], action = mode ? () => choose(mode) : KEYS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  const modes = document.querySelector(".modes");
  Object.entries(MODES).forEach(([name, { title }], number) => {
    const button = document.createElement("button");
    button.textContent = title;
    button.dataset.mode = name;
    button.title = `key ${number + 1}`;
    button.addEventListener("click", () => choose(name));
    modes.append(button);
  });
  for (const button of document.querySelectorAll("button[data-state]")) button.addEventListener("click", () => setAfter(button.dataset.state === "after"));
  for (const button of document.querySelectorAll("button[data-layout]")) button.addEventListener("click", () => { state.layout = button.dataset.layout; arrange(); });

  Promise.all(Object.values(images).map(img => img.decode())).then(() => {
    arrange();
    setAfter(true);
    choose("overlay");
    new ResizeObserver(redraw).observe(stage);
    requestAnimationFrame(() => { document.querySelector(".viewer").dataset.ready = "yes"; });
  });
})();

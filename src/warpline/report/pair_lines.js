// Planes of numbers, and lines where they cross a value.

function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return [canvas, canvas.getContext("2d", { willReadFrequently: true })];
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

// What modes of the viewer lay over each other, made from its layers when first needed.

/** Makers of canvases from the viewer's data and its images by layer. */
function sourcesOf(data, images) {
  const cache = new Map();
  const once = (key, make) => cache.get(key) ?? (cache.set(key, make()), cache.get(key));

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

  /** A grey layer in the colours of a ramp, from 0 to the largest value of the scale. */
  function heated(layer, share) {
    return once(`heat ${layer}`, () => {
      const img = images[layer], [canvas, ctx] = canvasOf(img.naturalWidth, img.naturalHeight), [scale, pen] = canvasOf(256, 1);
      const fill = pen.createLinearGradient(0, 0, 256, 0), stops = data.ramps[layer].split(",");
      stops.forEach((colour, i) => fill.addColorStop(i / (stops.length - 1), colour));
      pen.fillStyle = fill;
      pen.fillRect(0, 0, 256, 1);
      const colours = pen.getImageData(0, 0, scale.width, 1).data;
      ctx.drawImage(img, 0, 0);
      const shown = ctx.getImageData(0, 0, canvas.width, canvas.height), { data: pixels } = shown;
      for (let i = 0; i < pixels.length; i += 4) {
        const at = 4 * Math.min(255, Math.round(pixels[i] * share));
        pixels.set(colours.subarray(at, at + 3), i);
      }
      ctx.putImageData(shown, 0, 0);
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

  function edgeLines(view, cut, width, height) {
    const plane = smoothed(tile("fixed", cut * view.width, view.top, view.width, view.height), view.width, view.height);
    const large = enlarged(plane, view.width, view.height, width, height);
    const functions = view.tissues[cut].map(level => ({ plane: large, away: value => value - level }));
    return lines(functions, width, height, [255, 179, 71], .6 * devicePixelRatio);
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
    return lines(functions, width, height, [94, 200, 255], .5 * devicePixelRatio);
  }

  return { once, clear: () => cache.clear(), tinted, heated, edgeLines, gridLines };
}

// Colours: classes that the colour-blind tell apart, a perceptually uniform scale, and pixels.

// Okabe & Ito 2008, "Color Universal Design"; in the place of their black stands the grey that is seen on light, dark
// and pictures alike. The last two, of which many data sets have need, are Tol's 2021, "muted".
const OKABE_ITO = ["#e69f00", "#56b4e9", "#009e73", "#d55e00", "#0072b2", "#cc79a7", "#f0e442", "#6c6c6c"];
const CLASSES = [...OKABE_ITO, "#999933", "#aa4499"];
export const MOST = 20; // classes that colours and shapes tell apart at a glance
const SHAPES = ["disc", "square", "ring", "diamond"]; // from the ninth class on, the shape tells as well

export function ofClass(number) {
  return {
    colour: CLASSES[number % CLASSES.length],
    shape: SHAPES[Math.floor(number / 8) % SHAPES.length],
  };
}

export function cssColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** sRGB of OKLCH: Ottosson 2020, "A perceptual color space for image processing". */
function srgb(lightness, chroma, hue) {
  const [a, b] = [chroma * Math.cos(hue), chroma * Math.sin(hue)];
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return linear.map((x) => {
    const value = Math.min(1, Math.max(0, x));
    return Math.round(255 * (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055));
  });
}

/** 256 colours from dark violet to pale yellow, whose lightness rises evenly. */
export const SCALE = Array.from({ length: 256 }, (_, n) => {
  const t = n / 255;
  return srgb(0.13 + 0.82 * t, 0.04 + 0.5 * t * (1 - t), ((290 + 170 * t) * Math.PI) / 180);
});

/** Paints values (H, W, C) of [0, 1] on a canvas of W x H pixels. */
export function paint(canvas, values, [height, width, channels]) {
  sized(canvas, height, width);
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let n = 0; n < height * width; n++) {
    const at = n * channels;
    const grey = channels < 3;
    // Uint8ClampedArray rounds, and cuts at 0 and 255
    image.data[4 * n] = 255 * values[at];
    image.data[4 * n + 1] = 255 * values[grey ? at : at + 1];
    image.data[4 * n + 2] = 255 * values[grey ? at : at + 2];
    image.data[4 * n + 3] = channels % 2 ? 255 : 255 * values[at + channels - 1];
  }
  context.putImageData(image, 0, 0);
}

/** Paints errors (H, W) in the scale's colours, from 0 to `most`. */
export function paintErrors(canvas, errors, height, width, most) {
  sized(canvas, height, width);
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let n = 0; n < height * width; n++) {
    const share = Math.min(1, errors[n] / most || 0);
    image.data.set([...SCALE[Math.round(255 * share)], 255], 4 * n);
  }
  context.putImageData(image, 0, 0);
}

function sized(canvas, height, width) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
}

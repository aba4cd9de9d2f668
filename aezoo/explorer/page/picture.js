// The visitor's image: drawn, dropped, pasted, chosen from a file or from the examples.

import { paint } from "./colour.js";

const LUMA = [0.299, 0.587, 0.114]; // as Pillow makes grey, so that a file has the score that `aezoo score` gives it

export class Picture {
  /** `changed()` is called whenever the values are others; `failed(text)` where a file is no image. */
  constructor(elements, shape, background, changed, failed) {
    Object.assign(this, elements, { shape, changed, failed });
    [this.height, this.width, this.channels] = shape;
    this.colours = this.channels < 3 ? 1 : 3;
    this.background = background.map((byte) => byte / 255);
    this.values = new Float32Array(this.height * this.width * this.channels);
    const mean = this.background.slice(0, this.colours).reduce((a, b) => a + b) / this.colours;
    this.ink.value = mean < 0.5 ? "#ffffff" : "#000000";
    this.brush.max = Math.max(4, this.height / 8);
    this.brush.value = Math.max(1, this.height / 22);
    this.clear();
    this.listen();
  }

  set(values) {
    this.values = Float32Array.from(values);
    this.update();
  }

  clear() {
    this.values = this.values.map((_, n) => this.background[n % this.channels]);
    paint(this.canvas, this.values, this.shape);
  }

  invert() {
    const alpha = this.channels % 2 ? -1 : this.channels - 1;
    this.set(this.values.map((value, n) => (n % this.channels === alpha ? value : 1 - value)));
  }

  update() {
    paint(this.canvas, this.values, this.shape);
    this.changed();
  }

  listen() {
    const { canvas } = this;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [
        ((event.clientX - box.left) / box.width) * this.width,
        ((event.clientY - box.top) / box.height) * this.height,
      ];
    };
    let last = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      last = at(event);
      this.stroke(last, last);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      const here = at(event);
      this.stroke(last, here);
      last = here;
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (last = null));

    this.choose.addEventListener("click", () => this.file.click());
    this.file.addEventListener("change", () => {
      this.read(this.file.files[0]);
      this.file.value = ""; // the same file may be chosen again
    });
    const over = (shown) => canvas.classList.toggle("dropping", shown);
    addEventListener("dragover", (event) => {
      event.preventDefault();
      over(true);
    });
    addEventListener("dragleave", (event) => event.relatedTarget ?? over(false));
    addEventListener("drop", (event) => {
      event.preventDefault(); // the browser would leave the page for the file
      over(false);
      this.read(event.dataTransfer.files[0]);
    });
    addEventListener("paste", (event) => {
      const file = [...event.clipboardData.files].find((item) => item.type.startsWith("image/"));
      if (file) this.read(file);
    });
  }

  /** A soft line between two places, in pixels of the image. */
  stroke([x0, y0], [x1, y1]) {
    const radius = Number(this.brush.value);
    const ink = this.erase.checked ? this.background : this.inkValues();
    const [dx, dy] = [x1 - x0, y1 - y0];
    const length = dx * dx + dy * dy;
    const from = (a, b) => Math.max(0, Math.floor(Math.min(a, b) - radius - 1));
    const to = (a, b, end) => Math.min(end - 1, Math.ceil(Math.max(a, b) + radius + 1));
    for (let row = from(y0, y1); row <= to(y0, y1, this.height); row++)
      for (let column = from(x0, x1); column <= to(x0, x1, this.width); column++) {
        const [px, py] = [column + 0.5 - x0, row + 0.5 - y0];
        const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
        const distance = Math.hypot(px - along * dx, py - along * dy);
        const cover = Math.min(1, Math.max(0, radius + 0.5 - distance));
        const first = (row * this.width + column) * this.channels;
        for (let c = 0; cover && c < this.channels; c++)
          this.values[first + c] += (ink[c] - this.values[first + c]) * cover;
      }
    this.update();
  }

  inkValues() {
    const hex = this.ink.value;
    const rgb = [1, 3, 5].map((n) => parseInt(hex.slice(n, n + 2), 16) / 255);
    const colours = this.colours === 1 ? [LUMA.reduce((sum, weight, n) => sum + weight * rgb[n], 0)] : rgb;
    return this.channels % 2 ? colours : [...colours, 1];
  }

  /** Reads an image file, stretched to the size of the model's images as `aezoo encode` does it. */
  async read(file) {
    if (!file) return;
    let bitmap;
    try {
      bitmap = await createImageBitmap(file);
    } catch {
      this.failed(`${file.name || "this file"} is no image that this browser reads`);
      return;
    }
    const pixels = resized(bitmap, this.width, this.height);
    this.values = this.values.map((_, n) => {
      const [at, channel] = [4 * Math.floor(n / this.channels), n % this.channels];
      if (this.channels % 2 === 0 && channel === this.channels - 1) return pixels[at + 3] / 255;
      if (this.colours === 3) return pixels[at + channel] / 255;
      return Math.round(LUMA.reduce((sum, weight, k) => sum + weight * pixels[at + k], 0)) / 255;
    });
    this.update();
  }
}

/** RGBA bytes; halved as long as that is possible, since a canvas looks at few pixels when it shrinks a lot. */
function resized(bitmap, width, height) {
  let [image, w, h] = [bitmap, bitmap.width, bitmap.height];
  for (;;) {
    const [nextWidth, nextHeight] = [Math.max(width, Math.ceil(w / 2)), Math.max(height, Math.ceil(h / 2))];
    const last = nextWidth === width && nextHeight === height;
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: nextWidth, height: nextHeight });
    const context = canvas.getContext("2d", { willReadFrequently: last });
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, w, h, 0, 0, nextWidth, nextHeight);
    if (last) return context.getImageData(0, 0, width, height).data;
    [image, w, h] = [canvas, nextWidth, nextHeight];
  }
}

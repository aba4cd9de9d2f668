// The codes of a quantised model: a grid of whole numbers, each of which can be changed.

import { cssColour, SCALE } from "./colour.js";

export class Codes {
  /** `changed(codes)` is called with all codes, row by row, when one of them was changed. */
  constructor({ canvas, slider, value }, [height, width], size, changed) {
    Object.assign(this, { canvas, slider, value, height, width, size, changed });
    this.codes = new Int32Array(height * width);
    this.chosen = 0;
    slider.max = size - 1;
    canvas.style.aspectRatio = `${width} / ${height}`;
    slider.addEventListener("input", () => this.put(Number(slider.value)));
    canvas.addEventListener("pointerdown", (event) => {
      const box = canvas.getBoundingClientRect();
      const column = Math.floor(((event.clientX - box.left) / box.width) * width);
      const row = Math.floor(((event.clientY - box.top) / box.height) * height);
      this.choose(Math.min(height - 1, row) * width + Math.min(width - 1, column));
    });
    canvas.addEventListener("keydown", (event) => {
      const column = this.chosen % width;
      const [left, right] = [column ? -1 : 0, column < width - 1 ? 1 : 0];
      const ways = { ArrowLeft: left, ArrowRight: right, ArrowUp: -width, ArrowDown: width };
      if (event.key in ways) this.choose(this.chosen + ways[event.key]);
      else if (event.key === "+" || event.key === "=") this.put(this.codes[this.chosen] + 1);
      else if (event.key === "-") this.put(this.codes[this.chosen] - 1);
      else return;
      event.preventDefault();
    });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  choose(number) {
    if (number >= 0 && number < this.codes.length) this.chosen = number;
    this.draw();
  }

  put(code) {
    this.codes = Int32Array.from(this.codes);
    this.codes[this.chosen] = (code + this.size) % this.size;
    this.draw();
    this.changed(this.codes);
  }

  show(codes) {
    this.codes = Int32Array.from(codes);
    this.draw();
  }

  draw() {
    const { canvas, codes, width } = this;
    const ratio = window.devicePixelRatio || 1;
    if (!canvas.clientWidth) return;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    const context = canvas.getContext("2d");
    const cell = canvas.width / width;
    context.font = `600 ${cell * 0.3}px system-ui, sans-serif`;
    Object.assign(context, { textAlign: "center", textBaseline: "middle" });
    codes.forEach((code, n) => {
      const [x, y] = [(n % width) * cell, Math.floor(n / width) * cell];
      const shade = Math.round((255 * code) / Math.max(1, this.size - 1));
      context.fillStyle = `rgb(${SCALE[shade].join(" ")})`;
      context.fillRect(x + 1, y + 1, cell - 2, cell - 2);
      context.fillStyle = shade > 128 ? "#000" : "#fff";
      if (cell > 22 * ratio) context.fillText(code, x + cell / 2, y + cell / 2);
    });
    const [x, y] = [(this.chosen % width) * cell, Math.floor(this.chosen / width) * cell];
    for (const [colour, thick] of [[cssColour("--card"), 7], [cssColour("--text"), 3]]) {
      Object.assign(context, { strokeStyle: colour, lineWidth: thick * ratio });
      context.strokeRect(x + 2 * ratio, y + 2 * ratio, cell - 4 * ratio, cell - 4 * ratio);
    }
    this.slider.value = codes[this.chosen];
    const [row, column] = [Math.floor(this.chosen / width) + 1, (this.chosen % width) + 1];
    this.value.textContent = `${codes[this.chosen]} of 0 to ${this.size - 1}, row ${row}, column ${column}`;
    this.slider.setAttribute("aria-valuetext", this.value.textContent);
  }
}

// The map of latents: points, names of classes, and the place whose picture is shown.

import { cssColour, MOST, ofClass } from "./colour.js";

const PAD = 18; // pixels around the points

export class LatentMap {
  /**
   * `facts` is the page's knowledge, `points` all latents one behind the other. `moved(latents)` is called when the
   * visitor goes somewhere, `picked(number)` when one of the points is chosen.
   */
  constructor(canvas, facts, points, { moved, picked, pinned }) {
    Object.assign(this, { canvas, moved, picked, pinned });
    const { mean, axes, labels } = facts.map;
    this.mean = mean;
    this.axes = axes;
    this.labels = labels;
    this.names = facts.label_names;
    this.dims = mean.length;
    this.points = points;
    this.count = points.length / this.dims;
    this.places = Array.from({ length: this.count }, (_, n) => this.project(this.latentsOf(n)));
    this.latents = Float32Array.from(mean);
    this.only = null; // the class that alone is shown in colour
    this.held = false; // whether the place stays where it is
    this.backdrop = null; // pictures below the points
    this.measure();
    this.listen();
    new ResizeObserver(() => this.redraw()).observe(canvas);
  }

  project(latents) {
    return this.axes.map((axis) => axis.reduce((sum, weight, n) => sum + weight * (latents[n] - this.mean[n]), 0));
  }

  measure() {
    // One scale for both axes: distances on the map are distances.
    const ends = [0, 1].map((k) => {
      const along = this.places.map((place) => place[k]).sort((a, b) => a - b);
      return [along[0], along[along.length - 1]];
    });
    this.centre = ends.map(([low, high]) => (low + high) / 2);
    this.half = Math.max(...ends.map(([low, high]) => (high - low) / 2)) * 1.02;
    // One example, or the same latents again and again: as far as the sliders go then.
    const largest = this.points.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    if (this.half < 1e-6 * largest) this.half = 1;
    this.step = this.half / 24;
  }

  toPixels([x, y]) {
    const unit = (Math.min(this.width, this.height) / 2 - PAD) / this.half;
    return [this.width / 2 + (x - this.centre[0]) * unit, this.height / 2 - (y - this.centre[1]) * unit];
  }

  toPlace(px, py) {
    const unit = (Math.min(this.width, this.height) / 2 - PAD) / this.half;
    return [this.centre[0] + (px - this.width / 2) / unit, this.centre[1] - (py - this.height / 2) / unit];
  }

  /** Moves within the plane through the present latents: what lies outside of it stays. */
  goTo(place) {
    const here = this.project(this.latents);
    const latents = Float32Array.from(this.latents);
    this.axes.forEach((axis, k) => {
      for (let n = 0; n < this.dims; n++) latents[n] += (place[k] - here[k]) * axis[n];
    });
    this.moved(latents);
  }

  /** The number of the point nearest to the present place, on the map. */
  nearest([x, y] = this.project(this.latents)) {
    let best = 0;
    let least = Infinity;
    this.places.forEach(([px, py], n) => {
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) [best, least] = [n, distance];
    });
    return best;
  }

  latentsOf(number) {
    return this.points.slice(number * this.dims, (number + 1) * this.dims);
  }

  show(latents) {
    this.latents = latents;
    this.drawMarker();
  }

  listen() {
    const { canvas } = this;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return this.toPlace(event.clientX - box.left, event.clientY - box.top);
    };
    let from = null;
    canvas.addEventListener("pointermove", (event) => {
      if (from || (!this.held && event.pointerType === "mouse")) this.goTo(at(event));
    });
    canvas.addEventListener("pointerdown", (event) => {
      from = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
      this.goTo(at(event));
    });
    canvas.addEventListener("pointerup", (event) => {
      const click = from && Math.hypot(event.clientX - from[0], event.clientY - from[1]) < 4;
      from = null;
      if (click && event.pointerType === "mouse") this.hold(!this.held);
    });
    canvas.addEventListener("pointercancel", () => (from = null));
    canvas.addEventListener("keydown", (event) => {
      const step = this.step * (event.shiftKey ? 5 : 1);
      const [x, y] = this.project(this.latents);
      const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
      if (event.key in ways) this.goTo([x + ways[event.key][0], y + ways[event.key][1]]);
      else if (event.key === "Enter") this.picked(this.nearest());
      else return;
      event.preventDefault();
    });
  }

  hold(held) {
    this.held = held;
    this.drawMarker();
    this.pinned(held);
  }

  redraw() {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    [this.width, this.height] = [canvas.clientWidth, canvas.clientHeight];
    if (!this.width) return;
    canvas.width = Math.round(this.width * ratio);
    canvas.height = Math.round(this.height * ratio);
    this.still = document.createElement("canvas"); // all but the marker, which moves
    Object.assign(this.still, { width: canvas.width, height: canvas.height });
    const context = this.still.getContext("2d");
    context.scale(ratio, ratio);
    if (this.backdrop) this.drawBackdrop(context);
    this.drawPoints(context);
    this.drawNames(context);
    this.drawMarker();
  }

  drawBackdrop(context) {
    const { tiles, side, cells } = this.backdrop;
    const [left, top] = this.toPixels([this.centre[0] - this.half, this.centre[1] + this.half]);
    const [right] = this.toPixels([this.centre[0] + this.half, 0]);
    const size = (right - left) / cells;
    const line = (k) => Math.round(k * size); // whole pixels: no seams
    tiles.forEach((tile, n) => {
      const [row, column] = [Math.floor(n / cells), n % cells];
      const [width, height] = [line(column + 1) - line(column), line(row + 1) - line(row)];
      context.drawImage(tile, 0, 0, side[1], side[0], left + line(column), top + line(row), width, height);
    });
  }

  drawPoints(context) {
    const radius = this.count > 600 ? (this.backdrop ? 1.8 : 2.2) : 4;
    const plain = { colour: cssColour("--accent"), shape: "disc" };
    const kinds = this.labels && this.names.length <= MOST ? this.names.map((_, n) => ofClass(n)) : null;
    this.places.forEach((place, n) => {
      const { colour, shape } = kinds ? kinds[this.labels[n]] : plain;
      const faint = this.only !== null && this.labels[n] !== this.only;
      context.globalAlpha = faint ? 0.08 : this.backdrop ? 0.9 : 0.75;
      context.fillStyle = context.strokeStyle = colour;
      mark(context, shape, ...this.toPixels(place), radius);
    });
    context.globalAlpha = 1;
  }

  drawNames(context) {
    this.named = []; // boxes of the names that are there
    if (!this.labels || this.names.length > MOST) return;
    context.font = "700 15px system-ui, sans-serif";
    Object.assign(context, { textAlign: "center", textBaseline: "middle", lineWidth: 4, lineJoin: "round" });
    this.names.forEach((name, label) => {
      const places = this.places.filter((_, n) => this.labels[n] === label);
      if (!places.length || (this.only !== null && this.only !== label)) return;
      const middle = [0, 1].map((k) => places.map((place) => place[k]).sort((a, b) => a - b)[places.length >> 1]);
      const width = Math.min(120, context.measureText(name).width) + 4;
      const place = this.roomFor(this.toPixels(middle), width);
      if (!place) return; // the legend has it
      this.named.push({ name, ...place, width });
      const { x, y } = place;
      context.strokeStyle = cssColour("--card");
      context.strokeText(name, x, y, 120);
      context.fillStyle = cssColour("--text");
      context.fillText(name, x, y, 120);
    });
  }

  /** Where a name can stand: as near to its place as others leave room, or null. */
  roomFor([x, y], width) {
    const height = 18;
    const free = (at) =>
      this.named.every(
        (other) => Math.abs(other.x - at.x) >= (other.width + width) / 2 || Math.abs(other.y - at.y) >= height,
      );
    for (const [across, up] of [[0, 0], [0, -1], [0, 1], [-1, 0], [1, 0], [0, -2], [0, 2]]) {
      const at = { x: x + across * width, y: y + up * height };
      at.x = Math.min(this.width - width / 2, Math.max(width / 2, at.x));
      if (free(at)) return at;
    }
    return null;
  }

  drawMarker() {
    if (!this.still) return;
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.still, 0, 0);
    const ratio = window.devicePixelRatio || 1;
    context.scale(ratio, ratio);
    const [px, py] = this.toPixels(this.project(this.latents));
    const x = Math.min(this.width - 8, Math.max(8, px)); // outside of the map it waits at the edge
    const y = Math.min(this.height - 8, Math.max(8, py));
    for (const [colour, width] of [[cssColour("--card"), 6], [cssColour("--text"), 2.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.arc(x, y, 9, 0, 2 * Math.PI);
      context.stroke();
    }
    if (!this.held) return;
    context.fillStyle = cssColour("--text");
    mark(context, "disc", x, y, 3.5);
  }
}

function mark(context, shape, x, y, radius) {
  context.beginPath();
  if (shape === "square") context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
  else if (shape === "diamond") {
    const reach = 1.4 * radius;
    for (const [dx, dy] of [[0, -1], [1, 0], [0, 1], [-1, 0]]) context.lineTo(x + reach * dx, y + reach * dy);
    context.closePath();
  } else context.arc(x, y, radius, 0, 2 * Math.PI);
  if (shape === "ring") {
    context.lineWidth = radius * 0.6;
    context.stroke();
  } else context.fill();
}

/** A sample of a class's mark, for the legend. */
export function swatch(canvas, number) {
  Object.assign(canvas, { width: 28, height: 28 });
  const context = canvas.getContext("2d");
  const { colour, shape } = ofClass(number);
  context.fillStyle = context.strokeStyle = colour;
  mark(context, shape, 14, 14, 8);
}

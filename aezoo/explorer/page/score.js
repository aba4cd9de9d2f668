// What the scorer says of an image: verdict, p-value, and where the score lies among those of normal examples.

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, TOP] = [320, 96, 14];
const [UP, RIGHT, LEFT] = ["M0 0l7 12h-14z", "M0 0l-12 -7v14z", "M0 0l12 -7v14z"];

export function figure(number) {
  if (number === 0 || !Number.isFinite(number)) return String(number);
  const usual = Math.abs(number) >= 1e-3 && Math.abs(number) < 1e5;
  return usual ? String(Number(number.toPrecision(3))) : number.toExponential(1);
}

export class Score {
  constructor(text, histogram, notes, facts) {
    Object.assign(this, { text, histogram, facts });
    if (!facts) {
      notes.textContent = "The bundle holds no scorer, so there is no threshold to compare with.";
      return;
    }
    const share = (100 * facts.false_positive_rate).toPrecision(2) * 1;
    notes.textContent =
      `${facts.name.replace("_", " ")} of ${facts.examples} normal examples; about ${share} % of such examples ` +
      "lie above the threshold.";
    this.draw();
  }

  x(score) {
    const { low, high } = this.facts;
    return WIDTH * Math.min(1, Math.max(0, (score - low) / (high - low)));
  }

  draw() {
    const { counts, threshold } = this.facts;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT + 30}`);
    svg.setAttribute("aria-hidden", "true"); // the text says the same
    const add = (name, attributes, words) => {
      const node = document.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
      if (words) node.textContent = words;
      svg.append(node);
      return node;
    };
    const most = Math.max(...counts, 1);
    const step = WIDTH / counts.length;
    counts.forEach((count, n) => {
      const height = ((HEIGHT - TOP) * count) / most;
      if (count) add("rect", { class: "bar", x: n * step + 0.5, y: HEIGHT - height, width: step - 1, height, rx: 1 });
    });
    add("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT });
    const at = this.x(threshold);
    add("line", { class: "threshold", x1: at, x2: at, y1: TOP - 2, y2: HEIGHT });
    add("text", { x: at, y: 8, "text-anchor": at > WIDTH * 0.7 ? "end" : "middle" }, `threshold ${figure(threshold)}`);
    const { low, high } = this.facts;
    add("text", { class: "end", x: 0, y: HEIGHT + 26 }, figure(low));
    add("text", { class: "end", x: WIDTH, y: HEIGHT + 26, "text-anchor": "end" }, figure(high));
    this.marker = add("path", { class: "here", d: UP });
    this.marker.style.display = "none";
    this.beyond = add("text", { class: "beyond", y: HEIGHT + 12 });
    this.histogram.replaceChildren(svg);
  }

  /** Shows the outputs of the scorer, or the reconstruction error alone. */
  show(found) {
    const strong = document.createElement("strong");
    if (!this.facts) {
      strong.textContent = figure(found.reconstruction_error);
      this.text.replaceChildren("reconstruction error ", strong);
      return;
    }
    const score = found[this.facts.name][0];
    const anomaly = Boolean(found.is_anomaly[0]);
    strong.textContent = anomaly ? "anomaly" : "normal";
    strong.className = anomaly ? "anomaly" : "normal";
    const p = found.p_value[0];
    this.text.replaceChildren(
      strong,
      `: score ${figure(score)}, ${anomaly ? "above" : "below"} the threshold ${figure(this.facts.threshold)}; `,
      `p-value ${figure(p)}`,
    );
    this.marker.style.display = "";
    this.mark(score);
  }

  /** An arrow up to a score on the scale, or one that leads out of it. */
  mark(score) {
    const { low, high } = this.facts;
    const way = Number(!(score <= high)) - Number(score < low); // a score that is no number lies beyond, too
    this.marker.setAttribute("d", way ? (way > 0 ? RIGHT : LEFT) : UP);
    this.marker.setAttribute("transform", `translate(${this.x(way > 0 ? high : score)} ${HEIGHT + (way ? 8 : 2)})`);
    this.beyond.textContent = way ? `${figure(score)}, beyond the scale` : "";
    this.beyond.setAttribute("x", way > 0 ? WIDTH - 18 : 18);
    this.beyond.setAttribute("text-anchor", way > 0 ? "end" : "start");
  }
}

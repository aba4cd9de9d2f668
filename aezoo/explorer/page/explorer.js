// The page: what the visitor does moves the latents, and whatever shows latents follows.

import { Axes } from "./axes.js";
import { Codes } from "./codes.js";
import { MOST, paint, paintErrors, SCALE } from "./colour.js";
import { fetchBytes, newestOnly, nextFrame, Part, setUp } from "./engine.js";
import { LatentMap, swatch } from "./map.js";
import { Picture } from "./picture.js";
import { figure, Score } from "./score.js";
import { setUpTheme } from "./theme.js";

const $ = (id) => document.getElementById(id);
const TILES = 15; // pictures on a side of the map

function counted(number, thing) {
  const ending = thing.endsWith("s") ? "es" : "s";
  return `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : ending}`;
}

class Explorer {
  async load() {
    setUpTheme($("theme"), () => this.recolour());
    this.facts = JSON.parse(new TextDecoder().decode(await fetchBytes("explorer.json")));
    const { facts } = this;
    this.introduce();
    const { wasm, wasm_bytes: total } = facts.runtime;
    const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
    setUp(
      await fetchBytes(wasm, (bytes) => {
        $("progress").value = bytes / total;
        $("stage").textContent = `Loading onnxruntime-web: ${megabytes(bytes)} of ${megabytes(total)} MB`;
      }),
    );
    this.parts = {};
    for (const [name, row] of Object.entries(facts.parts)) {
      $("stage").textContent = `Opening the ${name.replace("_", " ")}`;
      this.parts[name] = await Part.open(row);
    }
    this.points = facts.map ? new Float32Array((await fetchBytes("points.bin")).buffer) : null;
    this.examples = await fetchBytes("examples.bin");
    this.build();
    $("loading").hidden = true;
    $("main").hidden = false;
    this.map?.redraw();
    await this.start(0);
  }

  introduce() {
    const { model, example_shape: shape, latent_shape: latent, parameters, runtime, aezoo_version } = this.facts;
    const [height, width, channels] = shape;
    const precision = this.facts.parts.decoder.precision;
    document.title = `${model}: latent explorer`;
    $("title").textContent = model;
    $("facts").textContent = [
      `images ${height} × ${width}${channels === 1 ? "" : ` × ${channels}`}`,
      this.facts.codebook_size ? `${latent.slice(0, -1).join(" × ")} codes` : `${latent.join(" × ")} latents`,
      parameters ? `${parameters.toLocaleString("en")} parameters` : "",
      precision,
    ]
      .filter(Boolean)
      .join(" · ");
    $("runtime").textContent = runtime.version;
    $("version").textContent = aezoo_version;
  }

  build() {
    const { facts } = this;
    this.times = [];
    this.show = newestOnly(() => this.decodeAndPaint());
    this.moves = 0; // how often the visitor has chosen latents or codes
    this.judge = newestOnly(
      (from) => this.encodeAndScore(from),
      (older, newer) => newer ?? older,
    );
    // With few sliders or none, these lie below the picture instead of beside it.
    $("main").classList.toggle("two", facts.axes.length <= 4);
    if (facts.classes) this.buildLabels();
    if (facts.map) this.buildMap();
    if (facts.axes.length) this.buildAxes();
    if (facts.codebook_size) this.buildCodes();
    this.score = new Score($("score"), $("histogram"), $("score-facts"), facts.score);
    this.picture = new Picture(
      {
        canvas: $("input"),
        choose: $("choose"),
        file: $("file"),
        brush: $("brush"),
        ink: $("ink"),
        erase: $("erase"),
      },
      facts.example_shape,
      facts.background,
      () => this.judgeImage(),
      // The verdict beside it stays: it is that of the image which is still shown.
      (text) => ($("problem").textContent = text),
    );
    $("clear").addEventListener("click", () => {
      this.picture.clear();
      this.judgeImage();
    });
    $("invert").addEventListener("click", () => this.picture.invert());
    this.buildExamples();
    Object.assign($("scale"), { width: 256, height: 1 });
    SCALE.forEach((colour, n) => {
      const context = $("scale").getContext("2d");
      context.fillStyle = `rgb(${colour.join(" ")})`;
      context.fillRect(n, 0, 1, 1);
    });
  }

  buildLabels() {
    $("label-row").hidden = false;
    for (let n = 0; n < this.facts.classes; n++) $("label").add(new Option(this.facts.label_names?.[n] ?? n, n));
    $("label").addEventListener("change", () => {
      this.show();
      this.judge(); // the same latents, another class: that is what the chooser is for
      this.paintTiles();
    });
  }

  get label() {
    return this.facts.classes ? Number($("label").value) : undefined;
  }

  buildMap() {
    const { facts } = this;
    const { labels, shares, mean } = facts.map;
    $("map-card").hidden = false;
    const percent = shares.map((share) => `${Math.round(100 * share)} %`);
    const flat = mean.length === 2;
    const spread = shares[0] + shares[1] > 0; // else there is no variance to have a share of
    $("map-facts").textContent =
      `${counted(facts.points, "example")}: ${facts.source}` +
      (flat || !spread ? "" : `; principal plane, ${percent.join(" + ")} of the variance`);
    this.map = new LatentMap($("map"), facts, this.points, {
      moved: (latents) => this.moveTo(latents),
      picked: (number) => this.moveTo(this.map.latentsOf(number), labels?.[number]),
      pinned: (held) => $("hold").setAttribute("aria-pressed", held),
    });
    $("hold").addEventListener("click", () => this.map.hold(!this.map.held));
    $("nearest").addEventListener("click", () => this.map.picked(this.map.nearest()));
    if (labels) this.buildLegend();
    if (!flat) return;
    $("tiles-label").hidden = false;
    $("tiles").addEventListener("change", () => this.paintTiles());
  }

  buildLegend() {
    const { label_names: names } = this.facts;
    if (names.length > MOST) {
      $("many").hidden = false;
      $("many-facts").textContent = `${counted(names.length, "class")}: too many for colours.`;
      names.forEach((name, n) => $("only").add(new Option(name, n)));
      $("only").addEventListener("change", () => {
        this.map.only = $("only").value === "" ? null : Number($("only").value);
        this.map.redraw();
      });
      return;
    }
    names.forEach((name, n) => {
      const button = document.createElement("button");
      const canvas = document.createElement("canvas");
      button.type = "button";
      button.setAttribute("aria-pressed", "false");
      button.append(canvas, name);
      button.addEventListener("click", () => {
        this.map.only = this.map.only === n ? null : n;
        [...$("legend").querySelectorAll("button")].forEach((other, k) =>
          other.setAttribute("aria-pressed", this.map.only === k),
        );
        this.map.redraw();
      });
      const item = document.createElement("li");
      item.append(button);
      $("legend").append(item);
    });
    this.recolour();
  }

  recolour() {
    [...$("legend").querySelectorAll("canvas")].forEach(swatch);
    this.map?.redraw();
    this.codes?.draw();
  }

  buildAxes() {
    const { axes, latent_shape: shape } = this.facts;
    $("axes-card").hidden = false;
    this.axes = new Axes($("axes"), axes, (latents) => this.moveTo(latents));
    const dims = shape.reduce((product, size) => product * size, 1);
    if (axes.length < dims) $("axes-help").textContent = `The ${axes.length} of ${dims} that vary most.`;
    $("reset").hidden = !this.points;
    $("reset").addEventListener("click", () => this.moveTo(this.meanOfPoints()));
  }

  meanOfPoints() {
    const { points } = this.facts;
    const mean = new Float32Array(this.points.length / points);
    this.points.forEach((value, n) => (mean[n % mean.length] += value / points));
    return mean;
  }

  buildCodes() {
    const { latent_shape: shape, codebook_size: size } = this.facts;
    $("codes-card").hidden = false;
    $("codes-facts").textContent = `${shape[0]} × ${shape[1]}, of ${size} each`;
    const elements = { canvas: $("codes"), slider: $("code"), value: $("code-value") };
    this.codes = new Codes(elements, shape, size, () => {
      this.moves += 1;
      this.show();
    });
  }

  buildExamples() {
    const { example_shape: shape, examples, label_names: names } = this.facts;
    const size = shape.reduce((product, length) => product * length, 1);
    const whole = examples.dtype === "uint8";
    const all = whole ? this.examples : new Float32Array(this.examples.buffer);
    const most = whole ? 255 : 1;
    this.exampleOf = (n) => Float32Array.from(all.subarray(n * size, (n + 1) * size), (value) => value / most);
    for (let n = 0; n < examples.count; n++) {
      const button = document.createElement("button");
      const canvas = document.createElement("canvas");
      const label = examples.labels ? `, ${names[examples.labels[n]]}` : "";
      button.type = "button";
      button.setAttribute("aria-label", `example ${n + 1}${label}`);
      canvas.className = "picture";
      paint(canvas, this.exampleOf(n), shape);
      button.append(canvas);
      button.addEventListener("click", () => this.start(n));
      $("examples").append(button);
    }
  }

  /** Starts from an example: it becomes the image, and its latents the present ones. */
  start(number) {
    const { labels } = this.facts.examples;
    if (this.facts.classes && labels) $("label").value = labels[number];
    this.map?.hold(false);
    this.picture.values = this.exampleOf(number);
    paint($("input"), this.picture.values, this.facts.example_shape);
    return this.judgeImage();
  }

  /** Judges a new image and takes its latents over, unless the visitor goes elsewhere meanwhile. */
  judgeImage() {
    $("problem").textContent = "";
    return this.judge(this.moves);
  }

  /** The visitor chose latents. */
  moveTo(latents, label) {
    this.moves += 1;
    return this.take(latents, label);
  }

  take(latents, label) {
    this.latents = latents;
    if (this.facts.classes && label !== undefined) $("label").value = label;
    this.map?.show(latents);
    this.axes?.show(latents);
    return this.show();
  }

  /** Returns what the decoder makes of latents, or of the codes of a quantised model. */
  decode(latents, label = this.label) {
    return this.parts[this.codes ? "code_decoder" : "decoder"].run(latents, label);
  }

  /** Decodes the present latents once a frame at most. */
  async decodeAndPaint() {
    const { reconstructions, ms } = await this.decode(this.codes ? this.codes.codes : this.latents);
    this.decoded = reconstructions;
    paint($("decoded"), reconstructions, this.facts.example_shape);
    this.times = [...this.times.slice(-30), ms];
    const median = [...this.times].sort((a, b) => a - b)[this.times.length >> 1];
    $("time").textContent = `${median.toFixed(1)} ms a decode`;
    await nextFrame();
  }

  /**
   * Encodes, reconstructs and scores the image. Its latents, or codes, become the present ones if `from` is a number
   * and the visitor has not moved since `moves` was that.
   */
  async encodeAndScore(from) {
    const { example_shape: shape, score } = this.facts;
    const [height, width, channels] = shape;
    // Copies: both files are to see one image of one class, and a stroke or the chooser may come in between.
    const [values, label] = [Float32Array.from(this.picture.values), this.label];
    const encoded = await this.parts.encoder.run(values, label);
    const latents = encoded[this.facts.parts.encoder.outputs[0].name];
    const found = this.parts.scorer
      ? await this.parts.scorer.run(values, label)
      : { ...(await this.parts.decoder.run(latents, label)) };
    if (!this.parts.scorer) {
      found.error_map = new Float32Array(height * width);
      values.forEach((value, n) => {
        found.error_map[Math.floor(n / channels)] += (value - found.reconstructions[n]) ** 2 / channels;
      });
      found.reconstruction_error = found.error_map.reduce((a, b) => a + b) / found.error_map.length;
    }
    this.found = { latents: Float32Array.from(latents), ...found };
    paint($("reconstruction"), found.reconstructions, shape);
    // One scale for images alike: from 0 to the largest error, but never a scale of mere rounding.
    const most = Math.max(found.error_map.reduce((a, b) => Math.max(a, b), 0), 0.05);
    paintErrors($("errors"), found.error_map, height, width, most);
    $("scale-high").textContent = figure(most);
    if (!score || score.name in found) this.score.show(found);
    if (from === this.moves) {
      if (this.codes) {
        this.codes.show(encoded.code_indices);
        this.show();
      } else this.take(Float32Array.from(latents));
    }
    await nextFrame();
  }

  /** Decodes a grid over the map and shows the pictures below its points. */
  paintTiles = newestOnly(async () => {
    if (!this.map || !$("tiles").checked) {
      if (this.map?.backdrop) this.map.backdrop = null;
      this.map?.redraw();
      return;
    }
    const { centre, half } = this.map;
    const shape = this.facts.example_shape;
    const backdrop = { tiles: [], side: shape, cells: TILES };
    for (let n = 0; n < TILES * TILES; n++) {
      const [row, column] = [Math.floor(n / TILES), n % TILES];
      const across = (k) => ((2 * k + 1) / TILES - 1) * half;
      const { reconstructions } = await this.decode(
        Float32Array.of(centre[0] + across(column), centre[1] - across(row)),
      );
      backdrop.tiles[n] = document.createElement("canvas");
      paint(backdrop.tiles[n], reconstructions, shape);
    }
    this.map.backdrop = backdrop;
    this.map.redraw();
  });
}

const explorer = new Explorer();
globalThis.explorer = explorer; // for the browser's console, and for tests
explorer.ready = explorer.load().catch((error) => {
  $("loading").classList.add("broken");
  $("loading").hidden = false;
  $("stage").textContent = `This page cannot start: ${error.message ?? error}`;
  throw error;
});

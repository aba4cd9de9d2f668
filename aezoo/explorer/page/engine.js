// The bundle's files in onnxruntime-web: opened once, run one at a time.
//
// Everything outside this file is float32 with channels last and a batch of one; bytes, channels first and
// fixed batches are dealt with here, by what the manifest says of each tensor.

import * as ort from "./runtime/ort.wasm.bundle.min.mjs";

const ARRAYS = { float32: Float32Array, uint8: Uint8Array, int32: Int32Array, int64: BigInt64Array };

/** Fetches a file of the page; `progress` is called with the bytes that have come. */
export async function fetchBytes(path, progress = () => {}) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${response.statusText}`);
  const reader = response.body.getReader();
  const pieces = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    length += value.length;
    progress(length);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** Hands onnxruntime-web its WebAssembly. One thread asks for no headers of cross-origin isolation. */
export function setUp(wasm) {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = wasm;
  ort.env.logLevel = "error";
}

let turn = Promise.resolve(); // onnxruntime-web runs one session at a time

class Tensor {
  constructor(row) {
    this.name = row.name;
    this.shape = row.shape.map((size) => (typeof size === "string" ? 1 : size));
    this.first = row.layout === "nchw";
    this.size = this.shape.slice(1).reduce((product, size) => product * size, 1);
    // Of a fixed batch only the first example is ours; the others stay zero.
    this.data = new ARRAYS[row.dtype](this.size * this.shape[0]);
    this.scale = row.dtype === "uint8" ? 255 : 1; // images are [0, 1] outside
    this.tensor = new ort.Tensor(row.dtype, this.data, this.shape);
  }

  fill(values) {
    const { data, scale, size } = this;
    const whole = !(data instanceof Float32Array);
    const put = (at, value) => {
      data[at] = whole ? (data instanceof BigInt64Array ? BigInt(value) : Math.round(value * scale)) : value;
    };
    if (!this.first) {
      for (let n = 0; n < size; n++) put(n, values[n]);
      return;
    }
    const [, channels, height, width] = this.shape;
    for (let c = 0; c < channels; c++)
      for (let n = 0; n < height * width; n++) put(c * height * width + n, values[n * channels + c]);
  }
}

/** The first example of an output, float32 with channels last. */
function firstOf(row, tensor) {
  const size = tensor.dims.slice(1).reduce((product, length) => product * length, 1);
  const values = tensor.data.subarray(0, size);
  if (row.layout !== "nchw") return values instanceof BigInt64Array ? Array.from(values, Number) : values;
  const [, channels, height, width] = tensor.dims;
  const last = new Float32Array(size);
  for (let c = 0; c < channels; c++)
    for (let n = 0; n < height * width; n++) last[n * channels + c] = values[c * height * width + n];
  return last;
}

/** A file of the bundle. */
export class Part {
  static async open(row) {
    const part = new Part();
    part.outputs = row.outputs;
    part.inputs = row.inputs.map((input) => new Tensor(input));
    part.feeds = Object.fromEntries(part.inputs.map((input) => [input.name, input.tensor]));
    const bytes = await fetchBytes(row.file);
    part.session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"], logSeverityLevel: 3 });
    return part;
  }

  /** Returns {output: values} of one example, and in `ms` what the run took. */
  run(values, label) {
    const work = turn.then(async () => {
      this.inputs[0].fill(values);
      if (this.inputs.length > 1) this.inputs[1].fill([label]);
      const begun = performance.now();
      const found = await this.session.run(this.feeds);
      const ms = performance.now() - begun;
      return { ms, ...Object.fromEntries(this.outputs.map((row) => [row.name, firstOf(row, found[row.name])])) };
    });
    turn = work.catch(() => {}); // an error is its caller's, not the next one's
    return work;
  }
}

/**
 * Runs `work` for the newest request only: one in flight, one waiting, those between never. What a request that is
 * replaced was for can be kept: `merge(older, newer)` returns the request that then waits.
 */
export function newestOnly(work, merge = (older, newer) => newer) {
  let waiting = null;
  let busy = false;
  return async (request) => {
    waiting = { request: waiting ? merge(waiting.request, request) : request };
    if (busy) return;
    busy = true;
    try {
      while (waiting) {
        const { request: next } = waiting;
        waiting = null;
        await work(next);
      }
    } finally {
      waiting = null; // after an error nothing is left over
      busy = false;
    }
  };
}

/** At most one a frame: waits for the next one where there is a visible page. */
export function nextFrame() {
  return new Promise((done) => (document.hidden ? setTimeout(done, 16) : requestAnimationFrame(done)));
}

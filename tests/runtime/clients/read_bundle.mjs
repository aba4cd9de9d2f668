// Reads every ONNX file of a bundle with onnxruntime-node and prints how far each output is from the
// golden arrays: node read_bundle.mjs BUNDLE ARRAYS, where ARRAYS holds index.json and raw little-endian files.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as ort from "onnxruntime-node";

const [bundle, arrays] = process.argv.slice(2);
const manifest = JSON.parse(readFileSync(join(bundle, "manifest.json"), "utf8"));
const index = JSON.parse(readFileSync(join(arrays, "index.json"), "utf8"));
const KINDS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array, bool: Uint8Array };

function read(name) {
  const { dtype, shape } = index[name];
  const bytes = readFileSync(join(arrays, name + ".bin"));
  return { dtype, shape, data: new KINDS[dtype](bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)) };
}

const report = {};
for (const artifact of manifest.artifacts.filter((row) => row.format === "onnx")) {
  const session = await ort.InferenceSession.create(join(bundle, artifact.file), { logSeverityLevel: 3 });
  const given = {};
  for (const row of artifact.inputs) {
    const { dtype, shape, data } = read(row.golden);
    given[row.name] = new ort.Tensor(dtype, data, shape);
  }
  const found = await session.run(given);
  report[artifact.file] = {};
  for (const row of artifact.outputs) {
    const expected = read(row.golden).data;
    const got = found[row.name].data;
    let worst = got.length === expected.length ? 0 : Infinity;
    for (let i = 0; i < expected.length; i++) worst = Math.max(worst, Math.abs(Number(got[i]) - expected[i]));
    report[artifact.file][row.name] = worst;
  }
}
console.log(JSON.stringify(report));

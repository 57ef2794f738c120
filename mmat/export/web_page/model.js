/* The model, run by ONNX Runtime from this folder. One thread: a plain file server sends no headers
   that would allow more. */

import * as ort from "./onnxruntime/ort.wasm.bundle.min.js";
import {Merger, windows} from "./tagging.js";

ort.env.wasm.wasmPaths = {wasm: new URL("onnxruntime/ort-wasm-simd-threaded.wasm", import.meta.url).href};
ort.env.wasm.numThreads = 1;

const pause = () => new Promise(resolve => setTimeout(resolve));  // the page is drawn meanwhile

export class Model {
  static async load() {
    const answer = await fetch("facts.json");
    if (!answer.ok) throw new Error(`facts.json: the server says ${answer.status}`);
    return new Model(await answer.json(), await ort.InferenceSession.create("model.onnx"));
  }

  constructor(facts, session) {
    this.facts = facts;
    this.session = session;
    this.given = {};
    for (const {name, shape} of session.inputMetadata) {
      if (name.startsWith("image_")) this.given[name] = new ort.Tensor("float32", new Float32Array(shape[2]), [1, 1, shape[2]]);
      if (name.startsWith("has_")) this.given[name] = new ort.Tensor("bool", [name === "has_audio"], [1]);
    }
  }

  /* The scores of one window, a Float32Array at facts.sample_rate_hz in [-1, 1]. */
  async hear(waveform) {
    const input = new ort.Tensor("float32", waveform, [1, waveform.length, 1]);
    const {clip, frame} = await this.session.run({waveform: input, ...this.given}, ["clip", "frame"]);
    const n = this.facts.labels.length;
    const frames = Array.from({length: frame.dims[1]}, (_, t) => frame.data.slice(t * n, t * n + n));
    return {clip: clip.data.slice(), frames};
  }

  /* What a whole sound holds. said: called with the seconds that are done. */
  async tag(waveform, said = () => {}) {
    const rate = this.facts.sample_rate_hz, merger = new Merger(this.facts);
    const seconds = waveform.length / rate;
    for (const [start, end] of windows(seconds, this.facts.clip_seconds, this.facts.frame_hz)) {
      said(start, seconds);
      await pause();
      const {clip, frames} = await this.hear(waveform.slice(Math.round(start * rate), Math.round(end * rate)));
      merger.add(start, end, clip, frames);
    }
    return merger.result();
  }
}

/* The model, run by LiteRT from this folder. One thread: a plain file server sends no headers that
   would allow more. */

import {loadAndCompile, loadLiteRt, Tensor} from "./litert/litert.js";
import {Merger, windows} from "./tagging.js";

/* What the runtime logs of itself; what it calls an error is left. */
const isLog = line => /^(INFO|WARNING): /.test(line);
const pause = () => new Promise(resolve => setTimeout(resolve));  // the page is drawn meanwhile

export class Model {
  static async load() {
    const answer = await fetch("facts.json");
    if (!answer.ok) throw new Error(`facts.json: the server says ${answer.status}`);
    const facts = await answer.json();
    self.Module = {printErr: line => isLog(line) || console.error(line)};  // as Emscripten has it
    await loadLiteRt(new URL("litert/", import.meta.url).href);
    const compiled = await loadAndCompile("model.tflite", {accelerator: "wasm", cpuOptions: {numThreads: 1}});
    return new Model(facts, compiled.signatures.serving_default);
  }

  /* network: what LiteRT makes of model.tflite. */
  constructor(facts, network) {
    this.facts = facts;
    this.network = network;
    this.shapes = Object.fromEntries(network.getInputDetails().map(({name, shape}) => [name, shape]));
  }

  /* The scores of one window, a Float32Array at facts.sample_rate_hz in [-1, 1]. */
  async hear(waveform) {
    const n = this.facts.labels.length, perFrame = this.facts.sample_rate_hz / this.facts.frame_hz;
    const {clip, frame} = await this.run(waveform);
    const frames = Array.from(
      {length: Math.ceil(waveform.length / perFrame)}, (_, t) => frame.slice(t * n, t * n + n));
    return {clip, frames};
  }

  /* The network's outputs, each of its own memory. It takes one length, and is told what of it is the clip. */
  async run(waveform) {
    const whole = new Float32Array(this.shapes.waveform[1]);
    whole.set(waveform);
    const given = {waveform: new Tensor(whole, [1, whole.length, 1])};
    if (this.shapes.n_samples) given.n_samples = new Tensor(Int32Array.of(waveform.length), [1]);
    const found = await this.network.run(given);
    const [clip, frame] = await Promise.all([found.clip.data(), found.frame.data()]);
    const kept = {clip: clip.slice(), frame: frame.slice()};
    for (const tensor of [...Object.values(given), ...Object.values(found)]) tensor.delete();
    return kept;
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

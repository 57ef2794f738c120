/* What a sound holds, window by window, as mmat's own tagger computes it. No part of the page is
   touched here. Scores are arrays of Float32Array, one a frame: frames[t][c]. */

const SHORTEST_REST_SECONDS = 0.1;  // what codecs add at a file's end gets no window of its own

/* The nearest whole number; of a half the even one, as the tagger rounds. */
const toEven = x => x % 2 === 0.5 ? Math.floor(x) : Math.round(x);

/* Where windows begin and end, in seconds: they overlap by half, and the last ends at the end. */
export function windows(seconds, clipSeconds, frameHz) {
  const hop = toEven(clipSeconds / 2 * frameHz) / frameHz, found = [];
  for (let n = 0; n * hop + clipSeconds <= seconds; n++) found.push([n * hop, n * hop + clipSeconds]);
  if (!found.length) return [[0, seconds]];
  const end = found.at(-1)[1];
  if (seconds - end >= SHORTEST_REST_SECONDS) {
    const start = Math.ceil(Number(((seconds - clipSeconds) * frameHz).toFixed(6))) / frameHz;
    found.push([start, seconds]);
  }
  return found;
}

/* Merges the scores of windows. Of several labels each has its best score of all windows; classes
   that exclude each other, and values, have the mean. Where windows overlap, a frame is their mean,
   weighted by how far it is from the window's nearer end. */
export class Merger {
  constructor(facts) {
    this.facts = facts;
    this.clip = null;
    this.seconds = this.heard = 0;
    this.sums = [];
    this.weights = [];
  }

  add(start, end, clip, frames) {
    const duration = Math.max(end - start, 1 / this.facts.frame_hz), before = this.heard;
    const pool = this.facts.task === "multi-label"
      ? (a, b) => Math.max(a, b)
      : (a, b) => (a * before + b * duration) / (before + duration);
    this.clip = this.clip ? this.clip.map((score, c) => pool(score, clip[c])) : Float32Array.from(clip);
    this.heard += duration;
    this.seconds = end;
    const first = Math.round(start * this.facts.frame_hz);
    frames.forEach((frame, t) => {
      const weight = Math.min(t + 1, frames.length - t), at = first + t;
      this.sums[at] ??= new Float64Array(frame.length);
      this.weights[at] = (this.weights[at] ?? 0) + weight;
      frame.forEach((score, c) => { this.sums[at][c] += weight * score; });
    });
  }

  result() {
    const frames = this.sums.map((sum, t) => Float32Array.from(sum, x => x / this.weights[t]));
    const fired = decide(this.facts, this.clip);
    const tags = this.facts.labels.map((label, c) => ({
      c, label, score: this.clip[c], fired: fired[c], confidence: confidence(this.facts, this.clip[c], c),
    }));
    if (!isRegression(this.facts)) {
      tags.sort((a, b) => b.fired - a.fired || b.confidence - a.confidence || b.score - a.score);
    }
    return {seconds: this.seconds, tags, frames, events: events(this.facts, frames, fired, this.seconds)};
  }
}

export const isRegression = facts => facts.task.startsWith("regression");

/* What is decided of scores by class. */
export function decide(facts, scores) {
  if (isRegression(facts)) return Array.from(scores, () => true);
  if (facts.task === "multi-label") return Array.from(scores, (x, c) => x >= Math.fround(facts.thresholds[c]));
  const best = scores.indexOf(Math.max(...scores));
  return Array.from(scores, (x, c) => c === best && x > 0);
}

/* How sure a class is, in [0, 1]: of several labels 0.5 is the threshold, and from there on it
   fires; of classes that exclude each other it is the score itself. */
export function confidence(facts, score, c) {
  if (facts.task !== "multi-label") return score;
  const bar = Math.fround(facts.thresholds[c]);
  if (bar > 1) return 0;  // it never fires
  const forIt = score * (1 - bar), against = bar * (1 - score), total = forIt + against;
  const share = total ? forIt / total : 0.5;
  return score >= bar ? Math.max(share, 0.5) : Math.min(share, 0.4999999);
}

/* Whole per cent, where 50 and more fires and up to 49 does not. */
export const percentSure = sure => sure >= 0.5 ? Math.round(100 * sure) : Math.min(Math.round(100 * sure), 49);

/* Stretches of frames in which a class that was decided is decided, by onset. */
function events(facts, frames, fired, seconds) {
  if (isRegression(facts)) return [];
  const active = frames.map(scores => decide(facts, scores)), found = [];
  const isMultiLabel = facts.task === "multi-label";
  facts.labels.forEach((label, c) => {
    if (isMultiLabel && !fired[c]) return;
    for (let start = 0, t = 0; t <= frames.length; t++) {
      if (t < frames.length && active[t][c]) continue;
      if (t > start) {
        const score = Math.max(...frames.slice(start, t).map(frame => frame[c]));
        const offset = Math.min(t / facts.frame_hz, seconds);
        const sure = confidence(facts, score, c);
        found.push({c, label, onset: start / facts.frame_hz, offset, score, confidence: sure});
      }
      start = t + 1;
    }
  });
  return found.sort((a, b) => a.onset - b.onset || a.c - b.c);
}

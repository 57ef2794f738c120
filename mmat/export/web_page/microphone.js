/* Hands the microphone's sound to the page, in parts of a tenth of a second. */
registerProcessor("microphone", class extends AudioWorkletProcessor {
  parts = [];
  n = 0;

  process([channels]) {
    if (!channels.length) return true;
    const mixed = new Float32Array(channels[0].length);
    for (const channel of channels) channel.forEach((x, i) => { mixed[i] += x / channels.length; });
    this.parts.push(mixed);
    this.n += mixed.length;
    if (this.n < sampleRate / 10) return true;
    const whole = new Float32Array(this.n);
    this.parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
    this.port.postMessage(whole, [whole.buffer]);
    this.parts = [];
    this.n = 0;
    return true;
  }
});

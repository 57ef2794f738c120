/* Sound as the model takes it: mono, at its rate. */

/* Decode a file of any kind that the browser plays, also the sound of a video. */
export async function decode(file, rate) {
  // The context's rate is that of what it decodes.
  return mono(await new OfflineAudioContext(1, 1, rate).decodeAudioData(await file.arrayBuffer()));
}

function mono(sound) {
  const mixed = new Float32Array(sound.length);
  for (let c = 0; c < sound.numberOfChannels; c++) {
    sound.getChannelData(c).forEach((x, i) => { mixed[i] += x / sound.numberOfChannels; });
  }
  return mixed;
}

async function resample(samples, from, to) {
  if (from === to) return samples;
  const context = new OfflineAudioContext(1, Math.max(1, Math.round(samples.length * to / from)), to);
  const sound = new AudioBuffer({length: samples.length, sampleRate: from, numberOfChannels: 1});
  sound.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, {buffer: sound});
  source.connect(context.destination);
  source.start();
  return (await context.startRendering()).getChannelData(0);
}

/* The microphone, of which the last seconds are kept. */
export class Microphone {
  static async open(seconds) {
    if (!navigator.mediaDevices) throw new Error("the browser gives it to pages from https or localhost only");
    // What makes speech clear takes other sounds away.
    const raw = {echoCancellation: false, noiseSuppression: false, autoGainControl: false};
    const stream = await navigator.mediaDevices.getUserMedia({audio: raw});
    const context = new AudioContext();
    try {
      await context.audioWorklet.addModule("microphone.js");
      const node = new AudioWorkletNode(context, "microphone", {numberOfOutputs: 0});
      new MediaStreamAudioSourceNode(context, {mediaStream: stream}).connect(node);
      await context.resume();
      return new Microphone(stream, context, node, seconds);
    } catch (error) {
      stream.getTracks().forEach(track => track.stop());
      context.close();
      throw error;
    }
  }

  constructor(stream, context, node, seconds) {
    this.stream = stream;
    this.context = context;
    this.most = Math.round(seconds * context.sampleRate);
    this.parts = [];
    this.n = 0;
    node.port.onmessage = ({data}) => {
      this.parts.push(data);
      this.n += data.length;
      while (this.n - this.parts[0].length >= this.most) this.n -= this.parts.shift().length;
    };
  }

  /* What was heard last, at a rate. */
  async last(rate) {
    const heard = new Float32Array(this.n);
    this.parts.reduce((at, part) => (heard.set(part, at), at + part.length), 0);
    return resample(heard.slice(-this.most), this.context.sampleRate, rate);
  }

  close() {
    this.stream.getTracks().forEach(track => track.stop());
    return this.context.close();
  }
}

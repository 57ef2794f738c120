import {Model} from "./model.js";
import {Microphone, decode} from "./sound.js";
import {confidence, decide, isRegression, percentSure} from "./tagging.js";

const MOST_LANES = 8, LEAST_ROWS = 5, MOST_HEARD = 20, MOST_POINTS = 400;
const HOP_SECONDS = 1;  // of the microphone, between two answers

const $ = id => document.getElementById(id);
const make = (tag, text = "", attributes = {}) => {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};
const say = text => { $("status").textContent = text; };
const clock = seconds => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const shown = (facts, score, c) => isRegression(facts)
  ? score.toFixed(2)
  : `${percentSure(confidence(facts, score, c))} %`;

let model = null, listening = null, task = new AbortController();

/* What runs gives way to what is asked next. */
function next() {
  task.abort();
  task = new AbortController();
  return task.signal;
}

/* A file. */

async function tagFile(file) {
  if (!model || !file) return;
  const signal = next();
  await stopListening();
  say(`Reading ${file.name}.`);
  let waveform;
  try {
    waveform = await decode(file, model.facts.sample_rate_hz);
  } catch {
    if (!signal.aborted) say(`${file.name}: this browser cannot read a sound in it.`);
    return;
  }
  if (signal.aborted) return;
  if (!waveform.length) return say(`${file.name}: its sound is empty.`);
  try {
    const found = await model.tag(waveform, (done, seconds) => {
      signal.throwIfAborted();
      say(`Listening to ${file.name}: ${clock(done)} of ${clock(seconds)}.`);
    });
    if (signal.aborted) return;
    if (found.tags.some(tag => Number.isNaN(tag.score))) {
      return say(`${file.name}: its sound holds what is no number.`);
    }
    showResult(file, found);
  } catch (error) {
    if (!signal.aborted) say(`${file.name}: ${error.message}`);
  }
}

function showResult(file, found) {
  const {facts} = model, fired = found.tags.filter(tag => tag.fired);
  $("live").hidden = true;
  $("summary").textContent = `${file.name}, ${found.seconds.toFixed(1)} s`;
  URL.revokeObjectURL($("player").src);
  $("player").src = URL.createObjectURL(file);
  const rows = found.tags.slice(0, Math.max(fired.length, LEAST_ROWS));
  $("tags").replaceChildren(...rows.map(tag => {
    const row = make("tr", "", {class: tag.fired ? "fired" : ""});
    const cell = make("td");
    cell.append(make("data", shown(facts, tag.score, tag.c), {value: tag.score}));
    row.append(make("th", tag.label, {scope: "row"}), cell);
    if (!isRegression(facts)) row.append(make("td", tag.fired ? "yes" : "no"));
    return row;
  }));
  const lanes = fired.length ? fired.slice(0, MOST_LANES) : rows.slice(0, 1);
  $("timeline").replaceChildren(...lanes.map(tag => lane(found, tag)), axis(found.seconds));
  $("result").hidden = false;
  say(fired.length ? `Found: ${fired.map(tag => `${tag.label} (${shown(facts, tag.score, tag.c)})`).join(", ")}.` : "Nothing of what the page listens for was found.");
  $("result-title").focus();
}

/* A label over time: a curve of how sure it is, and its events as buttons that play them. */
function lane(found, tag) {
  const {facts} = model, strip = make("div", "", {class: "strip"});
  strip.append(curve(facts, found.frames.map(frame => height(facts, frame[tag.c], tag.c))));
  for (const event of found.events.filter(event => event.c === tag.c)) {
    const what = `${event.label}, ${event.onset.toFixed(1)} to ${event.offset.toFixed(1)} s, ${percentSure(event.confidence)} % sure`;
    const button = make("button", "", {type: "button", class: "event", title: what, "aria-label": `Play ${what}`});
    button.style.left = `min(${100 * event.onset / found.seconds}%, 100% - 6px)`;
    button.style.width = `${100 * (event.offset - event.onset) / found.seconds}%`;
    button.onclick = () => {
      $("player").currentTime = event.onset;
      $("player").play().catch(() => say("This browser cannot play clips of this kind."));
    };
    strip.append(button);
  }
  const whole = make("div", "", {class: "lane"});
  whole.append(make("div", tag.label), strip);
  return whole;
}

function height(facts, score, c) {
  if (!isRegression(facts)) return confidence(facts, score, c);
  const [low, high] = facts.task.split(" ").slice(1).map(Number);
  return Math.min(1, Math.max(0, (score - low) / (high - low)));
}

function curve(facts, heights) {
  const n = Math.min(MOST_POINTS, heights.length), svg = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(svg, "svg"), path = document.createElementNS(svg, "path");
  const parts = Array.from({length: n}, (_, i) =>
    Math.max(...heights.slice(Math.floor(i * heights.length / n), Math.floor((i + 1) * heights.length / n))));
  drawing.setAttribute("viewBox", `0 0 ${n} 100`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("aria-hidden", "true");
  path.setAttribute("d", `M0 100${parts.map((part, i) => `V${Math.round(100 * (1 - part))}H${i + 1}`).join("")}V100Z`);
  drawing.append(path);
  if (facts.task === "multi-label") {
    const line = document.createElementNS(svg, "line");
    for (const [name, value] of Object.entries({x1: 0, x2: n, y1: 50, y2: 50})) line.setAttribute(name, value);
    drawing.append(line);
  }
  return drawing;
}

function axis(seconds) {
  const line = make("div", "", {class: "axis"});
  const text = seconds < 60 ? time => `${Number(time.toFixed(1))} s` : clock;
  line.append(...[0, seconds / 2, seconds].map(time => make("span", text(time))));
  return line;
}

/* The microphone. */

async function listen() {
  const signal = next();
  const {facts} = model, rate = facts.sample_rate_hz;
  say("Asking for the microphone.");
  let microphone;
  try {
    microphone = await Microphone.open(facts.clip_seconds);
  } catch (error) {
    if (!signal.aborted) say(`The microphone cannot be used: ${error.message}.`);
    return;
  }
  if (signal.aborted) return microphone.close();
  listening = microphone;
  $("microphone").textContent = "Stop listening";
  $("result").hidden = true;
  $("live").hidden = false;
  $("heard").replaceChildren();
  $("now").textContent = "";
  say("Listening to the microphone. Nothing is kept.");
  try {
    await report(microphone, signal);
  } catch (error) {
    if (signal.aborted) return;
    await stopListening();
    say(`The microphone cannot be used: ${error.message}.`);
  }
}

/* Say again and again what sounds, until another task begins. */
async function report(microphone, signal) {
  const {facts} = model, n = Math.round(HOP_SECONDS * facts.frame_hz), begun = Date.now();
  while (!signal.aborted) {
    await new Promise(resolve => setTimeout(resolve, 1000 * HOP_SECONDS));
    const waveform = await microphone.last(facts.sample_rate_hz);
    if (signal.aborted) return;
    if (waveform.length < facts.sample_rate_hz / facts.frame_hz) continue;
    // It hears a whole clip, of which the newest frames are new.
    const newest = (await model.hear(waveform)).frames.slice(-n);
    if (!signal.aborted) showMoment((Date.now() - begun) / 1000, moment(facts, newest));
  }
}

/* The highest score of frames by label, of classes that exclude each other and values the mean. */
function moment(facts, frames) {
  return facts.labels.map((_, c) => {
    const scores = frames.map(frame => frame[c]);
    return facts.task === "multi-label"
      ? Math.max(...scores)
      : scores.reduce((sum, score) => sum + score, 0) / scores.length;
  });
}

function showMoment(seconds, scores) {
  const {facts} = model;
  const classes = facts.labels.map((_, c) => c).filter(c => decide(facts, scores)[c]);
  if (!isRegression(facts)) classes.sort((a, b) => confidence(facts, scores[b], b) - confidence(facts, scores[a], a));
  const text = classes.map(c => `${facts.labels[c]} (${shown(facts, scores[c], c)})`).join(", ");
  // Said again only where it is another thing that sounds.
  const names = classes.join() || "none";
  if ($("now").dataset.names === names && !isRegression(facts)) return;
  $("now").dataset.names = names;
  $("now").textContent = text || "Nothing of what the page listens for.";
  if (!text) return;
  $("heard").prepend(make("li", `${clock(seconds)} ${text}`));
  while ($("heard").children.length > MOST_HEARD) $("heard").lastChild.remove();
}

async function stopListening() {
  const microphone = listening;
  if (!microphone) return;
  listening = null;
  $("microphone").textContent = "Listen by the microphone";
  await microphone.close();
}

/* What is pressed, chosen and dropped. */

$("file").onchange = event => tagFile(event.target.files[0]);
$("microphone").onclick = async () => {
  if (!listening) return listen();
  next();
  await stopListening();
  say("The microphone is off.");
};
document.addEventListener("dragover", event => {
  event.preventDefault();
  $("drop").classList.add("over");
});
document.addEventListener("dragleave", event => {
  if (!event.relatedTarget) $("drop").classList.remove("over");
});
document.addEventListener("drop", event => {
  event.preventDefault();
  $("drop").classList.remove("over");
  tagFile(event.dataTransfer.files[0]);
});

function introduce(facts) {
  const n = facts.labels.length;
  $("about").textContent = `The page listens for ${n === 1 ? facts.labels[0] : `${n} labels`}. All is computed in this browser: no sound leaves it.`;
  $("labels").textContent = facts.labels.join(", ");
  const never = facts.labels.filter((_, c) => facts.task === "multi-label" && facts.thresholds[c] > 1);
  $("never").hidden = !never.length;
  $("never").textContent = `Never found, as the model knows nothing of them: ${never.join(", ")}.`;
  $("measure").textContent = isRegression(facts) ? "Value" : "Sure";
  $("is-found").hidden = isRegression(facts);
  $("reading").textContent = isRegression(facts)
    ? "The higher, the larger the value."
    : facts.task === "multi-label"
      ? "The higher, the surer; from the dashed line on a label counts as found. Press a stretch to play it."
      : "The higher, the likelier the class. Press a stretch to play it.";
}

try {
  say("Loading the model.");
  model = await Model.load();
  introduce(model.facts);
  $("file").disabled = $("microphone").disabled = false;
  say("Ready.");
} catch (error) {
  say(`The model cannot be loaded: ${error.message}`);
}

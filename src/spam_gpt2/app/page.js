"use strict";
// Whatever comes from a message goes into the page as text, never as markup.

const BATCH = 100; // messages a request
const PAGE = 50; // results that are shown at a time
const UNSURE = -1; // the class of a message for a person
const COLOURED = 5; // results that are coloured without being asked

const $ = (id) => document.getElementById(id);
let state;
let threshold = null;
let results = [];
let shown = 0;

function element(name, className, text) {
  const it = document.createElement(name);
  if (className) it.className = className;
  if (text !== undefined) it.textContent = text;
  return it;
}

function tell(text, isError = false) {
  $("status").textContent = text;
  $("status").className = isError ? "error" : "";
}

async function ask(path, body, type = "application/json") {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": type } };
  if (body !== undefined) options.body = type === "application/json" ? JSON.stringify(body) : body;
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer; start it again with `make app`.");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  return answer;
}

const number = (value) => value.toLocaleString("en");
const percent = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "–");
const probability = (p) => (p > 0.0005 && p < 0.9995 ? p.toFixed(3) : p < 0.5 ? "< 0.001" : "> 0.999");
const precise = (p) => String(Number(p.toPrecision(9)));

// The threshold and what it does to messages whose labels are known

function above(sorted, limit) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] > limit) high = middle;
    else low = middle + 1;
  }
  return sorted.length - low;
}

function falsePositives() {
  const of = state.counts.holdout?.[0].length ? "holdout" : "test";
  const negatives = state.counts[of]?.[0];
  if (!negatives?.length) return null;
  return { wrong: above(negatives, threshold), total: negatives.length, of };
}

const NAMES = { test: "test set", holdout: "hold-out" };

function showCounts() {
  const [negative, positive] = state.labels;
  const head = $("counts").tHead;
  const names = ["", `${positive} found`, `${negative} taken for ${positive}`, "right in all"];
  const row = element("tr");
  names.forEach((name) => row.append(element("th", "", name)));
  head.replaceChildren(row);
  const rows = Object.entries(state.counts).map(([split, [negatives, positives]]) => {
    const found = above(positives, threshold);
    const wrong = above(negatives, threshold);
    const total = negatives.length + positives.length;
    const right = found + negatives.length - wrong;
    const it = element("tr");
    it.dataset.split = split;
    it.append(element("td", "", NAMES[split] ?? split));
    for (const [part, whole] of [[found, positives.length], [wrong, negatives.length], [right, total]]) {
      const text = whole ? `${number(part)} of ${number(whole)} (${percent(part, whole)})` : "–";
      it.append(element("td", "", text));
    }
    return it;
  });
  $("counts").tBodies[0].replaceChildren(...rows);
  const rate = falsePositives();
  $("sentence").textContent =
    `A message is ${positive} above a probability of ${precise(threshold)}` +
    (rate ? `: ${number(rate.wrong)} of ${number(rate.total)} messages that are ${negative} ` +
      `(${NAMES[rate.of]}) would be taken for ${positive}, ${percent(rate.wrong, rate.total)}.` : ".");
}

function setThreshold(value, from) {
  threshold = value;
  const clipped = Math.min(Math.max(value, 1e-9), 1 - 1e-9);
  if (from !== "slider") $("slider").value = Math.log(clipped / (1 - clipped));
  if (from !== "number") $("threshold").value = precise(value);
  $("slider").setAttribute("aria-valuetext", precise(value));
  showCounts();
  results.slice(0, shown).forEach(showDecision);
  summarize();
}

function startThreshold() {
  if (state.threshold === null) return;
  $("slider-label").textContent = `Probability of ${state.labels[1]}`;
  $("rule").hidden = false;
  setThreshold(state.threshold);
  $("slider").addEventListener("input", () => {
    const p = 1 / (1 + Math.exp(-Number($("slider").value)));
    setThreshold(Number(p.toFixed(p > 0.01 && p < 0.99 ? 3 : 5)), "slider");
  });
  $("threshold").addEventListener("input", () => {
    const value = $("threshold").valueAsNumber;
    if (value >= 0 && value <= 1) setThreshold(value, "number");
  });
  $("reset").addEventListener("click", () => setThreshold(state.threshold));
}

// Results

function classOf(result) {
  const p = result.probabilities;
  const leavesUnsure = state.unsure_from !== null && threshold === state.threshold;
  if (leavesUnsure && p[1] > state.unsure_from && p[1] <= threshold) return UNSURE;
  if (threshold !== null) return p[1] > threshold ? 1 : 0;
  return p.indexOf(Math.max(...p));
}

function showDecision(result) {
  const k = classOf(result);
  const p = result.probabilities;
  const likely = k === UNSURE ? p.indexOf(Math.max(...p)) : k;
  const label = state.labels[likely];
  result.card.classList.toggle("positive", threshold !== null && k === 1);
  result.card.classList.toggle("negative", threshold !== null && k === 0);
  result.labelPart.textContent = k === UNSURE ? "unsure" : label;
  const words = [` probability of ${label} ${probability(p[likely])}`];
  const rate = threshold !== null && falsePositives();
  if (rate && k === 1) words.push(`false-positive rate ${percent(rate.wrong, rate.total)}`);
  result.numbers.textContent = words.join(" · ");
  if (!result.corrected) {
    const others = state.labels.filter((_, i) => i !== k);
    result.choice.replaceChildren(...others.map((name) => {
      const option = element("option", "", name);
      option.value = name;
      return option;
    }));
    result.choice.hidden = others.length === 1;
  }
}

function makeCard(result) {
  const card = element("li", "result");
  const head = element("div");
  result.labelPart = element("span", "label");
  result.numbers = element("span", "muted");
  head.append(result.labelPart, result.numbers);
  result.textPart = element("p", "text", result.shown);
  result.textPart.dir = "auto";
  result.why = element("button", "", "Why?");
  result.wrong = element("button", "", "This is wrong");
  result.choice = element("select");
  result.choice.setAttribute("aria-label", "What it is");
  result.note = element("span", "muted");
  result.note.setAttribute("role", "status");
  for (const button of [result.why, result.wrong]) button.type = "button";
  result.why.addEventListener("click", () => explain(result));
  result.wrong.addEventListener("click", () => correct(result));
  const actions = element("div", "actions");
  // What vanishes comes last: nothing moves under the mouse.
  actions.append(result.wrong, result.choice, result.why, result.note);
  card.append(head, result.textPart, actions);
  result.card = card;
  showDecision(result);
  return card;
}

async function explain(result) {
  result.why.disabled = true;
  try {
    const found = await ask("/explain", { text: result.text });
    const k = threshold !== null ? 1 : classOf(result);
    const strongest = Math.max(...found.parts.map((part) => Math.abs(part.scores[k])), 1e-9);
    const spans = found.parts.map((part) => {
      const score = part.scores[k];
      const span = element("span", `token ${score > 0 ? "for" : "against"}`, part.shown);
      span.style.setProperty("--strength", ((Math.abs(score) / strongest) * 0.6).toFixed(2));
      span.title = `${score > 0 ? "+" : "−"}${Math.abs(score).toFixed(2)} log-odds of ${state.labels[k]}`;
      return span;
    });
    if (found.rest) spans.push(element("span", "rest", found.rest));
    result.textPart.replaceChildren(...spans);
    result.why.hidden = true;
  } catch (error) {
    result.note.textContent = error.message;
  }
}

async function correct(result) {
  result.wrong.disabled = true;
  result.choice.disabled = true;
  try {
    const saved = await ask("/feedback", { text: result.text, label: result.choice.value });
    result.corrected = true;
    result.note.textContent = `Noted as ${saved.label} in ${saved.path}. The next \`make repro\` learns from it.`;
  } catch (error) {
    result.wrong.disabled = false;
    result.choice.disabled = false;
    result.note.textContent = error.message;
  }
}

function summarize() {
  const counts = state.labels.map((_, k) => results.filter((it) => classOf(it) === k).length);
  const parts = state.labels.map((label, k) => `${number(counts[k])} ${label}`);
  const unsure = results.filter((it) => classOf(it) === UNSURE).length;
  if (unsure) parts.unshift(`${number(unsure)} unsure`);
  const many = results.length === 1 ? "1 message" : `${number(results.length)} messages`;
  $("summary").textContent = results.length ? `${many}: ${parts.reverse().join(", ")}` : "";
}

function showMore() {
  const next = results.slice(shown, shown + PAGE);
  $("results").append(...next.map(makeCard));
  shown += next.length;
  $("more").hidden = shown >= results.length;
}

function showLegend() {
  const [towards, away] = ["for", "against"].map((name) => element("span", `swatch ${name}`));
  const target = threshold !== null ? state.labels[1] : "the label";
  towards.textContent = `towards ${target}`;
  away.textContent = threshold !== null ? `towards ${state.labels[0]}` : "away from it";
  $("legend").replaceChildren("What each token adds, deeper for more: ", towards, " ", away);
}

async function classify(texts) {
  $("results").replaceChildren();
  results = [];
  shown = 0;
  $("answers").hidden = true;
  $("more").hidden = true;
  $("progress").hidden = texts.length <= BATCH;
  for (let start = 0; start < texts.length; start += BATCH) {
    const batch = texts.slice(start, start + BATCH);
    const answers = await ask("/classify", { texts: batch });
    results.push(...answers.map((answer, i) => ({ ...answer, text: batch[i] })));
    $("progress").value = results.length / texts.length;
    $("answers").hidden = false;
    if (shown < PAGE) showMore();
    summarize();
  }
  $("more").hidden = shown >= results.length;
}

async function working(work) {
  $("classify").disabled = true;
  $("file").disabled = true;
  tell("");
  try {
    await work();
  } catch (error) {
    tell(error.message, true);
  }
  $("progress").hidden = true;
  $("classify").disabled = false;
  $("file").disabled = false;
}

async function colourFirst() {
  for (const result of results.slice(0, COLOURED)) await explain(result);
}

function classifyTyped(event) {
  event.preventDefault();
  const texts = $("messages").value.split("\n").filter((line) => line.trim());
  if (!texts.length) return tell("Type or paste a message first.", true);
  working(() => classify(texts)).then(colourFirst);
}

function classifyFile(file) {
  if (!file || $("classify").disabled) return;
  working(async () => {
    const kind = encodeURIComponent(/\.[^.]*$/.exec(file.name.toLowerCase())?.[0] ?? "");
    const texts = await ask(`/texts?kind=${kind}`, file, "application/octet-stream");
    if (!texts.length) throw new Error("There are no messages in the file.");
    await classify(texts);
  }).then(colourFirst);
}

function startFiles() {
  $("file").addEventListener("change", () => {
    classifyFile($("file").files[0]);
    $("file").value = "";
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("drop");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("drop"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("drop");
    classifyFile(event.dataTransfer.files[0]);
  });
}

async function start() {
  try {
    state = await ask("/state");
  } catch (error) {
    return tell(error.message, true);
  }
  const positive = state.labels.at(-1);
  if (state.labels.length === 2) $("title").textContent = document.title = `Is it ${positive}?`;
  $("model").textContent = `${state.weights}, trained: ${state.trainable.replaceAll("_", " ")}`;
  $("stand-in").hidden = !state.weights.includes("gpt2-mini");
  startThreshold();
  showLegend();
  startFiles();
  $("ask").addEventListener("submit", classifyTyped);
  $("more").addEventListener("click", showMore);
  document.body.dataset.ready = "yes";
}

start();

// The page: what the stream of events says, put into the document as text. Nothing here is asked of another site.
"use strict";

const LONGEST = 15 * 60, SHORTEST = 60;  // seconds of the timeline
const STEPS = [10, 30, 60, 120, 300];
const LONGEST_LOG = 2000;
// The switcher's states and the engine's, by what they mean for who waits.
const MEANING = {
  awake: "good", ready: "good",
  starting: "coming", waking: "coming", loading: "coming",
  draining: "leaving", sleeping: "leaving", paused: "leaving",
  asleep: "away", stopped: "nothing",
  backoff: "bad", gone: "bad",
};
const LEGEND = [["good", "awake"], ["coming", "starting, waking"], ["leaving", "draining, going to sleep, paused"],
  ["away", "asleep"], ["nothing", "stopped"], ["bad", "failed"]];

const now = {models: [], timeline: [], numbers: {}, devices: [], logs: [], orders: [], lag: 0, before: {}};
const busy = new Set();
const $ = id => document.getElementById(id);

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function drawn(name, attributes = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

function lasting(seconds) {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round(seconds % 3600 / 60)} min`;
}

const clock = at => new Date(at * 1000).toLocaleTimeString();

// Models.

function facts(one) {
  // A moment after its end they are still those of the second before.
  const numbers = ["good", "leaving"].includes(MEANING[one.state]) && now.numbers[one.model] || {};
  const found = [["for", lasting(one.seconds)], ["in flight", one.in_flight]];
  if (one.queued !== undefined) found.push(["in the queue", one.queued]);
  if (one.oldest_wait_seconds) found.push(["the oldest waits", lasting(one.oldest_wait_seconds)]);
  if (one.retry_seconds) found.push(["tried again in", lasting(one.retry_seconds)]);
  if (one.wakes !== undefined) found.push(["woken", `${one.wakes} ×`]);
  if (one.memory_gib) found.push(["needs", `${one.memory_gib} GiB`]);
  if (one.devices && one.devices.length) found.push(["devices", one.devices.join(", ")]);
  if (one.tier) found.push(["when away", one.tier === "stopped" ? "stopped" : `weights: ${one.tier}`]);
  if (one.phase) found.push(["phase", one.phase]);
  if (numbers.running !== undefined) found.push(["running", numbers.running], ["waiting", numbers.waiting]);
  if (numbers.kv_cache_usage !== undefined) found.push(["KV cache", `${(100 * numbers.kv_cache_usage).toFixed(1)} %`]);
  if (numbers.finished !== undefined) found.push(["answered", numbers.finished]);
  if (numbers.prompt_tokens) found.push(["prompt tokens", numbers.prompt_tokens]);
  if (numbers.generation_tokens) {
    found.push(["made tokens", numbers.generation_tokens], ["a second", rate(one.model, numbers).toFixed(1)]);
  }
  if (numbers.ttft_count) found.push(["first token", `${(1000 * numbers.ttft_sum / numbers.ttft_count).toFixed(0)} ms`]);
  if (numbers.preemptions) found.push(["preempted", numbers.preemptions]);
  return found;
}

// Over ten seconds: SGLang counts tokens when a request is done.
function rate(name, numbers) {
  const seen = (now.before[name] ||= []);
  const at = performance.now() / 1000;
  if (!seen.length || at - seen[seen.length - 1][0] > 0.9) seen.push([at, numbers.generation_tokens]);
  while (seen.length > 1 && at - seen[0][0] > 10) seen.shift();
  const [began, first] = seen[0];
  return at > began ? Math.max(0, numbers.generation_tokens - first) / (at - began) : 0;
}

function remarks(one) {
  const found = [];
  if (one.next) found.push(["", "next: it wakes as soon as the others are gone"]);
  if (one.waits_for) found.push(["", `waits: ${one.waits_for}`]);
  if (one.busy) found.push(["", `is not put away: ${one.busy}`]);
  if (one.no_release) found.push(["", `its memory cannot be released: ${one.no_release}`]);
  if (one.stalled_seconds) found.push(["error", `no token for ${lasting(one.stalled_seconds)}`]);
  if (one.error) found.push(["error", one.error]);
  return found;
}

const CLOSED = {load: ["awake"], wake: ["awake"], sleep: ["asleep", "stopped", "backoff"], unload: ["stopped", "backoff"]};

function button(one, word) {
  const element = make("button", {type: "button", "data-order": word, "aria-label": `${word} ${one.model}`}, word);
  element.addEventListener("click", () => give(one.model, word));
  return element;
}

// A card is made once and filled anew: a button must not go away under the finger.
function card(one) {
  const element = make("article", {"data-model": one.model},
    make("header", {}, make("h3", {}, one.model), make("span", {class: "state"})),
    make("p", {class: "names"}), make("dl"), make("div", {class: "remarks"}), make("div", {class: "buttons"}));
  const words = now.orders.filter(word => word !== "wake" && (word !== "sleep" || one.tier !== "stopped"));
  element.querySelector(".buttons").append(...words.map(word => button(one, word)));
  return element;
}

function fill(element, one) {
  const badge = element.querySelector(".state");
  badge.textContent = one.state;
  badge.className = `state ${MEANING[one.state] === "nothing" ? "away" : MEANING[one.state] || ""}`;
  const others = (one.names || []).filter(name => name !== one.model);
  element.querySelector(".names").textContent = others.length ? `also ${others.join(", ")}` : "";
  element.querySelector("dl").replaceChildren(...facts(one).map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, String(value)))));
  element.querySelector(".remarks").replaceChildren(...remarks(one).map(([kind, text]) => make("p", {class: kind}, text)));
  for (const each of element.querySelectorAll("button")) {
    const word = each.dataset.order;
    each.disabled = busy.has(`${one.model} ${word}`) || CLOSED[word].includes(one.state);
  }
}

function showModels() {
  const parent = $("models");
  const cards = new Map([...parent.children].map(each => [each.dataset.model, each]));
  for (const one of now.models) {
    const element = cards.get(one.model) || parent.appendChild(card(one));
    cards.delete(one.model);
    fill(element, one);
  }
  for (const gone of cards.values()) gone.remove();
  const queued = now.models.reduce((sum, one) => sum + (one.queued || 0), 0);
  const flying = now.models.reduce((sum, one) => sum + one.in_flight, 0);
  $("summary").textContent = `${flying} in flight${now.orders.length ? `, ${queued} in queues` : ""}`;
}

function showDevices() {
  const known = now.devices.filter(each => each.used_gib !== null || each.declared_gib);
  $("devices").hidden = !known.length;
  $("devices").replaceChildren(...known.map(each => {
    const used = each.used_gib === null ? [] : [`${each.used_gib.toFixed(1)} GiB in use`];
    const declared = each.declared_gib ? [`${each.declared_gib} GiB declared`] : [];
    const line = make("div", {}, make("p", {}, `${each.name}: ${[...used, ...declared].join(", ")}`));
    if (each.declared_gib && each.used_gib !== null) {
      line.append(make("meter", {min: 0, max: each.declared_gib, value: each.used_gib, "aria-label": each.name}));
    }
    return line;
  }));
}

async function give(name, word) {
  const key = `${name} ${word}`;
  busy.add(key);
  showModels();
  say("");
  try {
    const path = `models/${name.split("/").map(encodeURIComponent).join("/")}/${word}`;
    const answer = await fetch(path, {method: "POST"});
    if (!answer.ok) say(`${word} ${name}: ${(await answer.json()).error.message}`);
  } catch (failure) {
    say(`${word} ${name}: ${failure.message}`);
  } finally {
    busy.delete(key);
    showModels();
  }
}

function say(text) {
  $("said").textContent = text;
  $("said").hidden = !text;
}

// The timeline.

function spans(name, from, to) {
  const changes = now.timeline.filter(each => each.model === name);
  const model = now.models.find(one => one.model === name);
  const first = changes.length ? changes[0].from : model.state;
  const points = [[-Infinity, first, ""], ...changes.map(each => [each.at, each.to, each.why])];
  return points.map(([at, state, why], index) =>
    ({state, why, from: Math.max(from, at), to: Math.min(to, index + 1 < points.length ? points[index + 1][0] : to)}))
    .filter(each => each.to > each.from);
}

function showLanes() {
  const width = Math.max(320, $("lanes").clientWidth), high = 26, left = Math.min(180, width / 3), top = 8;
  const to = Date.now() / 1000 - now.lag, began = now.timeline.length ? now.timeline[0].at : to;
  const shown = Math.min(LONGEST, Math.max(SHORTEST, (to - began) * 1.1)), from = to - shown;
  const step = STEPS.find(each => shown / each <= 6);
  const x = at => left + (at - from) / (to - from) * (width - left - 8);
  const height = top + high * now.models.length + 22;
  const svg = drawn("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "who was awake when"});
  for (let ago = 0; ago <= shown; ago += step) {
    const at = x(to - ago), text = ago ? `-${ago % 60 ? `${ago} s` : `${ago / 60} min`}` : "now";
    svg.append(drawn("line", {x1: at, x2: at, y1: top, y2: height - 20}));
    svg.append(drawn("text", {x: at, y: height - 6, class: "quiet", "text-anchor": ago ? "middle" : "end"}, text));
  }
  now.models.forEach((one, row) => {
    const y = top + row * high, letters = Math.floor(left / 7.6);
    const name = one.model.length > letters ? `…${one.model.slice(1 - letters)}` : one.model;
    svg.append(drawn("text", {x: 8, y: y + 16}, name));
    for (const each of spans(one.model, from, to)) {
      const meaning = MEANING[each.state] || "nothing", flat = meaning === "nothing";
      const rect = drawn("rect", {x: x(each.from), width: Math.max(1, x(each.to) - x(each.from)), y: y + (flat ? 10 : 4), height: flat ? 4 : 16, class: meaning});
      rect.append(drawn("title", {}, `${one.model}: ${each.state} for ${lasting(each.to - each.from)}${each.why ? ` (${each.why})` : ""}`));
      svg.append(rect);
    }
  });
  $("lanes").replaceChildren(svg);
}

function showChanges() {
  $("changes").replaceChildren(...now.timeline.slice(-60).reverse().map(each => make("tr", {},
    make("td", {}, clock(each.at)), make("td", {}, each.model),
    make("td", {}, `${each.from} → ${each.to}, after ${lasting(each.seconds)}`), make("td", {}, each.why || ""))));
}

function showLegend() {
  $("legend").replaceChildren(...LEGEND.map(([meaning, text]) => {
    const square = drawn("svg", {viewBox: "0 0 10 10", "aria-hidden": "true"});
    square.append(drawn("rect", {width: 10, height: 10, class: meaning}));
    return make("li", {}, square, text);
  }));
}

// Logs.

let reading = null;

function showChoices() {
  const parent = $("choices");
  const there = [...parent.children].map(each => each.textContent);
  if (there.join("\n") === now.logs.join("\n")) return;
  parent.replaceChildren(...now.logs.map(name => {
    const element = make("button", {type: "button", "aria-pressed": reading !== null && reading.name === name}, name);
    element.addEventListener("click", () => read(reading !== null && reading.name === name ? null : name));
    return element;
  }));
}

function read(name) {
  if (reading !== null) reading.source.close();
  reading = null;
  for (const each of $("choices").children) each.setAttribute("aria-pressed", each.textContent === name);
  const pre = $("log");
  pre.hidden = name === null;
  pre.replaceChildren();
  if (name === null) return;
  const source = new EventSource(`logs/${encodeURIComponent(name)}`);
  reading = {name, source};
  // A connection that is made anew begins with the end of the log anew.
  source.addEventListener("open", () => pre.replaceChildren());
  source.addEventListener("lines", message => {
    const atEnd = pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 30;
    pre.append(...JSON.parse(message.data).map(line => document.createTextNode(`${line}\n`)));
    while (pre.childNodes.length > LONGEST_LOG) pre.firstChild.remove();
    if (atEnd) pre.scrollTop = pre.scrollHeight;
  });
}

// The plan.

function table(head, rows) {
  return make("div", {class: "wide"}, make("table", {},
    make("thead", {}, make("tr", {}, ...head.map(text => make("th", {}, text)))),
    make("tbody", {}, ...rows.map(cells => make("tr", {}, ...cells.map(cell => make("td", {}, cell)))))));
}

function showPlan(plan, why) {
  $("no-plan").hidden = plan !== null;
  $("no-plan").textContent = why || "";
  if (plan === null) return;
  const of = plan.engines.length > 1 ? ["of"] : [];
  const rows = plan.decisions.map(each => [...of.map(() => each.engine || "all"), each.name,
    each.value === null ? "" : each.value, each.action, each.target, each.note]);
  const added = plan.added.map(each => [...of.map(() => each.engine || "all"), "", "", "added", each.target, each.note]);
  const head = [...of, "given", "value", "is", "SGLang's", "note"];
  const parts = plan.warnings.map(text => make("p", {class: "error"}, text));
  parts.push(table(head, rows));
  parts.push(make("details", {}, make("summary", {}, `${added.length} more that nobody gave`), table(head, added)));
  for (const engine of plan.engines) {
    parts.push(make("details", {}, make("summary", {}, `${engine.name}: its command`), make("pre", {}, engine.argv.join(" "))));
  }
  $("plan").replaceChildren(...parts);
}

// The stream.

function listen() {
  const source = new EventSource("events");
  source.addEventListener("open", () => connected(true));
  source.addEventListener("error", () => connected(false));
  source.addEventListener("server", message => {
    const server = JSON.parse(message.data);
    now.orders = server.orders;
    $("models").replaceChildren();
    showPlan(server.plan, server.no_plan);
  });
  source.addEventListener("models", message => {
    Object.assign(now, JSON.parse(message.data));
    now.lag = Date.now() / 1000 - now.at;
    showModels();
    showDevices();
    showChoices();
    showLanes();
  });
  source.addEventListener("timeline", message => {
    now.timeline = JSON.parse(message.data);
    showChanges();
    showLanes();
  });
}

function connected(is) {
  $("connection").textContent = is ? "live" : "no answer: what is here is old";
  $("connection").classList.toggle("lost", !is);
}

showLegend();
listen();

// The live page of Sluice: shows what /ui/api/events tells, stops requests, tries a prompt.
"use strict";

const $ = (id) => document.getElementById(id);
const shownRows = 200, shownEndings = 25;
const phases = {
  queued: "queued", connecting: "connecting", waiting: "reading the prompt", streaming: "streaming",
  paused: "client is slow", delivering: "delivering", stopping: "stopping", ended: "ended",
};
const calm = ["completed", "client_left", "stopped_by_operator"];

let key = sessionStorage.getItem("sluice-key") || "";
let connection, retry, wait = 1000, allEndings = false, endings = [];

// ---- Small things ----

/** Makes an element; what others have said only ever becomes text. */
function make(tag, classes, text) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Changes only what is different: what is selected or being read aloud stays. */
function put(element, text) {
  text = String(text);
  if (element.textContent !== text) element.textContent = text;
}

function dress(element, classes) {
  if (element.className !== classes) element.className = classes;
}

const whole = (number) => Math.round(number).toLocaleString("en-US");
const speed = (number) => number === undefined ? "–" : number < 100 ? number.toFixed(1) : whole(number);

function duration(milliseconds) {
  if (milliseconds === undefined) return "–";
  if (milliseconds < 1000) return milliseconds + " ms";
  const seconds = milliseconds / 1000;
  if (seconds < 60) return seconds.toFixed(1) + " s";
  const minutes = Math.floor(seconds / 60), rest = Math.floor(seconds % 60);
  if (minutes < 60) return minutes + " min " + rest + " s";
  return Math.floor(minutes / 60) + " h " + (minutes % 60) + " min";
}

/** For those who listen. */
function say(text) { $("said").textContent = text; }

function call(path, options = {}) {
  const headers = { ...options.headers };
  if (key) headers.Authorization = "Bearer " + key;
  return fetch(path, { cache: "no-store", ...options, headers });
}

async function faultOf(response) {
  try { return (await response.json()).error.message; } catch { return "Sluice answered " + response.status + "."; }
}

/** Calls `take` with each event of a stream: its name and its data. */
async function readEvents(response, take) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      let name = "message", data = "";
      for (const line of text.slice(0, end).split("\n")) {
        if (line.startsWith("event: ")) name = line.slice(7);
        if (line.startsWith("data: ")) data += line.slice(6);
      }
      if (data) take(name, data);
    }
  }
}

// ---- The connection ----

function link(state, text) {
  dress($("link"), "pill " + state);
  put($("link"), text);
}

async function connect() {
  clearTimeout(retry);
  if (connection || document.hidden) return;
  const mine = connection = new AbortController();
  try {
    const response = await call("ui/api/events", { signal: mine.signal });
    if (response.status === 401) return lock();
    if (!response.ok) throw new Error(await faultOf(response));
    open();
    await readEvents(response, (name, data) => {
      wait = 1000;
      name === "state" ? showState(JSON.parse(data)) : showRecent(JSON.parse(data));
    });
    throw new Error("");
  } catch (error) {
    if (mine.signal.aborted) return;
    link("lost", error.message && error.name === "Error" ? error.message : "no connection, trying again");
    retry = setTimeout(connect, wait);
    wait = Math.min(wait * 2, 8000);
  } finally {
    if (connection === mine) connection = undefined;
  }
}

function disconnect() {
  connection?.abort();
  connection = undefined;
  clearTimeout(retry);
}

// A tab that nobody sees asks for nothing.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) return connect();
  disconnect();
  link("", "resting");
});

function open() {
  link("live", "live");
  if (!$("main").hidden) return;
  $("lock").hidden = true;
  $("main").hidden = false;
  loadModels();
}

// ---- The key ----

function lock() {
  put($("lock-fault"), key ? "Sluice does not know this key." : "");
  key = "";
  sessionStorage.removeItem("sluice-key");
  link("", "locked");
  $("main").hidden = true;
  $("lock").hidden = false;
  $("key").value = "";
  $("key").focus();
}

$("lock").addEventListener("submit", (event) => {
  event.preventDefault();
  key = $("key").value.trim();
  sessionStorage.setItem("sluice-key", key);
  connect();
});

// ---- Figures ----

function showState(state) {
  put($("version"), state.version);
  put($("speed"), speed(state.tokens_per_second));
  put($("in-flight"), whole(state.in_flight));
  document.title = (state.in_flight ? whole(state.in_flight) + " in flight, " : "") + "Sluice";
  put($("queued"), whole(state.queued));
  const up = state.backends.filter((backend) => backend.state === "up").length;
  $("up").replaceChildren(String(up), make("small", "", " of " + state.backends.length));
  showHistory(state.history, state.tokens_per_second);
  showFlight(state.requests, state.in_flight);
  showBackends(state.backends);
}

function showHistory(points, now) {
  const peak = Math.max(1, ...points), [area, line] = $("spark").children;
  const first = 120 - points.length;
  const path = points.map((point, i) => (first + i + 1) + " " + (39 - 37 * point / peak).toFixed(1)).join("L");
  line.setAttribute("d", points.length > 1 ? "M" + path : "");
  area.setAttribute("d", points.length > 1 ? "M" + (first + 1) + " 40L" + path + "L120 40Z" : "");
  put($("peak"), points.length > 1 ? "peak " + speed(peak) : "");
  $("spark").setAttribute("aria-label", "Tokens per second in the last two minutes: now " + speed(now) + ", peak " + speed(peak));
}

// ---- Requests in flight ----

const rows = new Map(), flight = $("flight").tBodies[0];
// While somebody points at the table, or is in it with the keyboard, rows that have ended stay: no Stop button may
// slip away from under a finger, and another into its place.
const heldFor = 10000;
let isHeld = false;
const release = () => { isHeld = flight.matches(":hover, :has(:focus-visible)"); };
for (const event of ["pointerenter", "pointerleave", "focusin", "focusout"])
  flight.addEventListener(event, () => setTimeout(release));

function cells(row, names) {
  return names.map(([classes, name]) => {
    const cell = make("td", classes);
    cell.setAttribute("role", "cell");
    if (name) cell.dataset.name = name;
    return row.appendChild(cell);
  });
}

function rowOf(id) {
  const element = make("tr");
  element.setAttribute("role", "row");
  const [first, model, who, tokens, pace, token, time, last] = cells(element, [
    ["", ""], ["model", ""], ["who", ""], ["n", "Tokens"], ["n", "Tokens/s"], ["n", "First token"], ["n", "Time"], ["", ""]]);
  const phase = first.appendChild(make("span"));
  const name = model.appendChild(make("span")), backend = model.appendChild(make("small"));
  const stop = last.appendChild(make("button", "stop", "Stop"));
  stop.type = "button";
  const row = { element, phase, name, backend, who, tokens, pace, token, time, stop, model };
  stop.addEventListener("click", () => stopRequest(id, row));
  return row;
}

function showFlight(requests, count) {
  const seen = new Set();
  for (const request of requests.sort((a, b) => b.total_ms - a.total_ms).slice(0, shownRows)) {
    seen.add(request.id);
    let row = rows.get(request.id);
    if (!row) {
      rows.set(request.id, row = rowOf(request.id));
      flight.append(row.element);
    }
    const phase = row.isStopping ? "stopping" : request.phase;
    dress(row.phase, "phase " + phase);
    put(row.phase, phases[phase] || phase);
    put(row.name, request.model || "–");
    put(row.backend, request.backend || "");
    row.model.title = request.model + (request.backend ? " on " + request.backend : "") + ", " + request.request_id;
    put(row.who, request.key || request.client);
    put(row.tokens, whole(request.tokens));
    put(row.pace, speed(request.tokens_per_second));
    put(row.token, duration(request.first_token_ms));
    put(row.time, duration(request.total_ms));
    const label = "Stop the request for " + request.model + " from " + (request.key || request.client);
    if (row.stop.ariaLabel !== label) row.stop.ariaLabel = label;
  }
  for (const [id, row] of rows) {
    if (seen.has(id)) continue;
    row.ended ??= Date.now();
    if (isHeld && Date.now() - row.ended < heldFor) {
      row.element.className = "over";
      dress(row.phase, "phase");
      put(row.phase, row.isStopping ? "stopped" : phases.ended);
      row.stop.ariaDisabled = "true";
    } else {
      // Not to the next button: whoever presses twice would stop two.
      if (row.element.contains(document.activeElement)) $("flight-title").focus({ preventScroll: true });
      row.element.remove();
      rows.delete(id);
    }
  }
  $("flight").hidden = rows.size === 0;
  $("quiet").hidden = rows.size > 0;
  $("more").hidden = count <= seen.size;
  put($("more"), "and " + whole(count - seen.size) + " more");
}

async function stopRequest(id, row) {
  if (row.isStopping || row.stop.ariaDisabled) return;
  row.isStopping = true;
  dress(row.phase, "phase stopping");
  put(row.phase, phases.stopping);
  try {
    const response = await call("ui/api/requests/" + id + "/stop", { method: "POST" });
    if (!response.ok) throw new Error(await faultOf(response));
    say("Stopped.");
  } catch (error) {
    row.isStopping = false;
    say(error.message);
    link("lost", error.message);
  }
}

// ---- Backends ----

function showBackends(backends) {
  const list = $("backends");
  while (list.children.length > backends.length) list.lastChild.remove();
  while (list.children.length < backends.length) list.append(backendItem());
  backends.forEach((backend, i) => {
    const [top, why, meter, notes] = list.children[i].children;
    const [name, state] = top.children, [slots, models] = notes.children;
    put(name.firstChild, backend.name);
    put(name.lastChild, backend.kind);
    dress(state, "phase " + backend.state);
    put(state, backend.state === "up" || backend.seconds === undefined ? backend.state
      : backend.state + " for " + duration(Math.max(1, backend.seconds) * 1000).replace(".0", ""));
    notes.hidden = backend.state === "down";
    why.hidden = !backend.reason;
    put(why, backend.reason || "");
    const { used, total, per } = backend.slots;
    meter.hidden = total === null || Boolean(per);
    meter.max = total || 1;
    meter.value = used;
    meter.ariaLabel = "Slots of " + backend.name + " in use";
    put(slots, (total === null ? used + " running" : per ? used + " running, " + total + " for each model"
      : used + " of " + total + (total === 1 ? " slot" : " slots")) + (backend.queued ? ", " + backend.queued + " queued" : ""));
    put(models, backend.models + (backend.models === 1 ? " model" : " models")
      + (backend.loaded === undefined ? "" : ", " + backend.loaded + " loaded"));
  });
}

function backendItem() {
  const item = make("li"), top = make("div", "top"), name = make("b"), notes = make("div", "notes");
  name.append(make("span"), make("small"));
  top.append(name, make("span", "phase"));
  notes.append(make("span"), make("span"));
  item.append(top, make("p", "why"), make("meter"), notes);
  return item;
}

// ---- Last requests ----

function showRecent(list) {
  endings = list;
  const body = $("recent").tBodies[0];
  body.replaceChildren(...list.slice(0, allEndings ? undefined : shownEndings).map((request) => {
    const row = make("tr");
    row.setAttribute("role", "row");
    const [ending, model, who, tokens, pace, token, time, at] = cells(row, [
      ["", ""], ["model", ""], ["who", ""], ["n", "Tokens"], ["n", "Tokens/s"], ["n", "First token"], ["n", "Time"], ["n", "At"]]);
    const isBad = !calm.includes(request.ending);
    const words = request.ending.replaceAll("_", " ") + (isBad && request.status >= 400 ? " (" + request.status + ")" : "");
    ending.append(make("span", "phase" + (isBad ? " bad" : request.ending === "completed" ? " up" : ""), words));
    model.append(make("span", "", request.model || request.path), make("small", "", request.backend || ""));
    model.title = (request.model || request.path) + (request.backend ? " on " + request.backend : "") + ", " + request.request_id;
    put(who, request.key || request.client);
    put(tokens, whole(request.tokens));
    put(pace, speed(request.tokens_per_second));
    put(token, duration(request.first_token_ms));
    put(time, duration(request.total_ms));
    put(at, new Date(request.time).toLocaleTimeString([], { hour12: false }));
    return row;
  }));
  $("recent").hidden = list.length === 0;
  $("none").hidden = list.length > 0;
  $("all").hidden = list.length <= shownEndings;
  put($("all"), allEndings ? "Show fewer" : "Show all " + list.length);
  $("all").ariaExpanded = String(allEndings);
}

$("all").addEventListener("click", () => {
  allEndings = !allEndings;
  showRecent(endings);
});

// ---- Try a prompt ----

async function loadModels() {
  try {
    const response = await call("v1/models");
    if (!response.ok) return;
    const chosen = $("model").value;
    $("model").replaceChildren(...(await response.json()).data.map(({ id }) => new Option(id, id)));
    if (chosen) $("model").value = chosen;
  } catch { /* The connection tells that it is gone. */ }
  showCommand();
}

$("model").addEventListener("focus", loadModels, { once: true });

const body = () => ({
  model: $("model").value, stream: true, messages: [{ role: "user", content: $("prompt").value || "Hello" }],
});

function showCommand() {
  const quoted = "'" + JSON.stringify(body()).replaceAll("'", "'\\''") + "'";
  const url = new URL("v1/chat/completions", document.baseURI);
  put($("curl"), "curl -N " + url + (key ? " \\\n  -H \"Authorization: Bearer $SLUICE_KEY\"" : "") + " \\\n  -d " + quoted);
}

$("prompt").addEventListener("input", showCommand);
$("model").addEventListener("change", showCommand);
$("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    $("try").requestSubmit();
  }
});

$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("curl").textContent);
    put($("copy"), "Copied");
  } catch {
    // Without https a browser may not: then it is selected, to be copied by hand.
    getSelection().selectAllChildren($("curl"));
    put($("copy"), "Selected");
  }
  setTimeout(() => put($("copy"), "Copy"), 1500);
});

let trial;
$("try").addEventListener("submit", (event) => {
  event.preventDefault();
  trial ? trial.abort() : tryPrompt();
});

async function tryPrompt() {
  trial = new AbortController();
  const { signal } = trial, began = performance.now();
  let first, tokens = 0, usage, fault;
  put($("send"), "Stop");
  for (const id of ["text", "thoughts", "outcome"]) put($(id), "");
  $("thoughts").hidden = true;
  $("answer").hidden = false;
  $("outcome").className = "";
  try {
    const response = await call("v1/chat/completions", {
      method: "POST", signal, headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...body(), stream_options: { include_usage: true } }),
    });
    if (!response.ok) throw new Error(await faultOf(response));
    await readEvents(response, (name, data) => {
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data), delta = chunk.choices?.[0]?.delta;
      if (chunk.error) fault = chunk.error.message;
      if (chunk.usage) usage = chunk.usage;
      if (!delta) return;
      const thought = delta.reasoning_content || delta.reasoning || "";
      if (!thought && !delta.content) return;
      first ??= performance.now();
      tokens += 1;
      if (thought) $("thoughts").hidden = false;
      $("thoughts").append(thought);
      $("text").append(delta.content || "");
      $("answer").scrollTop = $("answer").scrollHeight;
    });
  } catch (error) {
    fault = signal.aborted ? "Stopped." : error.message;
  }
  trial = undefined;
  put($("send"), "Send");
  if (!$("text").textContent && !$("thoughts").textContent) $("answer").hidden = true;
  $("outcome").className = fault && !signal.aborted ? "fault" : "";
  const count = usage?.completion_tokens ?? tokens, seconds = (performance.now() - first) / 1000;
  const figures = first === undefined ? "" : whole(count) + " tokens, " + speed(seconds > 0 ? (count - 1) / seconds : 0)
    + " a second, the first after " + duration(Math.round(first - began));
  put($("outcome"), [fault, figures].filter(Boolean).join(" "));
}

connect();

// The page renews itself: the server sends each part again when it has changed, and the session's steps one by one.
import { Idiomorph } from "./idiomorph.js";

const policy = globalThis.trustedTypes?.createPolicy("panel", { createHTML: (markup) => markup }) ?? {
  createHTML: (markup) => markup,
};
const byId = (id) => document.getElementById(id);
const SILENT_MS = 20_000;
const AGAIN_MS = 5_000;
/** How long an outcome covers part of the page; it stays in the list of commands. */
const SHOWN_MS = 12_000;

/** How far the server's clock is ahead of ours. */
let aheadMs = 0;
let heardMs = performance.now();

// ---- parts of the page

/** Everything in it was escaped by the server; scripts in it would not run, whatever they were. */
function elementOf(markup) {
  const parsed = new DOMParser().parseFromString(policy.createHTML(`<body>${markup}</body>`), "text/html");
  return document.adoptNode(parsed.body.firstElementChild);
}

const keepWhatPeopleDo = {
  // Half a reason that somebody typed, and what they opened, stay.
  beforeNodeMorphed: (node) => !(node instanceof HTMLInputElement && node.value !== node.defaultValue),
  beforeAttributeUpdated: (name, node) => !(name === "open" && node instanceof HTMLDetailsElement),
};

function replace(id, markup) {
  const there = byId(id);
  if (there === null) return;
  Idiomorph.morph(there, elementOf(markup), { callbacks: keepWhatPeopleDo });
  showTimes(byId(id));
}

// ---- steps

const steps = byId("steps");

function addStep(markup) {
  const item = elementOf(`<ol>${markup}</ol>`).firstElementChild;
  if (byId(item.id) !== null) return;
  const atEnd = steps.scrollHeight - steps.scrollTop - steps.clientHeight < 40;
  steps.firstElementChild.append(item);
  if (atEnd) steps.scrollTop = steps.scrollHeight;
}

// ---- the stream

let source;

function listen(place) {
  source = new EventSource(`/events?after=${encodeURIComponent(place)}`);
  const on = (name, act) =>
    source.addEventListener(name, (event) => {
      heardMs = performance.now();
      act(event.data, event.lastEventId);
    });
  on("parts", (data) => Object.entries(JSON.parse(data)).forEach(([id, markup]) => replace(id, markup)));
  on("session", () => steps.firstElementChild.replaceChildren());
  on("step", (markup, id) => {
    main.dataset.place = id;
    addStep(markup);
  });
  on("now", (data) => {
    aheadMs = Number(data) - Date.now();
    linkIs("live", "ok");
  });
  source.addEventListener("error", () => {
    linkIs("reconnecting", "warn");
    // The browser connects again by itself, and says what it has seen, unless it was refused.
    if (source.readyState === EventSource.CLOSED) setTimeout(again, AGAIN_MS);
  });
}

async function again() {
  try {
    const answer = await fetch("/signed-in");
    if (answer.status === 401) return location.assign("/sign-in");
  } catch {
    // Not reachable: the stream finds out when it is.
  }
  listen(main.dataset.place);
}

const link = byId("link");

function linkIs(text, level) {
  if (link.textContent !== text) link.textContent = text;
  link.className = `link ${level}`;
}

// ---- forms

const said = byId("said");
const question = byId("confirm");

let asked = Promise.resolve();

/** Asks in a dialog, one question at a time; the focus comes back to the button afterwards. */
function sure(text) {
  const answer = asked.then(() => {
    byId("confirm-question").textContent = text;
    question.returnValue = "no";
    question.showModal();
    return new Promise((resolve) => {
      question.addEventListener("close", () => resolve(question.returnValue === "yes"), { once: true });
    });
  });
  asked = answer;
  return answer;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.dataset.live === undefined) return;
  event.preventDefault();
  void send(form, event.submitter);
});

async function send(form, button) {
  const asks = button?.dataset.confirm;
  if (asks !== undefined && !(await sure(asks))) return;
  const fields = new URLSearchParams(new FormData(form, button));
  fields.set("confirmed", "yes");
  said.textContent = "Sent.";
  try {
    const answer = await fetch(form.action, { method: "POST", body: fields, headers: { accept: "application/json" } });
    if (answer.status === 401) return location.assign("/sign-in");
    const { text } = await answer.json();
    said.textContent = text;
    setTimeout(() => {
      if (said.textContent === text) said.textContent = "";
    }, SHOWN_MS);
  } catch {
    said.textContent = "The panel did not answer: nobody knows whether it was done. Look before you repeat it.";
  }
}

// ---- time

function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 6_000) return `${Math.round(seconds / 60)} min`;
  return seconds < 200_000 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`;
}

function showTimes(within) {
  const now = Date.now() + aheadMs;
  for (const time of within?.querySelectorAll("time[data-since]") ?? [])
    time.textContent = `${ago(now - Number(time.dataset.since))} ago`;
  for (const time of within?.querySelectorAll("time[data-until]") ?? []) {
    const left = Number(time.dataset.until) - now;
    time.textContent = left > 0 ? `in ${ago(left)}` : "now";
  }
}

setInterval(() => {
  showTimes(document);
  if (performance.now() - heardMs > SILENT_MS) linkIs("no news from the panel: what you see may be old", "bad");
}, 1_000);

const main = byId("main");
showTimes(document);
steps.scrollTop = steps.scrollHeight;
listen(main.dataset.place);

// The one page: sends proposals, seats you in Slack, and shows the ledgers and the receivers' calls as they come.
// Everything that is not ours is written as text, never as markup.

const byId = (id) => document.getElementById(id);

function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

const page = await (await fetch("/page.json")).json();
const loops = new Map();
const drawn = new Map();
const shownUpTo = new Map();
let calls = [];
let isFirstLook = true;
let isPressed = false;
let waiting = [];

// Slack

let seated = "";

function open(user, channel) {
  const link = `${page.sandboxUrl}/?${new URLSearchParams({ embed: "1", user, channel })}`;
  seated = `${user}/${channel}`;
  byId("slack").src = link;
}

function openUnlessThere(user, channel) {
  if (seated !== `${user}/${channel}`) open(user, channel);
}

function face(member) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 26 26");
  svg.setAttribute("class", "face");
  svg.setAttribute("aria-hidden", "true");
  const back = document.createElementNS(svg.namespaceURI, "rect");
  for (const [name, value] of Object.entries({ width: 26, height: 26, rx: 6, fill: `#${member.color}` })) back.setAttribute(name, value);
  const letters = document.createElementNS(svg.namespaceURI, "text");
  for (const [name, value] of Object.entries({ x: 13, y: 17, "text-anchor": "middle", fill: "#fff", "font-size": 10.5, "font-weight": 700 })) letters.setAttribute(name, value);
  letters.textContent = member.name.split(" ").map((word) => word[0]).join("").slice(0, 2);
  svg.append(back, letters);
  return svg;
}

function roomFor(member) {
  const waiting = [...loops.values()].filter((loop) => loop.waitsFor).at(-1);
  const scenario = waiting && scenarioOf(waiting);
  const rooms = page.rooms.filter((room) => room.members.includes(member.slack));
  return (rooms.find((room) => room.slack === scenario?.room) || rooms[0]).slack;
}

for (const member of page.members) {
  byId("seats").append(h("button", { type: "button", class: "seat", title: member.title, "data-testid": `seat-${member.slack}`, onclick: () => open(member.slack, roomFor(member)) },
    face(member), h("span", {}, h("b", {}, member.name), h("small", {}, member.note))));
}

// Proposing

const scenarioOf = (loop) => page.scenarios.find((scenario) => scenario.id === loop.scenario);
const nameOf = (slack) => page.members.find((member) => member.slack === slack)?.name.split(" ")[0] || "";
const roomName = (slack) => page.rooms.find((room) => room.slack === slack)?.name || "";

async function propose(button, scenario) {
  button.disabled = true;
  byId("problem").hidden = true;
  try {
    const response = await fetch("/propose", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ scenario: scenario.id }) });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.answer?.error || answer.error || `the gateway answered ${answer.status}`);
    openUnlessThere(scenario.seat, scenario.room);
  } catch (error) {
    byId("problem").textContent = `The proposal was not taken: ${error.message}`;
    byId("problem").hidden = false;
  } finally {
    button.disabled = false;
  }
}

for (const scenario of page.scenarios) {
  const button = h("button", { type: "button", class: "scenario", "data-testid": `propose-${scenario.id}` }, h("b", {}, scenario.button), h("small", {}, scenario.hint));
  button.addEventListener("click", () => propose(button, scenario));
  byId("scenarios").append(button);
}

byId("assessed").textContent = page.assessedBy ? `assessed by Claude (${page.assessedBy})` : "assessed by recordings, no key needed";
byId("assessed").title = page.assessedBy ? "ANTHROPIC_API_KEY is set" : "Set ANTHROPIC_API_KEY and start again to let Claude assess the proposals";

// The record

function pill(loop) {
  return h("span", { class: `pill ${loop.tone}`, title: loop.loop }, loop.state);
}

function chainBadge(chain) {
  if (!chain.verified) return h("span", { class: "badge bad", "data-testid": "chain" }, `chain broken at ${chain.at}: ${chain.reason}`);
  return h("span", { class: "badge good", "data-testid": "chain", title: `Every event's hash covers the event before. ${chain.events} events were recomputed just now; the head is ${chain.head}` }, "✓ chain verified");
}

function assessmentBadge(assessment) {
  if (!assessment) return null;
  return h("span", { class: "badge", title: `Which model answered, through ${assessment.provider}` }, assessment.modelId);
}

function ask(loop) {
  const scenario = scenarioOf(loop);
  if (!loop.waitsFor || !scenario) return null;
  return h("div", { class: "ask" }, h("span", {}, `Waits for ${loop.waitsFor} in #${roomName(scenario.room)}`),
    h("button", { type: "button", onclick: () => open(scenario.decider, scenario.room) }, `Open as ${nameOf(scenario.decider)}`));
}

function times(call) {
  if (!call.performed) return "working…";
  const once = call.performed === 1 ? "called once" : `called ${call.performed} times`;
  return call.repeats ? `${once}, ${call.repeats} ${call.repeats === 1 ? "repeat" : "repeats"} ignored` : once;
}

function callBadge(call) {
  return h("span", { class: call.performed ? "badge good" : "badge", "data-testid": "called" }, `${call.system}: ${times(call)}`);
}

function receipt(call) {
  return h("div", { class: call.performed ? "call" : "call pending", "data-testid": "call" },
    h("div", { class: "call-head" }, h("b", {}, `What the ${call.system} received: ${call.action.replaceAll("_", " ")}`), h("span", { class: "count" }, times(call))),
    h("code", {}, JSON.stringify(call.parameters)));
}

function eventLine(event, isFresh) {
  const when = new Date(event.at).toLocaleTimeString();
  const who = event.actor ? `, ${event.actor.name} (${event.actor.type})` : "";
  return h("li", { class: `event ${event.tone}${isFresh ? " fresh" : ""}`, title: `${event.sequence}. ${event.type}, ${when}${who}` },
    h("span", { class: "dot" }), h("div", { class: "event-text" }, h("b", {}, event.text), event.detail ? h("small", {}, event.detail) : ""), h("span", { class: "hash" }, event.hash));
}

function drawLoop(loop) {
  const known = drawn.get(loop.instanceId);
  const element = known || h("details", { class: "loop", "data-testid": "loop", "data-aggregate": loop.aggregateId });
  const seen = shownUpTo.get(loop.instanceId) || 0;
  const lines = loop.events.map((event) => eventLine(event, !isFirstLook && event.sequence > seen));
  const mine = calls.filter((call) => call.aggregateId === loop.aggregateId);
  const hasNews = loop.events.length > seen;
  shownUpTo.set(loop.instanceId, loop.events.length);
  element.replaceChildren(
    h("summary", {}, h("span", { class: "loop-title" }, loop.title), pill(loop),
      h("span", { class: "marks" }, chainBadge(loop.chain), ...mine.map(callBadge), assessmentBadge(loop.assessment))),
    h("div", { class: "loop-body" }, ask(loop), h("ol", { class: "events" }, ...lines), ...mine.map(receipt)));
  if (!known) {
    drawn.set(loop.instanceId, element);
    byId("loops").querySelector(".empty")?.remove();
    byId("loops").prepend(element);
    for (const other of drawn.values()) other.open = other === element;
  } else if (hasNews && !element.open) {
    element.open = true;
  }
  if (hasNews && !isFirstLook) follow(element);
}

function follow(element) {
  const list = byId("loops");
  const last = element.querySelector(".loop-body > :last-child");
  if (!last) return;
  const below = last.getBoundingClientRect().bottom - list.getBoundingClientRect().bottom;
  const above = element.getBoundingClientRect().top - list.getBoundingClientRect().top;
  if (below > 0) list.scrollBy({ top: below + 10, behavior: "smooth" });
  else if (above < 0 && element.offsetHeight < list.clientHeight) list.scrollBy({ top: above, behavior: "smooth" });
}

function drawSteps() {
  const latest = [...loops.values()].at(-1);
  const mark = (id, state) => { byId(id).className = `way ${state}`; };
  mark("step-propose", latest ? "done" : "now");
  mark("step-decide", !latest ? "" : latest.isDecided || latest.isOver ? "done" : "now");
  mark("step-run", latest?.isOver ? "done" : latest?.isDecided ? "now" : "");
}

// What is pressed stays as it is until it is let go: an element replaced between "down" and "up" is never clicked.

function unlessPressed(draw) {
  if (isPressed) waiting.push(draw);
  else draw();
}

function letGo() {
  isPressed = false;
  // After the click, which comes with the "up".
  setTimeout(() => { if (!isPressed) for (const draw of waiting.splice(0)) draw(); });
}

addEventListener("pointerdown", () => { isPressed = true; }, true);
for (const name of ["pointerup", "pointercancel", "blur"]) addEventListener(name, letGo, true);
addEventListener("pointermove", (event) => { if (isPressed && !event.buttons) letGo(); }, true);

// The feed

const feed = new EventSource("/ledger");
feed.addEventListener("ledger", (event) => {
  const loop = JSON.parse(event.data);
  loops.set(loop.instanceId, loop);
  unlessPressed(() => { drawLoop(loops.get(loop.instanceId)); drawSteps(); });
});
feed.addEventListener("calls", (event) => {
  const before = new Map([...loops.values()].map((loop) => [loop, callsOf(loop)]));
  calls = JSON.parse(event.data);
  unlessPressed(() => {
    for (const loop of loops.values()) if (callsOf(loop) !== before.get(loop)) drawLoop(loop);
    isFirstLook = false;
    if (!loops.size) byId("loops").replaceChildren(h("p", { class: "empty" }, "Nothing yet. Press one of the buttons above."));
  });
});

const callsOf = (loop) => JSON.stringify(calls.filter((call) => call.aggregateId === loop.aggregateId));

let silence = 0;
feed.onopen = () => { clearTimeout(silence); silence = 0; byId("stopped").hidden = true; };
feed.onerror = () => { if (!silence) silence = setTimeout(() => { byId("stopped").hidden = false; }, 1500); };

open(page.members[0].slack, page.rooms[0].slack);

// The page: loads the workspace, follows its changes and draws what this person looks at.

import { avatar, h } from "./dom.js";
import { post } from "./api.js";
import { blocks } from "./blocks.js";
import { composer } from "./composer.js";
import { isHeld, watchPresses } from "./hold.js";
import { drawMessages } from "./messages.js";
import { drawModal } from "./modal.js";
import { toEnd } from "./pin.js";
import { viewPlace } from "./place.js";
import { toast } from "./popups.js";
import { drawSidebar } from "./sidebar.js";
import { HOME, load, markRead, settle, shownChannel, store, take, ui, visible } from "./store.js";
import { drawWire } from "./wire.js";

const byId = (id) => document.getElementById(id);
let frame = 0;
let paneOf = "";
let threadOf = "";
let turn = Promise.resolve();

function redraw() {
  if (!frame) frame = requestAnimationFrame(draw);
}

function draw() {
  frame = 0;
  if (!store.loaded || isHeld()) return;
  byId("team-name").textContent = store.team.name;
  const channel = shownChannel();
  if (channel) markRead(channel.id);
  document.title = `${ui.place === HOME ? store.app.name : `#${channel?.name}`} · ${store.team.name} · Slack sandbox`;
  drawSidebar(byId("sidebar"), { go, actAs });
  if (ui.place === HOME) drawHome(byId("pane"));
  else drawChannel(byId("pane"), channel);
  drawThread(byId("thread"), channel);
  drawModal(redraw);
  drawWire(byId("wire"), redraw);
}

function drawChannel(pane, channel) {
  const key = `${ui.me}/${channel.id}`;
  if (paneOf !== key) {
    paneOf = key;
    pane.replaceChildren(paneHead(channel), ...conversation(`Messages in #${channel.name}`, { channel: channel.id, name: `#${channel.name}` }));
  }
  listInto(pane.querySelector(".messages"), channel.id, emptyChannel(channel));
}

function paneHead(channel) {
  return h("header", { class: "pane-head" }, h("h1", {}, channel.is_private ? "🔒 " : "# ", channel.name), h("span", { class: "topic quiet" }, channel.topic.value),
    h("span", { class: "members", title: channel.members.map((id) => store.users.get(id)?.real_name).join(", ") }, ...channel.members.slice(0, 3).map((id) => avatar(store.users.get(id), 22)), h("span", { class: "quiet" }, String(channel.members.length))));
}

function emptyChannel(channel) {
  return h("div", { class: "empty" }, h("div", { class: "empty-sign", "aria-hidden": "true" }, "💬"), h("strong", {}, `This is the very beginning of #${channel.name}`), h("span", { class: "quiet" }, channel.topic.value || "Messages appear here as they come."));
}

function listInto(list, channelId, empty, threadTs = "") {
  const shown = visible(channelId, threadTs);
  list.querySelector(".empty")?.remove();
  drawMessages(list, shown, { inThread: Boolean(threadTs), openThread, redraw });
  if (!shown.length && empty) list.append(empty);
}

function drawHome(pane) {
  const channel = shownChannel();
  const view = store.homes[ui.me];
  const print = JSON.stringify([ui.me, ui.appTab, channel?.id, ui.appTab === "home" ? [view, [...ui.busy.keys()], [...ui.warned], ui.forms.get(`${ui.me}|${view?.id}`)] : 0]);
  if (paneOf !== `home${print}`) {
    const focused = document.activeElement?.dataset?.focusKey;
    const scroll = pane.querySelector(".home-body")?.scrollTop || 0;
    paneOf = `home${print}`;
    const tabs = h("div", { class: "app-tabs", role: "tablist" }, ...[["home", "Home"], ["messages", "Messages"]].map(([id, name]) => h("button", { type: "button", role: "tab", "aria-selected": String(ui.appTab === id), class: ui.appTab === id ? "tab current" : "tab", dataset: { focusKey: `tab-${id}` }, onclick: () => openTab(id) }, name)));
    pane.replaceChildren(h("header", { class: "pane-head" }, avatar(store.users.get(store.app.bot_user_id), 24), h("h1", {}, store.app.name), h("span", { class: "app-tag" }, "APP"), tabs), ...(ui.appTab === "home" ? [homeBody(view)] : conversation(`Messages with ${store.app.name}`, channel && { channel: channel.id, name: store.app.name })));
    if (focused) pane.querySelector(`[data-focus-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    if (pane.querySelector(".home-body")) pane.querySelector(".home-body").scrollTop = scroll;
  }
  const list = pane.querySelector(".messages");
  if (list && channel) listInto(list, channel.id, h("div", { class: "empty" }, h("strong", {}, `Your direct messages with ${store.app.name}`)));
}

function homeBody(view) {
  const body = h("div", { class: "home-body", dataset: { testid: "home" } });
  if (view) body.append(h("div", { class: "home-column" }, ...blocks(view.blocks, viewPlace(view, () => body, redraw))));
  else body.append(h("div", { class: "empty" }, h("div", { class: "empty-sign", "aria-hidden": "true" }, "🏠"), h("strong", {}, "Nothing here yet"), h("span", { class: "quiet" }, `${store.app.name} has not published a Home tab for you.`)));
  return body;
}

// A list of messages and, where one may write, the box under it.
function conversation(label, box, testid = "messages") {
  const list = h("div", { class: "messages", role: "log", "aria-label": label, dataset: { fresh: "1", testid } });
  return box ? [list, composer({ ...box, toEnd: () => toEnd(list) })] : [list];
}

function drawThread(root, channel) {
  const parent = ui.thread && channel && visible(channel.id).find((one) => one.ts === ui.thread);
  root.hidden = !parent;
  if (!parent) { threadOf = ""; return; }
  const key = `${ui.me}/${channel.id}/${ui.thread}`;
  if (threadOf !== key) {
    threadOf = key;
    root.replaceChildren(h("header", { class: "pane-head" }, h("h2", {}, "Thread"), h("span", { class: "quiet topic" }, channel.name ? `#${channel.name}` : store.app.name), h("button", { type: "button", class: "plain-button", "aria-label": "Close thread", onclick: () => openThread("") }, "✕")),
      ...conversation("Thread", { channel: channel.id, threadTs: ui.thread, name: "" }, "thread-messages"));
    root.querySelector("textarea").focus();
  }
  listInto(root.querySelector(".messages"), channel.id, null, ui.thread);
}

function openThread(ts) {
  ui.thread = ts;
  redraw();
}

function go(id) {
  ui.place = id;
  ui.thread = "";
  settle();
  if (id === HOME) openTab(ui.appTab);
  redraw();
}

async function openTab(tab) {
  ui.appTab = tab;
  redraw();
  if (tab !== "home") return;
  const answer = await post("act/home", { user: ui.me });
  if (!answer.ok) toast(answer.message);
  else if (!shownChannel()) await inTurn(reload);
}

function actAs(user) {
  ui.me = user;
  byId("toasts").replaceChildren();
  ui.thread = "";
  settle();
  if (ui.place === HOME) openTab(ui.appTab);
  redraw();
}

// One after the other: what is loaded must not be put over what changed since.
function inTurn(step) {
  turn = turn.then(step).catch((error) => console.error(error));
  return turn;
}

async function reload() {
  if (await load()) redraw();
}

function follow() {
  const feed = new EventSource("/sandbox/events");
  const note = byId("connection");
  feed.onmessage = (event) => inTurn(() => heard(JSON.parse(event.data), note));
  feed.onerror = () => { note.textContent = "Connection lost. Trying again…"; };
}

async function heard(change, note) {
  if (change.type === "hello") {
    const isFirst = !store.loaded;
    note.textContent = "";
    await reload();
    if (isFirst && ui.place === HOME) openTab("home");
    return;
  }
  if (change.type === "warning" && change.warning.user === ui.me) toast(change.warning.text);
  if (!take(change)) await reload();
  redraw();
}

watchPresses(redraw);
byId("wire-toggle").addEventListener("click", (event) => {
  const wire = byId("wire");
  wire.hidden = !wire.hidden;
  event.currentTarget.setAttribute("aria-expanded", String(!wire.hidden));
  redraw();
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && ui.thread && !document.querySelector("dialog[open]")) openThread(""); });
document.addEventListener("visibilitychange", redraw);
document.body.classList.toggle("embedded", ui.isEmbedded);
follow();

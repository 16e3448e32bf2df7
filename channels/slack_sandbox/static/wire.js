// The wire inspector: each delivery as it was signed and sent, and each Web API call.

import { h } from "./dom.js";
import { post } from "./api.js";
import { toast } from "./popups.js";
import { store } from "./store.js";

const DEADLINE_MS = 3000;
let tab = "deliveries";
let chosen = "";
let isRaw = false;
let drawn = "";
const opened = new Set();

export function drawWire(root, redraw) {
  const print = JSON.stringify([tab, chosen, isRaw, ...[store.deliveries, store.calls].map((list) => [list.length, list.at(-1)?.at])]);
  if (root.hidden || drawn === print) return;
  drawn = print;
  const tabs = h("div", { class: "wire-tabs", role: "tablist" }, ...[["deliveries", "Deliveries"], ["calls", "API calls"]].map(([id, name]) =>
    h("button", { type: "button", role: "tab", "aria-selected": String(tab === id), class: tab === id ? "tab current" : "tab", onclick: () => { tab = id; redraw(); } }, `${name} `, h("span", { class: "quiet" }, String(store[id].length)))),
    h("span", { class: "wire-note quiet" }, "What crosses between Slack and the app, as it was on the wire"));
  const scroll = root.querySelector(".wire-list")?.scrollTop || 0;
  const detailScroll = root.querySelector(".wire-detail")?.scrollTop || 0;
  root.replaceChildren(tabs, tab === "deliveries" ? deliveries(redraw) : calls());
  root.querySelector(".wire-list").scrollTop = scroll;
  const detail = root.querySelector(".wire-detail");
  if (detail) detail.scrollTop = detailScroll;
}

function deliveries(redraw) {
  const newest = [...store.deliveries].reverse();
  const current = newest.find((one) => one.id === chosen) || newest[0];
  const rows = newest.map((one) => h("button", { type: "button", class: one === current ? "wire-row current" : "wire-row", dataset: { testid: `delivery-${one.id}` }, onclick: () => { chosen = one.id; redraw(); } },
    h("time", {}, new Date(one.at * 1000).toLocaleTimeString([], { hour12: false })), h("strong", {}, one.kind), h("span", { class: "wire-what quiet" }, gist(one)), status(one), ack(one)));
  return h("div", { class: "wire-body" }, h("div", { class: "wire-list", role: "list" }, ...(rows.length ? rows : [h("p", { class: "quiet wire-empty" }, "Nothing sent yet. Press a button in a message.")])), current ? detail(current, redraw) : null);
}

function status(one) {
  const isGood = one.status >= 200 && one.status < 300;
  return h("span", { class: `chip ${isGood ? "good" : "bad"}` }, one.status ? String(one.status) : one.problem);
}

function ack(one) {
  const bar = h("span", { class: "ack-fill" });
  bar.style.width = `${Math.min(100, Math.max(2, ((one.ack_ms || 0) / DEADLINE_MS) * 100))}%`;
  return h("span", { class: "ack", title: "time to acknowledge, of 3 s" }, h("span", { class: "ack-bar", "aria-hidden": "true" }, bar), one.ack_ms === null ? "—" : `${one.ack_ms.toFixed(one.ack_ms < 10 ? 1 : 0)} ms`);
}

function gist(one) {
  const sent = decoded(one);
  if (one.replay_of) return `again, of ${one.replay_of}`;
  return sent?.actions?.[0]?.action_id || sent?.view?.callback_id || (sent?.command ? `${sent.command} ${sent.text || ""}` : "") || sent?.event?.type || "";
}

function decoded(one) {
  try {
    if (one.headers["Content-Type"].includes("json")) return JSON.parse(one.body);
    const form = Object.fromEntries(new URLSearchParams(one.body));
    return form.payload ? JSON.parse(form.payload) : form;
  } catch {
    return null;
  }
}

function detail(one, redraw) {
  const again = async (path) => {
    const answer = await post(path, { delivery_id: one.id });
    if (!answer.ok) { toast(answer.message); return; }
    chosen = answer.deliveries[0].id;
    redraw();
  };
  const body = isRaw ? one.body : JSON.stringify(decoded(one), null, 2) || one.body;
  const headers = Object.entries(one.headers).map(([name, value]) => [h("span", { class: "header-name" }, `${name}: `), value, "\n"]);
  return h("div", { class: "wire-detail", tabindex: "0" },
    h("div", { class: "wire-tools" },
      h("button", { type: "button", class: "button default tiny", onclick: () => again("replay"), title: "Send the identical signed request again" }, "Replay"),
      h("button", { type: "button", class: "button default tiny", onclick: () => again("duplicate"), title: "Send the same body again, signed anew" }, "Duplicate"),
      h("label", { class: "raw" }, h("input", { type: "checkbox", checked: isRaw, onchange: (event) => { isRaw = event.target.checked; redraw(); } }), " raw body")),
    h("pre", { class: "wire-code" }, h("strong", {}, `POST ${one.url}\n`), ...headers, "\n", body),
    h("pre", { class: "wire-code answer" }, h("strong", {}, one.status ? `HTTP ${one.status} after ${one.ack_ms} ms\n` : `no answer: ${one.problem}\n`), one.answer || "(empty body)"));
}

function calls() {
  const rows = [...store.calls].reverse().map((one) => h("details", { class: "call", open: opened.has(one.at), ontoggle: (event) => opened[event.currentTarget.open ? "add" : "delete"](one.at) },
    h("summary", {}, h("time", {}, new Date(one.at * 1000).toLocaleTimeString([], { hour12: false })), h("strong", {}, one.method), h("span", { class: `chip ${one.ok ? "good" : "bad"}` }, one.ok ? "ok" : one.error), h("span", { class: "quiet" }, `${one.ms} ms`)),
    h("pre", { class: "wire-code" }, [...one.messages, JSON.stringify(one.args, null, 2)].join("\n"))));
  return h("div", { class: "wire-body" }, h("div", { class: "wire-list wide" }, ...(rows.length ? rows : [h("p", { class: "quiet wire-empty" }, "The app has called nothing yet.")])));
}

// Messages: the list of a channel or thread, each redrawn only when something in it changed.

import { avatar, clockTime, dayName, h } from "./dom.js";
import { blocks } from "./blocks.js";
import { mrkdwn } from "./mrkdwn.js";
import { pin, stay } from "./pin.js";
import { messagePlace } from "./place.js";
import { store, ui } from "./store.js";

// Messages of one author within this many seconds are shown under one name.
const COMPACT_S = 300;

export function drawMessages(list, shown, { inThread = false, openThread, redraw }) {
  const old = new Map([...list.querySelectorAll("[data-key]")].map((node) => [node.dataset.key, node]));
  const focused = document.activeElement?.dataset?.focusKey;
  const nodes = [];
  let previous = null;
  for (const message of shown) {
    if (!previous || dayName(previous.ts) !== dayName(message.ts)) nodes.push(day(message.ts, old));
    const isCompact = previous?.user === message.user && !previous.ephemeral_to === !message.ephemeral_to && Number(message.ts) - Number(previous.ts) < COMPACT_S && dayName(previous.ts) === dayName(message.ts);
    nodes.push(reused(old, message, isCompact, { inThread, openThread, redraw }));
    previous = message;
  }
  sync(list, nodes);
  if (focused && document.activeElement === document.body) list.querySelector(`[data-focus-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  if (list.dataset.fresh) pin(list);
  delete list.dataset.fresh;
  stay(list, nodes.length > 0 && !old.has(nodes.at(-1).dataset.key));
}

function reused(old, message, isCompact, context) {
  const ours = (key) => key.includes(`${message.channel}-${message.ts}|`);
  const busy = [[...ui.busy.keys()].filter(ours), [...ui.warned.keys()].filter(ours), ui.forms.get(`${ui.me}|${message.channel}-${message.ts}`)];
  const print = JSON.stringify([message, isCompact, ui.me, busy, store.users.get(message.user)?.real_name]);
  const key = `m-${message.ts}-${message.ephemeral_to || ""}`;
  const found = old.get(key);
  if (found?.print === print) return found;
  const node = draw(message, isCompact, context);
  node.dataset.key = key;
  node.print = print;
  return node;
}

function draw(message, isCompact, { inThread, openThread, redraw }) {
  const author = store.users.get(message.user);
  const time = h("time", { datetime: new Date(Number(message.ts) * 1000).toISOString(), title: new Date(Number(message.ts) * 1000).toLocaleString() }, clockTime(message.ts));
  const body = h("div", { class: "message-body" });
  const place = messagePlace(message, () => body, redraw);
  const content = message.blocks?.length ? blocks(message.blocks, place) : [h("div", { class: "text" }, ...mrkdwn(message.text))];
  body.append(...content, ...(message.files || []).map(file));
  if (message.edited) (content.at(-1).matches(".text, .block-section .section-words, .block-context") ? content.at(-1) : body).append(edited(message));
  const replies = !inThread && message.reply_count ? thread(message, openThread) : null;
  return h("article", { class: `message${isCompact ? " compact" : ""}${message.ephemeral_to ? " ephemeral" : ""}`, "aria-label": `${author?.real_name || message.user}, ${clockTime(message.ts)}`, dataset: { testid: `message-${message.ts}`, ts: message.ts } },
    h("div", { class: "gutter" }, isCompact ? time.cloneNode(true) : avatar(author)),
    h("div", { class: "message-main" },
      message.ephemeral_to ? h("div", { class: "only-you" }, h("span", { "aria-hidden": "true" }, "👁"), " Only visible to you") : null,
      isCompact ? null : h("div", { class: "message-head" }, h("strong", {}, author?.real_name || message.user), author?.is_bot ? h("span", { class: "app-tag" }, "APP") : null, time),
      body, replies,
      message.ephemeral_to ? h("button", { type: "button", class: "link-button small", onclick: () => { ui.dismissed.add(message.ts); redraw(); } }, "Dismiss message") : null),
    inThread || message.ephemeral_to ? null : h("div", { class: "message-tools" }, h("button", { type: "button", class: "tool", "aria-label": "Reply in thread", title: "Reply in thread", onclick: () => openThread(message.ts) }, "💬")));
}

function file(shared) {
  return h("a", { class: "file", href: shared.url_private_download, download: shared.name, dataset: { testid: `file-${shared.id}` } },
    h("span", { class: "file-icon", "aria-hidden": "true" }, "📄"), h("span", {}, h("strong", {}, shared.title || shared.name), h("span", { class: "quiet" }, `${shared.size.toLocaleString("en-US")} bytes`)));
}

function edited(message) {
  return h("span", { class: "edited", title: new Date(Number(message.edited.ts) * 1000).toLocaleString() }, " (edited)");
}

function thread(message, openThread) {
  const many = message.reply_count === 1 ? "1 reply" : `${message.reply_count} replies`;
  return h("button", { type: "button", class: "thread-link", onclick: () => openThread(message.ts), dataset: { testid: `replies-${message.ts}` } },
    ...message.reply_users.slice(0, 4).map((id) => avatar(store.users.get(id), 22)), h("strong", {}, many), h("span", { class: "quiet" }, `Last reply ${clockTime(message.latest_reply)}`));
}

function day(ts, old) {
  const key = `d-${dayName(ts)}`;
  return old.get(key) || h("div", { class: "day", dataset: { key } }, h("span", {}, dayName(ts)));
}

// Put *nodes* into *list* in order, leaving those already in place untouched (focus and open menus survive).
function sync(list, nodes) {
  const wanted = new Set(nodes);
  for (const node of [...list.children]) if (!wanted.has(node)) node.remove();
  nodes.forEach((node, index) => { if (list.children[index] !== node) list.insertBefore(node, list.children[index] || null); });
}

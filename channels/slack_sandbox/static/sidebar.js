// The sidebar: channels with what is unread, the app, and who the person acts as.

import { avatar, h } from "./dom.js";
import { menu } from "./popups.js";
import { HOME, me, myChannels, myDirectMessage, people, store, ui, unread } from "./store.js";

let drawn = "";

// Drawn anew only when something in it changed.
export function drawSidebar(root, { go, actAs }) {
  const channels = myChannels();
  const directly = myDirectMessage();
  const counts = [...channels, ...(directly ? [directly] : [])].map((channel) => unread(channel.id));
  const print = JSON.stringify([ui.me, ui.place, me()?.real_name, store.app.name, channels.map((channel) => [channel.id, channel.name, channel.is_private]), counts]);
  if (drawn === print) return;
  drawn = print;
  const focused = document.activeElement?.dataset?.focusKey;
  root.replaceChildren(
    h("div", { class: "sidebar-scroll" },
      h("h2", { class: "sidebar-title" }, "Channels"),
      h("ul", {}, ...channels.map((channel, index) => entry(channel.id, h("span", { class: "hash", "aria-hidden": "true" }, channel.is_private ? "🔒" : "#"), channel.name, counts[index], go))),
      h("h2", { class: "sidebar-title" }, "Apps"),
      h("ul", {}, entry(HOME, avatar(store.users.get(store.app.bot_user_id), 20), store.app.name, directly ? counts.at(-1) : 0, go))),
    switcher(actAs));
  if (focused) root.querySelector(`[data-focus-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function entry(id, sign, name, count, go) {
  const isCurrent = ui.place === id;
  const badge = count && !isCurrent ? h("span", { class: "badge", "aria-label": `${count} unread`, dataset: { testid: `unread-${id}` } }, String(Math.min(count, 99))) : null;
  return h("li", {}, h("button", { type: "button", class: `entry${isCurrent ? " current" : ""}${badge ? " unread" : ""}`, "aria-current": isCurrent ? "page" : null, dataset: { testid: `channel-${id}`, focusKey: `channel-${id}` }, onclick: () => go(id) }, sign, h("span", { class: "entry-name" }, name), badge));
}

function switcher(actAs) {
  const person = me();
  const open = async (event) => {
    const chosen = await menu(event.currentTarget, people().map((user) => ({
      value: user.id, isCurrent: user.id === ui.me, isDisabled: user.deleted, testid: `act-as-${user.id}`, content: h("span", { class: "person" }, avatar(user, 28), h("span", { class: "person-words" }, h("strong", {}, user.real_name), h("span", { class: "quiet" }, standing(user)))),
    })));
    if (chosen) actAs(chosen.value);
  };
  return h("button", { type: "button", class: "switcher", "aria-haspopup": "menu", "aria-label": `Act as: ${person?.real_name || "nobody"}`, title: "Act as somebody else", dataset: { testid: "act-as", focusKey: "act-as" }, onclick: open },
    avatar(person, 32), h("span", { class: "person-words" }, h("span", { class: "acting" }, "Acting as"), h("strong", {}, person?.real_name || "nobody")), h("span", { "aria-hidden": "true" }, "⌃"));
}

function standing(user) {
  if (user.deleted) return "Deactivated";
  if (user.is_stranger || user.team_id !== store.team.id) return "External · another workspace";
  if (user.is_ultra_restricted) return "Single-channel guest";
  if (user.is_restricted) return "Guest";
  return user.profile.title || `@${user.name}`;
}

// The message box: text, mentions and slash commands, with completion for both.

import { h } from "./dom.js";
import { post } from "./api.js";
import { toast } from "./popups.js";
import { people, store, ui } from "./store.js";

export function composer({ channel, threadTs = "", name, toEnd }) {
  let offers = [];
  let at = 0;
  const draft = `${ui.me}|${channel}|${threadTs}`;
  const listId = `offers-${threadTs || "main"}`;
  const list = h("div", { class: "offers", role: "listbox", id: listId, hidden: true });
  const box = h("textarea", {
    rows: 1, placeholder: threadTs ? "Reply…" : `Message ${name}`, "aria-label": threadTs ? "Reply in thread" : `Message ${name}`, role: "combobox", "aria-controls": listId, "aria-expanded": "false",
    "aria-autocomplete": "list", spellcheck: "false", dataset: { testid: threadTs ? "thread-composer" : "composer" }, oninput: changed, onkeydown: pressed, onblur: () => setTimeout(() => offer([]), 150),
  });
  const sendButton = h("button", { type: "button", class: "send", "aria-label": "Send", disabled: true, onclick: send }, "➤");

  function write(text) {
    box.value = text;
    changed();
  }

  function changed() {
    ui.drafts.set(draft, box.value);
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight, 180)}px`;
    sendButton.disabled = !box.value.trim();
    const before = box.value.slice(0, box.selectionStart);
    const mention = before.match(/(?:^|\s)@([\w.-]*)$/);
    if (/^\/\S*$/.test(before) && !threadTs) offer(store.app.commands.filter((one) => one.command.startsWith(before)).map((one) => ({ insert: `${one.command} `, title: one.command, hint: one.usage_hint, note: one.description })));
    else if (mention) {
      const wanted = mention[1].toLowerCase();
      const all = [...people(), ...[...store.users.values()].filter((user) => user.is_bot)];
      offer(all.filter((user) => !user.deleted && (user.name.toLowerCase().startsWith(wanted) || user.real_name.toLowerCase().startsWith(wanted))).slice(0, 8)
        .map((user) => ({ insert: `${before.slice(0, before.length - mention[1].length)}${user.name} `, title: user.real_name, hint: `@${user.name}`, note: user.profile.title })));
    } else offer([]);
  }

  function offer(found) {
    offers = found;
    at = 0;
    list.hidden = !found.length;
    box.setAttribute("aria-expanded", String(found.length > 0));
    draw();
  }

  function draw() {
    list.replaceChildren(...offers.map((one, index) => h("div", { class: index === at ? "offer current" : "offer", role: "option", id: `${listId}-${index}`, "aria-selected": String(index === at), onpointerdown: (event) => { event.preventDefault(); take(one); } },
      h("strong", {}, one.title), one.hint ? h("code", {}, one.hint) : null, one.note ? h("span", { class: "quiet" }, one.note) : null)));
    if (offers.length) box.setAttribute("aria-activedescendant", `${listId}-${at}`);
    else box.removeAttribute("aria-activedescendant");
  }

  function take(one) {
    box.value = one.insert + box.value.slice(box.selectionStart);
    box.selectionStart = box.selectionEnd = one.insert.length;
    offer([]);
    changed();
    box.focus();
  }

  function pressed(event) {
    if (event.isComposing) return;
    if (offers.length && ["ArrowDown", "ArrowUp"].includes(event.key)) {
      event.preventDefault();
      at = (at + (event.key === "ArrowDown" ? 1 : offers.length - 1)) % offers.length;
      draw();
    } else if (offers.length && (event.key === "Tab" || (event.key === "Enter" && offers[at].insert.trim() !== box.value.trim()))) {
      event.preventDefault();
      take(offers[at]);
    } else if (offers.length && event.key === "Escape") {
      event.stopPropagation();
      offer([]);
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    }
  }

  async function send() {
    const text = box.value.trim();
    if (!text) return;
    write("");
    toEnd();
    const isCommand = text.startsWith("/") && !threadTs;
    const body = isCommand ? { user: ui.me, channel, text } : { user: ui.me, channel, text, thread_ts: threadTs };
    const answer = await post(isCommand ? "act/command" : "act/message", body);
    if (answer.ok) return;
    if (answer.error !== "unknown_command") toast(answer.message);
    if (!box.value) write(text);
  }

  box.value = ui.drafts.get(draft) || "";
  if (box.value) requestAnimationFrame(changed);
  return h("div", { class: "composer" }, list, h("div", { class: "composer-box" }, box, sendButton),
    h("div", { class: "composer-foot quiet" }, h("span", { class: "composer-hint" }, threadTs ? "Enter to reply" : "Enter to send · Shift+Enter for a new line · / for commands"),
      h("button", { type: "button", class: "link-button news", dataset: { testid: "news" }, onclick: toEnd }, "↓ New messages")));
}

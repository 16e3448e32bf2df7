// Slack's mrkdwn as elements: quotes, code, bold, links, mentions, dates, emoji.

import { h } from "./dom.js";
import { emoji } from "./emoji.js";
import { store, ui } from "./store.js";

const INLINE = new RegExp(
  [
    "`(?<code>[^`\\n]+)`",
    "<(?<angle>[^<>\\n]+)>",
    ":(?<emoji>[a-z0-9_+-]+):(?::skin-tone-\\d:)?",
    "(?<![\\w*])\\*(?<bold>[^\\s*](?:[^*\\n]*[^\\s*])?)\\*(?![\\w*])",
    "(?<![\\w_])_(?<italic>[^\\s_](?:[^\\n]*?[^\\s_])?)_(?![\\w_])",
    "(?<![\\w~])~(?<strike>[^\\s~](?:[^~\\n]*[^\\s~])?)~(?![\\w~])",
  ].join("|"),
  "g",
);

export function mrkdwn(text) {
  const parts = text.split(/```\n?([\s\S]*?)\n?```\n?/);
  return parts.map((part, index) => (index % 2 ? h("pre", { class: "code" }, unescape(part).replace(/<([^<>|]+)\|([^<>]+)>/g, "$2")) : lines(part)));
}

export function plain(text, hasEmoji = true) {
  const pieces = hasEmoji ? text.split(/(:[a-z0-9_+-]+:)/) : [text];
  return pieces.map((piece) => broken(/^:[^:]+:$/.test(piece) ? emoji(piece.slice(1, -1)) || piece : piece));
}

export function textOf(object) {
  if (!object) return [];
  return object.type === "mrkdwn" ? mrkdwn(object.text) : plain(object.text, object.emoji !== false);
}

export function labelOf(object) {
  return object.text.replace(/:([a-z0-9_+-]+):/g, (whole, name) => emoji(name) || whole);
}

function lines(text) {
  const found = [];
  let quote = null;
  const all = text.split("\n");
  all.forEach((line, index) => {
    const quoted = line.match(/^(?:&gt;|>) ?(.*)$/);
    if (quoted) {
      if (!quote) found.push((quote = h("blockquote")));
      else quote.append(h("br"));
      quote.append(...inline(quoted[1]));
      return;
    }
    const followsQuote = quote !== null;
    quote = null;
    if (index > 0 && !followsQuote) found.push(h("br"));
    found.push(...inline(line));
  });
  return found;
}

export function inline(text) {
  const found = [];
  let last = 0;
  for (const match of text.matchAll(INLINE)) {
    found.push(unescape(text.slice(last, match.index)));
    found.push(piece(match[0], match.groups));
    last = match.index + match[0].length;
  }
  found.push(unescape(text.slice(last)));
  return found.filter((one) => one !== "");
}

function piece(whole, found) {
  if (found.code !== undefined) return h("code", {}, unescape(found.code));
  if (found.angle !== undefined) return reference(found.angle);
  if (found.emoji !== undefined) return emoji(found.emoji) ? h("span", { class: "emoji", title: whole }, emoji(found.emoji)) : whole;
  if (found.bold !== undefined) return h("strong", {}, inline(found.bold));
  if (found.italic !== undefined) return h("em", {}, inline(found.italic));
  return h("s", {}, inline(found.strike));
}

function reference(inside) {
  const [target, label] = [inside.split("|")[0], inside.includes("|") ? inside.slice(inside.indexOf("|") + 1) : ""];
  if (target.startsWith("@")) return mention(target.slice(1), label);
  if (target.startsWith("#")) return h("span", { class: "mention" }, `#${store.channels.get(target.slice(1))?.name || label || target.slice(1)}`);
  if (target.startsWith("!subteam^")) {
    const group = store.usergroups.get(target.slice(9));
    const isMine = group?.users.includes(ui.me);
    return h("span", { class: isMine ? "mention mine" : "mention", title: group?.name }, `@${group?.handle || label.replace(/^@/, "") || target.slice(9)}`);
  }
  if (target.startsWith("!date^")) return date(target, label);
  if (/^!(here|channel|everyone)/.test(target)) return h("span", { class: "mention mine" }, `@${target.slice(1)}`);
  return link(unescape(target), unescape(label));
}

function mention(id, label) {
  const user = store.users.get(id);
  return h("span", { class: id === ui.me ? "mention mine" : "mention", title: user?.real_name }, `@${user?.real_name || label || id}`);
}

export function link(url, label = "") {
  if (!/^(https?:\/\/|mailto:)/i.test(url)) return label ? `${label} (${url})` : `<${url}>`;
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label || url.replace(/^mailto:/, ""));
}

function date(target, fallback) {
  const [, seconds, format = "{date} {time}", url] = target.split("^");
  const at = new Date(Number(seconds) * 1000);
  if (Number.isNaN(at.getTime())) return fallback;
  const day = (options) => at.toLocaleDateString([], options);
  const pretty = (text) => (at.toDateString() === new Date().toDateString() ? "today" : text);
  const long = { weekday: "long", month: "long", day: "numeric", year: "numeric" };
  const medium = { month: "long", day: "numeric", year: "numeric" };
  const short = { month: "short", day: "numeric", year: "numeric" };
  const words = {
    date: day(medium), date_num: at.toISOString().slice(0, 10), date_slash: day({}), date_long: day(long), date_long_full: day(long), date_short: day(short),
    date_pretty: pretty(day(medium)), date_long_pretty: pretty(day(long)), date_short_pretty: pretty(day(short)),
    time: at.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" }), time_secs: at.toLocaleTimeString(), ago: ago(at),
    day_divider_pretty: pretty(day(medium)),
  };
  const text = format.replace(/\{(\w+)\}/g, (whole, name) => words[name] ?? whole);
  return url ? link(url, text) : h("time", { datetime: at.toISOString(), title: fallback }, text);
}

function ago(at) {
  const minutes = Math.round((at.getTime() - Date.now()) / 60_000);
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  if (Math.abs(minutes) < 60) return words.format(minutes, "minute");
  if (Math.abs(minutes) < 60 * 24) return words.format(Math.round(minutes / 60), "hour");
  return words.format(Math.round(minutes / 1440), "day");
}

function broken(text) {
  return text.split("\n").flatMap((line, index) => (index ? [h("br"), line] : [line]));
}

function unescape(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

// What the page knows: the workspace as the server tells it, and what this person is looking at.

import { get } from "./api.js";

const query = new URLSearchParams(location.search);

export const store = {
  loaded: false, team: {}, app: {}, users: new Map(), usergroups: new Map(), channels: new Map(),
  messages: new Map(), ephemerals: [], views: {}, homes: {}, deliveries: [], calls: [],
};

export const ui = {
  me: query.get("user") || "", place: query.get("channel") || "", thread: "", appTab: "home", isEmbedded: query.get("embed") === "1",
  dismissed: new Set(), busy: new Map(), warned: new Map(), forms: new Map(), drafts: new Map(), read: new Map(Object.entries(JSON.parse(sessionStorage.getItem("read") || "{}"))),
};

export const HOME = "home";

export async function load() {
  const answers = await Promise.all([get("state"), get("deliveries"), get("calls")]);
  if (!answers.every((one) => one.ok)) return false;
  const [state, sent, calls] = answers;
  store.team = state.team;
  store.app = state.app;
  store.users = new Map(state.users.map((user) => [user.id, user]));
  store.usergroups = new Map(state.usergroups.map((group) => [group.id, group]));
  store.channels = new Map(state.channels.map((channel) => [channel.id, channel]));
  store.messages = new Map(Object.entries(state.messages));
  store.ephemerals = state.ephemerals;
  store.views = state.views;
  store.homes = state.homes;
  store.deliveries = sent.deliveries;
  store.calls = calls.calls;
  store.loaded = true;
  settle();
  return true;
}

export function settle() {
  if (!people().some((user) => user.id === ui.me)) ui.me = people()[0]?.id || "";
  const mine = myChannels();
  if (ui.place !== HOME && !mine.some((channel) => channel.id === ui.place)) ui.place = mine[0]?.id || HOME;
  const search = new URLSearchParams(location.search);
  search.set("user", ui.me);
  search.set("channel", ui.place);
  history.replaceState(null, "", `?${search}`);
}

export const people = () => [...store.users.values()].filter((user) => !user.is_bot);
export const me = () => store.users.get(ui.me);
export const myChannels = () => [...store.channels.values()].filter((channel) => !channel.is_im && channel.members.includes(ui.me));
export const myDirectMessage = () => [...store.channels.values()].find((channel) => channel.is_im && channel.user === ui.me);
export const shownChannel = () => (ui.place === HOME ? myDirectMessage() : store.channels.get(ui.place));

export function visible(channelId, threadTs = "") {
  const everybody = store.messages.get(channelId) || [];
  const mine = store.ephemerals.filter((one) => one.channel === channelId && one.ephemeral_to === ui.me && !ui.dismissed.has(one.ts));
  const inThread = (one) => (threadTs ? one.thread_ts === threadTs || one.ts === threadTs : !one.thread_ts || one.thread_ts === one.ts);
  return [...everybody, ...mine].filter(inThread).sort((a, b) => Number(a.ts) - Number(b.ts));
}

export function unread(channelId) {
  const seen = Number(ui.read.get(`${ui.me}:${channelId}`) || 0);
  return visible(channelId).filter((one) => Number(one.ts) > seen && one.user !== ui.me).length;
}

export function markRead(channelId) {
  const newest = visible(channelId).at(-1);
  if (!newest || document.hidden) return;
  ui.read.set(`${ui.me}:${channelId}`, newest.ts);
  sessionStorage.setItem("read", JSON.stringify(Object.fromEntries(ui.read)));
}

// Take one change from the feed; returns false when the state must be loaded again.
export function take(change) {
  switch (change.type) {
    case "message.posted": case "message.changed": put(change.message); break;
    case "message.deleted": drop(change.message); break;
    case "views": store.views[change.user] = change.views; break;
    case "home": store.homes[change.user] = change.view; break;
    case "user": store.users.set(change.user.id, change.user); break;
    case "delivery": bounded(store.deliveries, change.delivery); break;
    case "call": bounded(store.calls, change.call); break;
    case "hello": case "heartbeat": case "warning": break;
    default: return false;
  }
  return change.message ? store.channels.has(change.message.channel) : true;
}

function listFor(message) {
  if (message.ephemeral_to) return store.ephemerals;
  if (!store.messages.has(message.channel)) store.messages.set(message.channel, []);
  return store.messages.get(message.channel);
}

function put(message) {
  const list = listFor(message);
  const at = list.findIndex((one) => one.ts === message.ts);
  if (at < 0) list.push(message);
  else list[at] = message;
}

function drop(message) {
  const list = listFor(message);
  const at = list.findIndex((one) => one.ts === message.ts);
  if (at >= 0) list.splice(at, 1);
}

// What came while the list was being loaded is in it already.
function bounded(list, item) {
  if (list.some((one) => one.at === item.at && one.id === item.id)) return;
  list.push(item);
  if (list.length > 500) list.shift();
}

// A list of messages stays at its end, as Slack's does, until the person scrolls up; back at the end, it stays there again.

import { isHeld } from "./hold.js";

// Pixels from the end that are the end still: as far as the keyboard scrolls to the last button, less than a wheel does.
const NEAR_PX = 40;

// For each list, whether it stays at its end, where that was, and where the list was scrolled to.
const pins = new WeakMap();

// Has *list* stay at its end, also when it gets smaller, as beside the inspector, or when a picture arrives.
export function pin(list) {
  const state = { isPinned: true, end: 0, top: 0 };
  pins.set(list, state);
  list.addEventListener("scroll", () => {
    state.isPinned = endOf(list) - list.scrollTop < NEAR_PX || (state.isPinned && list.scrollTop >= state.top);
    state.top = list.scrollTop;
    if (state.isPinned) list.classList.remove("has-news");
  });
  list.addEventListener("load", () => stay(list), true);
  new ResizeObserver(() => stay(list)).observe(list);
}

// What came is shown to whoever is at the end; who reads further up stays there, and the message box says that it came.
export function stay(list, hasNews = false) {
  const state = pins.get(list);
  if (hasNews && !state.isPinned) list.classList.add("has-news");
  // Nothing moves under a pressed pointer: when it is let go everything is drawn anew, and that comes here again.
  if (!state.isPinned || isHeld() || endOf(list) === state.end) return;
  state.end = list.scrollTop = endOf(list);
  state.top = list.scrollTop;
}

export function toEnd(list) {
  Object.assign(pins.get(list), { isPinned: true, end: -1 });
  list.classList.remove("has-news");
  stay(list);
}

function endOf(list) {
  return list.scrollHeight - list.clientHeight;
}

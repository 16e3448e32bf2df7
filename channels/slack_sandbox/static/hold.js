// What is pressed stays as it is until it is let go: an element replaced between "down" and "up" is never clicked.

// A hold ends by itself, should its end never be told.
const LONGEST_MS = 10_000;
const PRESSED_BY_SPACE = "button, summary, select, input[type=checkbox], input[type=radio]";

const held = new Set();
let limit = 0;

export const isHeld = () => held.size > 0;

// Calls *redraw* whenever something is let go; until then whoever draws asks `isHeld` first.
export function watchPresses(redraw) {
  const hold = (what) => {
    held.add(what);
    clearTimeout(limit);
    limit = setTimeout(() => { held.clear(); redraw(); }, LONGEST_MS);
  };
  const release = (what) => {
    if (held.delete(what)) redraw();
  };
  const on = (name, heard) => addEventListener(name, heard, true);
  on("pointerdown", () => hold("pointer"));
  on("pointerup", () => release("pointer"));
  on("pointercancel", () => release("pointer"));
  // A menu of the system's keeps the "up" for itself: the next move without a button tells.
  on("pointermove", (event) => { if (!event.buttons) release("pointer"); });
  on("keydown", (event) => { if (event.key === " " && event.target.matches?.(PRESSED_BY_SPACE)) hold("space"); });
  on("keyup", (event) => { if (event.key === " ") release("space"); });
  on("blur", (event) => { if (event.target === window) { release("pointer"); release("space"); } });
}

// Small things on top of the page: confirmation dialogs, menus and toasts.

import { h } from "./dom.js";
import { textOf } from "./mrkdwn.js";

export function confirmed(object) {
  return new Promise((resolve) => {
    const finish = (answer) => { dialog.close(); dialog.remove(); resolve(answer); };
    const style = object.style === "danger" ? "danger-solid" : "primary-solid";
    const dialog = h("dialog", { class: "dialog confirm", "aria-labelledby": "confirm-title", dataset: { testid: "confirm" }, oncancel: (event) => { event.preventDefault(); finish(false); } },
      h("h2", { id: "confirm-title" }, ...textOf(object.title)),
      h("div", { class: "text" }, ...textOf(object.text)),
      h("div", { class: "dialog-buttons" },
        h("button", { type: "button", class: "button default", onclick: () => finish(false) }, ...textOf(object.deny)),
        h("button", { type: "button", class: `button ${style}`, autofocus: true, onclick: () => finish(true) }, ...textOf(object.confirm))));
    document.body.append(dialog);
    dialog.showModal();
  });
}

// Resolves with the chosen item, or null when the menu is left.
export function menu(anchor, items) {
  return new Promise((resolve) => {
    let isOpen = true;
    const finish = (item) => {
      if (!isOpen) return;
      isOpen = false;
      list.remove();
      document.removeEventListener("pointerdown", outside, true);
      (anchor.isConnected ? anchor : document.querySelector(`[data-focus-key="${CSS.escape(anchor.dataset.focusKey)}"]`))?.focus({ preventScroll: true });
      resolve(item);
    };
    const outside = (event) => { if (!list.contains(event.target)) finish(null); };
    const list = h("div", { class: "menu", role: "menu", onkeydown: (event) => {
      const buttons = [...list.querySelectorAll("button:not(:disabled)")];
      const at = buttons.indexOf(document.activeElement);
      if (event.key === "Escape") { event.stopPropagation(); event.preventDefault(); finish(null); }
      if (event.key === "Tab") { event.preventDefault(); finish(null); }
      if (event.key === "ArrowDown") { event.preventDefault(); buttons[(at + 1) % buttons.length].focus(); }
      if (event.key === "ArrowUp") { event.preventDefault(); buttons[(at - 1 + buttons.length) % buttons.length].focus(); }
    } }, ...items.map((item) => h("button", { type: "button", role: "menuitem", class: item.isCurrent ? "current" : "", disabled: item.isDisabled, dataset: { testid: item.testid || `option-${item.value}` }, onclick: () => finish(item) }, item.content || item.label)));
    const host = anchor.closest("dialog") || document.body;
    host.append(list);
    const box = anchor.getBoundingClientRect();
    const below = box.bottom + list.offsetHeight + 8 < innerHeight;
    list.style.left = `${Math.max(8, Math.min(box.left, innerWidth - list.offsetWidth - 8))}px`;
    list.style.top = `${below ? box.bottom + 4 : Math.max(8, box.top - list.offsetHeight - 4)}px`;
    document.addEventListener("pointerdown", outside, true);
    (list.querySelector(".current") || list.querySelector("button:not(:disabled)"))?.focus();
  });
}

export function toast(text, kind = "warning") {
  const close = () => one.remove();
  const one = h("div", { class: `toast ${kind}`, dataset: { testid: "toast" } },
    h("span", { class: "toast-sign", "aria-hidden": "true" }, kind === "warning" ? "⚠️" : "ℹ️"), h("span", {}, text),
    h("button", { type: "button", class: "plain-button", "aria-label": "Dismiss", onclick: close }, "✕"));
  const stack = document.getElementById("toasts");
  stack.append(one);
  while (stack.children.length > 4) stack.firstChild.remove();
  raiseToasts();
  setTimeout(close, 8000);
}

// Shown anew as a popover, so that toasts lie above a modal opened since.
export function raiseToasts() {
  const stack = document.getElementById("toasts");
  if (!stack.children.length) return;
  stack.popover = "manual";
  if (stack.matches(":popover-open")) stack.hidePopover();
  stack.showPopover();
}

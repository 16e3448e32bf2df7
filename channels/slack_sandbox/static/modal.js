// Modals: the top of the person's stack, with what was typed kept while the app updates it.

import { h } from "./dom.js";
import { post } from "./api.js";
import { blocks, collect } from "./blocks.js";
import { merged } from "./formstate.js";
import { textOf } from "./mrkdwn.js";
import { viewPlace } from "./place.js";
import { raiseToasts, toast } from "./popups.js";
import { store, ui } from "./store.js";

let open = null;

export function drawModal(redraw) {
  const stack = store.views[ui.me] || [];
  const view = stack.at(-1);
  const isSame = Boolean(open && view && open.view.id === view.id);
  // What answers a submission is drawn when the answer is there, so that whoever reads it can press Submit again.
  if (isSame && open.isSubmitting) return;
  const print = view ? JSON.stringify([view.id, view.hash, view.errors, view.trouble, view.state, ui.me, stack.length, [[...ui.busy.keys()], [...ui.warned]].map((keys) => keys.filter((key) => String(key).includes(view.id)))]) : "";
  if (open && open.print === print) return;
  const kept = isSame ? { values: collect(open.dialog), focus: focusOf(open.dialog), scroll: open.dialog.querySelector(".modal-body")?.scrollTop, errors: JSON.stringify(open.view.errors) } : null;
  const active = document.activeElement;
  const menu = isSame ? open.dialog.querySelector(":scope > .menu") : null;
  const returnTo = open?.returnTo ?? (active?.dataset?.focusKey || null);
  open?.dialog.remove();
  open = null;
  if (!view) {
    if (returnTo) document.querySelector(`[data-focus-key="${CSS.escape(returnTo)}"]`)?.focus();
    return;
  }
  const shown = kept ? { ...view, state: { values: merged(view.blocks, view.state?.values, kept.values) } } : view;
  const dialog = draw(shown, stack, redraw);
  open = { view, print, dialog, isSubmitting: false, returnTo };
  document.getElementById("dialogs").append(dialog);
  dialog.showModal();
  raiseToasts();
  if (kept?.scroll) dialog.querySelector(".modal-body").scrollTop = kept.scroll;
  focusIn(dialog, kept, JSON.stringify(view.errors));
  if (!menu) return;
  dialog.append(menu);
  if (menu.contains(active)) active.focus();
}

// Where the person was; at first, and when something is wrong anew, at the field that wants them.
function focusIn(dialog, kept, errors) {
  const wrong = errors === kept?.errors ? null : dialog.querySelector(".has-error input, .has-error textarea, .has-error select");
  const same = kept?.focus ? dialog.querySelector(`[data-focus-key="${CSS.escape(kept.focus.key)}"]`) : null;
  (wrong || same || dialog.querySelector(".modal-body input, .modal-body textarea, .modal-body select, .submit"))?.focus({ preventScroll: !wrong && Boolean(same) });
  if (!wrong && same && kept.focus.from !== null) same.setSelectionRange(kept.focus.from, kept.focus.to);
}

function draw(view, stack, redraw) {
  const body = h("div", { class: "modal-body" });
  const place = viewPlace(view, () => body, redraw);
  const submit = async (event) => {
    event.preventDefault();
    const mine = open;
    if (mine?.view.id !== view.id || mine.isSubmitting) return;
    mine.isSubmitting = true;
    busy(dialog.querySelector(".submit"), true);
    const answer = await post("act/submit", { user: ui.me, view_id: view.id, values: collect(body) });
    mine.isSubmitting = false;
    busy(dialog.querySelector(".submit"), false);
    if (!answer.ok) toast(answer.message);
    redraw();
  };
  const close = (all) => post("act/close", { user: ui.me, view_id: view.id, all });
  body.append(...blocks(view.blocks, place));
  const dialog = h("dialog", { class: "dialog modal", "aria-labelledby": "modal-title", dataset: { testid: "modal", viewId: view.id }, oncancel: (event) => { event.preventDefault(); close(false); } },
    h("form", { novalidate: true, onsubmit: submit },
      h("header", { class: "modal-head" },
        stack.length > 1 ? h("button", { type: "button", class: "plain-button back", "aria-label": "Back", dataset: { focusKey: "modal-back" }, onclick: () => close(false) }, "←") : h("img", { src: "/static/app.svg", alt: "", width: 28, height: 28 }),
        h("h2", { id: "modal-title" }, ...textOf(view.title)),
        h("button", { type: "button", class: "plain-button", "aria-label": "Close", dataset: { focusKey: "modal-cross" }, onclick: () => close(true) }, "✕")),
      body,
      view.trouble ? h("div", { class: "modal-trouble", role: "alert", dataset: { testid: "modal-trouble" } }, `⚠️ ${view.trouble}`) : null,
      h("footer", { class: "modal-foot" },
        h("button", { type: "button", class: "button default", dataset: { focusKey: "modal-close" }, onclick: () => close(false) }, ...(view.close ? textOf(view.close) : [view.submit ? "Cancel" : "Close"])),
        view.submit ? h("button", { type: "submit", class: "button primary-solid submit", dataset: { testid: "modal-submit", focusKey: "modal-submit" } }, h("span", { class: "button-label" }, ...textOf(view.submit))) : null)));
  return dialog;
}

// A form is sent by Enter without a submit button, too: then nothing shows that it is on its way.
function busy(button, isBusy) {
  button?.classList.toggle("busy", isBusy);
  button?.setAttribute("aria-busy", String(isBusy));
  button?.setAttribute("aria-disabled", String(isBusy));
  if (isBusy) button?.append(h("span", { class: "spinner" }));
  else button?.querySelector(".spinner")?.remove();
}

function focusOf(dialog) {
  const element = document.activeElement;
  if (!dialog.contains(element) || !element.dataset.focusKey) return null;
  return { key: element.dataset.focusKey, from: element.selectionStart ?? null, to: element.selectionEnd ?? null };
}

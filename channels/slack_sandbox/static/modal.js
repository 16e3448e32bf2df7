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
  const print = view ? JSON.stringify([view.id, view.hash, view.errors, view.trouble, view.state, ui.me, stack.length, [[...ui.busy.keys()], [...ui.warned]].map((keys) => keys.filter((key) => String(key).includes(view.id))), open?.isSubmitting && open.view.id === view.id]) : "";
  if (open && open.print === print) return;
  const kept = open && view && open.view.id === view.id ? { values: collect(open.dialog), focus: focusOf(open.dialog), scroll: open.dialog.querySelector(".modal-body")?.scrollTop } : null;
  const isSubmitting = Boolean(kept && open.isSubmitting);
  const returnTo = open?.returnTo ?? (document.activeElement?.dataset?.focusKey || null);
  open?.dialog.remove();
  open = null;
  if (!view) {
    if (returnTo) document.querySelector(`[data-focus-key="${CSS.escape(returnTo)}"]`)?.focus();
    return;
  }
  if (kept) view.state = { values: merged(view.blocks, view.state?.values, kept.values) };
  const dialog = draw(view, stack, isSubmitting, redraw);
  open = { view, print, dialog, isSubmitting, returnTo };
  document.getElementById("dialogs").append(dialog);
  dialog.showModal();
  raiseToasts();
  if (kept?.scroll) dialog.querySelector(".modal-body").scrollTop = kept.scroll;
  const wanted = kept?.focus ? dialog.querySelector(`[data-focus-key="${CSS.escape(kept.focus.key)}"]`) : dialog.querySelector(".modal-body input, .modal-body textarea, .modal-body select");
  (dialog.querySelector(".has-error input, .has-error textarea, .has-error select") || wanted || dialog.querySelector(".submit"))?.focus();
  if (kept?.focus?.caret !== undefined && wanted?.setSelectionRange && wanted.type !== "number") wanted.setSelectionRange(kept.focus.caret, kept.focus.caret);
}

function draw(view, stack, isSubmitting, redraw) {
  const body = h("div", { class: "modal-body" });
  const place = viewPlace(view, () => body, redraw);
  const submit = async (event) => {
    event.preventDefault();
    if (!open || open.isSubmitting) return;
    open.isSubmitting = true;
    const values = collect(body);
    redraw();
    const answer = await post("act/submit", { user: ui.me, view_id: view.id, values });
    if (open) open.isSubmitting = false;
    if (!answer.ok) toast(answer.message);
    redraw();
  };
  const close = (all) => post("act/close", { user: ui.me, view_id: view.id, all });
  body.append(...blocks(view.blocks, place));
  return h("dialog", { class: "dialog modal", "aria-labelledby": "modal-title", dataset: { testid: "modal", viewId: view.id }, oncancel: (event) => { event.preventDefault(); close(false); } },
    h("form", { novalidate: true, onsubmit: submit },
      h("header", { class: "modal-head" },
        stack.length > 1 ? h("button", { type: "button", class: "plain-button back", "aria-label": "Back", onclick: () => close(false) }, "←") : h("img", { src: "/static/app.svg", alt: "", width: 28, height: 28 }),
        h("h2", { id: "modal-title" }, ...textOf(view.title)),
        h("button", { type: "button", class: "plain-button", "aria-label": "Close", onclick: () => close(true) }, "✕")),
      body,
      view.trouble ? h("div", { class: "modal-trouble", role: "alert", dataset: { testid: "modal-trouble" } }, `⚠️ ${view.trouble}`) : null,
      h("footer", { class: "modal-foot" },
        h("button", { type: "button", class: "button default", onclick: () => close(false) }, ...(view.close ? textOf(view.close) : [view.submit ? "Cancel" : "Close"])),
        view.submit ? h("button", { type: "submit", class: `button primary-solid submit${isSubmitting ? " busy" : ""}`, "aria-busy": isSubmitting, "aria-disabled": isSubmitting, dataset: { testid: "modal-submit" } }, h("span", { class: "button-label" }, ...textOf(view.submit)), isSubmitting ? h("span", { class: "spinner" }) : null) : null)));
}

function focusOf(dialog) {
  const element = document.activeElement;
  if (!dialog.contains(element) || !element.dataset.focusKey) return null;
  return { key: element.dataset.focusKey, caret: element.selectionStart ?? undefined };
}

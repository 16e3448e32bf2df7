// Blocks as elements. `place` says where they are shown: it acts on clicks and knows errors and state.

import { h } from "./dom.js";
import { element } from "./elements.js";
import { mrkdwn, textOf } from "./mrkdwn.js";
import { richText } from "./richtext.js";

const DRAW = { section, header, context, actions, divider, image, input, rich_text: richText, markdown };

export function blocks(list, place) {
  return list.map((block) => {
    const drawn = attempt(block, place);
    drawn.classList.add("block", `block-${block.type}`);
    drawn.dataset.blockId = block.block_id;
    return drawn;
  });
}

// One block that cannot be drawn must not take the page with it.
function attempt(block, place) {
  try {
    return (DRAW[block.type] || unknown)(block, place);
  } catch (error) {
    console.warn("block not drawn", block, error);
    return unknown(block);
  }
}

export function collect(root) {
  const values = {};
  for (const control of root.querySelectorAll("[data-control]")) {
    const { blockId, actionId } = control.dataset;
    (values[blockId] ??= {})[actionId] = control.currentValue();
  }
  return values;
}

function section(block, place) {
  const words = h("div", { class: "section-words" }, block.text ? h("div", { class: "text" }, ...textOf(block.text)) : null,
    block.fields ? h("div", { class: "fields" }, ...block.fields.map((field) => h("div", { class: "text field" }, ...textOf(field)))) : null);
  return h("div", {}, words, block.accessory ? h("div", { class: "accessory" }, element(block.accessory, block, place)) : null);
}

function header(block) {
  return h("h3", {}, ...textOf(block.text));
}

function context(block) {
  return h("div", {}, ...block.elements.map((one) => (one.type === "image" ? picture(one, 20) : h("span", { class: "text" }, ...textOf(one)))));
}

function actions(block, place) {
  return h("div", { role: "group", "aria-label": "Actions" }, ...block.elements.map((one) => element(one, block, place)));
}

function divider() {
  return h("hr");
}

function image(block) {
  return h("figure", {}, block.title ? h("figcaption", {}, ...textOf(block.title)) : null, picture(block));
}

function picture(one, size) {
  return h("img", { src: one.image_url, alt: one.alt_text, loading: "lazy", width: size, height: size, title: one.alt_text });
}

function input(block, place) {
  const id = `in-${place.id}-${block.block_id}`;
  const error = place.errors?.[block.block_id];
  const control = element(block.element, block, { ...place, labelledBy: `${id}-label`, describedBy: `${id}-error`, inputId: id });
  return h("div", { class: error ? "has-error" : "" },
    h("label", { class: "input-label", id: `${id}-label`, for: id }, ...textOf(block.label), block.optional ? h("span", { class: "optional" }, " (optional)") : null),
    control,
    h("div", { class: "input-error", id: `${id}-error`, role: "alert", dataset: { testid: `error-${block.block_id}` } }, error || ""),
    block.hint ? h("div", { class: "input-hint" }, ...textOf(block.hint)) : null);
}

function markdown(block) {
  const slackish = block.text.replace(/\*\*(.+?)\*\*/g, "*$1*").replace(/^#+ (.*)$/gm, "*$1*").replace(/\[([^\]]+)\]\((https?:[^)]+)\)/g, "<$2|$1>").replace(/^[-*] /gm, "• ");
  return h("div", { class: "text" }, ...mrkdwn(slackish));
}

function unknown(block) {
  return h("div", { class: "unknown" }, `(a ${block.type} block, which this page does not draw)`);
}

// rich_text blocks: sections, lists, quotes and preformatted text.

import { h } from "./dom.js";
import { emoji } from "./emoji.js";
import { inline, link } from "./mrkdwn.js";

export function richText(block) {
  return h("div", { class: "rich-text" }, ...listsGrouped(block.elements));
}

function listsGrouped(elements) {
  return elements.map((element) => {
    switch (element.type) {
      case "rich_text_list": {
        const list = h(element.style === "ordered" ? "ol" : "ul", {}, ...element.elements.map((item) => h("li", {}, ...spans(item.elements))));
        list.style.marginLeft = `${(element.indent || 0) * 24}px`;
        return list;
      }
      case "rich_text_quote": return h("blockquote", {}, ...spans(element.elements));
      case "rich_text_preformatted": return h("pre", { class: "code" }, ...element.elements.map((one) => one.text || one.url || ""));
      default: return h("div", { class: "rich-section" }, ...spans(element.elements));
    }
  });
}

function spans(elements = []) {
  return elements.map((element) => styled(span(element), element.style || {}));
}

function span(element) {
  switch (element.type) {
    case "text": return h("span", { class: "pre-line" }, element.text);
    case "link": return link(element.url, element.text);
    case "emoji": return emoji(element.name) || `:${element.name}:`;
    case "user": return inline(`<@${element.user_id}>`)[0];
    case "channel": return inline(`<#${element.channel_id}>`)[0];
    case "usergroup": return inline(`<!subteam^${element.usergroup_id}>`)[0];
    case "broadcast": return inline(`<!${element.range}>`)[0];
    case "date": return inline(`<!date^${element.timestamp}^${element.format}|${element.fallback || ""}>`)[0];
    default: return "";
  }
}

function styled(node, style) {
  let wrapped = node;
  if (style.code) wrapped = h("code", {}, wrapped);
  if (style.strike) wrapped = h("s", {}, wrapped);
  if (style.italic) wrapped = h("em", {}, wrapped);
  if (style.bold) wrapped = h("strong", {}, wrapped);
  return wrapped;
}

// Interactive elements: buttons, menus, pickers and inputs. A control tells its value by `currentValue()`.

import { h } from "./dom.js";
import { confirmed, menu } from "./popups.js";
import { labelOf, textOf } from "./mrkdwn.js";
import { store } from "./store.js";

const DRAW = {
  button, workflow_button: button, overflow, image: picture, checkboxes: choices, radio_buttons: choices,
  static_select: select, users_select: select, channels_select: select, conversations_select: select, external_select: select,
  multi_static_select: several, multi_users_select: several, multi_channels_select: several, multi_conversations_select: several,
  datepicker: picker, timepicker: picker, datetimepicker: picker,
  plain_text_input: textInput, number_input: textInput, email_text_input: textInput, url_text_input: textInput,
};

export function element(one, block, place) {
  const draw = DRAW[one.type];
  return draw ? draw(one, block, place) : h("span", { class: "unknown" }, `(${one.type})`);
}

function button(one, block, place) {
  const key = place.key(block, one);
  const isBusy = place.isBusy(key);
  const warning = place.warning(key);
  const press = async () => {
    if (place.isBusy(key) || (one.confirm && !(await confirmed(one.confirm)))) return;
    if (/^https?:\/\//i.test(one.url || "")) window.open(one.url, "_blank", "noopener,noreferrer");
    place.act(block, one, undefined);
  };
  return h("span", { class: "button-and-sign" },
    h("button", {
      type: "button", class: `button ${one.style || "default"}${isBusy ? " busy" : ""}`, "aria-busy": isBusy, "aria-disabled": isBusy,
      "aria-label": one.accessibility_label ? labelOf({ text: one.accessibility_label }) : null,
      dataset: { testid: `action-${one.action_id}`, actionId: one.action_id, focusKey: key }, onclick: press,
    }, h("span", { class: "button-label" }, ...textOf(one.text)), isBusy ? h("span", { class: "spinner", "aria-hidden": "true" }) : null),
    warning ? h("span", { class: "warning-sign", role: "img", tabindex: "0", title: warning, "aria-label": warning, dataset: { testid: `warning-${one.action_id}` } }, "⚠️") : null);
}

function overflow(one, block, place) {
  const open = async (event) => {
    const chosen = await menu(event.currentTarget, one.options.map((option) => ({ value: option.value, label: labelOf(option.text), url: option.url })));
    if (chosen === null || (one.confirm && !(await confirmed(one.confirm)))) return;
    if (/^https?:\/\//i.test(chosen.url || "")) window.open(chosen.url, "_blank", "noopener,noreferrer");
    place.act(block, one, chosen.value);
  };
  const key = place.key(block, one);
  const warning = place.warning(key);
  return h("span", { class: "button-and-sign" },
    h("button", { type: "button", class: `button default overflow${place.isBusy(key) ? " busy" : ""}`, "aria-haspopup": "menu", "aria-label": "More options", dataset: { testid: `action-${one.action_id}`, focusKey: key }, onclick: open }, "⋯"),
    warning ? h("span", { class: "warning-sign", role: "img", title: warning, "aria-label": warning }, "⚠️") : null);
}

function picture(one) {
  return h("img", { src: one.image_url, alt: one.alt_text, class: "accessory-image", loading: "lazy" });
}

function select(one, block, place) {
  const state = stateOf(one, block, place);
  const current = state.selected_option?.value ?? state.selected_user ?? state.selected_channel ?? state.selected_conversation ?? "";
  const groups = one.option_groups ? one.option_groups.map((group) => h("optgroup", { label: labelOf(group.label) }, ...group.options.map(optionTag))) : offered(one).map(optionTag);
  const control = h("select", { ...naming(one, block, place), class: "select", onchange: () => changed(one, block, place, control.value || null) },
    h("option", { value: "" }, one.placeholder ? labelOf(one.placeholder) : "Choose an option"), ...groups);
  control.value = current;
  return asControl(control, one, block, () => control.value || null);
}

function optionTag(option) {
  return h("option", { value: option.value }, labelOf(option.text));
}

function several(one, block, place) {
  const state = stateOf(one, block, place);
  const chosen = state.selected_options?.map((option) => option.value) ?? state.selected_users ?? state.selected_channels ?? state.selected_conversations ?? [];
  const list = one.option_groups ? one.option_groups.flatMap((group) => group.options) : offered(one);
  return boxes(one, block, place, list, chosen, "checkbox");
}

function choices(one, block, place) {
  const state = stateOf(one, block, place);
  const chosen = state.selected_options?.map((option) => option.value) ?? (state.selected_option ? [state.selected_option.value] : []);
  return boxes(one, block, place, one.options, chosen, one.type === "checkboxes" ? "checkbox" : "radio");
}

function boxes(one, block, place, list, chosen, type) {
  const name = `${place.id}-${block.block_id}-${one.action_id}`;
  const read = () => {
    const ticked = [...group.querySelectorAll("input:checked")].map((box) => box.value);
    return type === "radio" ? ticked[0] ?? null : ticked;
  };
  const group = h("div", { class: list.length > 6 && type === "checkbox" ? "choices scrolling" : "choices", role: type === "radio" ? "radiogroup" : "group", "aria-labelledby": place.labelledBy, onchange: () => changed(one, block, place, read()) },
    ...list.map((option) => h("label", { class: "choice" },
      h("input", { type, name, value: option.value, checked: chosen.includes(option.value) }),
      h("span", {}, h("span", { class: "text" }, ...textOf(option.text)), option.description ? h("span", { class: "choice-description" }, ...textOf(option.description)) : null))));
  return asControl(group, one, block, read);
}

function picker(one, block, place) {
  const state = stateOf(one, block, place);
  const isStamp = one.type === "datetimepicker";
  const type = { datepicker: "date", timepicker: "time", datetimepicker: "datetime-local" }[one.type];
  const given = state.selected_date ?? state.selected_time ?? state.selected_date_time;
  const read = () => (!control.value ? null : isStamp ? Math.floor(new Date(control.value).getTime() / 1000) : control.value);
  const control = h("input", { ...naming(one, block, place), type, class: "text-input picker", onchange: () => changed(one, block, place, read()) });
  if (given) control.value = isStamp ? new Date(given * 1000 - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 16) : given;
  return asControl(control, one, block, read);
}

function textInput(one, block, place) {
  const type = { number_input: "number", email_text_input: "email", url_text_input: "url" }[one.type] || "text";
  const properties = {
    ...naming(one, block, place), class: "text-input", placeholder: one.placeholder ? labelOf(one.placeholder) : null, maxlength: one.type === "plain_text_input" ? one.max_length || 3000 : null,
    min: one.min_value, max: one.max_value, step: one.is_decimal_allowed ? "any" : null, autocomplete: "off",
    onkeydown: (event) => { if (event.key === "Enter" && block.dispatch_action && !one.multiline) { event.preventDefault(); place.act(block, one, control.value); } },
  };
  const control = one.multiline ? h("textarea", { ...properties, rows: 4 }) : h("input", { ...properties, type });
  control.value = stateOf(one, block, place).value ?? "";
  if (one.focus_on_load) control.autofocus = true;
  return asControl(control, one, block, () => control.value || null);
}

function changed(one, block, place, value) {
  if (block.type !== "input" || block.dispatch_action) place.act(block, one, value);
}

function asControl(control, one, block, currentValue) {
  Object.assign(control.dataset, { control: one.type, blockId: block.block_id, actionId: one.action_id, testid: control.dataset.testid || `input-${one.action_id}` });
  control.currentValue = currentValue;
  return control;
}

function naming(one, block, place) {
  return {
    id: place.inputId, "aria-describedby": place.describedBy, "aria-label": place.labelledBy ? null : one.placeholder ? labelOf(one.placeholder) : one.action_id,
    dataset: { focusKey: place.key(block, one) },
  };
}

function stateOf(one, block, place) {
  return place.state?.values?.[block.block_id]?.[one.action_id] || {};
}

function offered(one) {
  const named = (value, text) => ({ value, text: { type: "plain_text", text } });
  if (one.options) return one.options;
  if (/users_select$/.test(one.type)) return [...store.users.values()].filter((user) => !user.deleted).map((user) => named(user.id, user.real_name));
  return [...store.channels.values()].filter((channel) => !channel.is_im).map((channel) => named(channel.id, `#${channel.name}`));
}

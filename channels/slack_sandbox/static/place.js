// Where blocks are shown: a message or a view. It acts for the person, and remembers what is loading or went wrong.

import { post } from "./api.js";
import { collect } from "./blocks.js";
import { merged } from "./formstate.js";
import { toast } from "./popups.js";
import { ui } from "./store.js";

export function messagePlace(message, root, redraw) {
  return place(`${message.channel}-${message.ts}`, message, { channel: message.channel, ts: message.ts }, root, redraw);
}

export function viewPlace(view, root, redraw) {
  return place(view.id, view, { view_id: view.id }, root, redraw);
}

function place(id, shown, target, root, redraw) {
  const mine = (key) => `${ui.me}|${key}`;
  const isModal = shown.type === "modal"; // which keeps what was typed itself
  const values = { ...shown.state?.values, ...(isModal ? {} : ui.forms.get(mine(id))) };
  return {
    id: id.replace(/[^\w-]/g, "_"), state: { values }, errors: shown.errors,
    key: (block, one) => `${id}|${block.block_id}|${one.action_id}`,
    isBusy: (key) => ui.busy.has(mine(key)),
    warning: (key) => ui.warned.get(mine(key)),
    async act(block, one, value) {
      const key = mine(this.key(block, one));
      ui.busy.set(key, true);
      ui.warned.delete(key);
      const typed = collect(root());
      if (!isModal) ui.forms.set(mine(id), merged(shown.blocks, values, typed));
      redraw();
      const answer = await post("act/click", { user: ui.me, ...target, block_id: block.block_id, action_id: one.action_id, value, values: typed });
      ui.busy.delete(key);
      if (!answer.ok) toast(answer.message);
      else if (answer.warning) ui.warned.set(key, answer.warning);
      redraw();
    },
  };
}

// The state of a form: what the server remembers, with what a person has in front of them put in.

export function merged(blocks, known = {}, values) {
  const state = structuredClone(known);
  for (const block of blocks) {
    for (const one of [block.element, block.accessory, ...(block.type === "actions" ? block.elements : [])]) {
      const value = values[block.block_id]?.[one?.action_id];
      if (one && value !== undefined) (state[block.block_id] ??= {})[one.action_id] = chosen(one, state[block.block_id]?.[one.action_id], value);
    }
  }
  return state;
}

function chosen(one, known = {}, value) {
  const options = one.options || one.option_groups?.flatMap((group) => group.options) || [];
  const pick = (wanted) => options.find((option) => option.value === wanted);
  const now = { ...known };
  for (const name of Object.keys(now)) {
    if (name === "value") now[name] = value;
    else if (name === "selected_option") now[name] = pick(value) || null;
    else if (name === "selected_options") now[name] = (value || []).map(pick).filter(Boolean);
    else if (name.startsWith("selected_")) now[name] = value;
  }
  return now;
}

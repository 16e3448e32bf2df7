// Building elements. Text always becomes a text node, so no message can inject markup.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "value" || name === "checked") element[name] = value;
    // A state is the word "true": without it a button is not disabled for whoever asks, such as a screen reader.
    else element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function avatar(user, size = 36) {
  if (user?.is_bot) return h("img", { class: "avatar", src: "/static/app.svg", alt: "", width: size, height: size });
  const words = (user?.real_name || user?.name || "?").split(/\s+/);
  const initials = (words[0][0] + (words.length > 1 ? words.at(-1)[0] : "")).toUpperCase();
  const box = h("span", { class: "avatar", "aria-hidden": "true" }, initials);
  box.style.background = `#${user?.color || "616061"}`;
  box.style.width = box.style.height = `${size}px`;
  box.style.fontSize = `${Math.round(size * 0.4)}px`;
  return box;
}

export function clockTime(ts) {
  return new Date(Number(ts) * 1000).toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
}

export function dayName(ts) {
  const day = new Date(Number(ts) * 1000);
  const today = new Date();
  const yesterday = new Date(today.getTime() - 86_400_000);
  if (day.toDateString() === today.toDateString()) return "Today";
  if (day.toDateString() === yesterday.toDateString()) return "Yesterday";
  return day.toLocaleDateString([], { weekday: "long", month: "long", day: "numeric" });
}

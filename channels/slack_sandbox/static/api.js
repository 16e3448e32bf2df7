// The control API, from the page.

async function ask(method, path, body) {
  const options = { method, headers: { "Content-Type": "application/json" } };
  if (body !== undefined) options.body = JSON.stringify(body);
  let answer;
  try {
    answer = await fetch(`/sandbox/${path}`, options);
  } catch {
    return { ok: false, error: "offline", message: "The sandbox does not answer. Is it still running?" };
  }
  try {
    return await answer.json();
  } catch {
    return { ok: false, error: "broken", message: `The sandbox answered ${answer.status} without JSON; its log says why.` };
  }
}

export const get = (path) => ask("GET", path);
export const post = (path, body = {}) => ask("POST", path, body);

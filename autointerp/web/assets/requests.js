// JSON requests to the server that this page came from; an error says the server's own sentence.

/** What the server answers to a question. */
export const read = (path) => ask(path, { method: "GET" });

/** What the server answers to a request that changes or computes something. */
export const send = (path, body = {}, method = "POST") =>
  ask(path, { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

async function ask(path, options) {
  let answer, text;
  try {
    answer = await fetch(path, { ...options, cache: "no-store", redirect: "error" });
    text = await answer.text();
  } catch {
    throw new Error("The server does not answer: see whether `autointerp serve` still runs there.");
  }
  const value = parsed(text);
  if (answer.ok) return value;
  const error = new Error(sentence(value?.detail ?? `The server answered with the status ${answer.status}`));
  throw Object.assign(error, { status: answer.status, code: value?.code });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // An empty answer, or one of a proxy.
  }
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

// Requests that a worker answers; whether one is there, and how it is started.

import { send } from "./requests.js";

/** A sentence where no worker of the queue is connected; nothing where one is, or nobody knows. */
export async function missingWorker(queue) {
  let parts;
  try {
    // Where something is missing the status is 503, and the answer says what.
    parts = (await (await fetch("/readyz", { cache: "no-store" })).json()).parts;
  } catch {
    return "";
  }
  if (!parts || parts[`workers:${queue}`]?.ok !== false) return "";
  return `No worker is connected that could answer. On this machine, autointerp serve --embedded starts one; beside a server of its own, python -m autointerp.workers ${queue} does.`;
}

/** The answer of a worker, which is waited for again while one that is there loads the model. */
export async function sendToWorker(path, body, queue) {
  for (let left = 3; ; left -= 1) {
    try {
      return await send(path, body);
    } catch (error) {
      const missing = error.code === "no_answer" ? await missingWorker(queue) : "";
      if (missing) throw new Error(missing);
      if (error.code !== "no_answer" || !left) throw error;
    }
  }
}

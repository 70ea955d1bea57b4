// Requests that a worker answers; whether one is there, and how it is started.

import { read, send } from "./requests.js";

const FIRST_LOOK_MS = 2000, LOOK_MS = 5000;
const DOES = { plan: "plans", collect: "reads the text", merge: "puts together what was read", windows: "records windows", records: "records texts", label: "labels" };

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

/** A sentence where every worker of the queue has other work; nothing where one is idle. */
async function busyWorkers(queue) {
  // Workers of the other queue answer beside their work, and to ask them again may cost money.
  if (queue !== "activations") return "";
  let workers;
  try {
    workers = (await read("/v1/workers")).workers.filter((one) => one.queue === queue);
  } catch {
    return "";
  }
  if (!workers.length || workers.some((one) => !one.doing.length)) return "";
  const said = workers.flatMap((one) => one.doing).map(({ stage, jobs }) => `${DOES[stage] ?? stage} for ${jobs.length ? `job ${jobs.join(" and ")}` : "a job that has ended"}`);
  const who = workers.length === 1 ? "The worker is busy: it" : `All ${workers.length} workers are busy: one`;
  return `${who} ${[...new Set(said)].join(", another ")}. This waits and goes on by itself; answers come between two steps of that work, or when it is done.`;
}

/**
 * The answer of a worker, which is waited for while all have other work, and some times while one
 * that is there loads the model. What is waited for is said where there is something to say.
 */
export async function sendToWorker(path, body, queue, say = () => {}) {
  let isDone = false, timer;
  const look = async () => {
    const busy = await busyWorkers(queue);
    if (isDone) return;
    if (busy) say(busy);
    timer = setTimeout(look, LOOK_MS);
  };
  timer = setTimeout(look, FIRST_LOOK_MS);
  try {
    return await answered(path, body, queue);
  } finally {
    isDone = true;
    clearTimeout(timer);
  }
}

async function answered(path, body, queue) {
  for (let left = 3; ; ) {
    try {
      return await send(path, body);
    } catch (error) {
      if (error.code !== "no_answer") throw error;
      const missing = await missingWorker(queue);
      if (missing) throw new Error(missing);
      if (!(await busyWorkers(queue)) && !left--) throw error;
    }
  }
}

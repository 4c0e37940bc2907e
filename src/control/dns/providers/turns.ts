// One after another: changes of a zone whose API replaces all values of a name at once, so that two tasks of this process do not
// each write what they read before the other wrote. Called by route53.ts and godaddy.ts.
//
// Invariant: a task begins when all before it with the same key have ended, however they ended; a key without tasks is forgotten.

const last = new Map<string, Promise<void>>();

export async function inTurn<T>(key: string, task: () => Promise<T>): Promise<T> {
  const before = last.get(key) ?? Promise.resolve();
  const result = before.then(task);
  const ended = result.then(
    () => undefined,
    () => undefined,
  );
  last.set(key, ended);
  try {
    return await result;
  } finally {
    if (last.get(key) === ended) last.delete(key);
  }
}

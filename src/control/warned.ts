// Warnings of workers that were told already: every worker finds the same, and so does the one that replaces it. What is wrong
// with a listener is told again when its plan has changed. Called by the proxy.

export class Warned {
  /** By listener. */
  readonly #byKey = new Map<string, Set<string>>();

  /** @returns whether it is the first time. */
  add(key: string, message: string): boolean {
    const told = this.#byKey.get(key);
    if (told?.has(message) === true) return false;
    if (told === undefined) this.#byKey.set(key, new Set([message]));
    else told.add(message);
    return true;
  }

  forget(key: string): void {
    this.#byKey.delete(key);
  }
}

// What is asked of the proxy that serves this page, with the token if it wants one. The token is kept as long as the tab
// is, and nowhere else. Called by link.ts and whatever can be done on the page.

const KEY = "proxy.admin.token";

/** For who may keep nothing, for as long as the page is shown. */
let shown: string | null = null;

export function token(): string | null {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return shown;
  }
}

export function keepToken(value: string | null): void {
  shown = value;
  try {
    if (value === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, value);
  } catch {
    // `shown` has it: a browser may be told to keep nothing
  }
}

export function authorization(): Record<string, string> {
  const value = token();
  return value === null ? {} : { authorization: `Bearer ${value}` };
}

export type Outcome<T> =
  { readonly done: true; readonly value: T } | { readonly done: false; readonly reason: string };

/** Never rejects. @param T what api.ts answers; it is this page's own server. */
export async function ask<T>(method: string, path: string, body?: unknown): Promise<Outcome<T>> {
  try {
    const answer = await fetch(path, {
      method,
      headers: {
        ...authorization(),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) return { done: false, reason: await reasonOf(answer) };
    return { done: true, value: (await answer.json()) as T };
  } catch {
    return { done: false, reason: "the proxy does not answer" };
  }
}

/** In the words of the proxy, where there are any. */
export async function reasonOf(answer: Response): Promise<string> {
  try {
    const { error } = (await answer.json()) as { error?: unknown };
    if (typeof error === "string") return error;
  } catch {
    // it did not come from the proxy, or not whole: the status has to do
  }
  return `the answer was ${answer.status}`;
}

// The storage's JSON files, field by field: what somebody changed by hand, or a newer version wrote, is an error that names the
// file and the field, and never a value of the wrong type. Times are ISO 8601 in files and milliseconds here. Without I/O.

import { messageOf, ProxyError } from "../../../shared/errors.ts";

export class Fields {
  readonly #path: string;
  readonly #fields: Readonly<Record<string, unknown>>;

  private constructor(path: string, fields: Readonly<Record<string, unknown>>) {
    this.#path = path;
    this.#fields = fields;
  }

  /** @param path for messages. @throws ProxyError ERR_STORAGE */
  static parse(path: string, text: string): Fields {
    try {
      return Fields.#of(path, JSON.parse(text));
    } catch (error) {
      if (error instanceof ProxyError) throw error;
      throw damaged(path, messageOf(error));
    }
  }

  static #of(path: string, value: unknown): Fields {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw damaged(path, "it holds no object");
    }
    return new Fields(path, value as Readonly<Record<string, unknown>>);
  }

  string(name: string): string {
    const value = this.#fields[name];
    if (typeof value !== "string") throw this.#wrong(name, "a string");
    return value;
  }

  optionalString(name: string): string | null {
    return this.#isMissing(name) ? null : this.string(name);
  }

  count(name: string): number {
    const value = this.#fields[name];
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw this.#wrong(name, "a number");
    return value as number;
  }

  flag(name: string): boolean {
    const value = this.#fields[name];
    if (typeof value !== "boolean") throw this.#wrong(name, "true or false");
    return value;
  }

  time(name: string): number {
    const time = Date.parse(this.string(name));
    if (Number.isNaN(time)) throw this.#wrong(name, "a time");
    return time;
  }

  times(name: string): number[] {
    const times = this.strings(name).map((text) => Date.parse(text));
    if (times.some(Number.isNaN)) throw this.#wrong(name, "a list of times");
    return times;
  }

  optionalTime(name: string): number | null {
    return this.#isMissing(name) ? null : this.time(name);
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T {
    const value = this.string(name);
    if (!(values as readonly string[]).includes(value)) {
      throw this.#wrong(name, `one of ${values.join(", ")}`);
    }
    return value as T;
  }

  strings(name: string): string[] {
    const value = this.#fields[name];
    if (!Array.isArray(value) || value.some((each) => typeof each !== "string")) {
      throw this.#wrong(name, "a list of strings");
    }
    return value as string[];
  }

  optionalFields(name: string): Fields | null {
    return this.#isMissing(name) ? null : Fields.#of(`${this.#path}: ${name}`, this.#fields[name]);
  }

  list(name: string): Fields[] {
    const value = this.#fields[name];
    if (!Array.isArray(value)) throw this.#wrong(name, "a list");
    return value.map((each, i) => Fields.#of(`${this.#path}: ${name}[${i}]`, each));
  }

  #isMissing(name: string): boolean {
    return this.#fields[name] === null || this.#fields[name] === undefined;
  }

  #wrong(name: string, what: string): ProxyError {
    return damaged(this.#path, `${name} is not ${what}`);
  }
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

export function optionalTimeText(ms: number | null): string | null {
  return ms === null ? null : timeText(ms);
}

/** As people read it. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function damaged(path: string, reason: string): ProxyError {
  const cure = "Mend the file, or remove it: it is made again";
  return new ProxyError("ERR_STORAGE", `${path}: the file is damaged: ${reason}`, { cure });
}

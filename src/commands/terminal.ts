// Output of commands: results to the standard output, colours only where a terminal takes them. Called by the commands.

type Paint = (text: string) => string;

export interface Style {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly green: Paint;
  readonly cyan: Paint;
}

interface MaybeTerminal {
  readonly isTTY?: boolean;
}

/** Whether colours are welcome: https://no-color.org, and terminals that say they have none. */
export function wantsColours(stream: MaybeTerminal): boolean {
  const { NO_COLOR, TERM } = process.env;
  return stream.isTTY === true && !NO_COLOR && TERM !== "dumb";
}

export function styleFor(stream: MaybeTerminal): Style {
  const paint = (on: number, off: number): Paint =>
    wantsColours(stream) ? (text) => `\u001B[${on}m${text}\u001B[${off}m` : (text) => text;
  return { bold: paint(1, 22), dim: paint(2, 22), green: paint(32, 39), cyan: paint(36, 39) };
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

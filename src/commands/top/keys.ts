// What terminals send for keys (ECMA-48 control sequences, and the letters themselves). Pure. Called by the session.

export type Key =
  | "up"
  | "down"
  | "page up"
  | "page down"
  | "home"
  | "end"
  | "tab"
  | "back tab"
  | "escape"
  | "interrupt"
  | "suspend"
  | "redraw"
  | `letter ${string}`;

const SEQUENCES: Readonly<Record<string, Key>> = {
  "\u001B[A": "up",
  "\u001BOA": "up",
  "\u001B[B": "down",
  "\u001BOB": "down",
  "\u001B[5~": "page up",
  "\u001B[6~": "page down",
  "\u001B[H": "home",
  "\u001BOH": "home",
  "\u001B[1~": "home",
  "\u001B[F": "end",
  "\u001BOF": "end",
  "\u001B[4~": "end",
  "\u001B[Z": "back tab",
  "\u001B": "escape",
  "\t": "tab",
  "\u0003": "interrupt",
  "\u001A": "suspend",
  "\u000C": "redraw",
};

/** A control sequence, whatever it means; one of SS3; or a character. */
const ONE = /\u001B\[[0-?]*[ -/]*[@-~]|\u001BO.|./gsu;

/** Sequences that mean nothing here are left out whole, so that no letter within one counts. */
export function keysOf(typed: string): Key[] {
  return (typed.match(ONE) ?? []).flatMap((part): Key[] => {
    const known = SEQUENCES[part];
    if (known !== undefined) return [known];
    return /^[ -~]$/.test(part) ? [`letter ${part}`] : [];
  });
}

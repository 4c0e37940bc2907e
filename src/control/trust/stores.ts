// Which commands make a machine trust the root of the internal authority, and forget it again: those of the system's store of
// authorities, and those of browsers that have a store of their own. Pure: what a machine has comes in as an argument, and
// nothing is run. Called by commands/trust.ts.

/** The root, as stores name it. */
export interface TrustedRoot {
  /** PEM. */
  readonly file: string;
  /** Its common name, which no other root has, and which it keeps when it is signed again. */
  readonly name: string;
  /** SHA-1, in hexadecimal digits: what stores find a certificate by. */
  readonly thumbprint: string;
}

export interface Command {
  readonly words: readonly string[];
  /** Read from this file; null: from nowhere. */
  readonly stdin: string | null;
}

export interface Store {
  /** For people: `this system`, or a folder. */
  readonly name: string;
  /** Ends with 0 where the root is in the store; null: to remove it is no error where it is not. */
  lookup(root: TrustedRoot): Command | null;
  install(root: TrustedRoot): Command[];
  uninstall(root: TrustedRoot): Command[];
}

/** What is asked of a machine. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  hasProgram(name: string): boolean;
  hasFolder(path: string): boolean;
}

/** Where Linux distributions keep authorities that an administrator adds; the first that is there counts. */
const LINUX_FOLDERS = [
  // Fedora, Red Hat and their kin
  {
    folder: "/etc/pki/ca-trust/source/anchors",
    program: "update-ca-trust",
    added: ["update-ca-trust", "extract"],
    removed: ["update-ca-trust", "extract"],
  },
  // SUSE
  {
    folder: "/etc/pki/trust/anchors",
    program: "update-ca-certificates",
    added: ["update-ca-certificates"],
    removed: ["update-ca-certificates"],
  },
  // Debian, Ubuntu, Alpine; without --fresh, what has gone stays in the bundle of some versions
  {
    folder: "/usr/local/share/ca-certificates",
    program: "update-ca-certificates",
    added: ["update-ca-certificates"],
    removed: ["update-ca-certificates", "--fresh"],
  },
] as const;

/** @returns null: it is not known how this system keeps authorities. */
export function systemStore(machine: Machine): Store | null {
  switch (machine.platform) {
    case "darwin":
      return KEYCHAIN;
    case "win32":
      return WINDOWS;
    case "linux": {
      const known = LINUX_FOLDERS.find(
        ({ program, folder }) => machine.hasProgram(program) && machine.hasFolder(folder),
      );
      if (known !== undefined) return folderStore(known.folder, known.added, known.removed);
      return machine.hasProgram("trust") ? P11_KIT : null;
    }
    default:
      return null;
  }
}

/** A folder of files, and the program that makes of them what programs read. */
export function folderStore(
  folder: string,
  added: readonly string[],
  removed: readonly string[],
): Store {
  const fileOf = ({ name }: TrustedRoot): string =>
    `${folder}/${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}.crt`;
  return {
    name: "this system",
    lookup: (root) => command("test", "-f", fileOf(root)),
    install: (root) => [
      command("install", "-m", "0644", root.file, fileOf(root)),
      command(...added),
    ],
    uninstall: (root) => [command("rm", "-f", fileOf(root)), command(...removed)],
  };
}

/** Arch Linux. */
const P11_KIT: Store = {
  name: "this system",
  lookup: () => null,
  install: ({ file }) => [command("trust", "anchor", "--store", file)],
  uninstall: ({ file }) => [command("trust", "anchor", "--remove", file)],
};

const SYSTEM_KEYCHAIN = "/Library/Keychains/System.keychain";

const KEYCHAIN: Store = {
  name: "this system",
  lookup: ({ name }) => command("security", "find-certificate", "-c", name, SYSTEM_KEYCHAIN),
  install: ({ file }) => [
    command("security", "add-trusted-cert", "-d", "-r", "trustRoot", "-k", SYSTEM_KEYCHAIN, file),
  ],
  uninstall: ({ file, thumbprint }) => [
    command("security", "remove-trusted-cert", "-d", file),
    command("security", "delete-certificate", "-Z", thumbprint, SYSTEM_KEYCHAIN),
  ],
};

const WINDOWS: Store = {
  name: "this system",
  lookup: ({ thumbprint }) => command("certutil", "-store", "Root", thumbprint),
  install: ({ file }) => [command("certutil", "-addstore", "-f", "Root", file)],
  uninstall: ({ thumbprint }) => [command("certutil", "-delstore", "Root", thumbprint)],
};

/**
 * A database of NSS, which Chromium and Firefox have on Linux.
 * @param folder of cert9.db.
 * @param owner under whose name its files are written; null: whoever runs this.
 */
export function nssStore(folder: string, owner: string | null): Store {
  const certutil = (...words: string[]): string[] => [
    ...(owner === null ? [] : ["sudo", "-u", owner, "--"]),
    "certutil",
    "-d",
    `sql:${folder}`,
    ...words,
  ];
  return {
    name: folder,
    // From its input: the owner of a browser's database may not be who can read the storage.
    install: ({ name, file }) => [
      { words: certutil("-A", "-a", "-t", "C,,", "-n", name), stdin: file },
    ],
    lookup: ({ name }) => command(...certutil("-L", "-n", name)),
    uninstall: ({ name }) => [command(...certutil("-D", "-n", name))],
  };
}

/** Where browsers keep databases on Linux, below the user's folder; `*` is any one name. */
export const NSS_FOLDERS: readonly string[] = [
  ".local/share/pki/nssdb", // Chromium
  ".pki/nssdb", // its older versions, and Chrome
  "snap/chromium/current/.pki/nssdb",
  ".mozilla/firefox/*",
  ".config/mozilla/firefox/*", // its newer versions
  "snap/firefox/common/.mozilla/firefox/*",
  ".var/app/org.mozilla.firefox/.mozilla/firefox/*",
];

function command(...words: string[]): Command {
  return { words, stdin: null };
}

/** As a shell takes it, for people to read and to repeat. */
export function formatCommand({ words, stdin }: Command): string {
  const quoted = words.map(quote).join(" ");
  return stdin === null ? quoted : `${quoted} < ${quote(stdin)}`;
}

function quote(word: string): string {
  return /^[\w@%+=:,./\\-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

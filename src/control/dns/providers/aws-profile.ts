// A profile of AWS's shared credentials file (~/.aws/credentials), in the form that its own tools write. Pure. Called by
// create.ts, where the environment has no key.

export interface AwsProfile {
  readonly keyId: string | undefined;
  readonly keySecret: string | undefined;
  readonly sessionToken: string | undefined;
  /** The names of all its settings: what is not supported is told by name. */
  readonly settings: readonly string[];
}

/** @returns null: there is no such profile. A setting that is there twice has its last value, as in AWS's tools. */
export function readAwsProfile(text: string, profile: string): AwsProfile | null {
  let isThere = false;
  let isInside = false;
  const settings = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, section] = /^\s*\[\s*(?:profile\s+)?([^\]]+?)\s*\]/.exec(line) ?? [];
    if (section !== undefined) {
      isInside = section === profile;
      isThere ||= isInside;
      continue;
    }
    const [, name, value] = /^([^\s#;=][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (isInside && name !== undefined && value !== undefined) {
      settings.set(name.toLowerCase(), value.replace(/\s[#;].*$/, ""));
    }
  }
  if (!isThere) return null;
  return {
    keyId: settings.get("aws_access_key_id"),
    keySecret: settings.get("aws_secret_access_key"),
    sessionToken: settings.get("aws_session_token"),
    settings: [...settings.keys()],
  };
}

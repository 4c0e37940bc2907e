// node:quic, loaded when somebody needs it, and without the warning of the runtime that it is experimental: users have asked
// for a proxy and not for that module. Other warnings stay. Called by the files beside this one.

type Quic = typeof import("node:quic");

let loading: Promise<Quic> | null = null;

export function loadQuic(): Promise<Quic> {
  return (loading ??= load());
}

async function load(): Promise<Quic> {
  const { emitWarning } = process;
  process.emitWarning = ((...args: unknown[]) => {
    const [warning, type] = args;
    if (type === "ExperimentalWarning" && /\bquic\b/i.test(String(warning))) return;
    Reflect.apply(emitWarning, process, args);
  }) as typeof emitWarning;
  try {
    return await import("node:quic");
  } finally {
    process.emitWarning = emitWarning;
  }
}

// Which file has the addon for this platform. scripts/build.ts puts the file that an executable carries in the place of
// this module. Called by binding.ts.

/** @returns null: there is none for this platform. @throws Error if its package is not installed. */
export function addonFile(): string | null {
  switch (`${process.platform}-${process.arch}`) {
    case "linux-x64":
      return require.resolve("@matrixai/quic-linux-x64/node.napi.node");
    case "darwin-x64":
      return require.resolve("@matrixai/quic-darwin-x64/node.napi.node");
    case "darwin-arm64":
      return require.resolve("@matrixai/quic-darwin-arm64/node.napi.node");
    case "win32-x64":
      return require.resolve("@matrixai/quic-win32-x64/node.napi.node");
    default:
      return null;
  }
}

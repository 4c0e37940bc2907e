// The command line as somebody other than root starts it, also where the tests are root's. A process of its own: started by tests
// as StartOptions.script.

const NOBODY = 65_534;

process.getuid = (): number => NOBODY;
await import("../../src/cli.ts");

/**
 * A durability boundary by its name, for tests of crashes: `HEADRACE_CRASH=c09` kills the process there, as `kill -9`
 * would. Without the variable it costs one comparison.
 */
export function crashPoint(name: string): void {
	if (process.env["HEADRACE_CRASH"] === name) process.kill(process.pid, "SIGKILL");
}

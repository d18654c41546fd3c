let passes = 0;

/**
 * A durability boundary by its name, for tests of crashes: `HEADRACE_CRASH=c09` kills the process there, as `kill -9`
 * would; `c09#2` when it comes there the second time. Without the variable it costs one comparison.
 */
export function crashPoint(name: string): void {
	const wanted = process.env["HEADRACE_CRASH"];
	if (wanted === undefined) return;
	const [point, pass = "1"] = wanted.split("#");
	if (name === point && ++passes === Number(pass)) process.kill(process.pid, "SIGKILL");
}

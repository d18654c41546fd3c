/** A value is printed without an exponent when its point is at most so many places from its first digit. */
const POINT_DISTANCE_MAX = 15;

/**
 * A double in the shortest digits that read back equal, laid out as the server prints it: `0.1`, `1e22`, `-1.5e-17`.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/dtoa_8cc.html my_gcvt
 */
export function doubleText(value: number): string {
	if (value === 0) return Object.is(value, -0) ? "-0" : "0";
	const [, sign = "", first = "", rest = "", exponentText = "0"] = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(
		value.toExponential(),
	)!;
	const digits = first + rest;
	const exponent = Number(exponentText);
	// The value is 0.digits times ten to the power of `point`.
	const point = exponent + 1;
	if (point > POINT_DISTANCE_MAX || point < 1 - POINT_DISTANCE_MAX)
		return `${sign}${first}${rest === "" ? "" : `.${rest}`}e${exponent}`;
	if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
	if (point >= digits.length) return sign + digits.padEnd(point, "0");
	return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

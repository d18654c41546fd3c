/** Longer values are cut: how long exactly they are would tell them apart. */
export const SAMPLE_CHARACTERS_MAX = 40;

/**
 * The shape of a value without the value: letters become `x`, capital ones `X`, digits `9`, blanks stay blanks, and
 * so does the punctuation of ASCII. Whatever else there is becomes `?`.
 */
export function maskedText(text: string): string {
	const characters = [...text];
	const shape = characters.slice(0, SAMPLE_CHARACTERS_MAX).map(shapeOf).join("");
	return characters.length > SAMPLE_CHARACTERS_MAX ? `${shape}…` : shape;
}

function shapeOf(character: string): string {
	if (/\p{Lu}/u.test(character)) return "X";
	if (/[\p{L}\p{M}]/u.test(character)) return "x";
	if (/\p{N}/u.test(character)) return "9";
	if (/\s/u.test(character)) return " ";
	return /[!-~]/.test(character) ? character : "?";
}

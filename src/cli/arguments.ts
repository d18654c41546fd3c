import { HeadraceError } from "../core/errors.ts";

/** Arguments and options of a verb, as the parser found them. */
export class Arguments {
	readonly #positional: readonly (string | undefined)[];
	readonly #options: Readonly<Record<string, unknown>>;

	constructor(positional: readonly unknown[], options: Readonly<Record<string, unknown>>) {
		this.#positional = positional.map((value) => (typeof value === "string" ? value : undefined));
		this.#options = options;
	}

	/** An argument that the parser demands. */
	required(index: number): string {
		const value = this.#positional[index];
		if (value === undefined) throw new HeadraceError("E_INTERNAL", `argument ${index} is missing`);
		return value;
	}

	optional(index: number): string | undefined {
		return this.#positional[index];
	}

	/** Value of `--some-name`; the name is written `someName`. */
	text(name: string): string | undefined {
		const value = this.#options[name];
		return typeof value === "string" ? value : undefined;
	}

	flag(name: string): boolean {
		return this.#options[name] === true;
	}

	/** Values of an option that may be repeated. */
	list(name: string): readonly string[] {
		const value = this.#options[name];
		return Array.isArray(value) ? (value as string[]) : [];
	}

	/** @throws E_USAGE when the value is not a whole number from 1 on */
	count(name: string, flag: string): number | undefined {
		const text = this.text(name);
		if (text === undefined) return undefined;
		if (!/^\d{1,9}$/.test(text) || Number(text) < 1)
			throw new HeadraceError("E_USAGE", `${flag} needs a whole number from 1 on, not ${JSON.stringify(text)}`);
		return Number(text);
	}
}

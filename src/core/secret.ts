import { inspect } from "node:util";

/** A value that must not be printed: every way of turning it into text gives `***`. */
export class Secret {
	readonly #value: string;
	constructor(value: string) {
		this.#value = value;
	}
	/** The value itself, for the driver that logs in with it. */
	reveal(): string {
		return this.#value;
	}
	toString(): string {
		return "***";
	}
	toJSON(): string {
		return "***";
	}
	[inspect.custom](): string {
		return "***";
	}
}

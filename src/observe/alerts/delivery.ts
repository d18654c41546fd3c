/** Why a message did not reach a channel, as far as the way there knows. */
export class DeliveryError extends Error {
	/** Trying again would give the same answer. */
	readonly permanent: boolean;
	/** How long the channel asks to be left alone. */
	readonly retryAfterMs: number | undefined;
	readonly hint: string | undefined;

	constructor(
		message: string,
		options: {
			readonly permanent?: boolean;
			readonly retryAfterMs?: number | undefined;
			readonly hint?: string;
			readonly cause?: unknown;
		} = {},
	) {
		super(message, options.cause === undefined ? undefined : { cause: options.cause });
		this.name = "DeliveryError";
		this.permanent = options.permanent ?? false;
		this.retryAfterMs = options.retryAfterMs;
		this.hint = options.hint;
	}
}

import type { AttemptError, ReceiptError, RunReceipt } from "../core/state-store.ts";

/** A receipt as it is stored: whatever text an error has goes through `redact`. */
export function redactedRun(run: RunReceipt, redact: (text: string) => string): RunReceipt {
	// Without `values`: row values are never stored.
	const error = ({ code, message, hint }: ReceiptError): ReceiptError => ({
		code,
		message: redact(message),
		hint: redact(hint),
	});
	const attempts = (errors: readonly AttemptError[]) => ({
		attempt_errors: errors.map((each) => ({ ...each, message: redact(each.message) })),
	});
	return {
		...run,
		...(run.error !== undefined && { error: error(run.error) }),
		...(run.attempt_errors !== undefined && attempts(run.attempt_errors)),
		...(run.origin?.params !== undefined && {
			origin: {
				...run.origin,
				params: Object.fromEntries(Object.entries(run.origin.params).map(([key, text]) => [key, redact(text)])),
			},
		}),
		tables: run.tables.map((table) => ({
			...table,
			error: table.error === null ? null : error(table.error),
			...(table.attempt_errors !== undefined && attempts(table.attempt_errors)),
		})),
	};
}

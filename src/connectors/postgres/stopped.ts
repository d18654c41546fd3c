import { HeadraceError } from "../../core/index.ts";

/** The error that an aborted read ends with: the signal's own when it is one of ours. */
export function stopped(signal: AbortSignal): HeadraceError {
	if (signal.reason instanceof HeadraceError) return signal.reason;
	return new HeadraceError("E_STOPPED", "the read was stopped", { cause: signal.reason });
}

import type { Service } from "../app/service/service.ts";
import { failureOf } from "./failure.ts";
import type { Identity } from "./identities.ts";
import type { Route } from "./route.ts";

interface Asked {
	readonly who: Identity | null;
	readonly address: string;
	readonly params: Readonly<Record<string, string>>;
}

interface AuditNote {
	readonly subject?: string;
	readonly detail?: string;
	readonly who?: Identity;
}

/** Writes down who did what, also when it was refused. */
export class Audit {
	readonly #service: Service;
	readonly #route: Route;
	readonly #request: Asked;
	#note: AuditNote = {};

	constructor(service: Service, route: Route, request: Asked) {
		this.#service = service;
		this.#route = route;
		this.#request = request;
	}

	note(note: AuditNote): void {
		this.#note = { ...this.#note, ...note };
	}

	async failed(thrown: unknown): Promise<void> {
		const { status, body } = failureOf(thrown, this.#service.directory);
		const [problem] = body.errors;
		this.note({ detail: `${this.#note.detail ?? ""} ${problem?.code}: ${problem?.message}`.trim() });
		await this.end([401, 403, 429].includes(status) ? "refused" : "failed");
	}

	async end(outcome: "done" | "refused" | "failed"): Promise<void> {
		const { action } = this.#route;
		if (action === undefined) return;
		const { address, params } = this.#request;
		const who = this.#note.who ?? this.#request.who;
		// Nobody's refused requests would only fill it; those of logins are kept.
		if (who === null && outcome === "refused" && this.#route.role !== null) return;
		await this.#service.state.server.addAudit({
			at: new Date(this.#service.clock.nowMs()).toISOString(),
			who: who?.name ?? "nobody",
			role: who?.role ?? null,
			via: who?.via ?? "none",
			address: address === "" ? null : address,
			action,
			subject: (this.#note.subject ?? Object.values(params)[0] ?? "").slice(0, 300),
			outcome,
			detail: (this.#note.detail ?? "").slice(0, 2_000),
		});
	}
}

import type { RunReceipt, TableReceipt } from "./state-store.ts";

/** What a run tells while it works; progress, logs and the page are drawn from these. */
export type RunEvent =
	| { readonly type: "run-started"; readonly run: RunReceipt }
	| {
			readonly type: "table-started";
			readonly runId: string;
			readonly table: string;
			readonly into: string;
			readonly estimatedRows?: number;
	  }
	| {
			readonly type: "progress";
			readonly runId: string;
			readonly table: string;
			readonly phase: "extract" | "load";
			/** With the rows of chunks that were there already. */
			readonly rows: number;
			readonly bytes: number;
			readonly estimatedRows?: number;
			/** When the table is read in chunks. */
			readonly chunks?: { readonly done: number; readonly total: number };
	  }
	| {
			readonly type: "retry";
			readonly runId: string;
			readonly table: string;
			readonly attempt: number;
			readonly delayMs: number;
			readonly error: { readonly code: string; readonly message: string };
	  }
	| { readonly type: "table-finished"; readonly runId: string; readonly receipt: TableReceipt }
	| { readonly type: "run-finished"; readonly run: RunReceipt }
	| {
			readonly type: "notice";
			readonly runId: string;
			readonly level: "info" | "warn";
			readonly table?: string;
			readonly message: string;
	  };

export type EventSink = (event: RunEvent) => void;

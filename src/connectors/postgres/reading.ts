import type { ColumnType, Fidelity } from "../../core/index.ts";
import type { DecodeName } from "./decoders.ts";
import { isText, type NativeType, OID, operand, printed } from "./native-type.ts";

/** How a column is read: what is selected, what then travels, and what it becomes. */
export interface Reading {
	readonly type: ColumnType;
	readonly fidelity: Fidelity;
	readonly note?: string;
	/** The item of the SELECT list. */
	readonly sql: string;
	/** Type oid that the server must send for it. */
	readonly wire: number;
	readonly decode: DecodeName;
}

/** Any type as the text that the server prints. */
export function textReading(type: NativeType, column: string): Reading {
	const base = { type: { kind: "text" }, fidelity: "exact", decode: "text" } as const;
	if (isText(type)) return { ...base, sql: column, wire: type.oid };
	return { ...base, sql: printed(type, operand(type, column)), wire: OID.text };
}

/** Messages of PostgreSQL's protocol 3, which Redshift speaks: https://www.postgresql.org/docs/current/protocol-message-formats.html */

export interface FieldDescription {
	readonly name: string;
	readonly dataTypeID: number;
	readonly dataTypeSize: number;
	readonly dataTypeModifier: number;
}

export function message(type: string, body: Buffer): Buffer {
	const head = Buffer.alloc(5);
	head.write(type, "latin1");
	head.writeInt32BE(body.length + 4, 1);
	return Buffer.concat([head, body]);
}

const text = (value: string) => Buffer.from(`${value}\0`, "utf8");

export const AUTHENTICATION_OK = message("R", Buffer.from([0, 0, 0, 0]));
/** AuthenticationCleartextPassword. */
export const ASK_PASSWORD = message("R", Buffer.from([0, 0, 0, 3]));

export function parameterStatus(name: string, value: string): Buffer {
	return message("S", Buffer.concat([text(name), text(value)]));
}

export function backendKey(processId: number): Buffer {
	const body = Buffer.alloc(8);
	body.writeInt32BE(processId, 0);
	return message("K", body);
}

export function readyForQuery(status: string): Buffer {
	return message("Z", Buffer.from(status, "latin1"));
}

export function commandComplete(tag: string): Buffer {
	return message("C", text(tag));
}

export function errorResponse(fields: {
	readonly state: string;
	readonly message: string;
	readonly detail?: string;
}): Buffer {
	const parts = [text("SERROR"), text(`C${fields.state}`), text(`M${fields.message}`)];
	if (fields.detail !== undefined) parts.push(text(`D${fields.detail}`));
	return message("E", Buffer.concat([...parts, Buffer.from([0])]));
}

export function notice(message_: string): Buffer {
	return message("N", Buffer.concat([text("SINFO"), text("C00000"), text(`M${message_}`), Buffer.from([0])]));
}

export function rowDescription(fields: readonly FieldDescription[]): Buffer {
	const head = Buffer.alloc(2);
	head.writeInt16BE(fields.length);
	const parts = fields.map((field) => {
		const rest = Buffer.alloc(18);
		rest.writeInt32BE(field.dataTypeID, 6);
		rest.writeInt16BE(field.dataTypeSize, 10);
		rest.writeInt32BE(field.dataTypeModifier, 12);
		return Buffer.concat([text(field.name), rest]);
	});
	return message("T", Buffer.concat([head, ...parts]));
}

export function dataRow(values: readonly (string | null)[]): Buffer {
	const head = Buffer.alloc(2);
	head.writeInt16BE(values.length);
	const parts = values.map((value) => {
		const bytes = value === null ? Buffer.alloc(0) : Buffer.from(value, "utf8");
		const length = Buffer.alloc(4);
		length.writeInt32BE(value === null ? -1 : bytes.length);
		return Buffer.concat([length, bytes]);
	});
	return message("D", Buffer.concat([head, ...parts]));
}

/** Takes the messages out of what has come; `startup` messages have no type. */
export class MessageReader {
	#held: Buffer = Buffer.alloc(0);

	push(bytes: Buffer): void {
		this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
	}

	startup(): { readonly code: number; readonly body: Buffer } | null {
		if (this.#held.length < 8) return null;
		const length = this.#held.readInt32BE(0);
		if (this.#held.length < length) return null;
		const found = { code: this.#held.readInt32BE(4), body: this.#held.subarray(8, length) };
		this.#held = this.#held.subarray(length);
		return found;
	}

	next(): { readonly type: string; readonly body: Buffer } | null {
		if (this.#held.length < 5) return null;
		const length = this.#held.readInt32BE(1) + 1;
		if (this.#held.length < length) return null;
		const found = { type: String.fromCharCode(this.#held[0]!), body: this.#held.subarray(5, length) };
		this.#held = this.#held.subarray(length);
		return found;
	}
}

/** Name and value pairs of a startup message. */
export function startupParameters(body: Buffer): Map<string, string> {
	const parts = body.toString("utf8").split("\0");
	const found = new Map<string, string>();
	for (let at = 0; at + 1 < parts.length && parts[at] !== ""; at += 2) found.set(parts[at]!, parts[at + 1]!);
	return found;
}

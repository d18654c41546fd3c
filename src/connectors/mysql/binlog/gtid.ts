import { HeadraceError } from "../../../core/index.ts";

/** Transactions that were read, by their global ids: MariaDB's is the last of each domain, MySQL's a set of ranges. */
export interface GtidSet {
	readonly kind: "mariadb" | "mysql";
	/** With `gtid` added: a new set. */
	add(gtid: string): GtidSet;
	/** Whether everything in `other` is in this one. */
	contains(other: GtidSet): boolean;
	readonly isEmpty: boolean;
	/** As the server writes it. */
	toString(): string;
}

function invalid(text: string): HeadraceError {
	return new HeadraceError("E_INVALID_VALUE", `${JSON.stringify(text)} is not a set of GTIDs`, {
		hint: "MariaDB writes them as 0-1-42,1-2-7; MySQL as 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-23.",
	});
}

/** `0-1-42,1-2-7`: domain, server, sequence. https://mariadb.com/kb/en/gtid/ */
class MariadbGtids implements GtidSet {
	readonly kind = "mariadb";
	readonly #last: ReadonlyMap<string, readonly [server: string, sequence: bigint]>;

	constructor(last: ReadonlyMap<string, readonly [string, bigint]>) {
		this.#last = last;
	}

	static parse(text: string): MariadbGtids {
		const last = new Map<string, readonly [string, bigint]>();
		for (const part of text.split(",").map((piece) => piece.trim())) {
			if (part === "") continue;
			const match = /^(\d{1,10})-(\d{1,10})-(\d{1,20})$/.exec(part);
			if (match === null) throw invalid(text);
			last.set(match[1]!, [match[2]!, BigInt(match[3]!)]);
		}
		return new MariadbGtids(last);
	}

	add(gtid: string): MariadbGtids {
		const [domain, server, sequence] = gtid.split("-") as [string, string, string];
		return new MariadbGtids(new Map(this.#last).set(domain, [server, BigInt(sequence)]));
	}

	contains(other: GtidSet): boolean {
		if (!(other instanceof MariadbGtids)) return false;
		for (const [domain, [, sequence]] of other.#last) {
			const ours = this.#last.get(domain);
			if (ours === undefined || ours[1] < sequence) return false;
		}
		return true;
	}

	get isEmpty(): boolean {
		return this.#last.size === 0;
	}

	toString(): string {
		return [...this.#last].map(([domain, [server, sequence]]) => `${domain}-${server}-${sequence}`).join(",");
	}
}

/** First and last of a range, both included. */
type Range = readonly [bigint, bigint];

/**
 * `uuid:1-5:7,uuid:tag:1-3`: ranges by server uuid, and by tag from MySQL 8.3 on.
 * https://dev.mysql.com/doc/refman/8.4/en/replication-gtids-concepts.html
 */
export class MysqlGtids implements GtidSet {
	readonly kind = "mysql";
	/** By `uuid` or `uuid:tag`; in order, neither touching nor overlapping. */
	readonly ranges: ReadonlyMap<string, readonly Range[]>;

	constructor(ranges: ReadonlyMap<string, readonly Range[]>) {
		this.ranges = ranges;
	}

	static parse(text: string): MysqlGtids {
		const ranges = new Map<string, readonly Range[]>();
		for (const part of text.split(",").map((piece) => piece.trim().toLowerCase())) {
			if (part === "") continue;
			const [uuid = "", ...pieces] = part.split(":").map((piece) => piece.trim());
			if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) throw invalid(text);
			let key = uuid;
			for (const piece of pieces) {
				const match = /^(\d{1,19})(?:-(\d{1,19}))?$/.exec(piece);
				if (match === null) {
					if (!/^[a-z_][a-z0-9_]{0,31}$/.test(piece)) throw invalid(text);
					key = `${uuid}:${piece}`;
					continue;
				}
				const first = BigInt(match[1]!);
				const last = BigInt(match[2] ?? match[1]!);
				if (last >= first) ranges.set(key, joined(ranges.get(key) ?? [], [first, last]));
			}
		}
		return new MysqlGtids(ranges);
	}

	add(gtid: string): MysqlGtids {
		const at = gtid.lastIndexOf(":");
		const key = gtid.slice(0, at);
		const number = BigInt(gtid.slice(at + 1));
		return new MysqlGtids(new Map(this.ranges).set(key, joined(this.ranges.get(key) ?? [], [number, number])));
	}

	/** Whether one transaction is in the set. */
	has(gtid: string): boolean {
		const at = gtid.lastIndexOf(":");
		const ranges = this.ranges.get(gtid.slice(0, at));
		if (ranges === undefined) return false;
		const number = BigInt(gtid.slice(at + 1));
		// The usual case: one that is new.
		if (number > ranges.at(-1)![1]) return false;
		return ranges.some(([first, last]) => first <= number && number <= last);
	}

	contains(other: GtidSet): boolean {
		if (!(other instanceof MysqlGtids)) return false;
		for (const [key, ranges] of other.ranges) {
			const ours = this.ranges.get(key) ?? [];
			if (!ranges.every(([first, last]) => ours.some(([from, to]) => from <= first && last <= to))) return false;
		}
		return true;
	}

	get isEmpty(): boolean {
		return this.ranges.size === 0;
	}

	toString(): string {
		return [...this.ranges]
			.toSorted(([a], [b]) => (a < b ? -1 : 1))
			.map(([key, ranges]) =>
				[key, ...ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`))].join(":"),
			)
			.join(",");
	}

	/**
	 * The set as COM_BINLOG_DUMP_GTID takes it: the last of a range excluded.
	 * @throws E_UNSUPPORTED for GTIDs with tags, which have another form
	 */
	encode(): Buffer {
		const blocks = [...this.ranges].map(([uuid, ranges]) => {
			if (uuid.includes(":"))
				throw new HeadraceError("E_UNSUPPORTED", "a stream can't be taken up on another server by GTIDs with tags");
			const block = Buffer.alloc(24 + 16 * ranges.length);
			block.write(uuid.replaceAll("-", ""), 0, "hex");
			block.writeBigUInt64LE(BigInt(ranges.length), 16);
			for (const [index, [first, last]] of ranges.entries()) {
				block.writeBigInt64LE(first, 24 + 16 * index);
				block.writeBigInt64LE(last + 1n, 32 + 16 * index);
			}
			return block;
		});
		const count = Buffer.alloc(8);
		count.writeBigUInt64LE(BigInt(blocks.length));
		return Buffer.concat([count, ...blocks]);
	}
}

function joined(ranges: readonly Range[], added: Range): Range[] {
	const last = ranges.at(-1);
	// The usual case: the next one.
	if (last !== undefined && added[0] === last[1] + 1n) return [...ranges.slice(0, -1), [last[0], added[1]]];
	const result: Range[] = [];
	for (const [first, to] of [...ranges, added].toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
		const before = result.at(-1);
		if (before !== undefined && first <= before[1] + 1n) {
			if (to > before[1]) result[result.length - 1] = [before[0], to];
		} else result.push([first, to]);
	}
	return result;
}

/**
 * Both kinds, told apart by their form; the empty text is an empty set of the kind that is wanted.
 * @throws E_INVALID_VALUE
 */
export function parseGtids(text: string, flavour: "mariadb" | "mysql"): GtidSet {
	return flavour === "mariadb" ? MariadbGtids.parse(text) : MysqlGtids.parse(text);
}

import {
	type ChangeLog,
	type ChangeRequest,
	type ChangeStream,
	type Finding,
	HeadraceError,
	type LogHeadroom,
	qualified,
	type SourceTable,
} from "../../core/index.ts";
import type { EngineConnection } from "../../engine/index.ts";
import type { Archive, OpenedArchive } from "./archive.ts";
import { comparePlaces, decodePlace, encodePlace } from "./archive-place.ts";
import { ArchiveStream } from "./archive-stream.ts";

/**
 * Changes that were kept in a folder, as the log that they were kept of: the same rows in the same transactions, with
 * its times and positions, and before them, as rows of a reading, what the tables held when they began to be followed.
 */
export class ArchiveLog implements ChangeLog {
	readonly #archive: Archive;
	readonly #journal: string;
	readonly #connect: () => Promise<EngineConnection>;

	constructor({ archive, journal }: OpenedArchive, connect: () => Promise<EngineConnection>) {
		this.#archive = archive;
		this.#journal = journal;
		this.#connect = connect;
	}

	async end(): Promise<string> {
		const { head } = await this.#archive.end();
		return encodePlace({ journal: head.journal, record: head.number + 1, transaction: 0n, text: "" });
	}

	async beginning(): Promise<string> {
		return encodePlace({ journal: this.#journal, record: 1, transaction: 0n, text: "" });
	}

	compare(a: string, b: string): number {
		return comparePlaces(decodePlace(a), decodePlace(b));
	}

	format(position: string): string {
		const { record, text } = decodePlace(position);
		return text === "" ? `record ${record - 1}` : text;
	}

	parse(text: string): string {
		const number = /^(?:record )?(\d{1,12})$/.exec(text.trim())?.[1];
		if (number === undefined) return encodePlace(decodePlace(text.trim()));
		return encodePlace({ journal: this.#journal, record: Number(number) + 1, transaction: 0n, text: "" });
	}

	async open(request: ChangeRequest): Promise<ChangeStream> {
		if (request.signal?.aborted === true) throw new HeadraceError("E_STOPPED", "stopped before the archive was read");
		const from = decodePlace(request.from);
		const { head } = await this.#archive.end();
		if (from.journal !== head.journal || from.record > head.number + 1)
			throw new HeadraceError("E_HISTORY_MISMATCH", `the position is not one of the changes in ${this.#archive.root}`);
		const until = request.until === undefined ? null : decodePlace(request.until);
		return new ArchiveStream({ archive: this.#archive, connect: this.#connect, request, from, until });
	}

	async headroom(from: string): Promise<LogHeadroom> {
		const { record, transaction } = decodePlace(from);
		const { head, journal } = await this.#archive.end();
		let bytesBehind = 0;
		for await (const { number, readings, parts } of journal.records(head, record))
			if (number > record || transaction === 0n) for (const { bytes } of [...readings, ...parts]) bytesBehind += bytes;
		return { end: await this.end(), bytesBehind };
	}

	async check(tables: readonly SourceTable[]): Promise<Finding[]> {
		const findings: Finding[] = [];
		for (const { name } of tables)
			if ((await this.#archive.table(name)) === null)
				findings.push({
					severity: "error",
					message: `${qualified(name)} does not hold all that the change log told of it`,
					remedy: "archive it with write: append and before_images: true",
				});
		if (findings.length === 0)
			findings.push({
				severity: "ok",
				message: `${this.#archive.root}: changes are kept for as long as the folder is`,
			});
		return findings;
	}
}

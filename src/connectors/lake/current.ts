import type { Staging } from "../../core/index.ts";
import { currentPath } from "./layout.ts";
import { replaceFile } from "./store-text.ts";
import type { LakeTable } from "./table.ts";
import { fieldsOf, type TableState } from "./table-state.ts";
import { hiveType } from "./types.ts";

/** What `_headrace/current/<table>.json` says: the files that are the table. */
export interface CurrentList {
	readonly format_version: 1;
	readonly table: string;
	/** Number of the commit that it is of. */
	readonly version: number;
	readonly rows: number;
	readonly key: readonly string[];
	readonly partition_by: readonly string[];
	readonly columns: readonly { readonly name: string; readonly type: string; readonly hive_type: string }[];
	readonly files: readonly {
		readonly path: string;
		readonly rows: number;
		readonly bytes: number;
		readonly partition: readonly (string | null)[];
	}[];
}

/**
 * Writes the list of a table's live files for readers that know nothing of commits. Whoever is slow may write an older
 * list over a newer one, so it looks again afterwards; after a crash in between, the next run does.
 */
export async function publishCurrent(store: Staging, table: LakeTable, state: TableState): Promise<TableState> {
	for (let newest = state; ; ) {
		await replaceFile(store, currentPath(table.folder), `${JSON.stringify(listOf(table, newest))}\n`);
		const head = await table.head();
		if (head === null || head.last.change === newest.last.change) return newest;
		newest = head;
	}
}

/** Whether readers still see an older state than the given one. */
export async function isStale(store: Staging, table: LakeTable, state: TableState): Promise<boolean> {
	const content = await store.read(currentPath(table.folder));
	if (content === null) return true;
	try {
		return (JSON.parse(new TextDecoder().decode(content)) as CurrentList).version < state.last.change;
	} catch {
		return true;
	}
}

export function listOf(table: LakeTable, state: TableState): CurrentList {
	const { columns = [], key = [], partition_by = [] } = state.form ?? {};
	return {
		format_version: 1,
		table: table.folder,
		version: state.last.change,
		rows: state.rows,
		key,
		partition_by,
		columns: fieldsOf(columns).map(({ name, type }, index) => ({
			name,
			type: columns[index]!.type,
			hive_type: hiveType(type),
		})),
		files: state.files.map(({ path, rows, bytes, partition }) => ({ path, rows, bytes, partition })),
	};
}

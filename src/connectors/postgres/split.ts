import type { Chunk, SourceTable, TableName } from "../../core/index.ts";
import { boundLiteral, columnNamed } from "./select-sql.ts";
import type { ServerFacts } from "./server-facts.ts";
import type { Session } from "./session.ts";
import { quoteIdentifier, quoteTable } from "./sql-text.ts";

/** From this version on the server reads only the blocks of a ctid range instead of the whole table. */
const TID_RANGE_VERSION = 140000;
/** Blocks that are counted when a table was never analyzed. */
const DENSITY_BLOCKS = 64;
/** Sampled rows a bound, where key ranges are guessed. */
const SAMPLE_ROWS = 200;
const WHOLE: readonly Chunk[] = [{ index: 0 }];

/** A table with rows of its own: the table, one of its partitions, or one that inherits from it. */
interface Member {
	readonly name: TableName;
	readonly relkind: string;
	readonly heap: boolean;
	readonly blocks: number;
	readonly rowsPerBlock: number | null;
	readonly readable: boolean;
}

/**
 * Ranges of about `rows` rows that together are the table, within the snapshot of `session`. Block ranges of the table
 * or of each partition where the server can read them alone; the last has no end, so that no row can lie behind it.
 * Reading partitions directly needs rights on each and passes the parent's row security by: without those, whole.
 */
export async function splitTable(
	session: Session,
	facts: ServerFacts,
	table: SourceTable,
	{ rows, byKey = false }: { readonly rows: number; readonly byKey?: boolean },
): Promise<readonly Chunk[]> {
	if (table.kind === "query") return WHOLE;
	const members = await readMembers(session, table.name);
	if (members.length === 0 || members.some((member) => !member.readable)) return WHOLE;
	if (members.every((member) => member.relkind === "v")) return WHOLE;
	const [single] = members.length === 1 ? members : [];
	if (byKey) return single === undefined ? WHOLE : splitByKey(session, table, rows, single);
	if (facts.version < TID_RANGE_VERSION)
		return single === undefined ? onePerMember(table, members) : splitByKey(session, table, rows, single);
	const conditions: string[] = [];
	for (const member of members) conditions.push(...(await blockRanges(session, table.name, member, rows)));
	return asChunks(conditions);
}

function asChunks(conditions: readonly string[]): readonly Chunk[] {
	return conditions.length < 2 ? WHOLE : conditions.map((condition, index) => ({ index, condition }));
}

function onePerMember(table: SourceTable, members: readonly Member[]): readonly Chunk[] {
	return asChunks(members.map((member) => `${only(member, table.name)} WHERE true`));
}

function only(member: Pick<Member, "name">, table: TableName): string {
	return `ONLY ${quoteTable(member.name)} AS ${quoteIdentifier(table.name)}`;
}

async function readMembers(session: Session, table: TableName): Promise<Member[]> {
	const rows = await session.rows(
		`WITH RECURSIVE members(oid) AS (
			SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
			WHERE n.nspname = $1 AND c.relname = $2
			UNION ALL
			SELECT i.inhrelid FROM members AS p JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.oid
		)
		SELECT DISTINCT n.nspname, c.relname, c.relkind, m.amname,
		  CASE WHEN c.relkind IN ('r', 'm')
		    THEN pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::pg_catalog.int8 END,
		  CASE WHEN c.relpages > 0 AND c.reltuples > 0 THEN c.reltuples::pg_catalog.float8 / c.relpages END,
		  pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
		    AND NOT pg_catalog.row_security_active(c.oid)
		FROM members JOIN pg_catalog.pg_class AS c ON c.oid = members.oid
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		LEFT JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
		ORDER BY 1, 2`,
		[table.schema, table.name],
	);
	const members = rows.map(([schema, name, relkind, method, blocks, density, readable]) => ({
		name: { schema: schema!, name: name! },
		relkind: relkind!,
		heap: method === "heap",
		blocks: Number(blocks ?? 0),
		rowsPerBlock: density === null || density === undefined ? null : Number(density),
		readable: readable === "t",
	}));
	// A partitioned table has no rows of its own, but its row security and rights count.
	return members.some((member) => !member.readable) ? members : members.filter((member) => member.relkind !== "p");
}

async function blockRanges(session: Session, table: TableName, member: Member, rows: number): Promise<string[]> {
	const from = only(member, table);
	if (!member.heap || member.blocks < 2) return [`${from} WHERE true`];
	const density = member.rowsPerBlock ?? (await measureDensity(session, member));
	const count = Math.min(member.blocks, Math.max(1, Math.round((member.blocks * density) / rows)));
	const bounds = Array.from({ length: count + 1 }, (_, i) => Math.floor((member.blocks * i) / count));
	return Array.from({ length: count }, (_, i) => {
		const start = `ctid >= '(${bounds[i]},0)'::pg_catalog.tid`;
		return i === count - 1
			? `${from} WHERE ${start}`
			: `${from} WHERE ${start} AND ctid < '(${bounds[i + 1]},0)'::pg_catalog.tid`;
	});
}

async function measureDensity(session: Session, member: Member): Promise<number> {
	const blocks = Math.min(DENSITY_BLOCKS, member.blocks);
	const [row] = await session.rows(
		`SELECT pg_catalog.count(*) FROM ONLY ${quoteTable(member.name)} WHERE ctid < '(${blocks},0)'::pg_catalog.tid`,
		undefined,
		{ table: member.name },
	);
	return Math.max(1, Number(row![0])) / blocks;
}

/**
 * Ranges of the first column of the primary key, for servers that would read the whole table for a range of blocks.
 * The bounds are values of a sample in the server's own order, and the server compares them: collations can't matter.
 */
export async function splitByKey(
	session: Session,
	table: SourceTable,
	rows: number,
	member: Pick<Member, "name" | "relkind" | "blocks" | "rowsPerBlock">,
): Promise<readonly Chunk[]> {
	const [key] = table.primaryKey;
	if (key === undefined || member.relkind !== "r" || member.rowsPerBlock === null) return WHOLE;
	const column = columnNamed(table, key);
	const total = member.blocks * member.rowsPerBlock;
	const count = Math.floor(total / rows);
	if (count < 2) return WHOLE;
	const fractions = Array.from({ length: count - 1 }, (_, i) => ((i + 1) / count).toFixed(6));
	const percent = Math.min(100, Math.max(0.01, (100 * SAMPLE_ROWS * count) / total));
	const name = quoteIdentifier(key);
	const found = await session.rows(
		`SELECT bound::pg_catalog.text FROM (
			SELECT pg_catalog.unnest(pg_catalog.percentile_disc(ARRAY[${fractions.join(", ")}]::pg_catalog.float8[])
			  WITHIN GROUP (ORDER BY ${name})) AS bound
			FROM ONLY ${quoteTable(table.name)} TABLESAMPLE SYSTEM (${percent.toFixed(4)})) AS sampled`,
		undefined,
		{ table: table.name },
	);
	const texts = found.flatMap(([text]) => (text === null || text === undefined ? [] : [text]));
	const bounds = texts.filter((text, i) => i === 0 || text !== texts[i - 1]).map((text) => boundLiteral(column, text));
	const from = only({ name: table.name }, table.name);
	const conditions = [null, ...bounds].map((low, i) => {
		const high = bounds[i];
		const parts = [low === null ? null : `${name} >= ${low}`, high === undefined ? null : `${name} < ${high}`];
		return `${from} WHERE ${parts.filter((part) => part !== null).join(" AND ") || "true"}`;
	});
	return asChunks(conditions).map((chunk) => (chunk.condition === undefined ? chunk : { ...chunk, byKey: true }));
}

/** Changes of a world's tables, of every kind that a copy has to follow. */
import type { TextClient } from "../support/client.ts";
import { VAULT, type World, type WorldTable } from "./world.ts";
import { KINDS, mayHaveDefault, type WorldColumn } from "./world-columns.ts";

type Change = (world: World, client: TextClient, table: WorldTable) => Promise<void>;

/** One change of one table, of those that a history goes on through. */
export async function changeHistory(world: World, client: TextClient): Promise<void> {
	const { random } = world;
	if (random.chance(0.1)) return void (await world.create(client, false));
	const table = world.tables[random.integer(world.tables.length)]!;
	// Rows from before another name may be behind it in the log: then there is no way but to begin anew.
	if (random.chance(0.05)) return renameColumn(world, client, table);
	await OF_HISTORIES[random.integer(OF_HISTORIES.length)]!(world, client, table);
}

/** One change of one table. @throws what the server answers when a client was faster */
export async function changeTables(world: World, client: TextClient): Promise<void> {
	const { random } = world;
	const passing = world.tables.filter((table) => !table.isLasting);
	// Few tables come and go: each that comes is read whole.
	if (random.chance(0.15)) {
		const table = passing[random.integer(passing.length)];
		if (table === undefined || (passing.length < 3 && random.chance(0.5)))
			return void (await world.create(client, false));
		const change = [renameTable, exchangeTable, dropTable][random.integer(3)]!;
		return change(world, client, table);
	}
	const table = world.tables[random.integer(world.tables.length)]!;
	await COLUMNS[random.integer(COLUMNS.length)]!(world, client, table);
}

async function alter({ dialect }: World, client: TextClient, { name }: WorldTable, what: string): Promise<void> {
	// Who waits for a lock lets others wait behind it.
	if (dialect === "postgres") await client.query("set lock_timeout = '2s'");
	await client.query(`alter table ${name} ${what}`);
}

function without(table: WorldTable, column: WorldColumn): WorldColumn[] {
	return table.columns.filter((other) => other !== column);
}

function some(world: World, { columns, key }: WorldTable): WorldColumn | undefined {
	const free = columns.filter(({ name }) => !key.includes(name));
	return free[world.random.integer(free.length)];
}

/** Clients do not write it until it is there. */
const addColumn: Change = async (world, client, table) => {
	const column = world.newColumn();
	const places = ["", " first", " after amount"];
	const place = world.dialect === "mysql" ? places[world.random.integer(3)] : "";
	await alter(world, client, table, `add column ${world.definition(column)}${place}`);
	table.columns = [...table.columns, column];
};

const dropColumn: Change = async (world, client, table) => {
	const column = some(world, table);
	if (column === undefined) return addColumn(world, client, table);
	table.columns = without(table, column);
	await alter(world, client, table, `drop column ${column.name}`);
};

/** The name comes back with nothing of what it stood for. */
const replaceColumn: Change = async (world, client, table) => {
	const column = some(world, table);
	if (column === undefined) return;
	const next = { ...world.newColumn(), name: column.name };
	const add = `add column ${world.definition(next)}`;
	table.columns = without(table, column);
	if (world.random.chance(0.5)) {
		await alter(world, client, table, `drop column ${column.name}`);
		await alter(world, client, table, add);
	} else await alter(world, client, table, `drop column ${column.name}, ${add}`);
	table.columns = [...table.columns, next];
};

const renameColumn: Change = async (world, client, table) => {
	const column = some(world, table);
	if (column === undefined) return;
	const next = { ...column, name: world.newColumn().name };
	const change =
		world.dialect === "mysql"
			? `change ${column.name} ${world.definition(next)}`
			: `rename column ${column.name} to ${next.name}`;
	await alter(world, client, table, change);
	table.columns = table.columns.map((other) => (other === column ? next : other));
};

/** Two columns of one kind take each other's name. */
const exchangeColumns: Change = async (world, client, table) => {
	const first = some(world, table);
	const second = table.columns.find(
		(other) => other !== first && other.kind === first?.kind && !table.key.includes(other.name),
	);
	if (first === undefined || second === undefined) return renameColumn(world, client, table);
	const [a, b] = [
		{ ...first, name: second.name },
		{ ...second, name: first.name },
	];
	if (world.dialect === "mysql")
		await alter(
			world,
			client,
			table,
			`change ${first.name} ${world.definition(a)}, change ${second.name} ${world.definition(b)}`,
		);
	else {
		const rename = (from: string, to: string) => `alter table ${table.name} rename column ${from} to ${to}`;
		await client.query(
			`begin; set local lock_timeout = '2s'; ${rename(first.name, "aside")}; ${rename(second.name, first.name)}; ${rename("aside", second.name)}; commit`,
		);
	}
	table.columns = table.columns.map((other) => (other === first ? a : other === second ? b : other));
};

const retypeColumn: Change = async (world, client, table) => {
	const column = some(world, table);
	const kinds = column === undefined ? [] : KINDS[column.kind]!.becomes;
	const kind = kinds[world.random.integer(kinds.length)];
	if (column === undefined || kind === undefined) return;
	const next = { ...column, kind, isRequired: column.isRequired && mayHaveDefault(kind) };
	if (world.dialect === "mysql") await alter(world, client, table, `modify ${world.definition(next)}`);
	else {
		const type = KINDS[kind]!.postgres;
		const keep = column.isRequired ? `alter column ${column.name} drop default, ` : "";
		const restore = next.isRequired ? "" : `, alter column ${column.name} drop not null`;
		await alter(
			world,
			client,
			table,
			`${keep}alter column ${column.name} type ${type} using ${column.name}::${type}${restore}`,
		);
	}
	table.columns = table.columns.map((other) => (other === column ? next : other));
};

/** The key gets a column more, or loses it again. */
const changeKey: Change = async (world, client, table) => {
	const drop = world.dialect === "mysql" ? "drop primary key" : `drop constraint ${await keyName(client, table)}`;
	if (table.key.length > 1) {
		await alter(world, client, table, `${drop}, add primary key (id)`);
		table.key = ["id"];
		return;
	}
	const column: WorldColumn = { ...world.newColumn(), kind: "int", isRequired: true };
	await alter(
		world,
		client,
		table,
		`add column ${world.definition(column)}, ${drop}, add primary key (id, ${column.name})`,
	);
	table.columns = [...table.columns, column];
	table.key = ["id", column.name];
};

async function keyName(client: TextClient, { name }: WorldTable): Promise<string> {
	const rows = await client.arrays(
		`select conname from pg_constraint where conrelid = '${name}'::regclass and contype = 'p'`,
	);
	return rows[0]![0]!;
}

/** What the table holds goes to the vault first: a truncation is no transaction of MySQL's. */
const empty: Change = (world, client, table) =>
	world.standstill(async () => {
		await intoVault(client, table);
		await client.query(`truncate table ${table.name}`);
		if (world.random.chance(0.7)) await world.fill(client, table, 5);
	});

/** Another table of the same name. */
const makeAnew: Change = (world, client, table) =>
	world.standstill(async () => {
		await intoVault(client, table);
		const { name, isLasting } = table;
		// PostgreSQL's log does not tell of it: until a copy looks, amounts of the new table would be missing.
		const hasAmounts = table.hasAmounts && world.dialect === "mysql";
		world.tables.splice(world.tables.indexOf(table), 1);
		if (world.dialect === "postgres") await client.query("begin");
		await client.query(`drop table ${name}`);
		await world.create(client, hasAmounts, name, isLasting);
		if (world.dialect === "postgres") await client.query("commit");
	});

/** Rows and columns change in one transaction, which may be taken back. */
const alterWithin: Change = async (world, client, table) => {
	if (world.dialect === "mysql") return addColumn(world, client, table);
	const [first, second] = [world.newColumn(), world.newColumn()];
	await client.query("begin; set local lock_timeout = '2s'");
	await client.query(`alter table ${table.name} add column ${world.definition(first)}`);
	await world.fill(client, { ...table, columns: [...table.columns, first] }, 3);
	await client.query(`alter table ${table.name} add column ${world.definition(second)}`);
	await world.fill(client, { ...table, columns: [...table.columns, first, second] }, 3);
	if (world.random.chance(0.3)) return void (await client.query("rollback"));
	await client.query("commit");
	table.columns = [...table.columns, first, second];
};

const OF_HISTORIES: readonly Change[] = [addColumn, addColumn, dropColumn, alterWithin, empty];

const COLUMNS: readonly Change[] = [
	addColumn,
	addColumn,
	dropColumn,
	replaceColumn,
	renameColumn,
	exchangeColumns,
	retypeColumn,
	retypeColumn,
	alterWithin,
	changeKey,
	empty,
	makeAnew,
];

const renameTable: Change = async (world, client, table) => {
	const to = `w_${world.next()}`;
	await alter(world, client, table, `rename to ${to}`);
	table.name = to;
};

/** As gh-ost does: a copy with other columns takes the name at once. */
const exchangeTable: Change = (world, client, table) =>
	world.standstill(async () => {
		const { name } = table;
		const [ghost, old] = [`ghost_${name}`, `old_${name}`];
		const column = world.newColumn();
		const like = world.dialect === "mysql" ? `like ${name}` : `(like ${name} including all)`;
		const fields = ["id", "amount", ...table.columns.map((other) => other.name)].join(", ");
		await client.query(`create table ${ghost} ${like}`);
		await client.query(`alter table ${ghost} add column ${world.definition(column)}`);
		await client.query(`insert into ${ghost} (${fields}) select ${fields} from ${name}`);
		if (world.dialect === "mysql") await client.query(`rename table ${name} to ${old}, ${ghost} to ${name}`);
		else
			await client.query(`begin; alter table ${name} rename to ${old}; alter table ${ghost} rename to ${name}; commit`);
		await client.query(`drop table ${old}`);
		table.columns = [...table.columns, column];
	});

const dropTable: Change = async (world, client, table) => {
	world.tables.splice(world.tables.indexOf(table), 1);
	await client.query(`drop table ${table.name}`);
};

async function intoVault(client: TextClient, { name, hasAmounts }: WorldTable): Promise<void> {
	if (!hasAmounts) return;
	await client.query("start transaction");
	await client.query(
		`update ${VAULT} set amount = amount + (select coalesce(sum(amount), 0) from ${name}) where id = 1`,
	);
	await client.query(`update ${name} set amount = 0`);
	await client.query("commit");
}

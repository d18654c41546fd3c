import type { Session } from "../session.ts";
import type { JsonShapes } from "./log-values.ts";
import type { JsonShape } from "./printed-json.ts";

/** What to_json distinguishes: json_categorize_type of src/backend/utils/adt/jsonfuncs.c. */
const KINDS: Readonly<Record<string, JsonShape>> = {
	bool: { kind: "boolean" },
	int2: { kind: "number" },
	int4: { kind: "number" },
	int8: { kind: "number" },
	float4: { kind: "number" },
	float8: { kind: "number" },
	numeric: { kind: "number" },
	date: { kind: "time" },
	timestamp: { kind: "time" },
	timestamptz: { kind: "time" },
	json: { kind: "json" },
	jsonb: { kind: "json" },
};

interface TypeRow {
	readonly name: string;
	readonly isBuiltIn: boolean;
	readonly typtype: string;
	readonly base: string;
	readonly element: string;
	readonly delimiter: string;
	/** Has a cast to json that is a function. */
	readonly casts: boolean;
	readonly names: readonly string[];
	readonly fields: readonly string[];
}

/** How to_json takes the types apart, with all that they are made of; one statement. */
export async function readJsonShapes(session: Session, oids: readonly number[]): Promise<JsonShapes> {
	if (oids.length === 0) return () => null;
	const rows = await session.rows(
		`WITH RECURSIVE wanted(oid) AS (
			SELECT pg_catalog.unnest($1::pg_catalog.oid[])
			UNION
			SELECT part.oid FROM wanted JOIN pg_catalog.pg_type AS t ON t.oid = wanted.oid
			CROSS JOIN LATERAL (
				SELECT t.typbasetype UNION ALL SELECT t.typelem
				UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute AS a
				  WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped
			) AS part(oid) WHERE part.oid <> 0
		)
		SELECT t.oid, t.typname, t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace, t.typtype, t.typbasetype,
		  CASE WHEN t.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc THEN t.typelem ELSE 0 END, t.typdelim,
		  t.oid >= 16384 AND EXISTS (SELECT 1 FROM pg_catalog.pg_cast AS c WHERE c.castsource = t.oid
		    AND c.casttarget = 'pg_catalog.json'::pg_catalog.regtype AND c.castmethod = 'f'),
		  f.names, f.types
		FROM wanted JOIN pg_catalog.pg_type AS t ON t.oid = wanted.oid
		CROSS JOIN LATERAL (
			SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum), pg_catalog.json_agg(a.atttypid::pg_catalog.text ORDER BY a.attnum)
			FROM pg_catalog.pg_attribute AS a
			WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped
		) AS f(names, types)`,
		[oids.map(String)],
	);
	const types = new Map<string, TypeRow>();
	for (const [oid, name, isBuiltIn, typtype, base, element, delimiter, casts, names, fields] of rows)
		types.set(oid!, {
			name: name!,
			isBuiltIn: isBuiltIn === "t",
			typtype: typtype!,
			base: base!,
			element: element!,
			delimiter: delimiter!,
			casts: casts === "t",
			names: names === null ? [] : (JSON.parse(names!) as string[]),
			fields: fields === null ? [] : (JSON.parse(fields!) as string[]),
		});
	const shapeOf = (oid: string): JsonShape | null => {
		const type = types.get(oid);
		if (type === undefined) return null;
		if (type.typtype === "d") return shapeOf(type.base);
		if (type.isBuiltIn && Object.hasOwn(KINDS, type.name)) return KINDS[type.name]!;
		if (type.element !== "0") {
			const element = shapeOf(type.element);
			const delimiter = (types.get(type.element)?.delimiter ?? ",").charCodeAt(0);
			return element === null ? null : { kind: "array", element, delimiter };
		}
		if (type.typtype === "c") {
			const fields: JsonShape[] = [];
			for (const field of type.fields) {
				const shape = shapeOf(field);
				if (shape === null) return null;
				fields.push(shape);
			}
			return { kind: "row", names: type.names, fields };
		}
		if (type.casts) return type.name === "hstore" ? { kind: "hstore" } : null;
		return { kind: "string" };
	};
	return (oid) => shapeOf(String(oid));
}

import { expect, test } from "vitest";
import { checkPipelineText } from "../config/index.ts";
import { neverLoaded } from "./freshness.ts";

const FILE = { file: "/project/pipelines/shop.yaml", directory: "/project", env: {} };
const TABLES = `tables:
  shop.*: {}
  shop.tmp_*: skip
  shop.orders: {}
  shop.gone: skip
  web.visits: {}
  daily: { query: select 1 as one }
`;

test("never loaded are tables that the file names or a run has planned, without those that were or are skipped", async () => {
	const pipeline = await checkPipelineText(`from: ./in\nto: duckdb:out.duckdb\n${TABLES}`, FILE);
	const never = (planned: readonly string[], loaded: readonly string[]) => neverLoaded(pipeline, { planned, loaded });
	expect(never([], [])).toEqual(["in.daily", "shop.orders", "web.visits"]);
	const planned = ["shop.orders", "shop.lines", "shop.tmp_a", "shop.gone", "elsewhere.t", "web.visits", "in.daily"];
	expect(never(planned, ["shop.orders", "web.visits"])).toEqual(["in.daily", "shop.lines"]);
	expect(never(planned, planned)).toEqual([]);
});

import { type Case, casesOf } from "./case.ts";
import { sourceDescribeCases } from "./source-describe.ts";
import type { SourceSetup } from "./source-fixture.ts";
import { sourceReadCases } from "./source-reads.ts";
import { sourceSnapshotCases } from "./source-snapshots.ts";
import { sourceUnchangedCases } from "./source-unchanged.ts";

/** What every source must do: its names, types, windows, cuts, and that a read that ends early ends at the source. */
export function sourceSuite(setup: SourceSetup): Case[] {
	return casesOf(setup, [...sourceDescribeCases, ...sourceReadCases, ...sourceSnapshotCases, ...sourceUnchangedCases]);
}

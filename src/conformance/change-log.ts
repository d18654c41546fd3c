import { type Case, casesOf } from "./case.ts";
import type { ChangeLogSetup } from "./change-log-fixture.ts";
import { changeLogPositionCases } from "./change-log-positions.ts";
import { changeLogRowCases } from "./change-log-rows.ts";

/**
 * What every change log must do: whole transactions in the order of their commits, positions that reading goes on from
 * without loss or repetition, an end that is reached, and a stream that ends when it is told to.
 */
export function changeLogSuite(setup: ChangeLogSetup): Case[] {
	return casesOf(setup, [...changeLogRowCases, ...changeLogPositionCases]);
}

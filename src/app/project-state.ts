import { join } from "node:path";
import { openStateStore, type ProjectState, type StateStoreOptions } from "../state/index.ts";

export interface ProjectStateOptions extends StateStoreOptions {
	/** The project's folder. */
	readonly directory: string;
}

/** Opens what is kept of a project. @throws E_STATE */
export async function openProjectState({ directory, ...options }: ProjectStateOptions): Promise<ProjectState> {
	return openStateStore(join(directory, ".headrace", "state.db"), options);
}

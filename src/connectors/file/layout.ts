/** Hidden folder of a file destination: versions of tables, epochs, locks. */
export const HIDDEN_FOLDER = ".headrace";
/** A table version's record: its fields and files, and the positions that it was committed with. */
export const COMMIT_FILE = "_headrace.json";

/**
 * Makes a Debian machine ready for `npm test`: installs MariaDB, PostgreSQL and, for the page, Chromium where they are
 * missing, without starting services; the tests start servers of their own. Quiet when everything is there. Runs on
 * Node 20 and later.
 *
 * Where they cannot be installed it says what to install and exits 0, and the tests that need them are skipped with
 * their reason; in CI (CI=true) it exits 1 instead.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";

const POSTGRES_FOLDER = "/usr/lib/postgresql";

function postgresMajors() {
	if (!existsSync(POSTGRES_FOLDER)) return [];
	return readdirSync(POSTGRES_FOLDER).filter((major) => existsSync(`${POSTGRES_FOLDER}/${major}/bin/initdb`));
}

/** @returns {string | undefined} the release, such as `12`, on Debian itself */
function debianRelease() {
	if (!existsSync("/etc/os-release")) return undefined;
	const release = readFileSync("/etc/os-release", "utf8");
	if (!/^ID="?debian"?$/m.test(release)) return undefined;
	return /^VERSION_ID="?(\d+)/m.exec(release)?.[1];
}

/** @returns {string[]} the packages that are missing; Debian 12 has PostgreSQL 15, other releases their own major */
function missingPackages() {
	const onDebian12 = debianRelease() === "12";
	const folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
	const has = (program) => folders.some((folder) => existsSync(`${folder}/${program}`));
	const hasPostgres = onDebian12 ? postgresMajors().includes("15") : postgresMajors().length > 0;
	return [
		...(has("mariadbd") && has("mariadb-install-db") && has("mariadb") ? [] : ["mariadb-server"]),
		...(hasPostgres && has("psql") ? [] : [onDebian12 ? "postgresql-15" : "postgresql"]),
		...(has("openssl") ? [] : ["openssl"]),
		// Other distributions have no package of this name, or one that only points to another store.
		...(has("chromium") || debianRelease() === undefined ? [] : ["chromium"]),
	];
}

function giveUp(packages, reason) {
	const wayOut = `Install them with: apt-get install ${packages.join(" ")}`;
	console.error(`Databases for the tests are missing, and ${reason}.\n${wayOut}`);
	if (process.env.CI === "true") process.exit(1);
	console.error("The tests that need them are skipped.");
	process.exit(0);
}

/** While policy-rc.d says 101, Debian's packages start no service. A file that was there before stays as it is. */
const INSTALL = `
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\\nexit 101\\n' > "$policy"
	chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q || echo "apt-get update failed; trying with the lists that are there" >&2
apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
`;

const packages = missingPackages();
if (packages.length > 0) {
	if (!existsSync("/usr/bin/apt-get")) giveUp(packages, "this is no Debian machine");
	const isRoot = process.getuid?.() === 0;
	if (!isRoot && spawnSync("sudo", ["-n", "true"]).status !== 0) {
		giveUp(packages, "installing takes root or sudo without a password");
	}
	console.error(`Installing ${packages.join(", ")} for the tests`);
	const command = ["sh", "-ec", INSTALL, "sh", ...packages];
	const [program, ...args] = isRoot ? command : ["sudo", "-n", ...command];
	const done = spawnSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
	if (done.status !== 0) {
		console.error(`${done.stdout ?? ""}${done.stderr ?? ""}`.split("\n").slice(-20).join("\n"));
		giveUp(packages, "apt-get could not install them");
	}
	const still = missingPackages();
	if (still.length > 0) giveUp(still, "their programs are not there after apt-get either");
}

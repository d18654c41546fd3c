import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
/** Zone that times are shown in; UTC unless the person asks otherwise. */
export type Zone = "UTC" | "local";

const THEMES: readonly Theme[] = ["system", "light", "dark"];

/** Kept in this browser only; a browser that keeps nothing gets the defaults. */
function read(key: string): string | null {
	try {
		return localStorage.getItem(`headrace.${key}`);
	} catch {
		return null;
	}
}

function write(key: string, value: string): void {
	try {
		localStorage.setItem(`headrace.${key}`, value);
	} catch {
		// A browser without storage forgets the choice with the tab.
	}
}

export const theme = signal<Theme>(THEMES.find((each) => each === read("theme")) ?? "system");
export const zone = signal<Zone>(read("zone") === "local" ? "local" : "UTC");

effect(() => {
	if (theme.value === "system") delete document.documentElement.dataset["theme"];
	else document.documentElement.dataset["theme"] = theme.value;
	write("theme", theme.value);
});
effect(() => write("zone", zone.value));

export function nextTheme(): void {
	theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!;
}

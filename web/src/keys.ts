import { useEffect, useRef } from "preact/hooks";

interface Shortcut {
	readonly keys: string;
	readonly text: string;
	readonly act: () => void;
}

/** What the help lists: the newest of equal keys counts, so that a page's own come before the general ones. */
const shortcuts: Shortcut[] = [];
let first = "";
let firstAtMs = 0;
const PAIR_MS_MAX = 1500;

export function listShortcuts(): readonly Shortcut[] {
	const byKeys = new Map(shortcuts.map((each) => [each.keys, each]));
	return [...byKeys.values()];
}

/** Registers a key (`?`) or a pair in a row (`g p`) while the component is on the page. */
export function useShortcut(keys: string, text: string, act: () => void): void {
	const latest = useRef(act);
	latest.current = act;
	useEffect(() => {
		const shortcut = { keys, text, act: () => latest.current() };
		shortcuts.push(shortcut);
		return () => {
			shortcuts.splice(shortcuts.indexOf(shortcut), 1);
		};
	}, [keys, text]);
}

function isTyping(target: EventTarget | null): boolean {
	return (
		target instanceof HTMLElement &&
		target.closest("input:not([type=checkbox]), textarea, select, dialog, [contenteditable]") !== null
	);
}

document.addEventListener("keydown", (event) => {
	if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
	if (document.querySelector("dialog[open]") !== null) return;
	const pair = performance.now() - firstAtMs < PAIR_MS_MAX ? `${first} ${event.key}` : "";
	const hit = shortcuts.findLast(({ keys }) => keys === pair) ?? shortcuts.findLast(({ keys }) => keys === event.key);
	first = event.key;
	firstAtMs = performance.now();
	if (hit === undefined) return;
	event.preventDefault();
	first = "";
	hit.act();
});

import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../client.ts";
import { ErrorNotice } from "./notice.tsx";

/** A modal dialog of the browser: it holds the focus, Escape closes it, and the focus goes back to where it was. */
export function Dialog(props: {
	readonly title: string;
	readonly onClose: () => void;
	readonly children: ComponentChildren;
	readonly footer?: ComponentChildren;
	readonly onSubmit?: () => void;
}): JSX.Element {
	const element = useRef<HTMLDialogElement>(null);
	useEffect(() => {
		const before = document.activeElement;
		const dialog = element.current;
		dialog?.showModal();
		// What has to be filled in, else what confirms: Enter does it, Escape does not.
		dialog?.querySelector<HTMLElement>("input:not([type=checkbox]), .main:not(:disabled)")?.focus();
		return () => {
			if (before instanceof HTMLElement && before.isConnected) before.focus();
		};
	}, []);
	return (
		<dialog ref={element} aria-labelledby="dialog-title" onClose={props.onClose}>
			<form
				method="dialog"
				onSubmit={(event) => {
					event.preventDefault();
					props.onSubmit?.();
				}}
			>
				<header>
					<h2 id="dialog-title">{props.title}</h2>
					<button type="button" class="button plain slim" aria-label="Close" onClick={() => element.current?.close()}>
						✕
					</button>
				</header>
				<div class="body">{props.children}</div>
				{props.footer === undefined ? null : <footer>{props.footer}</footer>}
			</form>
		</dialog>
	);
}

/** An action that changes something: it says what it will touch, and does it when that is confirmed. */
export interface Action {
	readonly title: string;
	/** Of the button that does it: `Retry 2 tables`. */
	readonly confirm: string;
	/** What will be touched. */
	readonly preview: ComponentChildren;
	/** The text that is said after it is done. */
	readonly act: () => Promise<string>;
	/** Why it can't be done now; the button is off then. */
	readonly blocked?: string;
}

const asked = signal<Action | null>(null);
const toasts = signal<readonly { readonly id: number; readonly text: string; readonly bad: boolean }[]>([]);
let toastCount = 0;
const TOAST_MS = 6000;

/** Shows the preview of an action; nothing happens until it is confirmed there. */
export function ask(action: Action): void {
	asked.value = action;
}

/** Says that something was done, for a while, without taking the focus. */
export function say(text: string, bad = false): void {
	const id = ++toastCount;
	toasts.value = [...toasts.value, { id, text, bad }];
	setTimeout(() => {
		toasts.value = toasts.value.filter((each) => each.id !== id);
	}, TOAST_MS);
}

/** Where the dialog of `ask` and the texts of `say` appear. */
export function Dialogs(): JSX.Element {
	const action = asked.value;
	return (
		<>
			{action === null ? null : <Confirmation key={action.title} action={action} />}
			<div class="toasts" role="status" aria-live="polite">
				{toasts.value.map(({ id, text, bad }) => (
					<div key={id} class={bad ? "notice bad" : "notice"}>
						{text}
					</div>
				))}
			</div>
		</>
	);
}

function Confirmation({ action }: { readonly action: Action }): JSX.Element {
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState<unknown>(null);
	const close = () => {
		asked.value = null;
	};
	const act = async () => {
		if (busy || action.blocked !== undefined) return;
		setBusy(true);
		setError(null);
		try {
			say(await action.act());
			close();
		} catch (failure) {
			setError(failure);
			setBusy(false);
			if (failure instanceof ApiError && failure.status === 401) close();
		}
	};
	return (
		<Dialog
			title={action.title}
			onClose={close}
			onSubmit={act}
			footer={
				<>
					<button type="button" class="button" onClick={close}>
						Cancel
					</button>
					<button type="submit" class="button main" disabled={busy || action.blocked !== undefined}>
						{busy ? "Working…" : action.confirm}
					</button>
				</>
			}
		>
			{action.preview}
			{action.blocked === undefined ? null : <p class="notice warn">{action.blocked}</p>}
			{error === null ? null : <ErrorNotice error={error} />}
		</Dialog>
	);
}

import { S3Error } from "./errors.ts";

/** Text for an element; what XML 1.0 cannot hold is refused by S3 too unless `encoding-type=url` is asked. */
export function escapeXml(text: string): string {
	return text
		.replaceAll("&", "&amp;")
		.replaceAll("<", "&lt;")
		.replaceAll(">", "&gt;")
		.replaceAll('"', "&quot;")
		.replaceAll("\r", "&#13;");
}

type Content = string | number | boolean | readonly string[];

/** One element; strings of a list are elements already. */
export function element(name: string, content: Content): string {
	return `<${name}>${Array.isArray(content) ? content.join("") : escapeXml(String(content))}</${name}>`;
}

export function document(name: string, content: readonly string[]): string {
	return `<?xml version="1.0" encoding="UTF-8"?>\n<${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content.join("")}</${name}>`;
}

export interface XmlElement {
	readonly name: string;
	readonly children: readonly XmlElement[];
	readonly text: string;
}

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
	return text.replaceAll(/&(#x[0-9a-fA-F]+|#\d+|\w+);|&/g, (_, entity: string | undefined) => {
		const value =
			entity === undefined
				? undefined
				: entity.startsWith("#x")
					? String.fromCodePoint(Number.parseInt(entity.slice(2), 16))
					: entity.startsWith("#")
						? String.fromCodePoint(Number(entity.slice(1)))
						: NAMED[entity];
		if (value === undefined) throw new S3Error("MalformedXML");
		return value;
	});
}

/** Reads elements and text; no document types, which S3 does not take either. */
export function parseXml(source: string): XmlElement {
	const tokens = source.replace(/^\uFEFF?\s*<\?xml[^?]*\?>/, "").matchAll(/<(\/?)([\w:.-]+)[^<>]*?(\/?)>|([^<]+)|</g);
	interface Open {
		readonly name: string;
		readonly children: XmlElement[];
		text: string;
	}
	const root: Open = { name: "", children: [], text: "" };
	const open: Open[] = [root];
	for (const [, end, name, empty, text] of tokens) {
		const top = open.at(-1)!;
		if (text !== undefined) top.text += unescapeXml(text);
		else if (name === undefined) throw new S3Error("MalformedXML");
		else if (end === "/") {
			if (open.length === 1 || top.name !== name) throw new S3Error("MalformedXML");
			open.pop();
			open.at(-1)!.children.push(top);
		} else if (empty === "/") top.children.push({ name, children: [], text: "" });
		else open.push({ name, children: [], text: "" });
	}
	if (open.length !== 1 || root.children.length !== 1 || root.text.trim() !== "") throw new S3Error("MalformedXML");
	return root.children[0]!;
}

export function childText(parent: XmlElement, name: string): string | undefined {
	return parent.children.find((child) => child.name === name)?.text;
}

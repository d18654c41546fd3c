import { Secret } from "../core/secret.ts";

const origins = new WeakMap<Secret, string>();

/** A secret that knows which reference its value came from. */
export function secretFrom(value: string, origin?: string): Secret {
	const secret = new Secret(value);
	if (origin !== undefined) origins.set(secret, origin);
	return secret;
}

/** `${env:SHOP_PASSWORD}`: for messages such as `login refused (password from ${env:SHOP_PASSWORD})`. */
export function secretOrigin(secret: Secret): string | undefined {
	return origins.get(secret);
}

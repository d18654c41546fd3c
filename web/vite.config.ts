import { defineConfig } from "vite";

/** The page of `headrace serve`, built into dist/web by scripts/build.ts. Everything it needs comes from its own server. */
export default defineConfig({
	root: import.meta.dirname,
	build: {
		outDir: "../dist/web",
		emptyOutDir: true,
		target: "es2023",
		// The content security policy of the server knows no data: addresses and no inline script.
		assetsInlineLimit: 0,
		modulePreload: { polyfill: false },
	},
	// Answers of a running `headrace serve` while working on the page: `npx vite web`.
	server: { proxy: { "/api": "http://127.0.0.1:8080" } },
});

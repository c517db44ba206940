/**
 * `import 'carom/globals'` puts Carom's `Headers`, `Request`, `Response` and, on Node, `ReadableStream` in the place of the
 * runtime's, for the whole process. They are typed like those, so no global type changes. `instanceof` holds both ways, and whatever in
 * the runtime takes those classes (`fetch`, `Bun.serve`, `Deno.serve`, `caches`, `WebAssembly.compileStreaming`) takes ours. Import it before anything else.
 */
export {};

/**
 * `import 'carom/globals'` puts Carom's `Headers`, `Request` and `Response` in the place of the
 * runtime's. They are typed like those, so no global type changes.
 */
export {};

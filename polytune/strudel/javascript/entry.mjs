// What the bundle holds: Strudel's packages, unchanged, and the parser they use. It runs nothing.
export * as core from '@strudel/core';
export * as mini from '@strudel/mini';
export * as tonal from '@strudel/tonal';
export { transpiler } from '@strudel/transpiler';
export { parse } from 'acorn';

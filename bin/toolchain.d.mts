export const root: string;
export function isNewEnough(version: string): boolean;
export function findNode(): string;
export function ensurePackages(node: string): void;
export function give(up: string, code?: number): never;
export function run(node: string, program: string, args: readonly string[]): Promise<void>;

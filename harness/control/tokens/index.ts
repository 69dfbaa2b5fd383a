export { fileTokens } from "./file-tokens.ts";
export { fingerprintOf } from "./fingerprint.ts";
export { newToken } from "./new-token.ts";
export { openTokens, tokenProvider } from "./open-tokens.ts";
export { rotateToken } from "./rotate-token.ts";
export { openTokenCache, type TokenCacheOptions } from "./token-cache.ts";
export {
  TokenError,
  type Predecessor,
  type RotateOptions,
  type StoredToken,
  type TokenCache,
  type TokenEntry,
  type TokenFailure,
  type TokenProvider,
  type TokenRecord,
  type TokenState,
} from "./types.ts";
export { vaultTokens, type VaultTokensOptions } from "./vault/vault-tokens.ts";
